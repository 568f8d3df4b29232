//! `fanfare compact`: rewrites the database file, so that it is as short as what it holds and nothing is left between the
//! rows. A server must not run meanwhile: no write could be done for as long as it takes. PostgreSQL does this by itself.

use clap::Args;
use store_sqlite::SqliteStore;

use crate::database::DatabaseArgs;
use crate::{output, zones};

/// Which database to rewrite.
#[derive(Debug, Args)]
#[command(
    after_help = "It needs the server stopped, and for a while as much free disk again as the file has, once in its \
    own directory and once in TMPDIR. A file that grows and shrinks by itself needs no compacting: pages that become free \
    are used anew."
)]
pub(crate) struct CompactArgs {
    /// Print one JSON object: {"bytesBefore", "bytesAfter"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

const ON_POSTGRES: &str = "PostgreSQL clears up after itself (autovacuum), so there is nothing to compact";

/// Does it.
pub(crate) async fn run(args: CompactArgs) -> anyhow::Result<()> {
    let path = args.database.file(ON_POSTGRES)?;
    let (store, _lock) = SqliteStore::open_as_server(&path, zones::newest(), args.database.vault()?)?;
    let (before, after) = store.compact().await?;
    if args.json {
        return output::print_json(&serde_json::json!({ "bytesBefore": before, "bytesAfter": after }));
    }
    output::print_line(&format!("{} bytes before, {} after", output::grouped(before), output::grouped(after)));
    Ok(())
}
