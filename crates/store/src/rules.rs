//! What was announced of series still to come, and by which tz database: for finding those that a newer one moves.

use async_trait::async_trait;
use jiff::Timestamp;
use webinar::{Announced, SeriesId};
use wire::AccountId;

use crate::{Page, StoreResult};

/// A series whose sessions have not been compared with a tz database yet; also its place in the list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ToCompare {
    /// When the last of its sessions is over, as announced.
    pub ends_at: Timestamp,
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub series: SeriesId,
}

/// A version of a series that has been compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub series: SeriesId,
    /// The version that was looked at: another one saved meanwhile is not meant.
    pub version: u32,
}

/// Announced instants and the rules they came from.
#[async_trait]
pub trait Rules: Send + Sync {
    /// A page of series of all accounts that are not over at `now` and were neither announced by the tz database of
    /// this version nor compared with it; those that end soonest first.
    async fn series_to_compare(
        &self,
        tzdb_version: &str,
        now: Timestamp,
        after: Option<ToCompare>,
        limit: usize,
    ) -> StoreResult<Page<ToCompare, ToCompare>>;

    /// What was announced of the newest version of a series.
    async fn announced(&self, account: AccountId, series: SeriesId) -> StoreResult<Option<Announced>>;

    /// Notes that these agree with the tz database of this version, so that the next start need not compare them.
    async fn note_compared(&self, tzdb_version: &str, compared: Vec<Compared>) -> StoreResult<()>;
}
