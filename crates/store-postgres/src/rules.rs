//! What was announced of series still to come, and by which tz database, in SQL.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::Offset;
use store::{Compared, Page, Rules, StoreResult, ToCompare};
use tokio_postgres::Row;
use webinar::{Announced, AnnouncedSession, Moment, SeriesId, Session as WebinarSession};
use wire::AccountId;

use crate::PostgresStore;
use crate::columns::{Columns, Id, List, find, limit_and_one, list, millis, number, run, values};

pub(crate) const TO_COMPARE: &str = "select ends_at, account, series from series
    where (ends_at, account, series) > ($1, $2, $3) and tzdb_compared <> $4
    order by ends_at, account, series limit $5";
/// Rows are locked in order, so that two processes that start at once do not wait for each other.
const NOTE_COMPARED: &str = "update series as s set tzdb_compared = $4
    from (select series.account, series.series
          from unnest($1::bigint[], $2::bytea[], $3::bigint[]) as compared (account, series, version)
          join series using (account, series, version)
          order by account, series for no key update of series) as held
    where s.account = held.account and s.series = held.series";

#[async_trait]
impl Rules for PostgresStore {
    async fn series_to_compare(
        &self,
        tzdb_version: &str,
        now: Timestamp,
        after: Option<ToCompare>,
        limit: usize,
    ) -> StoreResult<Page<ToCompare, ToCompare>> {
        let (ends_at, account, series) = match after {
            Some(last) => (millis(last.ends_at), number(last.account), last.series.as_bytes().to_vec()),
            // Behind every series that ends just now.
            None => (millis(now), i64::MAX, Vec::new()),
        };
        let values = values![ends_at, account, series, tzdb_version, limit_and_one(limit)];
        let found = list(&self.session().await?, TO_COMPARE, values, read_place).await?;
        Ok(Page::cut(found, limit, |last| *last))
    }

    async fn announced(&self, account: AccountId, series: SeriesId) -> StoreResult<Option<Announced>> {
        let session = self.look().await?;
        let sql = "select version, tzdb_announced from series where account = $1 and series = $2";
        let read = |row: &Row| Ok((row.small(0)?, row.value(1)?));
        let found = find(&session, sql, values![number(account), series.bytes()], read).await?;
        let Some((version, tzdb_version)) = found else { return Ok(None) };
        let sql = "select session, announced_at, announced_offset from session
                   where account = $1 and series = $2 and state = 'scheduled' order by session";
        let sessions = list(&session, sql, values![number(account), series.bytes()], |row| {
            let offset = Offset::from_seconds(row.small(2)?).unwrap_or(Offset::UTC);
            Ok(AnnouncedSession { id: row.id(0)?, begin: Moment { instant: row.moment(1)?, offset } })
        })
        .await?;
        Ok(Some(Announced { version, tzdb_version, sessions }))
    }

    async fn note_compared(&self, tzdb_version: &str, compared: Vec<Compared>) -> StoreResult<()> {
        let accounts = List(compared.iter().map(|one| number(one.account)).collect::<Vec<_>>());
        let series = List(compared.iter().map(|one| one.series.bytes()).collect::<Vec<_>>());
        let versions = List(compared.iter().map(|one| i64::from(one.version)).collect::<Vec<_>>());
        let session = self.begin().await?;
        run(&session, NOTE_COMPARED, values![accounts, series, versions, tzdb_version]).await?;
        session.commit().await
    }
}

/// When the last session that takes place is over; the epoch where none does.
pub(crate) fn ends_at(sessions: &[WebinarSession]) -> Timestamp {
    let scheduled = sessions.iter().filter(|session| session.is_scheduled());
    scheduled.map(|session| session.end.instant).max().unwrap_or(Timestamp::UNIX_EPOCH)
}

fn read_place(row: &Row) -> StoreResult<ToCompare> {
    Ok(ToCompare { ends_at: row.moment(0)?, account: row.account(1)?, series: row.id(2)? })
}
