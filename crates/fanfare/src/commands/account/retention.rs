//! `fanfare account retention`: shows and sets how long an account keeps what.

use clap::Args;
use store::{Act, Retention};

use crate::cli::AccountArg;
use crate::config::UsageError;
use crate::database::{DatabaseArgs, by_hand, the_account};
use crate::output;

/// How long to keep what; without numbers it is only shown.
#[derive(Debug, Args)]
#[command(after_help = "What is older goes within an hour or two, while a server runs. What is pending always stays: \
    running announcements, retries, and searches of an erasure.")]
pub(crate) struct RetentionArgs {
    /// Days for which the inbox keeps bodies and headers.
    #[arg(long, value_name = "DAYS")]
    bodies: Option<u16>,
    /// Days for which each delivery and its attempts are kept.
    #[arg(long, value_name = "DAYS")]
    log: Option<u16>,
    /// Days for which it is known that a message came, and that an event was announced and how it ended; at least 30, in
    /// which a copy of a message is recognised.
    #[arg(long, value_name = "DAYS")]
    metadata: Option<u16>,
    #[command(flatten)]
    account: AccountArg,
    /// Print one JSON object: {"bodiesDays", "logDays", "metadataDays"}.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(args: RetentionArgs) -> anyhow::Result<()> {
    let store = args.database.open_existing().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let before = store.retention(account).await?;
    let retention = Retention::new(
        args.bodies.unwrap_or(before.bodies_days()),
        args.log.unwrap_or(before.log_days()),
        args.metadata.unwrap_or(before.metadata_days()),
    )
    .map_err(|error| UsageError(error.to_string()))?;
    if retention != before {
        store.noting(by_hand(account, Act::AccountRetention, account)).set_retention(account, retention).await?;
    }
    let (bodies, log, metadata) = (retention.bodies_days(), retention.log_days(), retention.metadata_days());
    if args.json {
        let days = serde_json::json!({ "bodiesDays": bodies, "logDays": log, "metadataDays": metadata });
        return output::print_json(&days);
    }
    output::print_line(&format!("bodies    {bodies} days\nlog       {log} days\nmetadata  {metadata} days"));
    Ok(())
}
