//! `fanfare inbox`: what has been accepted, and what handlers made of it, in the terminal.

mod arrivals;
mod check;
mod export;
mod handlers;
mod labels;
mod list;
mod message;
mod orders;
mod runs;
mod show;
mod source;
mod trial;
mod which;

use clap::Subcommand;

use arrivals::ArrivalsArgs;
use check::{CheckArgs, SchemaArgs};
use export::ExportArgs;
use handlers::HandlersArgs;
use list::MessageListArgs;
use orders::{DropArgs, RerunArgs};
use runs::{DeadArgs, RunListArgs};
use show::ShowArgs;
use source::SourceCommand;
use trial::TryArgs;

/// What to do with the inbox.
#[derive(Debug, Subcommand)]
pub(crate) enum InboxCommand {
    /// Check a settings file: every mistake, with its line and its mend.
    Check(CheckArgs),
    /// Run one payload through a settings file and show what would happen, without doing it.
    Try(TryArgs),
    /// Print the tables that the sql handler keeps, to be made by hand.
    Schema(SchemaArgs),
    /// List messages, newest first.
    List(MessageListArgs),
    /// Show one message: how it came, what it says, what was repaired, and what became of it.
    Show(ShowArgs),
    /// List handlers: how far each is, what waits, and how many dead letters it has.
    Handlers(HandlersArgs),
    /// List what handlers made of messages, newest message first.
    Runs(RunListArgs),
    /// List dead letters: what handlers gave up, and why.
    Dead(DeadArgs),
    /// Have messages handled again: one message, or those that match; works beside a running server.
    Rerun(RerunArgs),
    /// Drop what waits, is given up or has not been begun; works beside a running server.
    Drop(DropArgs),
    /// Write messages as they came, one JSON object a line.
    Export(ExportArgs),
    /// See which webhooks of a fan-out have not come, where the sender is a Fanfare.
    Arrivals(ArrivalsArgs),
    /// Make and list sources, the places webhooks are accepted at, and give them keys.
    #[command(subcommand)]
    Source(SourceCommand),
}

/// Does it.
pub(crate) async fn run(command: InboxCommand) -> anyhow::Result<()> {
    match command {
        InboxCommand::Check(args) => check::run(&args),
        InboxCommand::Try(args) => trial::run(args).await,
        InboxCommand::Schema(args) => check::print_schema(&args),
        InboxCommand::List(args) => list::run(args).await,
        InboxCommand::Show(args) => show::run(args).await,
        InboxCommand::Handlers(args) => handlers::run(args).await,
        InboxCommand::Runs(args) => runs::run(args).await,
        InboxCommand::Dead(args) => runs::dead(args).await,
        InboxCommand::Rerun(args) => orders::rerun(args).await,
        InboxCommand::Drop(args) => orders::drop_runs(args).await,
        InboxCommand::Export(args) => export::run(args).await,
        InboxCommand::Arrivals(args) => arrivals::run(args).await,
        InboxCommand::Source(command) => source::run(command).await,
    }
}
