//! What Fanfare keeps, as traits in the words of the domain. No SQL here, and no decisions.
//!
//! Each trait is one table family: [`Accounts`], [`Audit`], [`Roster`] (mangoes, participants, membership), [`Catalog`]
//! (series and events), [`Subscriptions`] (endpoints too), [`Secrets`] (what they sign with), [`Lanes`] (the queues),
//! [`Backlog`] (orders to them), [`Replays`], [`Journal`] (the delivery log), [`Notices`], [`Rules`] (of time zones), [`Inbox`],
//! [`Runs`] (of handlers), [`Agendas`] (people's calendars), [`Erasures`] (of people), [`Upkeep`] (what is kept how
//! long) and [`Nodes`] (who serves). Secrets are sealed at rest, by a [`Vault`].
//! `store-spec` says in tests what every implementation owes. Times are kept to the millisecond; a write to an account
//! that does not exist is `Missing`, an id that is taken `Exists`.

mod accounts;
mod agendas;
mod arrivals;
mod audit;
mod backlog;
mod catalog;
mod clock;
mod copying;
mod dedupe_window;
mod erasures;
mod error;
mod fail_point;
mod fingerprint;
mod inbox;
mod journal;
mod lanes;
mod nodes;
mod notices;
mod page;
mod replays;
mod roster;
mod rules;
mod runs;
mod secrets;
mod subscriptions;
mod upkeep;
mod vault;
mod zones;

pub use accounts::{Account, Accounts, KeyRecord, NewKey, Replacement};
pub use agendas::{Agenda, Agendas, Calendar, CalendarOf};
pub use arrivals::{Arrivals, FanOutPlace, MISSING_RANGES_MAX};
pub use audit::{Act, Actor, Audit, AuditNote, AuditNumber, AuditRecord};
pub use backlog::{Backlog, ROWS_ALIGNED_MAX, Steer, Steered};
pub use catalog::{
    Catalog, Ending, EventDetail, EventSummary, FanOutProgress, FanOutState, NewEvent, SaveSeries, Saved, SeriesRecord,
};
pub use clock::{Chance, Clock};
pub use copying::{
    CHUNK_BYTES, CHUNK_ROWS_MAX, COPIED_TABLES, Cell, Chunk, CopiedRow, CopiedTable, CopyFrom, CopyPlace, CopyRefusal,
    CopyTo, check_sealed,
};
pub use dedupe_window::{DedupeWindow, DedupeWindowError, KnownMessage};
pub use erasures::{Erase, Erasure, ErasureState, Erasures, Search, Searched, Whom};
pub use error::{StoreError, StoreResult};
pub use fail_point::FailPoint;
pub use fingerprint::fingerprint;
pub use inbox::{
    Acceptance, DuplicateContent, Inbox, Message, MessageContent, MessageCounts, MessageFilter, MessageNumber,
    SourceKey, SourceRecord,
};
pub use journal::{
    AttemptRecord, DeliveryCursor, DeliveryDetail, DeliveryFilter, DeliveryPart, DeliveryStatus, DeliverySummary,
    Journal, delivery_id,
};
pub use lanes::{
    Due, Exception, ExceptionState, FailedAttempt, FanOut, FanOutWork, LANES_OF_NODE_MAX, LaneWork, Lanes, Lease,
    Member, OPEN_FAN_OUTS_MAX, PACED_FAN_OUTS_MAX, Recipient, Retry, Room, Settled, Settlement,
};
pub use nodes::{NodeRecord, Nodes, Presence};
pub use notices::{
    DisabledBecause, NewNotice, NoticeAttempt, NoticeDelivery, NoticeDeliveryState, NoticeErrand, NoticeLease,
    NoticeRecord, NoticeSubject, Notices,
};
pub use page::{PAGE_SIZE_MAX, Page};
pub use replays::{
    DueReplay, Foreseen, NewReplay, OPEN_REPLAYS_MAX, OutdatedReplay, Replay, ReplayScope, ReplayState, ReplayWay,
    Replays, Revived, Started,
};
pub use roster::{Enrolled, Group, LateRegistration, Mango, NewMember, ParticipantRecord, Roster, Targets};
pub use rules::{Compared, Rules, ToCompare};
pub use runs::{
    DueRun, HandlerLease, HandlerStanding, Ordered, RunCursor, RunFilter, RunOrder, RunPiece, RunRecord, RunScope,
    RunSettlement, RunStanding, RunState, Runs, RunsWanted, SettledRun, SkipReason,
};
pub use secrets::{Rotated, Rotation, Secrets};
pub use subscriptions::{
    Endpoint, EndpointChange, EndpointSwitch, LastFailure, NewSubscription, Subscribed, SubscriptionRecord,
    Subscriptions,
};
pub use upkeep::{Prunable, Retention, RetentionError, Upkeep};
pub use vault::{
    KeyId, ParseKeyIdError, ParseSealingKeyError, SEALING_KEYS_MAX, SealingKey, SealingKeyCountError, SecretPlace,
    UnsealError, Vault,
};
pub use zones::KnownZones;

/// Everything one database holds: what a server is given.
pub trait Store:
    Accounts
    + Audit
    + Roster
    + Catalog
    + Subscriptions
    + Secrets
    + Lanes
    + Backlog
    + Replays
    + Journal
    + Notices
    + Rules
    + Inbox
    + Runs
    + Agendas
    + Erasures
    + Upkeep
    + Nodes
{
}

impl<T> Store for T where
    T: Accounts
        + Audit
        + Roster
        + Catalog
        + Subscriptions
        + Secrets
        + Lanes
        + Backlog
        + Replays
        + Journal
        + Notices
        + Rules
        + Inbox
        + Runs
        + Agendas
        + Erasures
        + Upkeep
        + Nodes
{
}
