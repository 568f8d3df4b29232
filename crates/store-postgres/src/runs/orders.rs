//! An operator's orders to a handler, in SQL: one piece at a time, so that the handler's row is free again soon.

use jiff::Timestamp;
use store::{Ordered, RunOrder, RunPiece, RunScope, RunStanding, StoreError, StoreResult};
use wire::AccountId;

use super::DONE;
use super::listing::{standing_of, state_of};
use crate::columns::{Columns, Id, List, find, limit_and_one, list, millis, number, run, values};
use crate::inbox::saturated;
use crate::session::Session;

const HANDLER: &str = "select h.handler, h.cursor, greatest(h.cursor,
        (select max(r.number) from run as r where r.account = $1 and r.handler = h.handler))
    from handler as h where h.account = $1 and h.name = $2";
/// Held until the commit, so that nothing is settled and no message goes meanwhile.
const HOLD: &str = "select 1 from handler where account = $1 and name = $2 for no key update";
const RERUN: &str =
    "insert into run (account, handler, number, state, attempts, generation, changed_at, due_at, reason)
    select $1, $2, again.number, 0, 0, 1, $3, again.due_at, ''
    from unnest($4::bigint[], $5::bigint[]) as again (number, due_at)
    on conflict (account, handler, number) do update
    set state = 0, attempts = 0, generation = run.generation + 1, changed_at = excluded.changed_at,
        due_at = excluded.due_at, reason = ''";
const DROP: &str = "insert into run (account, handler, number, state, attempts, generation, changed_at, due_at, reason)
    select $1, $2, dropped.number, 2, 0, 0, $3, null, 'dropped' from unnest($4::bigint[]) as dropped (number)
    on conflict (account, handler, number) do update
    set state = 2, changed_at = excluded.changed_at, due_at = null, reason = 'dropped'";
const MOVE_CURSOR: &str = "update handler set cursor = $3 where account = $1 and handler = $2 and cursor < $3";
/// Whether a message is in the scope of an order.
const IN_SCOPE: &str =
    "m.received_at >= coalesce($5, m.received_at) and m.received_at < coalesce($6, m.received_at + 1)
     and ($7::bytea is null or m.source = $7)";

/// Messages after one and up to another, each with the state of its run where it has one.
pub(crate) fn messages_sql() -> String {
    format!(
        "select m.number, (select r.state from run as r
                           where r.account = $1 and r.handler = $2 and r.number = m.number), {IN_SCOPE}
         from message as m where m.account = $1 and m.number > $3 and m.number <= $8 order by m.number limit $4"
    )
}

/// The same of messages whose runs stand so.
pub(crate) fn runs_sql(standing: RunStanding) -> String {
    let which = match standing {
        RunStanding::Done => format!("r.state = {DONE}"),
        other => format!("r.state <> {DONE} and r.state = {}", state_of(other)),
    };
    format!(
        "select r.number, r.state, {IN_SCOPE} from run as r
         join message as m on m.number = r.number and m.account = r.account
         where r.account = $1 and r.handler = $2 and {which} and r.number > $3 and r.number <= $8
         order by r.number limit $4"
    )
}

/// A handler as orders see it.
struct Known {
    account: i64,
    handler: i64,
    cursor: i64,
}

/// A message an order looks at.
struct Looked {
    number: i64,
    /// How its run stands, where it has one.
    standing: Option<RunStanding>,
    is_in_scope: bool,
}

impl Looked {
    fn is_concerned(&self, order: RunOrder, known: &Known) -> bool {
        order.concerns(self.number.unsigned_abs(), self.standing, known.cursor.unsigned_abs())
    }
}

pub(super) async fn obey(
    session: &Session,
    account: AccountId,
    scope: &RunScope,
    order: RunOrder,
    piece: RunPiece,
) -> StoreResult<Ordered> {
    let key = values![number(account), &*scope.handler];
    if matches!(order, RunOrder::Rerun { .. } | RunOrder::Drop) {
        find(session, HOLD, key, |_| Ok(())).await?;
    }
    let found = find(session, HANDLER, key, |row| {
        let known = Known { account: number(account), handler: row.value(0)?, cursor: row.value(1)? };
        Ok((known, row.value::<i64>(2)?))
    })
    .await?;
    let (known, last_begun) = found.ok_or(StoreError::Missing("the handler"))?;
    // Dropping goes on to the newest message; whatever else is about what was begun or passed over.
    let last = if matches!(order, RunOrder::Drop | RunOrder::CountDrop) { i64::MAX } else { last_begun };
    let (looked, next) = look(session, &known, scope, piece, last).await?;
    let concerned = looked.iter().filter(|one| one.is_in_scope).filter(|one| one.is_concerned(order, &known));
    let concerned: Vec<&Looked> = concerned.collect();
    match order {
        RunOrder::Count | RunOrder::CountDrop => {}
        RunOrder::Rerun { first, spacing } => {
            let nth_due = |nth: usize| {
                let wait = spacing.saturating_mul(u32::try_from(nth).unwrap_or(u32::MAX));
                millis(first.checked_add(wait).unwrap_or(Timestamp::MAX))
            };
            let numbers = List(concerned.iter().map(|one| one.number).collect::<Vec<_>>());
            let due = List((0..concerned.len()).map(nth_due).collect::<Vec<_>>());
            let values = values![known.account, known.handler, millis(piece.now), numbers, due];
            run(session, RERUN, values).await?;
        }
        RunOrder::Drop => drop_runs(session, &known, scope, &concerned, piece.now).await?,
    }
    if let (RunOrder::Drop, true, Some(last)) = (order, scope.is_everything(), looked.last()) {
        run(session, MOVE_CURSOR, values![known.account, known.handler, last.number]).await?;
    }
    Ok(Ordered { runs: concerned.len() as u64, next })
}

async fn drop_runs(
    session: &Session,
    known: &Known,
    scope: &RunScope,
    concerned: &[&Looked],
    now: Timestamp,
) -> StoreResult<()> {
    // Of everything nothing is left over; the cursor says so in less space than rows.
    let needs_row = |one: &&&Looked| one.standing.is_some() || !scope.is_everything();
    let numbers = List(concerned.iter().filter(needs_row).map(|one| one.number).collect::<Vec<_>>());
    run(session, DROP, values![known.account, known.handler, millis(now), numbers]).await
}

/// The next messages of a scope, in order, and where the piece after them begins.
async fn look(
    session: &Session,
    known: &Known,
    scope: &RunScope,
    piece: RunPiece,
    last: i64,
) -> StoreResult<(Vec<Looked>, Option<u64>)> {
    let limit = piece.limit.max(1);
    let (after, last) = match scope.message {
        Some(message) => {
            let message = saturated(message);
            (saturated(piece.after).max(message.saturating_sub(1)), message.min(last))
        }
        None => (saturated(piece.after), last),
    };
    let sql = scope.standing.map_or_else(messages_sql, runs_sql);
    let values = values![
        known.account,
        known.handler,
        after,
        limit_and_one(limit) - 1,
        scope.from.map(millis),
        scope.to.map(millis),
        scope.source.as_ref().map(Id::bytes),
        last,
    ];
    let looked = list(session, &sql, values, |row| {
        let standing = row.value::<Option<i16>>(1)?.map(standing_of).transpose()?;
        Ok(Looked { number: row.value(0)?, standing, is_in_scope: row.value(2)? })
    })
    .await?;
    let has_more = looked.len() >= limit && scope.message.is_none();
    let next = looked.last().filter(|_| has_more).map(|last| last.number.unsigned_abs());
    Ok((looked, next))
}
