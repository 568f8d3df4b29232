//! `fanfare audit`: the audit log in the terminal.

use clap::{Args, Subcommand};
use serde::Serialize;
use store::AuditRecord;

use crate::cli::{AccountArg, LimitArg, ListArgs};
use crate::database::{DatabaseArgs, the_account};
use crate::output::{self, Row, instant};

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// List who did what, newest first.
    List(AuditListArgs),
}

/// Which entries to list.
#[derive(Debug, Args)]
pub(crate) struct AuditListArgs {
    #[command(flatten)]
    limit: LimitArg,
    #[command(flatten)]
    account: AccountArg,
    #[command(flatten)]
    output: ListArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Does it.
pub(crate) async fn run(command: AuditCommand) -> anyhow::Result<()> {
    let AuditCommand::List(args) = command;
    let store = args.database.open_to_read().await?;
    let account = the_account(&*store, args.account.account).await?.id;
    let found = args.limit.gather(async |after, limit| store.audit_log(account, after, limit).await).await?;
    let rows: Vec<_> = found.into_iter().map(AuditRow::from).collect();
    output::print_list(args.output.format(), &rows, "nothing has been done to this account yet")
}

#[derive(Serialize)]
struct AuditRow {
    at: String,
    actor: String,
    from: Option<String>,
    act: String,
    object: String,
}

impl From<AuditRecord> for AuditRow {
    fn from(record: AuditRecord) -> AuditRow {
        AuditRow {
            at: instant(record.at),
            actor: record.actor.as_str().to_owned(),
            from: record.from.map(|address| address.to_string()),
            act: record.act,
            object: record.object,
        }
    }
}

impl Row for AuditRow {
    const COLUMNS: &'static [&'static str] = &["at", "actor", "from", "act", "object"];

    fn cells(&self) -> Vec<String> {
        let AuditRow { at, actor, from, act, object } = self;
        vec![at.clone(), actor.clone(), from.clone().unwrap_or_default(), act.clone(), object.clone()]
    }
}
