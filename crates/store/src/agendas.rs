//! What a person's calendar holds by one handler's doing, and the addresses calendars are read at.

use async_trait::async_trait;
use wire::AccountId;

use crate::StoreResult;

/// What a person has been told of one series by one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agenda {
    /// The person's e-mail address in lower case; empty for what the series itself holds.
    pub person: String,
    /// Made from the series' id, or from the first session seen where the sender tells none; opaque.
    pub series: String,
    /// The version it stands at and the number of its message: what is older changes nothing.
    pub version: (u64, u64),
    /// Entries as JSON: the handler's own.
    pub entries: String,
}

/// Whose calendar an address shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CalendarOf {
    /// Everything a person has been told.
    Person(String),
    /// One series, as told to anyone.
    Series(String),
}

/// A calendar as its address shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Whose.
    pub of: CalendarOf,
    /// Its agendas: of a person one for each series, of a series one.
    pub agendas: Vec<Agenda>,
}

/// Agendas and the addresses of calendars. Erasing a person takes theirs away.
#[async_trait]
pub trait Agendas: Send + Sync {
    /// A person's agendas by one handler.
    async fn agendas(&self, account: AccountId, handler: &str, person: &str) -> StoreResult<Vec<Agenda>>;

    /// One series' agenda that is nobody's.
    async fn series_agenda(&self, account: AccountId, handler: &str, series: &str) -> StoreResult<Option<Agenda>>;

    /// Keeps these agendas, each unless what is there is newer; in ONE transaction.
    async fn keep_agendas(&self, account: AccountId, handler: &str, agendas: Vec<Agenda>) -> StoreResult<()>;

    /// The token in the address of a calendar; `fresh` becomes it the first time.
    async fn calendar_token(
        &self,
        account: AccountId,
        handler: &str,
        of: CalendarOf,
        fresh: [u8; 20],
    ) -> StoreResult<[u8; 20]>;

    /// The calendar with this token, whosever it is.
    async fn calendar(&self, token: [u8; 20]) -> StoreResult<Option<Calendar>>;
}
