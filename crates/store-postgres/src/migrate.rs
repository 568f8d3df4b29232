//! Migrations: numbered SQL files, applied in one transaction each, one process at a time. The digest of each stays in the
//! database, so that one made by other migrations of the same number is recognised.

use aws_lc_rs::digest::{SHA256, digest};
use store::{FailPoint, StoreResult};

use crate::columns::{self, Columns, list, values};
use crate::open::{Address, OpenError};
use crate::session::{Pool, Session};

/// In order; the number of a migration is its place, from 1. Files once released are never edited.
pub(crate) const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_foundation.sql")];

const DIGESTS: &str = "create table if not exists migration (
    number bigint primary key,
    digest bytea not null check (octet_length(digest) = 32)
)";
/// One process migrates at a time; the lock ends with its transaction. The number is ours, and means nothing.
const LOCK: &str = "select pg_advisory_xact_lock(7245113020881)";

/// How a database's schema relates to the one this program knows.
enum Reached {
    Known,
    /// The number of the first migration that is not ours.
    Foreign(u32),
    Newer(u32),
    Older(u32),
}

/// Brings the schema to the newest version; refuses one that is newer still or not ours.
pub(crate) async fn run(pool: &Pool, address: &Address) -> Result<(), OpenError> {
    loop {
        let told = |source| OpenError::told(address, source);
        let mut session = pool.session().await.map_err(told)?;
        session.begin(None);
        session.execute_all(LOCK).await.map_err(told)?;
        let reached = match reached(&session).await.map_err(told)? {
            Reached::Older(reached) => reached,
            other => return refuse(&other, address),
        };
        apply(&session, reached).await.map_err(told)?;
        FailPoint::MigrationBeforeCommit.pass();
        session.commit().await.map_err(told)?;
    }
}

/// Makes the tables of a database that has none; refuses every other schema but the newest. Servers may be running on an
/// older one, and only the start of a newer server is to change it under them.
pub(crate) async fn make(pool: &Pool, address: &Address) -> Result<(), OpenError> {
    match check(pool, address).await {
        Err(OpenError::Empty(_)) => run(pool, address).await,
        known_or_refused => known_or_refused,
    }
}

/// Refuses every schema but the newest, and changes nothing.
pub(crate) async fn check(pool: &Pool, address: &Address) -> Result<(), OpenError> {
    let told = |source| OpenError::told(address, source);
    let session = pool.session().await.map_err(told)?;
    let reached = reached(&session).await.map_err(told)?;
    refuse(&reached, address)
}

async fn apply(session: &Session, reached: u32) -> StoreResult<()> {
    let sql = MIGRATIONS[reached as usize];
    session.execute_all(DIGESTS).await?;
    session.execute_all(sql).await?;
    let digest = digest(&SHA256, sql.as_bytes());
    let insert = "insert into migration (number, digest) values ($1, $2)";
    columns::run(session, insert, values![i64::from(reached) + 1, digest.as_ref()]).await
}

async fn reached(session: &Session) -> StoreResult<Reached> {
    let has_any =
        list(session, "select to_regclass('migration') is not null", values![], |row| row.value::<bool>(0)).await?;
    if has_any != [true] {
        return Ok(Reached::Older(0));
    }
    let sql = "select digest from migration order by number";
    let kept = list(session, sql, values![], |row| row.value::<Vec<u8>>(0)).await?;
    for (number, (found, ours)) in (1..).zip(kept.iter().zip(MIGRATIONS)) {
        if found.as_slice() != digest(&SHA256, ours.as_bytes()).as_ref() {
            return Ok(Reached::Foreign(number));
        }
    }
    let reached = kept.len() as u32;
    Ok(match kept.len().cmp(&MIGRATIONS.len()) {
        std::cmp::Ordering::Less => Reached::Older(reached),
        std::cmp::Ordering::Equal => Reached::Known,
        std::cmp::Ordering::Greater => Reached::Newer(reached),
    })
}

fn refuse(reached: &Reached, address: &Address) -> Result<(), OpenError> {
    let (database, known) = (address.to_string(), MIGRATIONS.len() as u32);
    match *reached {
        Reached::Known => Ok(()),
        Reached::Foreign(number) => Err(OpenError::ForeignSchema { database, number }),
        Reached::Newer(found) => Err(OpenError::NewerSchema { database, found, known }),
        Reached::Older(0) => Err(OpenError::Empty(database)),
        Reached::Older(found) => Err(OpenError::OlderSchema { database, found, known }),
    }
}
