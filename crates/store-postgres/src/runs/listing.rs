//! Runs and handlers as people see them, in SQL.

use store::{HandlerStanding, Page, RunCursor, RunFilter, RunRecord, RunStanding, RunState, SkipReason, StoreResult};
use tokio_postgres::Row;
use wire::AccountId;

use super::{DONE, PARKED, SKIPPED, WAITING};
use crate::columns::{Columns, limit_and_one, list, number, unknown, values};
use crate::inbox::saturated;
use crate::session::Session;

/// Each handler, and what it has yet to come to: how many, and since when.
pub(crate) const STANDINGS: &str = "select h.name, h.cursor, h.waiting, h.done, h.skipped, h.parked,
    (select count(*) from message as m where m.account = $1 and m.number > h.cursor)
        - (select count(*) from run as r where r.account = $1 and r.handler = h.handler and r.number > h.cursor),
    (select m.received_at from message as m where m.account = $1 and m.number > h.cursor
         and not exists (select 1 from run as r
             where r.account = $1 and r.handler = h.handler and r.number > h.cursor and r.number = m.number)
     order by m.number limit 1)
    from handler as h where h.account = $1 order by h.name collate \"C\"";

/// The runs of an account's handlers, of which there are few: a page of each, and of these a page. Of some states through
/// the index of what is not done.
pub(crate) fn list_sql(standing: Option<RunStanding>) -> String {
    let which = match standing {
        None => String::new(),
        Some(RunStanding::Done) => format!("and r.state = {DONE}"),
        Some(other) => format!("and r.state <> {DONE} and r.state = {}", state_of(other)),
    };
    format!(
        "select r.number, r.state, r.attempts, r.generation, r.changed_at, r.due_at, r.reason, h.name
         from handler as h cross join lateral (
             select * from run as r
             where r.account = $1 and r.handler = h.handler {which} and r.number >= $4
             and r.number <= least($3, case when $5::text is null or h.name collate \"C\" > $5 then $6 else $6 - 1 end)
             order by r.number desc limit $7
         ) as r
         where h.account = $1 and ($2::text is null or h.name = $2)
         order by r.number desc, h.name collate \"C\" limit $7"
    )
}

pub(super) async fn page(
    session: &Session,
    account: AccountId,
    filter: &RunFilter,
    after: Option<&RunCursor>,
    limit: usize,
) -> StoreResult<Page<RunRecord, RunCursor>> {
    let values = values![
        number(account),
        filter.handler,
        filter.message.map_or(i64::MAX, saturated),
        filter.message.map_or(0, saturated),
        after.map(|after| &*after.handler),
        after.map_or(i64::MAX, |after| saturated(after.number)),
        limit_and_one(limit),
    ];
    let found = list(session, &list_sql(filter.standing), values, read_run).await?;
    Ok(Page::cut(found, limit, |run| RunCursor { number: run.number, handler: run.handler.clone() }))
}

pub(super) async fn standings(session: &Session, account: AccountId) -> StoreResult<Vec<HandlerStanding>> {
    list(session, STANDINGS, values![number(account)], |row| {
        Ok(HandlerStanding {
            handler: row.value(0)?,
            cursor: row.count(1)?,
            waiting: row.count(2)?,
            done: row.count(3)?,
            skipped: row.count(4)?,
            parked: row.count(5)?,
            ahead: row.count(6)?,
            oldest_ahead: row.moment_if_any(7)?,
        })
    })
    .await
}

pub(super) fn state_of(standing: RunStanding) -> i16 {
    match standing {
        RunStanding::Waiting => WAITING,
        RunStanding::Done => DONE,
        RunStanding::Skipped => SKIPPED,
        RunStanding::Parked => PARKED,
    }
}

/// The other way round.
pub(super) fn standing_of(state: i16) -> StoreResult<RunStanding> {
    match state {
        WAITING => Ok(RunStanding::Waiting),
        DONE => Ok(RunStanding::Done),
        SKIPPED => Ok(RunStanding::Skipped),
        PARKED => Ok(RunStanding::Parked),
        other => Err(unknown("a run's state", &other.to_string())),
    }
}

fn read_run(row: &Row) -> StoreResult<RunRecord> {
    let reason = row.value::<Option<String>>(6)?.unwrap_or_default();
    Ok(RunRecord {
        handler: row.value(7)?,
        number: row.count(0)?,
        state: match standing_of(row.value(1)?)? {
            RunStanding::Waiting => RunState::Waiting { due: row.moment(5)?, reason },
            RunStanding::Done => RunState::Done,
            RunStanding::Skipped => RunState::Skipped(match &*reason {
                "outdated" => SkipReason::Outdated,
                "content_gone" => SkipReason::ContentGone,
                "dropped" => SkipReason::Dropped,
                other => return Err(unknown("why a run was skipped", other)),
            }),
            RunStanding::Parked => RunState::Parked { reason },
        },
        attempts: row.small(2)?,
        generation: row.small(3)?,
        changed_at: row.moment(4)?,
    })
}
