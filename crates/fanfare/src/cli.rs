//! What can be typed: the commands and the groups of options they share. Each command's own options stand in its file.

use clap::{Args, Parser, Subcommand};
use wire::AccountId;

use store::{PAGE_SIZE_MAX, Page, StoreResult};

use crate::commands::account::AccountCommand;
use crate::commands::audit::AuditCommand;
use crate::commands::backup::BackupArgs;
use crate::commands::bench::BenchCommand;
use crate::commands::compact::CompactArgs;
use crate::commands::copy::CopyArgs;
use crate::commands::deliveries::DeliveriesCommand;
use crate::commands::demo::DemoArgs;
use crate::commands::import::ImportArgs;
use crate::commands::inbox::InboxCommand;
use crate::commands::nodes::NodesCommand;
use crate::commands::notices::NoticesCommand;
use crate::commands::participants::ParticipantsCommand;
use crate::commands::replay::ReplayArgs;
use crate::commands::secrets::SecretsCommand;
use crate::commands::serve::ServeArgs;
use crate::output::ListFormat;

/// Announces webinar series by signed webhooks, one for every participant, and receives such webhooks safely.
#[derive(Debug, Parser)]
#[command(name = "fanfare", version, propagate_version = true)]
#[command(after_help = "Start with: fanfare demo\n\n\
    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the whole of it in a minute, in a temporary database: a series announced, moved, received and verified.
    Demo(DemoArgs),
    /// Run the server: API, deliveries, inbox and dashboard.
    Serve(ServeArgs),
    /// Make and list accounts and their API keys; works beside a running server.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Show a person, or erase one everywhere; works beside a running server.
    #[command(subcommand)]
    Participants(ParticipantsCommand),
    /// Look who did what to an account, when and from where.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Bring the members of a mango from a CSV file; works beside a running server.
    Import(ImportArgs),
    /// Look into the delivery log.
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// Send again what failed, or a whole event, under the ids it has; works beside a running server.
    Replay(Box<ReplayArgs>),
    /// See what needs the account's owner: disabled endpoints, changed rules of time zones.
    #[command(subcommand)]
    Notices(NoticesCommand),
    /// Which servers share a database, and with how much to do.
    #[command(subcommand)]
    Nodes(NodesCommand),
    /// Look into the inbox, have messages handled again, and make the places it accepts webhooks at.
    #[command(subcommand)]
    Inbox(Box<InboxCommand>),
    /// Copy the database into a new file while the server works on it.
    Backup(BackupArgs),
    /// Rewrite the database file: shorter, and without remains of what was erased; the server must be stopped.
    Compact(CompactArgs),
    /// Move house: copy everything into another, empty database, of SQLite or PostgreSQL; the servers must be stopped.
    Copy(Box<CopyArgs>),
    /// The keys that seal signing secrets in the database: make one, and reseal everything with another.
    #[command(subcommand)]
    Secrets(SecretsCommand),
    /// Measure what one delivery and one acceptance cost on this machine.
    #[command(subcommand)]
    Bench(BenchCommand),
}

/// Which account a command is about.
#[derive(Debug, Args)]
pub(crate) struct AccountArg {
    /// The account; needed only where the database has several.
    #[arg(long, env = "FANFARE_ACCOUNT", value_name = "acc_…")]
    pub(crate) account: Option<AccountId>,
}

/// How a list is printed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// How to print it; `json` is one object a line.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: ListFormat,
    /// The same as `-o json`.
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

impl ListArgs {
    pub(crate) fn format(&self) -> ListFormat {
        if self.json { ListFormat::Json } else { self.output }
    }
}

/// How much of a list is printed.
#[derive(Debug, Args)]
pub(crate) struct LimitArg {
    /// At most so many.
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

impl LimitArg {
    /// Reads a list to its end, or to the limit, page by page: `read` is given where to go on and how many to bring.
    pub(crate) async fn gather<T, Cursor>(
        &self,
        mut read: impl AsyncFnMut(Option<Cursor>, usize) -> StoreResult<Page<T, Cursor>>,
    ) -> StoreResult<Vec<T>> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page = read(after, PAGE_SIZE_MAX.min(limit - items.len())).await?;
            items.extend(page.items);
            after = page.next;
            if after.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_of_all_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn json_is_short_for_the_output_format() {
        let parse = |args: &[&str]| match Cli::try_parse_from(args).unwrap().command {
            Command::Deliveries(DeliveriesCommand::List(args)) => args.output.format(),
            other => panic!("{other:?}"),
        };
        assert_eq!(parse(&["fanfare", "deliveries", "list"]), ListFormat::Table);
        assert_eq!(parse(&["fanfare", "deliveries", "list", "--json"]), ListFormat::Json);
        assert_eq!(parse(&["fanfare", "deliveries", "list", "-o", "csv"]), ListFormat::Csv);
    }
}
