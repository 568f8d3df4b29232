//! An operator's orders to a handler, in SQL: one piece at a time, so that the writer is free again soon.

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use store::{Ordered, RunOrder, RunPiece, RunScope, RunStanding, StoreError, StoreResult};
use wire::AccountId;

use super::DONE;
use super::listing::{standing_of, state_of};
use crate::agendas::saturated;
use crate::columns::{find, list, millis, number, run};

const HANDLER: &str = "select handler, cursor, max(cursor, coalesce(
        (select max(r.number) from run as r where r.account = ?1 and r.handler = h.handler), 0))
    from handler as h where account = ?1 and name = ?2";
const RERUN: &str =
    "insert into run (account, handler, number, state, attempts, generation, changed_at, due_at, reason)
    values (?1, ?2, ?3, 0, 0, 1, ?4, ?5, '')
    on conflict (account, handler, number) do update
    set state = 0, attempts = 0, generation = generation + 1, changed_at = excluded.changed_at,
        due_at = excluded.due_at, reason = ''";
const DROP: &str = "insert into run (account, handler, number, state, attempts, generation, changed_at, due_at, reason)
    values (?1, ?2, ?3, 2, 0, 0, ?4, null, 'dropped')
    on conflict (account, handler, number) do update
    set state = 2, changed_at = excluded.changed_at, due_at = null, reason = 'dropped'";
/// Whether a message is in the scope of an order; what is not asked is not looked up.
const IN_SCOPE: &str =
    "m.received_at >= coalesce(?5, m.received_at) and m.received_at < coalesce(?6, m.received_at + 1)
     and iif(?7 is null, 1, m.source = ?7)";

/// Messages after one and up to another, each with the state of its run where it has one.
pub(crate) fn messages_sql() -> String {
    format!(
        "select m.number, (select r.state from run as r
                           where r.account = ?1 and r.handler = ?2 and r.number = m.number), {IN_SCOPE}
         from message as m where m.account = ?1 and m.number > ?3 and m.number <= ?8 order by m.number limit ?4"
    )
}

/// The same of messages whose runs stand so.
pub(crate) fn runs_sql(standing: RunStanding) -> String {
    let (index, which) = match standing {
        RunStanding::Done => ("", format!("r.state = {DONE}")),
        other => ("indexed by run_not_done", format!("r.state <> {DONE} and r.state = {}", state_of(other))),
    };
    format!(
        "select r.number, r.state, {IN_SCOPE} from run as r {index}
         join message as m on m.number = r.number and m.account = r.account
         where r.account = ?1 and r.handler = ?2 and {which} and r.number > ?3 and r.number <= ?8
         order by r.number limit ?4"
    )
}

/// A handler as orders see it.
struct Known {
    account: AccountId,
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

pub(super) fn obey(
    connection: &Connection,
    account: AccountId,
    scope: &RunScope,
    order: RunOrder,
    piece: RunPiece,
) -> StoreResult<Ordered> {
    let found = find(connection, HANDLER, (number(account), &scope.handler), |row| {
        Ok((Known { account, handler: row.get(0)?, cursor: row.get(1)? }, row.get::<_, i64>(2)?))
    })?;
    let (known, last_begun) = found.ok_or(StoreError::Missing("the handler"))?;
    // Dropping goes on to the newest message; whatever else is about what was begun or passed over.
    let last = if matches!(order, RunOrder::Drop | RunOrder::CountDrop) { i64::MAX } else { last_begun };
    let (looked, next) = look(connection, &known, scope, piece, last)?;
    let concerned = looked.iter().filter(|one| one.is_in_scope).filter(|one| one.is_concerned(order, &known));
    let mut runs = 0;
    for one in concerned {
        match order {
            RunOrder::Count | RunOrder::CountDrop => {}
            RunOrder::Rerun { first, spacing } => {
                let wait = spacing.saturating_mul(u32::try_from(runs).unwrap_or(u32::MAX));
                let due = first.checked_add(wait).unwrap_or(Timestamp::MAX);
                let key = (number(account), known.handler, one.number);
                run(connection, RERUN, (key.0, key.1, key.2, millis(piece.now), millis(due)))?;
            }
            // Of everything nothing is left over; the cursor says so in less space than rows.
            RunOrder::Drop if one.standing.is_none() && scope.is_everything() => {}
            RunOrder::Drop => {
                run(connection, DROP, (number(account), known.handler, one.number, millis(piece.now)))?;
            }
        }
        runs += 1;
    }
    if let (RunOrder::Drop, true, Some(last)) = (order, scope.is_everything(), looked.last()) {
        let sql = "update handler set cursor = ?3 where account = ?1 and handler = ?2 and cursor < ?3";
        run(connection, sql, (number(account), known.handler, last.number))?;
    }
    Ok(Ordered { runs, next })
}

/// The next messages of a scope, in order, and where the piece after them begins.
fn look(
    connection: &Connection,
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
    let source = scope.source.map(|id| id.as_bytes().to_vec());
    let (from, to) = (scope.from.map(millis), scope.to.map(millis));
    let values = (number(known.account), known.handler, after, limit as i64, from, to, source, last);
    let looked = list(connection, &sql, values, |row: &Row<'_>| {
        let standing = row.get::<_, Option<i64>>(1)?.map(standing_of).transpose()?;
        Ok(Looked { number: row.get(0)?, standing, is_in_scope: row.get(2)? })
    })?;
    let has_more = looked.len() >= limit && scope.message.is_none();
    let next = looked.last().filter(|_| has_more).map(|last| last.number.unsigned_abs());
    Ok((looked, next))
}
