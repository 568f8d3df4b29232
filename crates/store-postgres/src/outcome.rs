//! What became of a transaction whose commit was not answered: asked of the server under the number that it gave the
//! transaction, until it says.
//!
//! The number alone proves only half. A server that crashes may forget that it gave a number away, and give it to another
//! transaction; so what is said to be committed must also show a row that only this transaction can have written. And a
//! standby that was promoted gives out the same numbers again: on another timeline nothing is believed.

use std::time::Duration;

use store::StoreResult;
use tokio::time::{Instant, sleep};
use tokio_postgres::Row;

use crate::columns::{Columns, Value, find, values};
use crate::session::{Pool, Session};

/// A server that is restarted is back within this time; one that takes longer has its work read anew.
const ASKED_FOR: Duration = Duration::from_secs(60);
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// While the server is away, asking is a new connection each time.
const ASKED_AGAIN_AFTER_MAX: Duration = Duration::from_secs(2);

/// An expression that gives a transaction its number, and says it beside the server's timeline: asked for with the first
/// statement of a transaction whose outcome must be known.
pub(crate) const MARK: &str =
    "(select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || ':' || pg_current_xact_id()::text)";

/// Which transaction it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    timeline: String,
    number: String,
}

impl Mark {
    /// The mark in a column.
    pub(crate) fn read(row: &Row, at: usize) -> StoreResult<Mark> {
        let text: &str = row.value(at)?;
        let (timeline, number) = text.split_once(':').unwrap_or((text, ""));
        Ok(Mark { timeline: timeline.to_owned(), number: number.to_owned() })
    }
}

/// A query for a row that only the transaction in question can have written.
pub(crate) struct Witness<'a> {
    pub(crate) sql: &'a str,
    pub(crate) values: &'a [&'a (dyn Value + Sync)],
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All of it was kept.
    Kept,
    /// Nothing of it was kept, or ever will be.
    TakenBack,
    /// Nobody can say; why not.
    Unknown(String),
}

/// Finds out how a transaction ended. Without a witness, nothing that is said to be kept is believed.
pub(crate) async fn find_out(pool: &Pool, mark: &Mark, witness: Option<Witness<'_>>) -> Fate {
    let deadline = Instant::now() + ASKED_FOR;
    let mut wait = ASKED_AGAIN_AFTER;
    loop {
        let why = match ask(pool, mark, witness.as_ref()).await {
            Ok(Some(fate)) => return fate,
            Ok(None) => "the database is still at it".to_owned(),
            Err(error) => error.to_string(),
        };
        if Instant::now() + wait > deadline {
            return Fate::Unknown(format!("a commit was not answered, and {} s later {why}", ASKED_FOR.as_secs()));
        }
        sleep(wait).await;
        wait = (wait * 2).min(ASKED_AGAIN_AFTER_MAX);
    }
}

/// `None` while it has not ended.
async fn ask(pool: &Pool, mark: &Mark, witness: Option<&Witness<'_>>) -> StoreResult<Option<Fate>> {
    let session = pool.session().await?;
    // A number above the newest was forgotten by a crash, with all that was done under it; asking for it is an error.
    let sql = "select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), case
        when $1::text::xid8 > pg_current_xact_id() then 'aborted' else pg_xact_status($1::text::xid8) end";
    let read = |row: &Row| Ok((row.value::<String>(0)?, row.value::<Option<String>>(1)?));
    let Some((timeline, status)) = find(&session, sql, values![mark.number], read).await? else { return Ok(None) };
    if timeline != mark.timeline {
        return Ok(Some(Fate::Unknown("another server has taken over since".to_owned())));
    }
    match status.as_deref() {
        Some("aborted") => Ok(Some(Fate::TakenBack)),
        Some("committed") => is_witnessed(&session, witness).await.map(Some),
        Some(_) => {
            let_go(&session, mark).await?;
            Ok(None)
        }
        None => Ok(Some(Fate::Unknown("the database has forgotten the transaction".to_owned()))),
    }
}

async fn is_witnessed(session: &Session, witness: Option<&Witness<'_>>) -> StoreResult<Fate> {
    let Some(Witness { sql, values }) = witness else {
        return Ok(Fate::Unknown("nothing in it proves that it was committed".to_owned()));
    };
    match find(session, sql, values, |_| Ok(())).await? {
        Some(()) => Ok(Fate::Kept),
        None => Ok(Fate::TakenBack),
    }
}

/// Ends the transaction where its commit never arrived: it would hold its rows until the server gives it up. One that is
/// committing, or waits for a standby, is left alone.
async fn let_go(session: &Session, mark: &Mark) -> StoreResult<()> {
    let sql = "select pg_terminate_backend(pid) from pg_stat_activity
        where backend_xid = ($1::text::xid8)::xid and state like 'idle in transaction%'";
    find(session, sql, values![mark.number], |_| Ok(())).await.map(drop)
}
