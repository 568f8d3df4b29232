//! Replays in SQL: starting, showing and steering them. What a scope holds is in `scope`, the turns are in `turn`. All that
//! changes one holds the account, so that of several nodes one does it at a time.

mod scope;
mod turn;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::fan_out::replay_fan_out_id;
use provider::pace::Rate;
use store::{
    DueReplay, Foreseen, NewReplay, OPEN_REPLAYS_MAX, OutdatedReplay, Page, Replay, ReplayScope, ReplayState,
    ReplayWay, Replays, Revived, Started, Steer, Steered, StoreError, StoreResult,
};
use tokio_postgres::Row;
use wire::{AccountId, DeliveryId, EndpointId, FanOutId, ParticipantNumber, ReplayId};

use crate::PostgresStore;
use crate::backlog::{Meant, inform, steer_fan_outs};
use crate::columns::{
    Columns, Id, List, find, limit_and_one, list, lock_account, millis, number, run, unknown, values,
};
use crate::due;
use crate::session::Session;

#[async_trait]
impl Replays for PostgresStore {
    async fn foresee(&self, account: AccountId, scope: ReplayScope, now: Timestamp) -> StoreResult<Option<Foreseen>> {
        let session = self.look().await?;
        scope::foresee(&session, (account, scope), now, self.lease_now(now)).await
    }

    async fn start_replay(&self, account: AccountId, new: NewReplay) -> StoreResult<Started> {
        let session = self.begin().await?;
        let started = start(&session, account, &new, self.lease_now(new.now)).await?;
        match started {
            Started::Replay(_) => session.commit().await?,
            Started::Outdated { .. } | Started::TooMany => drop(session),
        }
        Ok(started)
    }

    async fn replay(&self, account: AccountId, id: ReplayId) -> StoreResult<Option<Replay>> {
        one(&self.session().await?, account, id).await
    }

    async fn replays(
        &self,
        account: AccountId,
        after: Option<ReplayId>,
        limit: usize,
    ) -> StoreResult<Page<Replay, ReplayId>> {
        let before = after.map_or(vec![0xff; 17], |id| id.bytes().to_vec());
        let sql = format!("{} and r.replay < $2 order by r.replay desc limit $3", replay_sql());
        let values = values![number(account), before, limit_and_one(limit)];
        let found = list(&self.session().await?, &sql, values, read).await?;
        Ok(Page::cut(found, limit, |replay| replay.id))
    }

    async fn steer_replay(
        &self,
        account: AccountId,
        id: ReplayId,
        steer: Steer,
        now: Timestamp,
    ) -> StoreResult<Option<Steered>> {
        let session = self.begin().await?;
        match lock_account(&session, account).await {
            Err(StoreError::Missing(_)) => return Ok(None),
            held => held?,
        }
        let Some(way) = steer_one(&session, (account, id), steer, now).await? else { return Ok(None) };
        let steered = match way {
            ReplayWay::Revive => Steered { fan_outs: 0, is_more: false },
            ReplayWay::Resend => {
                let endpoints = steer_fan_outs(&session, account, Meant::Replay(id), steer).await?;
                inform(&session, account, &endpoints, self.lease_now(now)).await?
            }
        };
        session.commit().await?;
        Ok(Some(steered))
    }

    async fn due_replays(&self, now: Timestamp, limit: usize) -> StoreResult<Vec<DueReplay>> {
        turn::due(&self.session().await?, now, limit).await
    }

    async fn revive(&self, due: DueReplay, turn: provider::replay::Turn, now: Timestamp) -> StoreResult<Revived> {
        // Looking for them may pass by many that do not count, for which no lane may wait.
        let chunk = turn::chunk(&self.look().await?, &due, turn.deliveries, self.lease_now(now)).await?;
        let session = self.begin().await?;
        let revived = turn::take(&session, &due, &chunk, turn.next_at, self.lease_now(now)).await?;
        session.commit().await?;
        Ok(revived)
    }
}

/// Whether a fan-out of a replay that resends has more to begin.
const HAS_OPEN_FAN_OUT: &str = "exists (select 1 from fan_out as f
    where f.account = r.account and f.replay = r.replay and f.state in ('running', 'paused'))";

/// A replay with its counts: those of its fan-outs where it resends, else its own and those of the rows it has revived.
fn replay_sql() -> String {
    let of_fan_outs = |what: &str| {
        format!(
            "(select coalesce(sum({what}), 0)::bigint from fan_out as f
              where f.account = r.account and f.replay = r.replay)"
        )
    };
    let of_rows = |states: &str| {
        format!(
            "(select count(*) from exception as x where x.account = r.account and x.replay = r.replay
              and x.state in ({states}))"
        )
    };
    let either = |resends: &str, revives: &str| format!("case when r.way = 'resend' then {resends} else {revives} end");
    let count = |what: &str, states: &str| either(&of_fan_outs(what), &of_rows(states));
    let begun =
        either(&of_fan_outs("f.delivered + f.retrying + f.held + f.abandoned + f.called_off + f.erased"), "r.begun");
    let delivered = either(&of_fan_outs("f.delivered"), "r.delivered");
    let waiting = count("f.retrying + f.held", "'retrying', 'held'");
    let abandoned = count("f.abandoned", "'abandoned'");
    let called_off = count("f.called_off", "'superseded', 'skipped'");
    format!(
        "select r.replay, r.scope, r.event, r.endpoint, r.since, r.fan_out, r.participant, r.way,
         case when r.way = 'resend' and r.state = 'running' and not {HAS_OPEN_FAN_OUT} then 'done' else r.state end,
         r.per_minute, r.counted, {begun}, {delivered}, {waiting}, {abandoned}, {called_off}, r.created_at
         from replay as r where r.account = $1"
    )
}

async fn one(session: &Session, account: AccountId, id: ReplayId) -> StoreResult<Option<Replay>> {
    let sql = format!("{} and r.replay = $2", replay_sql());
    find(session, &sql, values![number(account), id.bytes()], read).await
}

async fn start(session: &Session, account: AccountId, new: &NewReplay, now: Option<i64>) -> StoreResult<Started> {
    lock_account(session, account).await?;
    if is_full(session, account).await? {
        return Ok(Started::TooMany);
    }
    let newer = match (new.way, new.outdated) {
        (ReplayWay::Resend, OutdatedReplay::Refused) => scope::newer_version(session, account, new.scope).await?,
        (ReplayWay::Resend, OutdatedReplay::Allowed) | (ReplayWay::Revive, _) => None,
    };
    if let Some(newer) = newer {
        return Ok(Started::Outdated { newer });
    }
    close_done(session, account).await?;
    save(session, account, new).await?;
    if new.way == ReplayWay::Resend {
        resend(session, account, new, now).await?;
    }
    let replay = one(session, account, new.id).await?.ok_or(StoreError::Missing("the replay"))?;
    Ok(Started::Replay(replay))
}

async fn is_full(session: &Session, account: AccountId) -> StoreResult<bool> {
    let sql = format!(
        "select count(*) from replay as r where account = $1 and state in ('running', 'paused')
         and (state = 'paused' or way = 'revive' or {HAS_OPEN_FAN_OUT})"
    );
    let open = find(session, &sql, values![number(account)], |row| row.count(0)).await?;
    Ok(open.unwrap_or(0) >= OPEN_REPLAYS_MAX as u64)
}

/// Notes which of those that resend are done: lanes do not tell a replay that its last fan-out has ended.
async fn close_done(session: &Session, account: AccountId) -> StoreResult<()> {
    let sql = format!(
        "update replay as r set state = 'done'
         where account = $1 and state = 'running' and way = 'resend' and not {HAS_OPEN_FAN_OUT}"
    );
    run(session, &sql, values![number(account)]).await
}

async fn save(session: &Session, account: AccountId, new: &NewReplay) -> StoreResult<()> {
    let (kind, event, endpoint, since, delivery) = match new.scope {
        ReplayScope::Delivery(id) => ("delivery", None, None, None, Some(id)),
        ReplayScope::Failed { event, endpoint, since } => ("failed", event, endpoint, since, None),
        ReplayScope::Event { event, endpoint } => ("event", Some(event), endpoint, None, None),
    };
    run(
        session,
        "insert into replay (account, replay, scope, event, endpoint, since, fan_out, participant, way, per_minute,
                             counted, next_at, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)",
        values![
            number(account),
            new.id.bytes(),
            kind,
            event.as_ref().map(Id::bytes),
            endpoint.as_ref().map(Id::bytes),
            since.map(millis),
            delivery.map(|id| id.fan_out().bytes().to_vec()),
            delivery.map(|id| id.participant().get().cast_signed()),
            match new.way {
                ReplayWay::Revive => "revive",
                ReplayWay::Resend => "resend",
            },
            new.rate.map(|rate| i64::from(rate.per_minute())),
            new.deliveries.cast_signed(),
            millis(new.now),
        ],
    )
    .await
}

/// Writes a fan-out for each that is repeated, behind everything announced so far.
async fn resend(session: &Session, account: AccountId, new: &NewReplay, now: Option<i64>) -> StoreResult<()> {
    let sql = "update account set events = events + 1 where account = $1 returning events";
    let position: Option<i64> = find(session, sql, values![number(account)], |row| row.value(0)).await?;
    let listed = match new.scope {
        ReplayScope::Delivery(id) => Some(List(vec![id.participant().get().cast_signed()])),
        ReplayScope::Failed { .. } | ReplayScope::Event { .. } => None,
    };
    let repeated = scope::repeated(session, account, new.scope).await?;
    let endpoints: Vec<EndpointId> = repeated.iter().map(|(_, endpoint)| *endpoint).collect();
    let ids: Vec<FanOutId> = endpoints.iter().map(|endpoint| replay_fan_out_id(new.id, *endpoint)).collect();
    // Lanes at work see it without being told, as they see a new event.
    run(
        session,
        RESEND,
        values![
            number(account),
            List(repeated.iter().map(|(fan_out, _)| fan_out.bytes()).collect()),
            List(ids.iter().map(Id::bytes).collect()),
            position,
            millis(new.now),
            new.id.bytes(),
            listed,
            new.rate.map(|rate| i64::from(rate.per_minute())),
            new.outdated == OutdatedReplay::Allowed,
        ],
    )
    .await?;
    due::wake_all(session, account, &endpoints, now).await
}

const RESEND: &str =
    "insert into fan_out (account, fan_out, event, endpoint, position, series, version, created_at, replay,
        origin, listed, per_minute, even_if_outdated)
    select f.account, new.fan_out, f.event, f.endpoint, $4, f.series, f.version, $5, $6, coalesce(f.origin, f.fan_out),
        $7, $8, $9
    from unnest($2::bytea[], $3::bytea[]) as new (repeated, fan_out)
    join fan_out as f on f.account = $1 and f.fan_out = new.repeated";

/// Gives an order to a replay; its way, or nothing where there is none.
async fn steer_one(
    session: &Session,
    (account, id): (AccountId, ReplayId),
    steer: Steer,
    now: Timestamp,
) -> StoreResult<Option<ReplayWay>> {
    let sql = "select way from replay where account = $1 and replay = $2";
    let way = find(session, sql, values![number(account), id.bytes()], |row| read_way(row, 0)).await?;
    let (state, from) = match steer {
        Steer::Pause => ("paused", "state = 'running'"),
        Steer::Resume => ("running", "state = 'paused'"),
        Steer::Cancel => ("cancelled", "state in ('running', 'paused')"),
    };
    let sql = format!(
        "update replay set state = $3, next_at = case when $3 = 'running' then $4 else next_at end
         where account = $1 and replay = $2 and {from}"
    );
    run(session, &sql, values![number(account), id.bytes(), state, millis(now)]).await?;
    Ok(way)
}

fn read(row: &Row) -> StoreResult<Replay> {
    Ok(Replay {
        id: row.id(0)?,
        scope: read_scope(row)?,
        way: read_way(row, 7)?,
        state: read_state(row, 8)?,
        rate: read_rate(row, 9)?,
        counted: row.count(10)?,
        begun: row.count(11)?,
        delivered: row.count(12)?,
        waiting: row.count(13)?,
        abandoned: row.count(14)?,
        called_off: row.count(15)?,
        created_at: row.moment(16)?,
    })
}

fn read_way(row: &Row, at: usize) -> StoreResult<ReplayWay> {
    Ok(match row.value(at)? {
        "revive" => ReplayWay::Revive,
        "resend" => ReplayWay::Resend,
        other => return Err(unknown("a replay's way", other)),
    })
}

fn read_rate(row: &Row, at: usize) -> StoreResult<Option<Rate>> {
    Ok(row.small_if_any(at)?.and_then(|per_minute| Rate::steady(per_minute).ok()))
}

fn read_state(row: &Row, at: usize) -> StoreResult<ReplayState> {
    Ok(match row.value(at)? {
        "running" => ReplayState::Running,
        "paused" => ReplayState::Paused,
        "cancelled" => ReplayState::Cancelled,
        "done" => ReplayState::Done,
        other => return Err(unknown("a replay's state", other)),
    })
}

/// The scope in columns 1 to 6.
fn read_scope(row: &Row) -> StoreResult<ReplayScope> {
    let endpoint = row.id_if_any(3)?;
    Ok(match row.value(1)? {
        "delivery" => {
            let participant = ParticipantNumber::new(row.count(6)?).map_err(StoreError::broken)?;
            ReplayScope::Delivery(DeliveryId::new(row.id(5)?, participant))
        }
        "event" => ReplayScope::Event { event: row.id(2)?, endpoint },
        "failed" => ReplayScope::Failed { event: row.id_if_any(2)?, endpoint, since: row.moment_if_any(4)? },
        other => return Err(unknown("a replay's scope", other)),
    })
}
