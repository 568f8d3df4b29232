//! What was announced of series still to come, and by which tz database, in SQL.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::Offset;
use rusqlite::{Connection, Row};
use store::{Compared, Page, Rules, StoreResult, ToCompare};
use webinar::{Announced, AnnouncedSession, Moment, SeriesId, Session};
use wire::AccountId;

use crate::SqliteStore;
use crate::columns::{AccountColumn, Id, Millis, find, limit_and_one, list, millis, number, run};

pub(crate) const TO_COMPARE: &str = "select ends_at, account, series from series
    where (ends_at, account, series) > (?1, ?2, ?3) and tzdb_compared <> ?4
    order by ends_at, account, series limit ?5";

#[async_trait]
impl Rules for SqliteStore {
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
        let values = (ends_at, account, series, tzdb_version.to_owned(), limit_and_one(limit));
        self.readers
            .read(move |connection| {
                Ok(Page::cut(list(connection, TO_COMPARE, values, read_place)?, limit, |last| *last))
            })
            .await
    }

    async fn announced(&self, account: AccountId, series: SeriesId) -> StoreResult<Option<Announced>> {
        self.readers.read(move |connection| announced(connection, account, series)).await
    }

    async fn note_compared(&self, tzdb_version: &str, compared: Vec<Compared>) -> StoreResult<()> {
        let tzdb_version = tzdb_version.to_owned();
        let sql = "update series set tzdb_compared = ?4 where account = ?1 and series = ?2 and version = ?3";
        self.writer
            .write(move |connection| {
                compared.iter().try_for_each(|one| {
                    run(connection, sql, (number(one.account), one.series.as_bytes(), one.version, &tzdb_version))
                })
            })
            .await
    }
}

/// When the last session that takes place is over; the epoch where none does.
pub(crate) fn ends_at(sessions: &[Session]) -> Timestamp {
    let scheduled = sessions.iter().filter(|session| session.is_scheduled());
    scheduled.map(|session| session.end.instant).max().unwrap_or(Timestamp::UNIX_EPOCH)
}

fn announced(connection: &Connection, account: AccountId, series: SeriesId) -> StoreResult<Option<Announced>> {
    let key = (number(account), series.as_bytes());
    let sql = "select version, tzdb_announced from series where account = ?1 and series = ?2";
    let Some((version, tzdb_version)) = find(connection, sql, key, |row| Ok((row.get(0)?, row.get(1)?)))? else {
        return Ok(None);
    };
    let sql = "select session, announced_at, announced_offset from session
               where account = ?1 and series = ?2 and state = 'scheduled' order by session";
    let sessions = list(connection, sql, key, |row| {
        let offset = Offset::from_seconds(row.get(2)?).unwrap_or(Offset::UTC);
        let begin = Moment { instant: row.get::<_, Millis>(1)?.0, offset };
        Ok(AnnouncedSession { id: row.get::<_, Id<_>>(0)?.0, begin })
    })?;
    Ok(Some(Announced { version, tzdb_version, sessions }))
}

fn read_place(row: &Row<'_>) -> rusqlite::Result<ToCompare> {
    Ok(ToCompare {
        ends_at: row.get::<_, Millis>(0)?.0,
        account: row.get::<_, AccountColumn>(1)?.0,
        series: row.get::<_, Id<_>>(2)?.0,
    })
}
