//! Replays in SQL: starting, showing and steering them. What a scope holds is in `scope`, the turns are in `turn`.

mod scope;
mod turn;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::fan_out::replay_fan_out_id;
use provider::pace::Rate;
use rusqlite::{Connection, Row};
use store::{
    DueReplay, Foreseen, NewReplay, OPEN_REPLAYS_MAX, OutdatedReplay, Page, Replay, ReplayScope, ReplayState,
    ReplayWay, Replays, Revived, Started, Steer, Steered, StoreResult,
};
use wire::{AccountId, DeliveryId, EndpointId, FanOutId, ParticipantNumber, ReplayId};

use crate::SqliteStore;
use crate::backlog::{Meant, inform, steer_fan_outs};
use crate::columns::{Id, Millis, broken, find, limit_and_one, list, millis, number, run, unknown};
use crate::due;

#[cfg(test)]
pub(crate) use scope::{FAILED_FAN_OUTS, FAILED_FAN_OUTS_OF_EVENT, NEWER, failed_sql, revive_sql};
#[cfg(test)]
pub(crate) use turn::{DUE, WAITING};

#[async_trait]
impl Replays for SqliteStore {
    async fn foresee(&self, account: AccountId, scope: ReplayScope, now: Timestamp) -> StoreResult<Option<Foreseen>> {
        self.readers.read(move |connection| scope::foresee(connection, account, scope, now)).await
    }

    async fn start_replay(&self, account: AccountId, new: NewReplay) -> StoreResult<Started> {
        self.writer.write(move |connection| start(connection, account, &new)).await
    }

    async fn replay(&self, account: AccountId, id: ReplayId) -> StoreResult<Option<Replay>> {
        self.readers.read(move |connection| one(connection, account, id)).await
    }

    async fn replays(
        &self,
        account: AccountId,
        after: Option<ReplayId>,
        limit: usize,
    ) -> StoreResult<Page<Replay, ReplayId>> {
        let before = after.map_or(vec![0xff; 17], |id| id.as_bytes().to_vec());
        let sql = format!("{} and r.replay < ?2 order by r.replay desc limit ?3", replay_sql());
        self.readers
            .read(move |connection| {
                let found = list(connection, &sql, (number(account), before, limit_and_one(limit)), read)?;
                Ok(Page::cut(found, limit, |replay| replay.id))
            })
            .await
    }

    async fn steer_replay(
        &self,
        account: AccountId,
        id: ReplayId,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        self.writer.write(move |connection| steer_one(connection, (account, id), steer, now)).await
    }

    async fn due_replays(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<DueReplay>> {
        self.readers.read(move |connection| turn::due(connection, now, limit)).await
    }

    async fn revive(&self, due: DueReplay, turn: provider::replay::Turn, now: Timestamp) -> StoreResult<Revived> {
        // Looking for them may pass by many that do not count, which no writer may wait for.
        let chunk = self.readers.read(move |connection| turn::chunk(connection, &due, turn.deliveries, now)).await?;
        self.writer.write(move |connection| turn::take(connection, &due, &chunk, turn.next_at, now)).await
    }
}

/// Whether a fan-out of a replay that resends has more to begin.
const HAS_OPEN_FAN_OUT: &str = "exists (select 1 from fan_out as f indexed by fan_out_by_replay
    where f.account = r.account and f.replay = r.replay and f.state in ('running', 'paused'))";

/// A replay with its counts: those of its fan-outs where it resends, else its own and those of the rows it has revived.
pub(crate) fn replay_sql() -> String {
    let of_fan_outs = |what: &str| {
        format!(
            "(select coalesce(sum({what}), 0) from fan_out as f indexed by fan_out_by_replay
              where f.account = r.account and f.replay = r.replay)"
        )
    };
    let of_rows = |states: &str| {
        format!(
            "(select count(*) from exception as x where x.account = r.account and x.replay = r.replay
              and x.state in ({states}))"
        )
    };
    let count = |what: &str, states: &str| format!("iif(r.way = 'resend', {}, {})", of_fan_outs(what), of_rows(states));
    let begun = of_fan_outs("f.delivered + f.retrying + f.held + f.abandoned + f.called_off + f.erased");
    let delivered = of_fan_outs("f.delivered");
    let waiting = count("f.retrying + f.held", "'retrying', 'held'");
    let abandoned = count("f.abandoned", "'abandoned'");
    let called_off = count("f.called_off", "'superseded', 'skipped'");
    format!(
        "select r.replay, r.scope, r.event, r.endpoint, r.since, r.fan_out, r.participant, r.way,
         iif(r.way = 'resend' and r.state = 'running' and not {HAS_OPEN_FAN_OUT}, 'done', r.state), r.per_minute,
         r.counted, iif(r.way = 'resend', {begun}, r.begun), iif(r.way = 'resend', {delivered}, r.delivered),
         {waiting}, {abandoned}, {called_off}, r.created_at
         from replay as r where r.account = ?1"
    )
}

fn one(connection: &Connection, account: AccountId, id: ReplayId) -> StoreResult<Option<Replay>> {
    let sql = format!("{} and r.replay = ?2", replay_sql());
    find(connection, &sql, (number(account), id.as_bytes()), read)
}

fn start(connection: &Connection, account: AccountId, new: &NewReplay) -> StoreResult<Started> {
    if is_full(connection, account)? {
        return Ok(Started::TooMany);
    }
    let newer = match (new.way, new.outdated) {
        (ReplayWay::Resend, OutdatedReplay::Refused) => scope::newer_version(connection, account, new.scope)?,
        (ReplayWay::Resend, OutdatedReplay::Allowed) | (ReplayWay::Revive, _) => None,
    };
    if let Some(newer) = newer {
        return Ok(Started::Outdated { newer });
    }
    close_done(connection, account)?;
    save(connection, account, new)?;
    if new.way == ReplayWay::Resend {
        resend(connection, account, new)?;
    }
    let replay = one(connection, account, new.id)?.ok_or(store::StoreError::Missing("the replay"))?;
    Ok(Started::Replay(replay))
}

fn is_full(connection: &Connection, account: AccountId) -> StoreResult<bool> {
    let open: Option<i64> = find(connection, &open_sql(), [number(account)], |row| row.get(0))?;
    Ok(open.unwrap_or(0) >= OPEN_REPLAYS_MAX as i64)
}

/// Notes which of those that resend are done: lanes do not tell a replay that its last fan-out has ended.
fn close_done(connection: &Connection, account: AccountId) -> StoreResult<()> {
    let sql = format!(
        "update replay as r indexed by replay_open set state = 'done'
         where account = ?1 and state in ('running', 'paused') and state = 'running' and way = 'resend'
         and not {HAS_OPEN_FAN_OUT}"
    );
    run(connection, &sql, [number(account)])
}

pub(crate) fn open_sql() -> String {
    format!(
        "select count(*) from replay as r indexed by replay_open where account = ?1 and state in ('running', 'paused')
         and (state = 'paused' or way = 'revive' or {HAS_OPEN_FAN_OUT})"
    )
}

fn save(connection: &Connection, account: AccountId, new: &NewReplay) -> StoreResult<()> {
    let (kind, event, endpoint, since, delivery) = match new.scope {
        ReplayScope::Delivery(id) => ("delivery", None, None, None, Some(id)),
        ReplayScope::Failed { event, endpoint, since } => ("failed", event, endpoint, since, None),
        ReplayScope::Event { event, endpoint } => ("event", Some(event), endpoint, None, None),
    };
    connection
        .prepare_cached(
            "insert into replay (account, replay, scope, event, endpoint, since, fan_out, participant, way, per_minute,
                                 counted, next_at, created_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)",
        )
        .and_then(|mut statement| {
            statement.execute(rusqlite::params![
                number(account),
                new.id.as_bytes(),
                kind,
                event.map(|id| id.as_bytes().to_vec()),
                endpoint.map(|id| id.as_bytes().to_vec()),
                since.map(millis),
                delivery.map(|id| id.fan_out().as_bytes().to_vec()),
                delivery.map(|id| id.participant().get().cast_signed()),
                match new.way {
                    ReplayWay::Revive => "revive",
                    ReplayWay::Resend => "resend",
                },
                new.rate.map(Rate::per_minute),
                new.deliveries.cast_signed(),
                millis(new.now),
            ])
        })
        .map(drop)
        .map_err(broken)
}

/// Writes a fan-out for each that is repeated, behind everything announced so far.
fn resend(connection: &Connection, account: AccountId, new: &NewReplay) -> StoreResult<()> {
    let sql = "update account set events = events + 1 where account = ?1 returning events";
    let position: Option<i64> = find(connection, sql, [number(account)], |row| row.get(0))?;
    let listed = match new.scope {
        ReplayScope::Delivery(id) => Some(format!("[{}]", id.participant())),
        ReplayScope::Failed { .. } | ReplayScope::Event { .. } => None,
    };
    for (repeated, endpoint) in scope::repeated(connection, account, new.scope)? {
        let values = (
            number(account),
            repeated.as_bytes(),
            replay_fan_out_id(new.id, endpoint).as_bytes().to_vec(),
            position,
            millis(new.now),
            new.id.as_bytes(),
            &listed,
            new.rate.map(Rate::per_minute),
            new.outdated == OutdatedReplay::Allowed,
        );
        run(connection, RESEND, values)?;
        due::wake(connection, account, endpoint, new.now)?;
        // Lanes at work see it without being told, as they see a new event.
    }
    Ok(())
}

const RESEND: &str =
    "insert into fan_out (account, fan_out, event, endpoint, position, series, version, created_at, replay,
        origin, listed, per_minute, even_if_outdated)
    select account, ?3, event, endpoint, ?4, series, version, ?5, ?6, coalesce(origin, fan_out), ?7, ?8, ?9
    from fan_out where account = ?1 and fan_out = ?2";

fn steer_one(
    connection: &Connection,
    (account, id): (AccountId, ReplayId),
    steer: Steer,
    now: Timestamp,
) -> StoreResult<Option<Steered>> {
    let sql = "select way from replay where account = ?1 and replay = ?2";
    let key = (number(account), id.as_bytes());
    let Some(way) = find(connection, sql, key, |row| row.get::<_, String>(0))? else { return Ok(None) };
    let sql = match steer {
        Steer::Pause => "update replay set state = 'paused' where account = ?1 and replay = ?2 and state = 'running'",
        Steer::Resume => {
            "update replay set state = 'running', next_at = ?3 where account = ?1 and replay = ?2 and state = 'paused'"
        }
        Steer::Cancel => {
            "update replay set state = 'cancelled'
             where account = ?1 and replay = ?2 and state in ('running', 'paused')"
        }
    };
    match steer {
        Steer::Resume => run(connection, sql, (number(account), id.as_bytes(), millis(now)))?,
        Steer::Pause | Steer::Cancel => run(connection, sql, key)?,
    }
    if way == "revive" {
        return Ok(Some(Steered { fan_outs: 0, is_more: false }));
    }
    let endpoints = steer_fan_outs(connection, account, Meant::Replay(id), steer)?;
    inform(connection, account, &endpoints, now).map(Some)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Replay> {
    let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
    Ok(Replay {
        id: row.get::<_, Id<_>>(0)?.0,
        scope: read_scope(row)?,
        way: match row.get_ref(7)?.as_str()? {
            "revive" => ReplayWay::Revive,
            "resend" => ReplayWay::Resend,
            other => return Err(unknown("a replay's way", other)),
        },
        state: read_state(row, 8)?,
        rate: row.get::<_, Option<u32>>(9)?.and_then(|per_minute| Rate::steady(per_minute).ok()),
        counted: count(10)?,
        begun: count(11)?,
        delivered: count(12)?,
        waiting: count(13)?,
        abandoned: count(14)?,
        called_off: count(15)?,
        created_at: row.get::<_, Millis>(16)?.0,
    })
}

fn read_state(row: &Row<'_>, at: usize) -> rusqlite::Result<ReplayState> {
    Ok(match row.get_ref(at)?.as_str()? {
        "running" => ReplayState::Running,
        "paused" => ReplayState::Paused,
        "cancelled" => ReplayState::Cancelled,
        "done" => ReplayState::Done,
        other => return Err(unknown("a replay's state", other)),
    })
}

/// The scope in columns 1 to 6.
fn read_scope(row: &Row<'_>) -> rusqlite::Result<ReplayScope> {
    let endpoint = row.get::<_, Option<Id<EndpointId>>>(3)?.map(|id| id.0);
    Ok(match row.get_ref(1)?.as_str()? {
        "delivery" => ReplayScope::Delivery(read_delivery(row)?),
        "event" => ReplayScope::Event { event: row.get::<_, Id<_>>(2)?.0, endpoint },
        "failed" => ReplayScope::Failed {
            event: row.get::<_, Option<Id<_>>>(2)?.map(|id| id.0),
            endpoint,
            since: row.get::<_, Option<Millis>>(4)?.map(|at| at.0),
        },
        other => return Err(unknown("a replay's scope", other)),
    })
}

fn read_delivery(row: &Row<'_>) -> rusqlite::Result<DeliveryId> {
    let participant = ParticipantNumber::new(row.get::<_, i64>(6)?.unsigned_abs());
    let participant = participant.map_err(|_| rusqlite::Error::IntegralValueOutOfRange(6, 0))?;
    Ok(DeliveryId::new(row.get::<_, Id<FanOutId>>(5)?.0, participant))
}
