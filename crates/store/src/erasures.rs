//! Erasing a person: what goes at once, what is still being looked for, and when nothing is left.

use async_trait::async_trait;
use jiff::Timestamp;
use wire::{AccountId, ErasureId};

use crate::{Message, MessageNumber, StoreResult};

/// Whom to erase.
#[derive(Clone, PartialEq, Eq)]
pub enum Whom {
    /// The participant with this number.
    Number(u64),
    /// The participant with this e-mail address, in whatever case; and whoever the inbox knows by it, on the roster or
    /// not.
    Email(String),
}

/// An erasure to be begun.
#[derive(Clone, Debug)]
pub struct Erase {
    /// Its id.
    pub id: ErasureId,
    /// Whom.
    pub whom: Whom,
    /// When.
    pub now: Timestamp,
}

/// An erasure as it stands. It holds nothing about the person but a number that is never given out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// The number the person had; `None` where the address was on no roster.
    pub participant: Option<u64>,
    /// Memberships and registrations that ended with it.
    pub memberships: u64,
    /// Retries that were called off with it.
    pub retries: u64,
    /// Messages of the inbox that there were to look through.
    pub messages: u64,
    /// Those looked through so far.
    pub searched: u64,
    /// Those that named the person, and whose body and headers are gone.
    pub emptied: u64,
    /// What is left to do.
    pub state: ErasureState,
    /// When it was asked for.
    pub requested_at: Timestamp,
}

/// The life of an erasure. From its first moment on the roster, the queues and the log know the person no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasureState {
    /// The inbox is being looked through.
    Searching,
    /// All is overwritten; the store's own log of changes is still to be emptied.
    Sealing,
    /// Nothing is left.
    Done {
        /// Since when.
        at: Timestamp,
    },
}

/// A search of an inbox under way.
#[derive(Clone, PartialEq, Eq)]
pub struct Search {
    /// Whose inbox.
    pub account: AccountId,
    /// Which erasure.
    pub id: ErasureId,
    /// The address searched for, as it was on the roster or was asked for. Kept until the search is over, and no longer.
    pub email: String,
    /// The phone number searched for, its digits.
    pub phone: Option<String>,
    /// The last message looked at.
    pub read_to: MessageNumber,
}

/// What one step of a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// Messages that name the person.
    pub naming: Vec<MessageNumber>,
    /// How many were looked at.
    pub count: u64,
    /// The last message looked at; `None` where there were no more.
    pub read_to: Option<MessageNumber>,
}

/// Erasing people.
#[async_trait]
pub trait Erasures: Send + Sync {
    /// Takes a person off the roster, ends their memberships and calls off their retries, in ONE transaction whose size
    /// depends on that person alone; remembers to search the inbox as it is now. `None` where the number is nobody's.
    async fn erase(&self, account: AccountId, erase: Erase) -> StoreResult<Option<Erasure>>;

    /// One erasure.
    async fn erasure(&self, account: AccountId, id: ErasureId) -> StoreResult<Option<Erasure>>;

    /// Up to `limit` searches that are not over, oldest first, whosever they are.
    async fn searches(&self, limit: usize) -> StoreResult<Vec<Search>>;

    /// The next messages of a search, with their bodies, oldest first: at most `limit` of them, and fewer where they are
    /// large.
    async fn messages_to_search(&self, search: &Search, limit: usize) -> StoreResult<Vec<Message>>;

    /// Empties the messages that name the person and remembers how far the search is; where it is over, the address is
    /// forgotten too. Changes nothing where another has come as far meanwhile.
    async fn note_search(&self, search: Search, searched: Searched) -> StoreResult<()>;

    /// Empties the store's own log of changes where any erasure waits for it, which ends those. How many ended. `Busy`
    /// while somebody reads: ask again.
    async fn seal(&self, now: Timestamp) -> StoreResult<usize>;
}

impl std::fmt::Debug for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Whom::Number(number) => write!(f, "Number({number})"),
            Whom::Email(_) => f.write_str("Email(…)"),
        }
    }
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Search({}, {}, from {})", self.account, self.id, self.read_to)
    }
}
