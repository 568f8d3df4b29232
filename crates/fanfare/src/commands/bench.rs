//! `fanfare bench`: what one delivery and one acceptance cost on this machine. The measured process runs on one core,
//! its counterpart is a process of its own on another, so that neither is charged for the other.

mod dedupe;
mod deliver;
mod inbox;
mod load;
mod meter;
mod neighbours;
mod sink;
mod stage;

use std::process::Stdio;

use anyhow::Context;
use clap::Subcommand;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::limits;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Publish to N participants and deliver to a sink process: rate, CPU, memory, disk.
    Deliver(deliver::DeliverArgs),
    /// Accept unique signed messages from a client process: rate, CPU, memory, disk.
    Inbox(inbox::InboxArgs),
    /// Accept new messages beside very many earlier ones, and beside none: CPU of both, disk for each earlier one.
    Dedupe(dedupe::DedupeArgs),
    /// Reach a healthy endpoint alone, and while many others hang: how much longer a save takes.
    Neighbours(neighbours::NeighboursArgs),
    /// Answer 200 to everything (the counterpart of `deliver`).
    #[command(hide = true)]
    Sink(sink::SinkArgs),
    /// Deliver from a PostgreSQL database (one of the nodes of `deliver`).
    #[command(hide = true)]
    Node(deliver::node::NodeArgs),
    /// Send signed messages (the counterpart of `inbox`).
    #[command(hide = true)]
    Load(load::LoadArgs),
}

/// Runs a benchmark or one of the counterparts, in a runtime of its own: its threads start after the process is bound
/// to its core, and so stay on it.
pub(crate) fn run(command: BenchCommand) -> anyhow::Result<()> {
    match command {
        // Nodes and server share all cores; on a file the lanes have one of their own.
        BenchCommand::Deliver(args) if args.is_on_server() => on_all_cores(deliver::run(args)),
        BenchCommand::Deliver(args) => on_core(MEASURED_CORE, deliver::run(args)),
        BenchCommand::Node(args) => on_all_cores(deliver::node::run(args)),
        BenchCommand::Inbox(args) => on_core(MEASURED_CORE, inbox::run(args)),
        BenchCommand::Dedupe(args) => on_core(MEASURED_CORE, dedupe::run(args)),
        BenchCommand::Neighbours(args) => {
            limits::raise_open_files_limit();
            on_core(MEASURED_CORE, neighbours::run(args))
        }
        BenchCommand::Sink(args) => on_core(COUNTERPART_CORE, sink::run(args)),
        BenchCommand::Load(args) => on_core(COUNTERPART_CORE, load::run(args)),
    }
}

fn on_core(core: usize, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> anyhow::Result<()> {
    meter::pin_to(core);
    on_all_cores(work)
}

fn on_all_cores(work: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // Spawned, because the thread that blocks here is not one of the runtime's workers.
    runtime.block_on(async { tokio::spawn(work).await? })
}

/// The core of the measured process.
const MEASURED_CORE: usize = 0;
/// The core of its counterpart.
const COUNTERPART_CORE: usize = 1;

/// This program, started again as a counterpart. It ends with us.
struct Counterpart {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Counterpart {
    fn start(arguments: &[String]) -> anyhow::Result<Counterpart> {
        Counterpart::start_with(arguments, &[])
    }

    /// The same with these variables in its environment.
    fn start_with(arguments: &[String], variables: &[(&str, &str)]) -> anyhow::Result<Counterpart> {
        let program = std::env::current_exe().context("this program's own file was not found")?;
        let mut process = Command::new(program)
            .arg("bench")
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the counterpart process could not be started")?;
        let output = process.stdout.take().context("the counterpart process has no output")?;
        Ok(Counterpart { process, output: BufReader::new(output).lines() })
    }

    /// Tells the counterpart to go on.
    async fn tell(&mut self) -> anyhow::Result<()> {
        let input = self.process.stdin.as_mut().context("the counterpart process takes no input")?;
        Ok(input.write_all(b"\n").await?)
    }

    /// Asks the counterpart for a number.
    async fn next_number(&mut self) -> anyhow::Result<u64> {
        self.tell().await?;
        Ok(self.next_line().await?.parse()?)
    }

    async fn next_line(&mut self) -> anyhow::Result<String> {
        self.output.next_line().await?.context("the counterpart process ended early")
    }
}
