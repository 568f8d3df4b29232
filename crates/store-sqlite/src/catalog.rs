//! Series, versions, sessions and events, in SQL. A save is one transaction that never looks at the audience.

use async_trait::async_trait;
use rusqlite::{Connection, Row};
use store::{
    Catalog, Ending, EventDetail, EventSummary, FanOutProgress, FanOutState, Page, SaveSeries, Saved, SeriesRecord,
    StoreError, StoreResult,
};
use webinar::{SeriesId, SessionId, SessionStatus};
use wire::{AccountId, EventId, ReplayId};

use crate::SqliteStore;
use crate::announce::{Announcing, announce};
use crate::columns::{Id, Millis, change, find, limit_and_one, list, millis, number, run};
use crate::rules;
use crate::subscriptions::read_text;

const SERIES: &str = "select s.series, s.version, v.draft, s.cancelled_at, s.created_at, v.saved_at
    from series as s
    join series_version as v on v.account = s.account and v.series = s.series and v.version = s.version
    where s.account = ?1";
const EVENT: &str = "select event, type, cause, series, version, title, tzdb_version, created_at, audience
    from event where account = ?1";

/// A fan-out with what its endpoint gets before it.
pub(crate) const PROGRESS: &str = "select f.fan_out, f.endpoint, f.state, f.delivered, f.retrying, f.held, f.abandoned,
    f.called_off, iif(f.state = 'running', (
        select coalesce(sum(coalesce(json_array_length(g.listed), e.audience) - g.cursor_index), 0)
        from fan_out as g indexed by fan_out_running join event as e on e.account = g.account and e.event = g.event
        where g.account = f.account and g.endpoint = f.endpoint and g.state = 'running' and g.position < f.position
        and g.per_minute is null), 0),
    iif(l.health in ('healthy', 'slow_start') and p.switch = 'on',
        coalesce(min(l.per_minute, f.per_minute), f.per_minute, l.per_minute, p.rate_per_minute), null),
    f.replay, json_array_length(f.listed), f.erased
    from fan_out as f indexed by fan_out_by_event
    join lane as l on l.account = f.account and l.endpoint = f.endpoint
    join endpoint as p on p.account = f.account and p.endpoint = f.endpoint
    where f.account = ?1 and f.event = ?2 order by f.fan_out";

#[async_trait]
impl Catalog for SqliteStore {
    async fn save_series(&self, account: AccountId, save: SaveSeries) -> StoreResult<Saved> {
        self.writer.write(move |connection| save_series(connection, account, &save)).await
    }

    async fn series(&self, account: AccountId, id: SeriesId) -> StoreResult<Option<SeriesRecord>> {
        let sql = format!("{SERIES} and s.series = ?2");
        self.readers.read(move |connection| find(connection, &sql, (number(account), id.as_bytes()), read_series)).await
    }

    async fn series_list(
        &self,
        account: AccountId,
        after: Option<SeriesId>,
        limit: usize,
    ) -> StoreResult<Page<SeriesRecord, SeriesId>> {
        let before = after.map_or(vec![0xff; 13], |id| id.as_bytes().to_vec());
        let sql = format!("{SERIES} and s.series < ?2 order by s.series desc limit ?3");
        self.readers
            .read(move |connection| {
                let found = list(connection, &sql, (number(account), before, limit_and_one(limit)), read_series)?;
                Ok(Page::cut(found, limit, |record| record.id))
            })
            .await
    }

    async fn series_of_session(&self, account: AccountId, session: SessionId) -> StoreResult<Option<SeriesId>> {
        let sql = "select series from session where account = ?1 and session = ?2";
        self.readers
            .read(move |connection| {
                let found = find(connection, sql, (number(account), session.as_bytes()), |row| row.get::<_, Id<_>>(0));
                Ok(found?.map(|id| id.0))
            })
            .await
    }

    async fn events(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> StoreResult<Page<EventSummary, EventId>> {
        let before = after.map_or(vec![0xff; 17], |id| id.as_bytes().to_vec());
        let sql = format!("{EVENT} and event < ?2 order by event desc limit ?3");
        self.readers
            .read(move |connection| {
                let values = (number(account), before, limit_and_one(limit));
                let mut found = list(connection, &sql, values, read_event)?;
                for event in &mut found {
                    event.fan_outs = progress(connection, account, event.id)?;
                }
                Ok(Page::cut(found, limit, |event| event.id))
            })
            .await
    }

    async fn event(&self, account: AccountId, id: EventId) -> StoreResult<Option<EventDetail>> {
        let sql = format!("{EVENT} and event = ?2");
        let rest = "select series_part, attendee_instant from event where account = ?1 and event = ?2";
        self.readers
            .read(move |connection| {
                let key = (number(account), id.as_bytes());
                let Some(mut summary) = find(connection, &sql, key, read_event)? else { return Ok(None) };
                summary.fan_outs = progress(connection, account, id)?;
                find(connection, rest, key, |row| {
                    Ok(EventDetail {
                        summary,
                        series_part: row.get::<_, Vec<u8>>(0)?.into(),
                        attendee_instant: row.get::<_, Option<Millis>>(1)?.map(|at| at.0),
                    })
                })
            })
            .await
    }
}

fn save_series(connection: &Connection, account: AccountId, save: &SaveSeries) -> StoreResult<Saved> {
    let version = next_version(connection, account, save)?;
    save_version(connection, account, save, version)?;
    let before = session_ids(connection, account, save.series.id())?;
    save_sessions(connection, account, save)?;
    let announcing = Announcing {
        series: &save.series,
        event: &save.event,
        version,
        former_sessions: &before,
        listed: None,
        now: save.now,
    };
    Ok(Saved { version, fan_outs: announce(connection, account, &announcing)? })
}

fn next_version(connection: &Connection, account: AccountId, save: &SaveSeries) -> StoreResult<u32> {
    let sql = "select version from series where account = ?1 and series = ?2";
    let series = save.series.id();
    let key = (number(account), series.as_bytes());
    let found = find(connection, sql, key, |row| row.get::<_, u32>(0))?.unwrap_or(0);
    if found == save.from_version {
        Ok(found + 1)
    } else {
        Err(StoreError::VersionConflict { expected: save.from_version, found })
    }
}

fn save_version(connection: &Connection, account: AccountId, save: &SaveSeries, version: u32) -> StoreResult<()> {
    let (owner, series, now) = (number(account), save.series.id(), millis(save.now));
    let cancelled_at = (save.ending == Ending::Cancelled).then_some(now);
    run(
        connection,
        "insert into series (account, series, version, created_at, cancelled_at, ends_at, tzdb_announced, tzdb_compared)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
         on conflict (account, series) do update set version = excluded.version, ends_at = excluded.ends_at,
             tzdb_announced = excluded.tzdb_announced, tzdb_compared = excluded.tzdb_compared,
             cancelled_at = iif(excluded.cancelled_at is null, null, coalesce(cancelled_at, excluded.cancelled_at))",
        (
            owner,
            series.as_bytes(),
            version,
            now,
            cancelled_at,
            millis(rules::ends_at(save.series.sessions())),
            &save.event.tzdb_version,
        ),
    )?;
    let draft = serde_json::to_string(save.series.draft()).map_err(StoreError::broken)?;
    run(
        connection,
        "insert into series_version (account, series, version, draft, saved_at) values (?1, ?2, ?3, ?4, ?5)",
        (owner, series.as_bytes(), version, draft, now),
    )
}

fn session_ids(connection: &Connection, account: AccountId, series: SeriesId) -> StoreResult<Vec<SessionId>> {
    let sql = "select session from session where account = ?1 and series = ?2 and state <> 'removed'";
    list(connection, sql, (number(account), series.as_bytes()), |row| Ok(row.get::<_, Id<_>>(0)?.0))
}

fn save_sessions(connection: &Connection, account: AccountId, save: &SaveSeries) -> StoreResult<()> {
    let series = &save.series;
    let sql = "update session set state = 'removed' where account = ?1 and series = ?2";
    run(connection, sql, (number(account), series.id().as_bytes()))?;
    for session in series.sessions() {
        let state = match session.status {
            SessionStatus::Scheduled => "scheduled",
            SessionStatus::Cancelled => "cancelled",
        };
        change(
            connection,
            "insert into session (account, session, series, original_start, start, timezone, duration_minutes, state,
                                  announced_at, announced_offset)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             on conflict (account, session) do update set start = excluded.start, timezone = excluded.timezone,
                 duration_minutes = excluded.duration_minutes, state = excluded.state,
                 announced_at = excluded.announced_at, announced_offset = excluded.announced_offset",
            (
                number(account),
                session.id.as_bytes(),
                series.id().as_bytes(),
                session.original_start.to_string(),
                session.start.to_string(),
                series.zone().name(),
                session.duration_minutes,
                state,
                millis(session.begin.instant),
                session.begin.offset.seconds(),
            ),
        )?;
    }
    Ok(())
}

fn progress(connection: &Connection, account: AccountId, event: EventId) -> StoreResult<Vec<FanOutProgress>> {
    list(connection, PROGRESS, (number(account), event.as_bytes()), |row| {
        let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(FanOutProgress {
            id: row.get::<_, Id<_>>(0)?.0,
            endpoint: row.get::<_, Id<_>>(1)?.0,
            state: match row.get_ref(2)?.as_str()? {
                "running" => FanOutState::Running,
                "paused" => FanOutState::Paused,
                "superseded" => FanOutState::Superseded,
                "skipped" => FanOutState::Skipped,
                _ => FanOutState::Swept,
            },
            delivered: count(3)?,
            retrying: count(4)?,
            held: count(5)?,
            abandoned: count(6)?,
            called_off: count(7)?,
            ahead: count(8)?,
            per_minute: row.get(9)?,
            replay: match row.get::<_, Option<Id<ReplayId>>>(10)? {
                Some(replay) => Some((replay.0, row.get::<_, Option<i64>>(11)?.map(i64::unsigned_abs))),
                None => None,
            },
            erased: count(12)?,
        })
    })
}

fn read_series(row: &Row<'_>) -> rusqlite::Result<SeriesRecord> {
    let draft: String = row.get(2)?;
    Ok(SeriesRecord {
        id: row.get::<_, Id<_>>(0)?.0,
        version: row.get(1)?,
        draft: serde_json::from_str(&draft)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into()))?,
        cancelled_at: row.get::<_, Option<Millis>>(3)?.map(|at| at.0),
        created_at: row.get::<_, Millis>(4)?.0,
        saved_at: row.get::<_, Millis>(5)?.0,
    })
}

fn read_event(row: &Row<'_>) -> rusqlite::Result<EventSummary> {
    Ok(EventSummary {
        id: row.get::<_, Id<_>>(0)?.0,
        event: read_text(row, 1)?,
        trigger: read_text(row, 2)?,
        series: row.get::<_, Id<_>>(3)?.0,
        version: row.get(4)?,
        title: row.get(5)?,
        tzdb_version: row.get(6)?,
        created_at: row.get::<_, Millis>(7)?.0,
        audience: row.get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
        fan_outs: Vec::new(),
    })
}
