//! What is kept of attempts that failed: written with the commit that settles them, read with the delivery log.

use std::time::Duration;

use jiff::Timestamp;
use provider::attempt::{FailureDetail, Phases, Reason};
use rusqlite::{Connection, Row};
use store::{FailedAttempt, Lease, StoreResult};
use wire::{AccountId, FanOutId};

use crate::columns::{Millis, list, millis, number, run};

/// The columns that [`read_detail`] reads, of the table under the name `f`.
pub(crate) const DETAIL: &str = "f.dns, f.connect, f.tls, f.first_byte, f.total, f.reused, f.reason";

/// Writes them, and the last as the endpoint's last failure.
pub(crate) fn save(connection: &Connection, lease: Lease, failures: &[FailedAttempt]) -> StoreResult<()> {
    for failed in failures {
        let Phases { dns, connect, tls, first_byte, total, reused } = failed.detail.phases;
        run(
            connection,
            "insert or replace into attempt_failure (account, fan_out, participant, attempt, finished_at,
                                                     dns, connect, tls, first_byte, total, reused, reason)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            (
                number(lease.account),
                failed.fan_out.as_bytes(),
                failed.participant.cast_signed(),
                failed.attempt,
                millis(failed.finished_at),
                dns.map(micros),
                connect.map(micros),
                tls.map(micros),
                first_byte.map(micros),
                micros(total),
                reused,
                failed.detail.reason.as_str(),
            ),
        )?;
    }
    let Some(last) = failures.last() else { return Ok(()) };
    run(
        connection,
        "update lane set last_failure_at = ?3, last_failure = ?4 where account = ?1 and endpoint = ?2",
        (number(lease.account), lease.endpoint.as_bytes(), millis(last.finished_at), last.detail.reason.as_str()),
    )
}

pub(crate) fn of_delivery_sql() -> String {
    format!(
        "select f.attempt, f.finished_at, {DETAIL} from attempt_failure as f
         where f.account = ?1 and f.fan_out = ?2 and f.participant = ?3"
    )
}

/// Attempt number, end and detail of each of a delivery's failures that is kept.
pub(crate) fn of_delivery(
    connection: &Connection,
    account: AccountId,
    fan_out: FanOutId,
    participant: u64,
) -> StoreResult<Vec<(u16, Timestamp, FailureDetail)>> {
    let key = (number(account), fan_out.as_bytes(), participant.cast_signed());
    let kept = list(connection, &of_delivery_sql(), key, |row| {
        Ok((row.get(0)?, row.get::<_, Millis>(1)?.0, read_detail(row, 2)?))
    })?;
    Ok(kept.into_iter().filter_map(|(attempt, at, detail)| Some((attempt, at, detail?))).collect())
}

/// The columns [`DETAIL`], the first at `at`; `None` where a join found no row.
pub(crate) fn read_detail(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<FailureDetail>> {
    let duration = |at| row.get::<_, Option<i64>>(at).map(|micros| micros.map(from_micros));
    let Some(total) = duration(at + 4)? else { return Ok(None) };
    let phases = Phases {
        dns: duration(at)?,
        connect: duration(at + 1)?,
        tls: duration(at + 2)?,
        first_byte: duration(at + 3)?,
        total,
        reused: row.get(at + 5)?,
    };
    Ok(Some(FailureDetail { phases, reason: Reason::of_text(row.get_ref(at + 6)?.as_str()?) }))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}
