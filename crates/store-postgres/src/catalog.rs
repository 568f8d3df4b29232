//! Series, versions, sessions and events, in SQL. A save is one transaction that never looks at the audience.

use std::collections::HashMap;

use async_trait::async_trait;
use store::{
    Catalog, Ending, EventDetail, EventSummary, FanOutProgress, FanOutState, Page, SaveSeries, Saved, SeriesRecord,
    StoreError, StoreResult,
};
use tokio_postgres::Row;
use webinar::{SeriesId, SessionId, SessionStatus};
use wire::{AccountId, EventId};

use crate::PostgresStore;
use crate::announce::{Announcing, announce};
use crate::columns::{Columns, Id, List, find, limit_and_one, list, lock_account, millis, number, run, values};
use crate::rules;
use crate::session::Session;
use crate::subscriptions::read_text;

const SERIES: &str = "select s.series, s.version, v.draft, s.cancelled_at, s.created_at, v.saved_at
    from series as s
    join series_version as v on v.account = s.account and v.series = s.series and v.version = s.version
    where s.account = $1";
const EVENT: &str = "select event, type, cause, series, version, title, tzdb_version, created_at, audience
    from event where account = $1";

/// The fan-outs of events, each with what its endpoint gets before it.
pub(crate) const PROGRESS: &str = "select f.event, f.fan_out, f.endpoint, f.state, f.delivered, f.retrying, f.held,
    f.abandoned, f.called_off, f.erased,
    case when f.state = 'running' then (
        select coalesce(sum(coalesce(cardinality(g.listed), e.audience) - g.cursor_index), 0)::bigint
        from fan_out as g join event as e on e.account = g.account and e.event = g.event
        where g.account = f.account and g.endpoint = f.endpoint and g.state = 'running' and g.position < f.position
        and g.per_minute is null) else 0 end,
    case when l.health in ('healthy', 'slow_start') and p.switch = 'on'
        then coalesce(least(l.per_minute, f.per_minute), p.rate_per_minute) end,
    f.replay, cardinality(f.listed)::bigint
    from fan_out as f
    join lane as l on l.account = f.account and l.endpoint = f.endpoint
    join endpoint as p on p.account = f.account and p.endpoint = f.endpoint
    where f.account = $1 and f.event = any($2) order by f.event, f.fan_out";

#[async_trait]
impl Catalog for PostgresStore {
    async fn save_series(&self, account: AccountId, save: SaveSeries) -> StoreResult<Saved> {
        let session = self.begin().await?;
        lock_account(&session, account).await?;
        let version = next_version(&session, account, &save).await?;
        save_version(&session, account, &save, version).await?;
        let former_sessions = save_sessions(&session, account, &save).await?;
        let announcing = Announcing {
            series: &save.series,
            event: &save.event,
            version,
            former_sessions: &former_sessions,
            listed: None,
            now: save.now,
            lease_now: self.lease_now(save.now),
        };
        let fan_outs = announce(&session, account, &announcing).await?;
        session.commit().await?;
        Ok(Saved { version, fan_outs })
    }

    async fn series(&self, account: AccountId, id: SeriesId) -> StoreResult<Option<SeriesRecord>> {
        let sql = format!("{SERIES} and s.series = $2");
        find(&self.session().await?, &sql, values![number(account), id.bytes()], read_series).await
    }

    async fn series_list(
        &self,
        account: AccountId,
        after: Option<SeriesId>,
        limit: usize,
    ) -> StoreResult<Page<SeriesRecord, SeriesId>> {
        let before = after.map_or(vec![0xff; 13], |id| id.as_bytes().to_vec());
        let sql = format!("{SERIES} and s.series < $2 order by s.series desc limit $3");
        let values = values![number(account), before, limit_and_one(limit)];
        let found = list(&self.session().await?, &sql, values, read_series).await?;
        Ok(Page::cut(found, limit, |record| record.id))
    }

    async fn series_of_session(&self, account: AccountId, session: SessionId) -> StoreResult<Option<SeriesId>> {
        let sql = "select series from session where account = $1 and session = $2";
        find(&self.session().await?, sql, values![number(account), session.bytes()], |row| row.id(0)).await
    }

    async fn events(
        &self,
        account: AccountId,
        after: Option<EventId>,
        limit: usize,
    ) -> StoreResult<Page<EventSummary, EventId>> {
        let before = after.map_or(vec![0xff; 17], |id| id.as_bytes().to_vec());
        let sql = format!("{EVENT} and event < $2 order by event desc limit $3");
        let session = self.look().await?;
        let found = list(&session, &sql, values![number(account), before, limit_and_one(limit)], read_event).await?;
        let mut page = Page::cut(found, limit, |event| event.id);
        add_progress(&session, account, &mut page.items).await?;
        Ok(page)
    }

    async fn event(&self, account: AccountId, id: EventId) -> StoreResult<Option<EventDetail>> {
        let session = self.look().await?;
        let sql = format!("{EVENT} and event = $2");
        let Some(mut summary) = find(&session, &sql, values![number(account), id.bytes()], read_event).await? else {
            return Ok(None);
        };
        add_progress(&session, account, std::slice::from_mut(&mut summary)).await?;
        let sql = "select series_part, attendee_instant from event where account = $1 and event = $2";
        find(&session, sql, values![number(account), id.bytes()], |row| {
            let series_part = row.value::<Vec<u8>>(0)?.into();
            Ok(EventDetail { summary, series_part, attendee_instant: row.moment_if_any(1)? })
        })
        .await
    }
}

async fn next_version(session: &Session, account: AccountId, save: &SaveSeries) -> StoreResult<u32> {
    let sql = "select version from series where account = $1 and series = $2";
    let series = save.series.id();
    let found = find(session, sql, values![number(account), series.bytes()], |row| row.small(0)).await?.unwrap_or(0);
    if found == save.from_version {
        Ok(found + 1)
    } else {
        Err(StoreError::VersionConflict { expected: save.from_version, found })
    }
}

async fn save_version(session: &Session, account: AccountId, save: &SaveSeries, version: u32) -> StoreResult<()> {
    let (owner, series, version, now) = (number(account), save.series.id(), i64::from(version), millis(save.now));
    let cancelled_at = (save.ending == Ending::Cancelled).then_some(now);
    run(
        session,
        "insert into series (account, series, version, created_at, cancelled_at, ends_at, tzdb_announced, tzdb_compared)
         values ($1, $2, $3, $4, $5, $6, $7, $7)
         on conflict (account, series) do update set version = excluded.version, ends_at = excluded.ends_at,
             tzdb_announced = excluded.tzdb_announced, tzdb_compared = excluded.tzdb_compared,
             cancelled_at = case when excluded.cancelled_at is not null
                 then coalesce(series.cancelled_at, excluded.cancelled_at) end",
        values![
            owner,
            series.bytes(),
            version,
            now,
            cancelled_at,
            millis(rules::ends_at(save.series.sessions())),
            save.event.tzdb_version,
        ],
    )
    .await?;
    let draft = serde_json::to_string(save.series.draft()).map_err(StoreError::broken)?;
    let sql = "insert into series_version (account, series, version, draft, saved_at) values ($1, $2, $3, $4, $5)";
    run(session, sql, values![owner, series.bytes(), version, draft, now]).await
}

/// Writes the sessions of a version, and marks those that it has no more; all that the version before had.
async fn save_sessions(session: &Session, account: AccountId, save: &SaveSeries) -> StoreResult<Vec<SessionId>> {
    let sql = "select session from session where account = $1 and series = $2 and state <> 'removed'";
    let series = save.series.id();
    let former: Vec<SessionId> = list(session, sql, values![number(account), series.bytes()], |row| row.id(0)).await?;
    write_sessions(session, account, save).await?;
    let mut removed: Vec<&[u8]> = former.iter().map(Id::bytes).collect();
    removed.retain(|id| !save.series.sessions().iter().any(|session| session.id.bytes() == *id));
    if !removed.is_empty() {
        let sql = "update session set state = 'removed' where account = $1 and session = any($2)";
        run(session, sql, values![number(account), List(removed)]).await?;
    }
    Ok(former)
}

async fn write_sessions(session: &Session, account: AccountId, save: &SaveSeries) -> StoreResult<()> {
    let series = &save.series;
    let sessions = series.sessions();
    let state = |status| match status {
        SessionStatus::Scheduled => "scheduled",
        SessionStatus::Cancelled => "cancelled",
    };
    run(
        session,
        "insert into session (account, series, timezone, session, original_start, start, duration_minutes, state,
                              announced_at, announced_offset)
         select $1, $2, $3, s.* from unnest($4::bytea[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::bigint[],
                                            $10::bigint[]) as s
         on conflict (account, session) do update set start = excluded.start, timezone = excluded.timezone,
             duration_minutes = excluded.duration_minutes, state = excluded.state,
             announced_at = excluded.announced_at, announced_offset = excluded.announced_offset",
        values![
            number(account),
            series.id().bytes(),
            series.zone().name(),
            List(sessions.iter().map(|one| one.id.bytes()).collect::<Vec<_>>()),
            List(sessions.iter().map(|one| one.original_start.to_string()).collect::<Vec<_>>()),
            List(sessions.iter().map(|one| one.start.to_string()).collect::<Vec<_>>()),
            List(sessions.iter().map(|one| i64::from(one.duration_minutes)).collect::<Vec<_>>()),
            List(sessions.iter().map(|one| state(one.status)).collect::<Vec<_>>()),
            List(sessions.iter().map(|one| millis(one.begin.instant)).collect::<Vec<_>>()),
            List(sessions.iter().map(|one| i64::from(one.begin.offset.seconds())).collect::<Vec<_>>()),
        ],
    )
    .await
}

async fn add_progress(session: &Session, account: AccountId, events: &mut [EventSummary]) -> StoreResult<()> {
    let ids = List(events.iter().map(|event| event.id.bytes().to_vec()).collect::<Vec<_>>());
    let mut progress: HashMap<EventId, Vec<FanOutProgress>> = HashMap::new();
    for (event, fan_out) in list(session, PROGRESS, values![number(account), ids], read_progress).await? {
        progress.entry(event).or_default().push(fan_out);
    }
    for event in events {
        event.fan_outs = progress.remove(&event.id).unwrap_or_default();
    }
    Ok(())
}

fn read_progress(row: &Row) -> StoreResult<(EventId, FanOutProgress)> {
    let people: Option<i64> = row.value(13)?;
    let progress = FanOutProgress {
        id: row.id(1)?,
        endpoint: row.id(2)?,
        state: match row.value(3)? {
            "running" => FanOutState::Running,
            "paused" => FanOutState::Paused,
            "superseded" => FanOutState::Superseded,
            "skipped" => FanOutState::Skipped,
            _ => FanOutState::Swept,
        },
        delivered: row.count(4)?,
        retrying: row.count(5)?,
        held: row.count(6)?,
        abandoned: row.count(7)?,
        called_off: row.count(8)?,
        erased: row.count(9)?,
        ahead: row.count(10)?,
        per_minute: row.small_if_any(11)?,
        replay: row.id_if_any(12)?.map(|replay| (replay, people.map(i64::unsigned_abs))),
    };
    Ok((row.id(0)?, progress))
}

fn read_series(row: &Row) -> StoreResult<SeriesRecord> {
    Ok(SeriesRecord {
        id: row.id(0)?,
        version: row.small(1)?,
        draft: serde_json::from_str(row.value(2)?).map_err(StoreError::broken)?,
        cancelled_at: row.moment_if_any(3)?,
        created_at: row.moment(4)?,
        saved_at: row.moment(5)?,
    })
}

fn read_event(row: &Row) -> StoreResult<EventSummary> {
    Ok(EventSummary {
        id: row.id(0)?,
        event: read_text(row, 1)?,
        trigger: read_text(row, 2)?,
        series: row.id(3)?,
        version: row.small(4)?,
        title: row.value(5)?,
        tzdb_version: row.value(6)?,
        created_at: row.moment(7)?,
        audience: row.value::<Option<i64>>(8)?.map(i64::unsigned_abs),
        fan_outs: Vec::new(),
    })
}
