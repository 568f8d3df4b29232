//! `fanfare secrets`: the keys that seal signing secrets in the database. The secrets themselves are the API's.

use clap::{Args, Subcommand};
use store_postgres::PostgresStore;
use store_sqlite::{OpenError, SqliteStore};

use crate::database::{Database, DatabaseArgs, told_with_mend};
use crate::{output, secret_keys, zones};

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretsCommand {
    /// Print a new key, for a key file or FANFARE_SECRET_KEY.
    NewKey,
    /// Seal every secret with the first key, so that older keys can be taken away.
    Reseal(ResealArgs),
}

/// The database whose secrets to seal anew.
#[derive(Debug, Args)]
#[command(
    after_help = "To exchange the key:\n  1  put a new one (fanfare secrets new-key) before the old one, in the key \
    file or in FANFARE_SECRET_KEY\n  2  restart the server with both, or stop it\n  3  run this\n  4  take the old key \
    away"
)]
pub(crate) struct ResealArgs {
    /// Print one JSON object: {"resealed", "key"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: SecretsCommand) -> anyhow::Result<()> {
    match command {
        SecretsCommand::NewKey => {
            output::print_line(&secret_keys::new_key().reveal());
            Ok(())
        }
        SecretsCommand::Reseal(args) => reseal(args).await,
    }
}

async fn reseal(args: ResealArgs) -> anyhow::Result<()> {
    let vault = args.database.vault()?;
    let key = vault.key_in_use();
    let resealed = match args.database.choose()?.0 {
        Database::Sqlite(_) => {
            let path = args.database.file("")?;
            // Where no server runs, a new key may come into use here; a running one must have it already.
            let (store, _lock) = match SqliteStore::open_as_server(&path, zones::newest(), vault.clone()) {
                Ok((store, lock)) => (store, Some(lock)),
                Err(OpenError::InUse(_)) => (SqliteStore::open(&path, zones::newest(), vault)?, None),
                Err(other) => return Err(other.into()),
            };
            store.reseal().await?
        }
        // Nodes may run anywhere, so only their starts bring a key into use.
        Database::Postgres(address) => {
            let opened = PostgresStore::open_existing(&address, zones::newest(), vault).await;
            opened.map_err(told_with_mend)?.reseal().await?
        }
    };
    if args.json {
        return output::print_json(&serde_json::json!({ "resealed": resealed, "key": key.to_string() }));
    }
    let secrets = output::counted(resealed, "secret", "secrets");
    output::print_line(&format!("{secrets} sealed anew; key {key} opens everything now"));
    Ok(())
}
