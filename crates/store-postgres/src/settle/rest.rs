//! What few settlements write: rows of deliveries that did not simply succeed, what is kept of failures, health and notices.
//! One statement for each table, however many rows, and none for what there is none of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use provider::attempt::Outcome;
use provider::lane::LaneState;
use store::{Exception, ExceptionState, FailedAttempt, NewNotice, StoreResult};
use tokio_postgres::Row;
use wire::{AccountId, EndpointId, FanOutId, ReplayId};

use super::{Asked, last_failure};
use crate::backlog::{LaneKeys, align};
use crate::columns::{Columns, Id, List, list, millis, number, run, values};
use crate::failures;
use crate::notices::raise;
use crate::session::Session;

/// Whose delivery of which fan-out.
type DeliveryKey = (AccountId, FanOutId, u64);

/// The rows, each once and in the order of their keys.
#[derive(Default)]
pub(super) struct Rest<'a> {
    exceptions: BTreeMap<DeliveryKey, ExceptionRow>,
    recovered: Vec<DeliveryKey>,
    failures: Vec<(AccountId, &'a FailedAttempt)>,
    lanes: BTreeMap<(AccountId, EndpointId), LaneChange>,
    notices: Vec<(AccountId, &'a NewNotice)>,
    /// Lanes with rows that may not agree with an order that came meanwhile.
    to_align: LaneKeys,
    /// What rows that are due at once are due by: the store's `lease_now`.
    now: Option<i64>,
}

/// What becomes of a delivery that did not simply succeed.
struct ExceptionRow {
    endpoint: EndpointId,
    index: u64,
    state: ExceptionState,
    last: Option<(Outcome, Timestamp)>,
}

/// What a commit changes of a lane's own row; mostly nothing.
struct LaneChange {
    health: Option<LaneState>,
    per_minute: Option<u32>,
    last_failure: Option<(Timestamp, String)>,
}

impl<'a> Rest<'a> {
    /// What settlements, each of another lane, write beside their progress.
    pub(super) fn of(asked: impl Iterator<Item = &'a Asked>) -> Rest<'a> {
        let mut rest = Rest::default();
        asked.for_each(|asked| rest.take(asked));
        // Removed in the same commit, it need not be written first.
        for key in &rest.recovered {
            rest.exceptions.remove(key);
        }
        rest.recovered.sort_unstable();
        rest.recovered.dedup();
        rest
    }

    fn take(&mut self, asked: &'a Asked) {
        let (settlement, account, endpoint) = (&asked.settlement, asked.lease.account, asked.lease.endpoint);
        for exception in &settlement.exceptions {
            self.take_exception(account, endpoint, exception);
        }
        let recovered = settlement.recovered.iter().map(|(fan_out, participant)| (account, *fan_out, *participant));
        self.recovered.extend(recovered);
        self.failures.extend(settlement.failures.iter().map(|failed| (account, failed)));
        self.notices.extend(settlement.notice.iter().map(|notice| (account, notice)));
        if last_failure(settlement).is_some() {
            self.to_align.insert((account, endpoint));
            self.now = self.now.max(asked.now);
        }
        let last_failure = settlement.failures.last();
        if settlement.health.is_some() || settlement.per_minute.is_some() || last_failure.is_some() {
            let told = last_failure.map(|failed| (failed.finished_at, failed.detail.reason.as_str().to_owned()));
            let (health, per_minute) = (settlement.health, settlement.per_minute);
            self.lanes.insert((account, endpoint), LaneChange { health, per_minute, last_failure: told });
        }
    }

    fn take_exception(&mut self, account: AccountId, endpoint: EndpointId, exception: &Exception) {
        let Exception { fan_out, place, state, last } = *exception;
        let key = (account, fan_out, place.participant);
        // What the last attempt was stays known where the next says nothing of it.
        let last = last.or_else(|| self.exceptions.get(&key)?.last);
        self.exceptions.insert(key, ExceptionRow { endpoint, index: place.index, state, last });
    }
}

/// Writes everything. The lanes are held.
pub(super) async fn save(session: &Session, rest: &Rest<'_>) -> StoreResult<()> {
    // None of these needs another, so that all travel at once.
    tokio::try_join!(
        save_exceptions(session, rest),
        recover(session, rest),
        failures::insert(session, &rest.failures),
        change_lanes(session, rest),
    )?;
    for (account, notice) in &rest.notices {
        raise(session, *account, notice).await?;
    }
    if !rest.to_align.is_empty() {
        align(session, &rest.to_align, rest.now).await?;
    }
    Ok(())
}

/// The columns `state, due_at, attempt, charged` of a row.
fn columns_of(state: ExceptionState) -> (&'static str, Option<i64>, i64, i64) {
    let (name, due, attempt, charged) = match state {
        ExceptionState::Retrying { due, attempt, charged } => ("retrying", Some(millis(due)), attempt, charged),
        ExceptionState::Held { attempt, charged } => ("held", None, attempt, charged),
        ExceptionState::Abandoned { attempts } => ("abandoned", None, attempts, attempts),
        ExceptionState::Superseded { attempts } => ("superseded", None, attempts, attempts),
        ExceptionState::Skipped { attempts } => ("skipped", None, attempts, attempts),
        ExceptionState::Erased { attempts } => ("erased", None, attempts, 0),
    };
    (name, due, i64::from(attempt), i64::from(charged))
}

/// What is to be tried again of somebody who is gone was on its way while they were erased: it ends with them. What was on its
/// way while its fan-out was let go of has no row.
pub(crate) const SAVE_EXCEPTIONS: &str =
    "insert into exception as kept (account, fan_out, participant, place, endpoint, state, due_at, attempt, charged,
                                    last_outcome, last_at)
    select new.account, new.fan_out, new.participant, new.place, new.endpoint,
        case when gone.is_gone then 'erased' else new.state end, case when not gone.is_gone then new.due_at end,
        case when gone.is_gone then new.attempt - 1 else new.attempt end,
        case when gone.is_gone then 0 else new.charged end, new.last_outcome, new.last_at
    from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
        as new (account, fan_out, participant, place, endpoint, state, due_at, attempt, charged, last_outcome, last_at)
    join fan_out as f on f.account = new.account and f.fan_out = new.fan_out
    cross join lateral (select new.state = 'retrying' and not exists (
        select 1 from participant as p where p.account = new.account and p.participant = new.participant)
        as is_gone offset 0) as gone
    on conflict (account, fan_out, participant) do update
    set state = excluded.state, due_at = excluded.due_at, attempt = excluded.attempt, charged = excluded.charged,
        last_outcome = coalesce(excluded.last_outcome, kept.last_outcome),
        last_at = coalesce(excluded.last_at, kept.last_at)";

async fn save_exceptions(session: &Session, rest: &Rest<'_>) -> StoreResult<()> {
    if rest.exceptions.is_empty() {
        return Ok(());
    }
    let (keys, rows) = (|| rest.exceptions.keys(), || rest.exceptions.values());
    let columns: Vec<_> = rows().map(|row| columns_of(row.state)).collect();
    let last = |read: fn(&ExceptionRow) -> Option<i64>| List(rows().map(read).collect::<Vec<_>>());
    run(
        session,
        SAVE_EXCEPTIONS,
        values![
            List(keys().map(|(account, ..)| number(*account)).collect()),
            List(keys().map(|(_, fan_out, _)| fan_out.bytes()).collect()),
            List(keys().map(|(.., participant)| participant.cast_signed()).collect()),
            List(rows().map(|row| row.index.cast_signed()).collect()),
            List(rows().map(|row| row.endpoint.bytes()).collect()),
            List(columns.iter().map(|(state, ..)| *state).collect()),
            List(columns.iter().map(|(_, due, ..)| *due).collect::<Vec<_>>()),
            List(columns.iter().map(|(.., attempt, _)| *attempt).collect()),
            List(columns.iter().map(|(.., charged)| *charged).collect()),
            last(|row| row.last.map(|(outcome, _)| i64::from(outcome.number()))),
            last(|row| row.last.map(|(_, at)| millis(at))),
        ],
    )
    .await
}

/// Removes the rows of what was delivered, and tells the replays that had put them into the queue.
async fn recover(session: &Session, rest: &Rest<'_>) -> StoreResult<()> {
    if rest.recovered.is_empty() {
        return Ok(());
    }
    let recovered = || rest.recovered.iter();
    let sql = "delete from exception as x
        using unnest($1::bigint[], $2::bytea[], $3::bigint[]) as got (account, fan_out, participant)
        where x.account = got.account and x.fan_out = got.fan_out and x.participant = got.participant
        returning x.account, x.replay";
    let values = values![
        List(recovered().map(|(account, ..)| number(*account)).collect()),
        List(recovered().map(|(_, fan_out, _)| fan_out.bytes()).collect()),
        List(recovered().map(|(.., participant)| participant.cast_signed()).collect()),
    ];
    let read = |row: &Row| Ok(row.id_if_any::<ReplayId>(1)?.map(|replay| Ok((row.account(0)?, replay))));
    let mut delivered: BTreeMap<(AccountId, ReplayId), i64> = BTreeMap::new();
    for key in list(session, sql, values, read).await?.into_iter().flatten() {
        *delivered.entry(key?).or_default() += 1;
    }
    if delivered.is_empty() { Ok(()) } else { tell_replays(session, &delivered).await }
}

async fn tell_replays(session: &Session, delivered: &BTreeMap<(AccountId, ReplayId), i64>) -> StoreResult<()> {
    let accounts = || List(delivered.keys().map(|(account, _)| number(*account)).collect());
    let replays = || List(delivered.keys().map(|(_, replay)| replay.bytes()).collect());
    // One replay may be told by several nodes at once: in order, so that they do not wait for each other in a circle.
    let sql = "select 1 from replay as r
        join unnest($1::bigint[], $2::bytea[]) as got (account, replay)
            on r.account = got.account and r.replay = got.replay
        order by r.account, r.replay for no key update of r";
    list(session, sql, values![accounts(), replays()], |_| Ok(())).await?;
    let sql = "update replay as r set delivered = r.delivered + got.delivered
        from unnest($1::bigint[], $2::bytea[], $3::bigint[]) as got (account, replay, delivered)
        where r.account = got.account and r.replay = got.replay";
    let counts = List(delivered.values().copied().collect());
    run(session, sql, values![accounts(), replays(), counts]).await
}

/// The columns `failures, slow_window, open_until, failing_since, ended_since` of a health.
fn health_columns(health: LaneState) -> [Option<i64>; 5] {
    let at = |moment: Timestamp| Some(millis(moment));
    match health {
        LaneState::Healthy { failures } => [Some(failures.into()), None, None, None, None],
        LaneState::SlowStart { window, failures } => [Some(failures.into()), Some(window.into()), None, None, None],
        LaneState::Open { failures, until, since } => [Some(failures.into()), None, at(until), at(since), None],
        LaneState::Gone { since } | LaneState::Disabled { since } => [Some(0), None, None, None, at(since)],
    }
}

/// Also held back is a lane whose owner dies before it can give it back: so `due_at` follows the health.
const CHANGE_LANES: &str = "update lane as l
    set health = coalesce(new.health, l.health),
        failures = case when new.health is null then l.failures else new.failures end,
        slow_window = case when new.health is null then l.slow_window else new.slow_window end,
        open_until = case when new.health is null then l.open_until else new.open_until end,
        failing_since = case when new.health is null then l.failing_since else new.failing_since end,
        ended_since = case when new.health is null then l.ended_since else new.ended_since end,
        due_at = case when new.ended_since is null and l.due_at is not null
                      then greatest(l.due_at, new.open_until) end,
        per_minute = coalesce(new.per_minute, l.per_minute),
        last_failure_at = coalesce(new.last_failure_at, l.last_failure_at),
        last_failure = coalesce(new.last_failure, l.last_failure)
    from unnest($1::bigint[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                $8::bigint[], $9::bigint[], $10::bigint[], $11::text[])
        as new (account, endpoint, health, failures, slow_window, open_until, failing_since, ended_since, per_minute,
                last_failure_at, last_failure)
    where l.account = new.account and l.endpoint = new.endpoint";

async fn change_lanes(session: &Session, rest: &Rest<'_>) -> StoreResult<()> {
    if rest.lanes.is_empty() {
        return Ok(());
    }
    let (keys, lanes) = (|| rest.lanes.keys(), || rest.lanes.values());
    let health = |nth: usize| {
        List(lanes().map(|lane| lane.health.and_then(|health| health_columns(health)[nth])).collect::<Vec<_>>())
    };
    let last_failure = || lanes().map(|lane| lane.last_failure.as_ref());
    run(
        session,
        CHANGE_LANES,
        values![
            List(keys().map(|(account, _)| number(*account)).collect()),
            List(keys().map(|(_, endpoint)| endpoint.bytes()).collect()),
            List(lanes().map(|lane| lane.health.map(LaneState::name)).collect::<Vec<Option<&str>>>()),
            health(0),
            health(1),
            health(2),
            health(3),
            health(4),
            List(lanes().map(|lane| lane.per_minute.map(i64::from)).collect::<Vec<_>>()),
            List(last_failure().map(|last| last.map(|(at, _)| millis(*at))).collect::<Vec<_>>()),
            List(last_failure().map(|last| last.map(|(_, reason)| reason.as_str())).collect::<Vec<Option<&str>>>()),
        ],
    )
    .await
}
