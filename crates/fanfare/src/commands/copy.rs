//! `fanfare copy`: moves house. Everything in one database goes into another, empty one, of the same engine or the other;
//! killed at any moment, the same command goes on where it stood.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde::Serialize;
use store::{COPIED_TABLES, CopiedTable, CopyFrom, CopyPlace, CopyTo, KeyId, StoreResult, Vault, check_sealed};
use store_postgres::{CopyFromPostgres, CopyOpenError, CopyToPostgres};
use store_sqlite::{CopyFromSqlite, CopyToSqlite};

use crate::cli::ListArgs;
use crate::config::UsageError;
use crate::database::{Database, DatabaseParser, told_with_mend};
use crate::output::{self, Row, grouped};
use crate::progress::Progress;
use crate::secret_keys::SecretKeyArgs;

/// What to copy, and whereto.
#[derive(Debug, Args)]
#[command(
    after_help = "Both must be stopped. The target must be empty: a new file, or a database without rows; until the copy is \
    complete nobody can serve from it. If the copy is interrupted, the same command goes on where it stood. The database \
    that was copied stays as it is: serve from one of the two only, since both owe the same deliveries.\n\nSigning secrets \
    are copied sealed, so the target needs the same key file; it is not copied."
)]
pub(crate) struct CopyArgs {
    /// The database to copy: sqlite:PATH or postgres://… (with a password rather in FANFARE_COPY_FROM).
    #[arg(long, env = "FANFARE_COPY_FROM", hide_env_values = true, value_name = "DATABASE", value_parser = DatabaseParser)]
    from: Database,
    /// The empty database to copy it into.
    #[arg(long, env = "FANFARE_COPY_TO", hide_env_values = true, value_name = "DATABASE", value_parser = DatabaseParser)]
    to: Database,
    #[command(flatten)]
    secret_key: SecretKeyArgs,
    #[command(flatten)]
    output: ListArgs,
}

// A release that migrates one engine migrates the other, so that tables go into their like.
const _: () = assert!(store_sqlite::SCHEMA == store_postgres::SCHEMA);

/// Copies it.
pub(crate) async fn run(args: CopyArgs) -> anyhow::Result<()> {
    if is_one(&args.from, &args.to) {
        return Err(UsageError(format!("{} cannot be copied into itself", args.from)).into());
    }
    let mut from = open_from(&args.from, &args.to).await?;
    let vault = args.secret_key.source(None)?.vault_to_read(&args.from)?;
    let keys = check_secrets(from.as_mut(), &vault).await.with_context(|| {
        format!("the keys given do not open all secrets in {}; give its key file with --secret-key-file", args.from)
    })?;
    let mut to = open_to(&args.to).await?;
    let mark = from.mark().await?;
    let begun = to.begin(&args.from.to_string(), &mark).await?;

    let copied = Copy { from: from.as_mut(), to: to.as_mut() }.run(begun, &mark).await.with_context(|| {
        format!("the copy into {} is not complete; the same command goes on where it stood", args.to)
    })?;
    output::print_list(args.output.format(), &copied, "")?;
    say_what_comes_next(&args, &copied, &keys);
    Ok(())
}

/// Whether both are one database, by whatever name.
fn is_one(from: &Database, to: &Database) -> bool {
    match (from, to) {
        (Database::Sqlite(from), Database::Sqlite(to)) => {
            from == to || matches!((from.canonicalize(), to.canonicalize()), (Ok(from), Ok(to)) if from == to)
        }
        (from, to) => from == to,
    }
}

async fn open_from(from: &Database, to: &Database) -> anyhow::Result<Box<dyn CopyFrom>> {
    Ok(match from {
        Database::Sqlite(path) => {
            ensure!(path.exists(), "there is no database {}", path.display());
            Box::new(CopyFromSqlite::open(path)?)
        }
        Database::Postgres(address) => {
            let opened = CopyFromPostgres::open(address).await.map_err(told)?;
            if matches!(to, Database::Sqlite(_)) {
                opened.refuse_shared_numbers().await?;
            }
            Box::new(opened)
        }
    })
}

async fn open_to(to: &Database) -> anyhow::Result<Box<dyn CopyTo>> {
    Ok(match to {
        Database::Sqlite(path) => Box::new(CopyToSqlite::open(path)?),
        Database::Postgres(address) => Box::new(CopyToPostgres::open(address).await.map_err(told)?),
    })
}

fn told(error: CopyOpenError) -> anyhow::Error {
    match error {
        CopyOpenError::Open(error) => told_with_mend(error),
        CopyOpenError::Refused(refusal) => refusal.into(),
        CopyOpenError::Store(error) => error.into(),
    }
}

/// Opens every secret once: a copy that nobody could use is not begun. The keys that opened them.
async fn check_secrets(from: &mut dyn CopyFrom, vault: &Vault) -> StoreResult<BTreeSet<KeyId>> {
    let mut keys = BTreeSet::new();
    for table in COPIED_TABLES.iter().filter(|table| table.sealed_column().is_some()) {
        let mut after = None;
        loop {
            let chunk = from.read(table, after).await?;
            keys.append(&mut check_sealed(table, &chunk.rows, vault)?);
            after = chunk.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(keys)
}

/// A copy under way.
struct Copy<'a> {
    from: &'a mut dyn CopyFrom,
    to: &'a mut dyn CopyTo,
}

impl Copy<'_> {
    async fn run(&mut self, begun: CopyPlace, mark: &str) -> anyhow::Result<Vec<TableCopied>> {
        let mut counts = Vec::with_capacity(COPIED_TABLES.len());
        for table in COPIED_TABLES {
            counts.push((table, self.from.count(table).await?));
        }
        let progress = Progress::start("rows copied", counts.iter().map(|(_, rows)| rows).sum());
        if begun.rows > 0 {
            output::say(&format!("going on after {} rows", grouped(begun.rows)));
        }
        let copied = self.copy(begun, &progress).await;
        progress.finish();
        copied?;
        self.check_and_complete(&counts, mark).await
    }

    /// Reads ahead while it writes.
    async fn copy(&mut self, begun: CopyPlace, progress: &Progress) -> StoreResult<()> {
        let Some(mut table) = begun.table() else { return Ok(()) };
        let (mut place, mut chunk) = (begun.clone(), self.from.read(table, begun.after).await?);
        loop {
            place = place.further(chunk.rows.len(), chunk.next);
            let following = place.table();
            let reading = async {
                match following {
                    Some(table) => self.from.read(table, place.after.clone()).await.map(Some),
                    None => Ok(None),
                }
            };
            let (read, ()) = tokio::try_join!(reading, self.to.write(table, chunk.rows, &place))?;
            progress.set(place.rows);
            let (Some(next), Some(read)) = (following, read) else { return Ok(()) };
            (table, chunk) = (next, read);
        }
    }

    async fn check_and_complete(
        &mut self,
        counts: &[(&'static CopiedTable, u64)],
        mark: &str,
    ) -> anyhow::Result<Vec<TableCopied>> {
        let mut copied = Vec::with_capacity(counts.len());
        for (table, from) in counts {
            copied.push(TableCopied { table: table.name, from: *from, to: self.to.count(table).await? });
        }
        if let Some(wrong) = copied.iter().find(|table| table.from != table.to) {
            bail!(
                "table {} has {} rows, and {} of them are in the copy; begin again with an empty target",
                wrong.table,
                grouped(wrong.from),
                grouped(wrong.to)
            );
        }
        if self.from.mark().await? != mark {
            bail!("the database was changed while it was copied; begin again with an empty target");
        }
        let newest = self.from.newest_messages().await?;
        self.to.complete(&newest).await?;
        Ok(copied)
    }
}

/// How many rows of a table there are on each side.
#[derive(Debug, Serialize)]
struct TableCopied {
    table: &'static str,
    from: u64,
    to: u64,
}

impl Row for TableCopied {
    const COLUMNS: &'static [&'static str] = &["table", "from", "to"];

    fn cells(&self) -> Vec<String> {
        vec![self.table.to_owned(), grouped(self.from), grouped(self.to)]
    }
}

fn say_what_comes_next(args: &CopyArgs, copied: &[TableCopied], keys: &BTreeSet<KeyId>) {
    let rows: u64 = copied.iter().map(|table| table.to).sum();
    let (from, to) = (&args.from, &args.to);
    output::say(&format!("{} rows of {from} are in {to}, and counted on both sides", grouped(rows)));
    if !keys.is_empty() {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        output::say(&format!(
            "its secrets are sealed with key {}, which opens them all: give the target the same key file, by \
             --secret-key-file or in FANFARE_SECRET_KEY",
            keys.join(" and ")
        ));
    }
    output::say(&format!("serve from {to} now, and no more from {from}: both owe the same deliveries"));
}
