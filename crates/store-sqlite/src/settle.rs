//! The commit of a lane: segments, cursors, exceptions and health in one transaction, under the lease's epoch.

use jiff::Timestamp;
use provider::lane::LaneState;
use rusqlite::Connection;
use store::{Exception, ExceptionState, Lease, Settled, Settlement, StoreResult};
use wire::FanOutId;

use crate::backlog::align;
use crate::columns::{find, millis, number, run};
use crate::failures;
use crate::lanes::signal_of;
use crate::notices::raise;

/// Writes a settlement, or nothing where the lane has another owner.
pub(crate) fn settle(connection: &Connection, lease: Lease, settlement: &Settlement) -> StoreResult<Settled> {
    let signal = signal_of(connection, lease)?;
    save_segments(connection, lease, settlement)?;
    save_cursors(connection, lease, settlement)?;
    for exception in &settlement.exceptions {
        save_exception(connection, lease, exception)?;
    }
    for (fan_out, participant) in &settlement.recovered {
        recover(connection, lease, *fan_out, *participant)?;
    }
    failures::save(connection, lease, &settlement.failures)?;
    if let Some(health) = settlement.health {
        save_health(connection, lease, health)?;
    }
    if let Some(notice) = &settlement.notice {
        raise(connection, lease.account, notice)?;
    }
    let last_failure = settlement.exceptions.iter().filter_map(|exception| exception.last).map(|(_, at)| at).max();
    if let Some(now) = last_failure {
        align(connection, lease.account, lease.endpoint, now)?;
    }
    if let Some(per_minute) = settlement.per_minute {
        let sql = "update lane set per_minute = ?3 where account = ?1 and endpoint = ?2";
        run(connection, sql, (number(lease.account), lease.endpoint.as_bytes(), per_minute))?;
    }
    Ok(Settled { signal })
}

/// Removes the row of what was delivered, and tells the replay that had put it into the queue.
fn recover(connection: &Connection, lease: Lease, fan_out: FanOutId, participant: u64) -> StoreResult<()> {
    let sql = "delete from exception where account = ?1 and fan_out = ?2 and participant = ?3 returning replay";
    let key = (number(lease.account), fan_out.as_bytes(), participant.cast_signed());
    let replay = find(connection, sql, key, |row| row.get::<_, Option<Vec<u8>>>(0))?.flatten();
    let Some(replay) = replay else { return Ok(()) };
    let sql = "update replay set delivered = delivered + 1 where account = ?1 and replay = ?2";
    run(connection, sql, (number(lease.account), replay))
}

fn save_segments(connection: &Connection, lease: Lease, settlement: &Settlement) -> StoreResult<()> {
    let sql = "insert into segment (account, fan_out, first_participant, last_participant, entries, outcomes)
               values (?1, ?2, ?3, ?4, ?5, ?6)";
    for (fan_out, segment) in &settlement.segments {
        let range = (segment.first.cast_signed(), segment.last.cast_signed());
        let values = (number(lease.account), fan_out.as_bytes(), range.0, range.1, segment.count, &segment.bytes);
        run(connection, sql, values)?;
    }
    Ok(())
}

fn save_cursors(connection: &Connection, lease: Lease, settlement: &Settlement) -> StoreResult<()> {
    let sql = "update fan_out set cursor_participant = ?3, cursor_index = ?4 where account = ?1 and fan_out = ?2";
    for (fan_out, place) in &settlement.cursors {
        let (participant, index) = (place.participant.cast_signed(), place.index.cast_signed());
        run(connection, sql, (number(lease.account), fan_out.as_bytes(), participant, index))?;
    }
    let sql = "update fan_out set delivered = delivered + ?3, is_logged = 1 where account = ?1 and fan_out = ?2";
    for (fan_out, count) in &settlement.delivered {
        run(connection, sql, (number(lease.account), fan_out.as_bytes(), count.cast_signed()))?;
    }
    for fan_out in &settlement.swept {
        let sql = "update fan_out set state = 'swept' where account = ?1 and fan_out = ?2 and state = 'running'";
        run(connection, sql, (number(lease.account), fan_out.as_bytes()))?;
    }
    Ok(())
}

fn save_exception(connection: &Connection, lease: Lease, exception: &Exception) -> StoreResult<()> {
    let (state, due_at, attempt, charged) = match exception.state {
        // It was on its way while the person was erased.
        ExceptionState::Retrying { attempt, .. } if is_erased(connection, lease, exception)? => {
            ("erased", None, attempt - 1, 0)
        }
        ExceptionState::Retrying { due, attempt, charged } => ("retrying", Some(millis(due)), attempt, charged),
        ExceptionState::Held { attempt, charged } => ("held", None, attempt, charged),
        ExceptionState::Abandoned { attempts } => ("abandoned", None, attempts, attempts),
        ExceptionState::Superseded { attempts } => ("superseded", None, attempts, attempts),
        ExceptionState::Skipped { attempts } => ("skipped", None, attempts, attempts),
        ExceptionState::Erased { attempts } => ("erased", None, attempts, 0),
    };
    run(
        connection,
        "insert into exception (account, fan_out, participant, place, endpoint, state, due_at, attempt,
                                charged, last_outcome, last_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         on conflict (account, fan_out, participant) do update
         set state = excluded.state, due_at = excluded.due_at, attempt = excluded.attempt,
             charged = excluded.charged,
             last_outcome = coalesce(excluded.last_outcome, last_outcome), last_at = coalesce(excluded.last_at, last_at)",
        (
            number(lease.account),
            exception.fan_out.as_bytes(),
            exception.place.participant.cast_signed(),
            exception.place.index.cast_signed(),
            lease.endpoint.as_bytes(),
            state,
            due_at,
            attempt,
            charged,
            exception.last.map(|(outcome, _)| outcome.number()),
            exception.last.map(|(_, at)| millis(at)),
        ),
    )
}

fn is_erased(connection: &Connection, lease: Lease, exception: &Exception) -> StoreResult<bool> {
    let sql = "select 1 from participant where account = ?1 and participant = ?2";
    let key = (number(lease.account), exception.place.participant.cast_signed());
    Ok(find(connection, sql, key, |_| Ok(()))?.is_none())
}

fn save_health(connection: &Connection, lease: Lease, health: LaneState) -> StoreResult<()> {
    let at = |moment: Timestamp| Some(millis(moment));
    let (failures, slow_window, open, ended_since) = match health {
        LaneState::Healthy { failures } => (failures, None, None, None),
        LaneState::SlowStart { window, failures } => (failures, Some(window), None, None),
        LaneState::Open { failures, until, since } => (failures, None, Some((millis(until), millis(since))), None),
        LaneState::Gone { since } | LaneState::Disabled { since } => (0, None, None, at(since)),
    };
    let (open_until, failing_since) = open.unzip();
    run(
        connection,
        // Also held back is a lane whose owner dies before it can give it back.
        "update lane set health = ?3, failures = ?4, slow_window = ?5, open_until = ?6, failing_since = ?7,
             ended_since = ?8, due_at = iif(?8 is not null, null, max(due_at, coalesce(?6, due_at)))
         where account = ?1 and endpoint = ?2",
        (
            number(lease.account),
            lease.endpoint.as_bytes(),
            health.name(),
            failures,
            slow_window,
            open_until,
            failing_since,
            ended_since,
        ),
    )
}
