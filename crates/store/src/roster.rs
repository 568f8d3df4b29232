//! Audiences: mangoes, participants, and who belongs to what since which revision.

use async_trait::async_trait;
use jiff::Timestamp;
use webinar::{MangoId, Participant, Series, SeriesId};
use wire::AccountId;

use crate::{NewEvent, Page, StoreResult};

/// A paid plan; its active members are an audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mango {
    /// Its id.
    pub id: MangoId,
    /// Its title, as it appears in payloads.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What people belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The members of a mango.
    Mango(MangoId),
    /// The people registered for a series itself.
    Series(SeriesId),
}

/// A person as a member list brings one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMember {
    /// Name, e-mail, phone, zone.
    pub participant: Participant,
    /// Further columns of the list as a JSON object; `None` where there are none.
    pub attributes: Option<String>,
}

/// What enrolling people came to. The three add up to the number given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enrolled {
    /// People who were not in the group.
    pub added: u64,
    /// Members whose name, phone, zone or attributes changed.
    pub updated: u64,
    /// Members who were there already, just so.
    pub unchanged: u64,
}

/// People who register for a series after it was announced, and what they are told at once.
#[derive(Clone, Debug)]
pub struct LateRegistration {
    /// The series as of `version`.
    pub series: Series,
    /// Its newest version as far as the caller knows.
    pub version: u32,
    /// Who registers.
    pub members: Vec<NewMember>,
    /// The announcement of that version.
    pub event: NewEvent,
    /// When.
    pub now: Timestamp,
}

/// A participant as the roster holds one. Within an account one e-mail address is one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantRecord {
    /// The person's number within the account, from 1; never given to another, also after an erasure.
    pub number: u64,
    /// Name, e-mail, phone, zone.
    pub participant: Participant,
    /// Further columns as a JSON object.
    pub attributes: Option<String>,
}

/// Whom a series concerns, before it is resolved to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The series: people registered for it count.
    pub series: SeriesId,
    /// Members of any of these count.
    pub mangoes: Vec<MangoId>,
    /// People all of whose mangoes are among these do not.
    pub excluded: Vec<MangoId>,
}

/// Mangoes, participants and membership.
#[async_trait]
pub trait Roster: Send + Sync {
    /// Adds a mango.
    async fn create_mango(&self, account: AccountId, mango: Mango) -> StoreResult<()>;

    /// A page of mangoes with their numbers of active members, oldest first.
    async fn mangoes(
        &self,
        account: AccountId,
        after: Option<MangoId>,
        limit: usize,
    ) -> StoreResult<Page<(Mango, u64), MangoId>>;

    /// Those of `ids` that exist, in the order given.
    async fn mangoes_named(&self, account: AccountId, ids: &[MangoId]) -> StoreResult<Vec<Mango>>;

    /// Makes people members of a group, all or none; who is known by e-mail is corrected, not doubled.
    /// `Missing` where the group does not exist.
    async fn enrol(&self, account: AccountId, group: Group, members: Vec<NewMember>) -> StoreResult<Enrolled>;

    /// Registers people for a series and announces its newest version to those who were not in its audience before, in
    /// ONE transaction. Where all were, there is no event. `VersionConflict` where `version` is not the newest.
    async fn register_late(&self, account: AccountId, late: LateRegistration) -> StoreResult<Enrolled>;

    /// Ends a membership. `false` where the person is not a member now.
    async fn leave(&self, account: AccountId, group: Group, participant: u64) -> StoreResult<bool>;

    /// One participant.
    async fn participant(&self, account: AccountId, number: u64) -> StoreResult<Option<ParticipantRecord>>;

    /// The participant with this e-mail address, in whatever case.
    async fn participant_by_email(&self, account: AccountId, email: &str) -> StoreResult<Option<ParticipantRecord>>;

    /// How many people `targets` are as of now, and the first of them: what a dry run shows.
    async fn preview(&self, account: AccountId, targets: Targets) -> StoreResult<(u64, Option<ParticipantRecord>)>;
}
