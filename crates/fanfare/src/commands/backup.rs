//! `fanfare backup`: a copy of the database while a server works on it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::database::DatabaseArgs;
use crate::output;

/// Where to copy it.
#[derive(Debug, Args)]
#[command(
    after_help = "Everything acknowledged before the copy begins is in it. The server goes on meanwhile. To use a \
    copy, start fanfare serve with --database sqlite:FILE; what was owed at the time of the copy is then sent, so \
    receivers may get again, under the same webhook-id, what they got since. Signing secrets in the copy open only with \
    the key file, which is not copied: keep it elsewhere, and give it with --secret-key-file."
)]
pub(crate) struct BackupArgs {
    /// The new file to copy it into; nothing is overwritten.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

const ON_POSTGRES: &str = "back it up as PostgreSQL does it: pg_dump for a copy of one moment, or base backups with WAL \
    archiving, which lose nothing (docs/postgres.md)";

/// Copies it.
pub(crate) async fn run(args: BackupArgs) -> anyhow::Result<()> {
    let from = args.database.file(ON_POSTGRES)?;
    let to = args.to.clone();
    let bytes = tokio::task::spawn_blocking(move || store_sqlite::back_up(&from, &to)).await??;
    if args.json {
        return output::print_json(&json!({ "file": args.to.to_string_lossy(), "bytes": bytes }));
    }
    output::print_line(&format!("copied into {}: {bytes} bytes, checked", args.to.display()));
    Ok(())
}
