//! What is kept of attempts that failed: written with the commit that settles them, read with the delivery log.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use provider::attempt::{FailureDetail, Phases, Reason};
use store::{FailedAttempt, Lease, StoreResult};
use tokio_postgres::Row;
use wire::{AccountId, FanOutId};

use crate::columns::{Columns, Id, List, list, millis, number, run, values};
use crate::session::Session;

/// Writes them, and the last as the endpoint's last failure.
pub(crate) async fn save(session: &Session, lease: Lease, failures: &[FailedAttempt]) -> StoreResult<()> {
    let Some(last) = failures.last() else { return Ok(()) };
    let sql = "update lane set last_failure_at = $3, last_failure = $4 where account = $1 and endpoint = $2";
    let (at, reason) = (millis(last.finished_at), last.detail.reason.as_str());
    let noted = values![number(lease.account), lease.endpoint.bytes(), at, reason];
    tokio::try_join!(insert(session, lease.account, failures), run(session, sql, noted)).map(drop)
}

async fn insert(session: &Session, account: AccountId, failures: &[FailedAttempt]) -> StoreResult<()> {
    let kept = newest_of_each(failures);
    let phase = |read: fn(&Phases) -> Option<Duration>| {
        List(kept.iter().map(|failed| read(&failed.detail.phases).map(micros)).collect::<Vec<_>>())
    };
    run(
        session,
        "insert into attempt_failure (account, fan_out, participant, attempt, finished_at, dns, connect, tls, first_byte,
                                      total, reused, reason)
         select $1, * from unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
                                  $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::text[])
         on conflict (account, fan_out, participant, attempt, finished_at, day) do update
         set dns = excluded.dns, connect = excluded.connect, tls = excluded.tls, first_byte = excluded.first_byte,
             total = excluded.total, reused = excluded.reused, reason = excluded.reason",
        values![
            number(account),
            List(kept.iter().map(|failed| failed.fan_out.bytes()).collect()),
            List(kept.iter().map(|failed| failed.participant.cast_signed()).collect()),
            List(kept.iter().map(|failed| i64::from(failed.attempt)).collect()),
            List(kept.iter().map(|failed| millis(failed.finished_at)).collect()),
            phase(|phases| phases.dns),
            phase(|phases| phases.connect),
            phase(|phases| phases.tls),
            phase(|phases| phases.first_byte),
            phase(|phases| Some(phases.total)),
            List(kept.iter().map(|failed| failed.detail.phases.reused).collect()),
            List(kept.iter().map(|failed| failed.detail.reason.as_str()).collect()),
        ],
    )
    .await
}

/// One statement may not write a row twice.
fn newest_of_each(failures: &[FailedAttempt]) -> Vec<&FailedAttempt> {
    let mut seen = HashSet::new();
    let key = |failed: &FailedAttempt| (failed.fan_out, failed.participant, failed.attempt, failed.finished_at);
    failures.iter().rev().filter(|failed| seen.insert(key(failed))).collect()
}

/// A failure that is kept: whose, of which attempt, when it ended, and why.
pub(crate) struct KeptFailure {
    pub(crate) participant: u64,
    pub(crate) attempt: u16,
    pub(crate) finished_at: Timestamp,
    pub(crate) detail: FailureDetail,
}

/// $4 is when the fan-out was made: nothing of it is in the partitions of earlier days.
const OF_DELIVERIES: &str =
    "select participant, attempt, finished_at, dns, connect, tls, first_byte, total, reused, reason
    from attempt_failure where account = $1 and fan_out = $2 and participant = any($3)
    and day >= (to_timestamp($4 / 1000.0) at time zone 'utc')::date - 1";

/// The failures of some deliveries of a fan-out that was made at a time (Unix milliseconds).
pub(crate) async fn of_deliveries(
    session: &Session,
    account: AccountId,
    (fan_out, created_at): (FanOutId, i64),
    participants: Vec<i64>,
) -> StoreResult<Vec<KeptFailure>> {
    let key = values![number(account), fan_out.bytes(), List(participants), created_at];
    list(session, OF_DELIVERIES, key, read).await
}

fn read(row: &Row) -> StoreResult<KeptFailure> {
    let duration = |at| row.value::<Option<i64>>(at).map(|micros| micros.map(from_micros));
    let phases = Phases {
        dns: duration(3)?,
        connect: duration(4)?,
        tls: duration(5)?,
        first_byte: duration(6)?,
        total: from_micros(row.value(7)?),
        reused: row.value(8)?,
    };
    Ok(KeptFailure {
        participant: row.count(0)?,
        attempt: row.small(1)?,
        finished_at: row.moment(2)?,
        detail: FailureDetail { phases, reason: Reason::of_text(row.value(9)?) },
    })
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Duration {
    Duration::from_micros(micros.unsigned_abs())
}
