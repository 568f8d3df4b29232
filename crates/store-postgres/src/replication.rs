//! What an operator should know of a PostgreSQL server before something is lost by it: whether what is acknowledged
//! outlives the server, whether its clock, its version and its connections suffice (looked at once, at a start), and whether
//! what is written now is kept (asked again and again).

use store::{Clock, StoreError, StoreResult};

use crate::PostgresStore;
use crate::columns::{Columns, list, values};
use crate::open::Preparing;

#[cfg(test)]
mod tests;

/// Clocks kept by NTP are milliseconds apart. Signatures tell the time of the node, leases that of the database.
const CLOCKS_APART_MS_MAX: u64 = 2_000;
/// The oldest version that PostgreSQL's own project still mends.
const VERSION_MIN: i64 = 14;
/// One look into a delivery log of three months takes some 200 locks, and PostgreSQL's default is 64 for each connection
/// (docs/decisions/0024-log-by-day.md).
const LOCKS_MIN: u64 = 256;
/// Of each process, beside those of its pool: the one over which hints are told, and the one that ends an erasure.
const FURTHER_CONNECTIONS: u64 = 2;

/// Something an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// In one line: what it is, what it means and what to do.
    pub text: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// What was acknowledged may be lost, or soon nothing may work any more.
    Warning,
    /// As it was set up, perhaps on purpose.
    Remark,
}

/// What a server says of itself, and what it looks like from here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    /// Of our sessions: the server's own setting, the role's, or the address's.
    synchronous_commit: String,
    /// Empty where no standby is waited for.
    synchronous_standby_names: String,
    /// Standbys and others that are sent the log now.
    followers: u64,
    has_fsync: bool,
    has_full_page_writes: bool,
    /// Such as 150004.
    version_number: i64,
    /// That this role may open, with those that are open.
    connections_max: u64,
    /// That this process may want.
    connections_wanted: u64,
    /// Of each transaction, on an average.
    locks_max: u64,
    clocks: Clocks,
}

/// How the clocks of the server and of this node differ, at least: what the question took is no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clocks {
    ServerAhead { by_ms: u64 },
    ServerBehind { by_ms: u64 },
}

impl Clocks {
    /// From the server's time between two of this node's, all in milliseconds.
    fn compare(before: i64, server: i64, after: i64) -> Clocks {
        match before.saturating_sub(server) {
            behind @ 1.. => Clocks::ServerBehind { by_ms: behind.unsigned_abs() },
            _ => Clocks::ServerAhead { by_ms: server.saturating_sub(after).max(0).unsigned_abs() },
        }
    }
}

const SETTINGS: &str = "select current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
    (select count(*) from pg_stat_get_wal_senders()), current_setting('fsync') = 'on',
    current_setting('full_page_writes') = 'on', current_setting('server_version_num')::bigint,
    least(
        current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
            - coalesce(current_setting('reserved_connections', true)::bigint, 0),
        (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
        (select nullif(datconnlimit, -1) from pg_database where datname = current_database())),
    current_setting('max_locks_per_transaction')::bigint,
    (extract(epoch from clock_timestamp()) * 1000)::bigint";

impl PostgresStore {
    /// Looks at the server, and says what an operator should know of it.
    pub async fn examine_server(&self, clock: &dyn Clock) -> StoreResult<Vec<Finding>> {
        let session = self.session().await?;
        let before = clock.now().as_millisecond();
        let mut facts = list(&session, SETTINGS, values![], |row| {
            Ok(Facts {
                synchronous_commit: row.value(0)?,
                synchronous_standby_names: row.value(1)?,
                followers: row.count(2)?,
                has_fsync: row.value(3)?,
                has_full_page_writes: row.value(4)?,
                version_number: row.value(5)?,
                connections_max: row.count(6)?,
                connections_wanted: self.connections_wanted(),
                locks_max: row.count(7)?,
                clocks: Clocks::compare(before, row.value(8)?, clock.now().as_millisecond()),
            })
        })
        .await?;
        Ok(facts.pop().as_ref().map(findings).unwrap_or_default())
    }

    /// Behind a pooler those of the server are the pooler's affair.
    fn connections_wanted(&self) -> u64 {
        match self.pool.preparing() {
            Preparing::Once => self.pool.connections_max() as u64 + FURTHER_CONNECTIONS,
            Preparing::Never => 0,
        }
    }

    /// Proves that what is written now is kept: the server answers, is no standby and not read-only, and what it is told to
    /// keep reaches its disk, and the standbys that it waits for. The proof is an entry of the log that nobody reads, so
    /// that no table grows by it.
    pub async fn check_writable(&self) -> StoreResult<()> {
        let session = self.begin().await?;
        let sql = "select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
        let standing = list(&session, sql, values![], |row| Ok((row.value::<bool>(0)?, row.value::<bool>(1)?))).await?;
        let refused = |why: &str| Err(StoreError::Unwritable(why.to_owned()));
        match standing.as_slice() {
            [(true, _)] => {
                return refused(
                    "the PostgreSQL server is a standby; give the address of the primary, or name all servers and add \
                     target_session_attrs=read-write",
                );
            }
            [(_, true)] => {
                return refused(
                    "the PostgreSQL database is read-only; see default_transaction_read_only of the server, the \
                     database and the role",
                );
            }
            _ => {}
        }
        let sql = "select pg_logical_emit_message(true, 'fanfare', 'kept')::text";
        list(&session, sql, values![], |_| Ok(())).await?;
        session.commit().await
    }
}

/// Decides what is worth a line.
fn findings(facts: &Facts) -> Vec<Finding> {
    let decide = [of_commits, of_disk, of_clocks, of_version, of_connections, of_locks];
    let warnings =
        decide.into_iter().filter_map(|decide| decide(facts)).map(|text| Finding { severity: Severity::Warning, text });
    warnings.chain(of_standbys(facts)).collect()
}

fn of_commits(facts: &Facts) -> Option<String> {
    let setting = facts.synchronous_commit.as_str();
    let meaning = match setting {
        "off" => "what was acknowledged in the last moments is lost when the server crashes",
        "local" if !facts.synchronous_standby_names.is_empty() => {
            "no standby is waited for, so what was acknowledged may be lost at a failover"
        }
        _ => return None,
    };
    Some(format!("synchronous_commit is {setting}: {meaning}; set it to on for the role of this program"))
}

fn of_disk(facts: &Facts) -> Option<String> {
    let (setting, meaning) = match facts {
        Facts { has_fsync: false, .. } => {
            ("fsync", "a power failure loses what was acknowledged, or the whole database")
        }
        Facts { has_full_page_writes: false, .. } => {
            ("full_page_writes", "a power failure may damage the database where its disk does not write pages whole")
        }
        _ => return None,
    };
    Some(format!("{setting} is off: {meaning}; set it to on in postgresql.conf"))
}

fn of_clocks(facts: &Facts) -> Option<String> {
    let (by_ms, word) = match facts.clocks {
        Clocks::ServerAhead { by_ms } => (by_ms, "ahead of"),
        Clocks::ServerBehind { by_ms } => (by_ms, "behind"),
    };
    (by_ms > CLOCKS_APART_MS_MAX).then(|| {
        format!(
            "the clock of the PostgreSQL server is {}.{} s {word} this node's: retries come early or late, and receivers \
             may refuse signatures as too old or too new; keep both by NTP",
            by_ms / 1_000,
            by_ms % 1_000 / 100
        )
    })
}

fn of_version(facts: &Facts) -> Option<String> {
    let version = facts.version_number / 10_000;
    (version < VERSION_MIN)
        .then(|| format!("PostgreSQL {version} is not mended any more and not tested with; use {VERSION_MIN} or newer"))
}

fn of_connections(facts: &Facts) -> Option<String> {
    let Facts { connections_max, connections_wanted, .. } = *facts;
    (connections_wanted > connections_max).then(|| {
        format!(
            "this node may open {connections_wanted} connections, but the server lets its role have {connections_max}: \
             under load, requests would be refused; lower connections= in the address, or raise max_connections and the \
             limits of the role and the database"
        )
    })
}

fn of_locks(facts: &Facts) -> Option<String> {
    let locks_max = facts.locks_max;
    (locks_max < LOCKS_MIN).then(|| {
        format!(
            "max_locks_per_transaction is {locks_max}: the delivery log has a partition for each day, and where it is kept \
             for long or many nodes serve, reading it may run out of locks; set it to {LOCKS_MIN} in postgresql.conf"
        )
    })
}

/// How many servers keep what is acknowledged.
fn of_standbys(facts: &Facts) -> Option<Finding> {
    let (severity, text) = match (facts.synchronous_standby_names.is_empty(), facts.followers) {
        (true, 0) => (
            Severity::Remark,
            "the PostgreSQL server has no standby: what is acknowledged is on its disk, and as safe as that disk",
        ),
        (true, 1..) => (
            Severity::Warning,
            "async replication: what was acknowledged may be lost at a failover; name a standby in \
             synchronous_standby_names",
        ),
        (false, 0) => (
            Severity::Warning,
            "synchronous_standby_names names standbys and none is connected: nothing is acknowledged until one is; \
             start one, or take its name out",
        ),
        (false, 1..) => return None,
    };
    Some(Finding { severity, text: text.to_owned() })
}
