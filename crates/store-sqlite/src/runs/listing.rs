//! Runs and handlers as people see them, in SQL.

use rusqlite::{Connection, Row};
use store::{
    HandlerStanding, MessageNumber, Page, RunCursor, RunFilter, RunRecord, RunStanding, RunState, SkipReason,
    StoreResult,
};
use wire::AccountId;

use super::{DONE, PARKED, SKIPPED, WAITING};
use crate::columns::{Millis, find, limit_and_one, list, number, unknown};

const HANDLERS: &str = "select handler, name, cursor, waiting, done, skipped, parked from handler
    where account = ?1 order by name";
/// What a handler has yet to come to: how many, and since when.
pub(crate) const AHEAD: &str = "select
    (select count(*) from message where account = ?1 and number > ?3)
        - (select count(*) from run where account = ?1 and handler = ?2 and number > ?3),
    (select m.received_at from message as m where m.account = ?1 and m.number > ?3
         and not exists (select 1 from run as r where r.account = ?1 and r.handler = ?2 and r.number = m.number)
     order by m.number limit 1)";

/// The runs of one handler, newest message first; of some states through the index of what is not done.
pub(crate) fn list_sql(standing: Option<RunStanding>) -> String {
    let (index, which) = match standing {
        None => ("", String::new()),
        Some(RunStanding::Done) => ("", format!("and state = {DONE}")),
        Some(other) => ("indexed by run_not_done", format!("and state <> {DONE} and state = {}", state_of(other))),
    };
    format!(
        "select number, state, attempts, generation, changed_at, due_at, reason from run {index}
         where account = ?1 and handler = ?2 and number <= ?3 and number >= ?4 {which}
         order by number desc limit ?5"
    )
}

/// Merges the lists of the handlers, of which there are few.
pub(super) fn page(
    connection: &Connection,
    account: AccountId,
    filter: &RunFilter,
    after: Option<&RunCursor>,
    limit: usize,
) -> StoreResult<Page<RunRecord, RunCursor>> {
    let sql = list_sql(filter.standing);
    let mut found = Vec::new();
    for (handler, name) in
        list(connection, HANDLERS, [number(account)], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?
    {
        let name: String = name;
        if filter.handler.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let newest = newest_to_list(after, &name).min(filter.message.unwrap_or(MessageNumber::MAX));
        let newest = i64::try_from(newest).unwrap_or(i64::MAX);
        let oldest = filter.message.map_or(0, |message| i64::try_from(message).unwrap_or(i64::MAX));
        let values = (number(account), handler, newest, oldest, limit_and_one(limit));
        found.extend(list(connection, &sql, values, |row| read_run(row, &name))?);
    }
    found.sort_by(|one, other| (other.number, &one.handler).cmp(&(one.number, &other.handler)));
    found.truncate(limit.saturating_add(1));
    Ok(Page::cut(found, limit, |run| RunCursor { number: run.number, handler: run.handler.clone() }))
}

/// The newest message of which a run of this handler comes after the cursor.
fn newest_to_list(after: Option<&RunCursor>, handler: &str) -> MessageNumber {
    match after {
        None => MessageNumber::MAX,
        Some(after) if handler > after.handler.as_str() => after.number,
        Some(after) => after.number.saturating_sub(1),
    }
}

pub(super) fn standings(connection: &Connection, account: AccountId) -> StoreResult<Vec<HandlerStanding>> {
    let handlers = list(connection, HANDLERS, [number(account)], |row| {
        let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        let standing = HandlerStanding {
            handler: row.get(1)?,
            cursor: count(2)?,
            ahead: 0,
            oldest_ahead: None,
            waiting: count(3)?,
            done: count(4)?,
            skipped: count(5)?,
            parked: count(6)?,
        };
        Ok((row.get::<_, i64>(0)?, standing))
    })?;
    let with_ahead = |(handler, standing): (i64, HandlerStanding)| {
        let key = (number(account), handler, standing.cursor.cast_signed());
        let ahead = find(connection, AHEAD, key, |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, Option<Millis>>(1)?.map(|at| at.0)))
        })?;
        let (ahead, oldest_ahead) = ahead.unwrap_or_default();
        Ok(HandlerStanding { ahead, oldest_ahead, ..standing })
    };
    handlers.into_iter().map(with_ahead).collect()
}

pub(super) fn state_of(standing: RunStanding) -> i64 {
    match standing {
        RunStanding::Waiting => WAITING,
        RunStanding::Done => DONE,
        RunStanding::Skipped => SKIPPED,
        RunStanding::Parked => PARKED,
    }
}

/// The other way round.
pub(super) fn standing_of(state: i64) -> rusqlite::Result<RunStanding> {
    match state {
        WAITING => Ok(RunStanding::Waiting),
        DONE => Ok(RunStanding::Done),
        SKIPPED => Ok(RunStanding::Skipped),
        PARKED => Ok(RunStanding::Parked),
        other => Err(unknown("a run's state", &other.to_string())),
    }
}

fn read_run(row: &Row<'_>, handler: &str) -> rusqlite::Result<RunRecord> {
    let reason = || row.get::<_, Option<String>>(6).map(Option::unwrap_or_default);
    Ok(RunRecord {
        handler: handler.to_owned(),
        number: row.get::<_, i64>(0)?.unsigned_abs(),
        state: match standing_of(row.get(1)?)? {
            RunStanding::Waiting => RunState::Waiting { due: row.get::<_, Millis>(5)?.0, reason: reason()? },
            RunStanding::Done => RunState::Done,
            RunStanding::Skipped => RunState::Skipped(match reason()?.as_str() {
                "outdated" => SkipReason::Outdated,
                "content_gone" => SkipReason::ContentGone,
                "dropped" => SkipReason::Dropped,
                other => return Err(unknown("why a run was skipped", other)),
            }),
            RunStanding::Parked => RunState::Parked { reason: reason()? },
        },
        attempts: row.get(2)?,
        generation: row.get(3)?,
        changed_at: row.get::<_, Millis>(4)?.0,
    })
}
