//! What is kept of attempts that failed: written with the commit that settles them, read with the delivery log.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use provider::attempt::{FailureDetail, Phases, Reason};
use store::{FailedAttempt, StoreResult};
use tokio_postgres::Row;
use wire::{AccountId, FanOutId};

use crate::columns::{Columns, Id, List, list, millis, number, run, values};
use crate::session::Session;

/// Writes those of any accounts. What the endpoint of each is told of its last failure is not written here.
pub(crate) async fn insert(session: &Session, failures: &[(AccountId, &FailedAttempt)]) -> StoreResult<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let kept = newest_of_each(failures);
    let failed = || kept.iter().map(|(_, failed)| failed);
    let phase = |read: fn(&Phases) -> Option<Duration>| {
        List(failed().map(|failed| read(&failed.detail.phases).map(micros)).collect::<Vec<_>>())
    };
    run(
        session,
        "insert into attempt_failure (account, fan_out, participant, attempt, finished_at, dns, connect, tls, first_byte,
                                      total, reused, reason)
         select * from unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                              $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::text[])
         on conflict (account, fan_out, participant, attempt, finished_at, day) do update
         set dns = excluded.dns, connect = excluded.connect, tls = excluded.tls, first_byte = excluded.first_byte,
             total = excluded.total, reused = excluded.reused, reason = excluded.reason",
        values![
            List(kept.iter().map(|(account, _)| number(*account)).collect()),
            List(failed().map(|failed| failed.fan_out.bytes()).collect()),
            List(failed().map(|failed| failed.participant.cast_signed()).collect()),
            List(failed().map(|failed| i64::from(failed.attempt)).collect()),
            List(failed().map(|failed| millis(failed.finished_at)).collect()),
            phase(|phases| phases.dns),
            phase(|phases| phases.connect),
            phase(|phases| phases.tls),
            phase(|phases| phases.first_byte),
            phase(|phases| Some(phases.total)),
            List(failed().map(|failed| failed.detail.phases.reused).collect()),
            List(failed().map(|failed| failed.detail.reason.as_str()).collect()),
        ],
    )
    .await
}

/// One statement may not write a row twice.
fn newest_of_each<'a>(failures: &[(AccountId, &'a FailedAttempt)]) -> Vec<(AccountId, &'a FailedAttempt)> {
    let mut seen = HashSet::new();
    let key = |(account, failed): &(AccountId, &FailedAttempt)| {
        (*account, failed.fan_out, failed.participant, failed.attempt, failed.finished_at)
    };
    failures.iter().rev().filter(|failed| seen.insert(key(failed))).copied().collect()
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
