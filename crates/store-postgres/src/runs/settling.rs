//! Writing what became of runs: one transaction, with as many statements for many runs as for one.

use std::collections::HashSet;

use jiff::Timestamp;
use store::{HandlerLease, RunSettlement, RunState, SettledRun, SkipReason, StoreError, StoreResult};

use super::{DONE, PARKED, SKIPPED, WAITING};
use crate::agendas::storable;
use crate::columns::{Columns, List, find, millis, number, run, values};
use crate::inbox::saturated;
use crate::session::Session;

/// Held until the commit: nobody claims the handler, orders anything of it or lets go of its messages meanwhile.
pub(crate) const HOLD: &str = "select handler from handler
    where account = $1 and name = $2 and epoch = $3 and lease_until is not null for no key update";
pub(crate) const SETTLE: &str =
    "insert into run (account, handler, number, state, attempts, generation, changed_at, due_at, reason)
    select $1, $2, ended.number, ended.state, ended.attempts, ended.generation, $3, ended.due_at, ended.reason
    from unnest($4::bigint[], $5::smallint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[])
        as ended (number, state, attempts, generation, due_at, reason)
    where exists (select 1 from message as m where m.account = $1 and m.number = ended.number)
    on conflict (account, handler, number) do update
    set state = excluded.state, attempts = excluded.attempts, changed_at = excluded.changed_at,
        due_at = excluded.due_at, reason = excluded.reason
    where run.generation = excluded.generation
    and not (run.state = 2 and run.reason = 'dropped' and excluded.state in (0, 3))";
/// Of several about one subject the newest.
pub(crate) const NOTE_HANDLED: &str = "insert into handled (account, handler, subject, version, number)
    select distinct on (had.subject) $1, $2, had.subject, had.version, had.number
    from unnest($3::bigint[], $4::bigint[], $5::bigint[]) as had (subject, version, number)
    where exists (select 1 from message as m where m.account = $1 and m.number = had.number)
    order by had.subject, had.version desc, had.number desc
    on conflict (account, handler, subject) do update set version = excluded.version, number = excluded.number
    where (excluded.version, excluded.number) > (handled.version, handled.number)";
const MOVE_CURSOR: &str = "update handler set cursor = $3 where account = $1 and handler = $2 and cursor < $3";

/// For a transaction that has written nothing yet.
pub(super) async fn settle(session: &Session, lease: &HandlerLease, settlement: &RunSettlement) -> StoreResult<()> {
    let account = number(lease.account);
    let key = values![account, &*lease.handler, lease.epoch.cast_signed()];
    let handler = find(session, HOLD, key, |row| row.value::<i64>(0)).await?.ok_or(StoreError::Fenced)?;
    let write_runs = async {
        for round in rounds(&settlement.runs) {
            write(session, (account, handler), &round, settlement.now).await?;
        }
        Ok(())
    };
    let note_handled = async {
        let handled = settlement.runs.iter().filter_map(|run| Some((run.handled?, run.number)));
        let handled: Vec<_> = handled.collect();
        if handled.is_empty() {
            return Ok(());
        }
        // The effect was had, even if a run has been asked for anew since.
        let values = values![
            account,
            handler,
            List(handled.iter().map(|((subject, _), _)| subject.0.cast_signed()).collect::<Vec<i64>>()),
            List(handled.iter().map(|((_, version), _)| saturated(*version)).collect()),
            List(handled.iter().map(|(_, number)| saturated(*number)).collect()),
        ];
        run(session, NOTE_HANDLED, values).await
    };
    let move_cursor =
        async { run(session, MOVE_CURSOR, values![account, handler, saturated(settlement.cursor)]).await };
    tokio::try_join!(write_runs, note_handled, move_cursor).map(drop)
}

/// Runs in the order in which they ended, cut where one comes again: one statement changes a row but once. A worker brings
/// each once.
fn rounds(runs: &[SettledRun]) -> Vec<Vec<&SettledRun>> {
    let (mut rounds, mut seen) = (Vec::new(), HashSet::new());
    for run in runs {
        if rounds.is_empty() || !seen.insert(run.number) {
            rounds.push(Vec::new());
            seen = HashSet::from([run.number]);
        }
        if let Some(round) = rounds.last_mut() {
            round.push(run);
        }
    }
    rounds
}

async fn write(session: &Session, key: (i64, i64), ended: &[&SettledRun], now: Timestamp) -> StoreResult<()> {
    let how: Vec<_> = ended.iter().map(|run| columns_of(&run.state)).collect();
    let values = values![
        key.0,
        key.1,
        millis(now),
        List(ended.iter().map(|run| saturated(run.number)).collect::<Vec<i64>>()),
        List(how.iter().map(|(state, _, _)| *state).collect::<Vec<i16>>()),
        List(ended.iter().map(|run| i64::from(run.attempts)).collect()),
        List(ended.iter().map(|run| i64::from(run.generation)).collect()),
        List(how.iter().map(|(_, due_at, _)| *due_at).collect::<Vec<Option<i64>>>()),
        List(how.iter().map(|(_, _, reason)| reason.clone()).collect::<Vec<Option<String>>>()),
    ];
    run(session, SETTLE, values).await
}

/// State, when it is due, and why.
fn columns_of(state: &RunState) -> (i16, Option<i64>, Option<String>) {
    match state {
        RunState::Waiting { due, reason } => (WAITING, Some(millis(*due)), Some(storable(reason))),
        RunState::Done => (DONE, None, None),
        RunState::Skipped(reason) => (SKIPPED, None, Some(name_of(*reason).to_owned())),
        RunState::Parked { reason } => (PARKED, None, Some(storable(reason))),
    }
}

fn name_of(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Outdated => "outdated",
        SkipReason::ContentGone => "content_gone",
        SkipReason::Dropped => "dropped",
    }
}
