//! The one binary: reads arguments and environment, wires the crates together and turns the result into an exit code:
//! 0 done, 1 failed, 2 wrong usage. What the commands do is in `commands/`, one file each.

mod cli;
mod clock;
mod commands;
mod config;
mod database;
mod engine;
mod limits;
mod logs;
mod output;
mod presence;
mod progress;
mod receiving;
mod secret_keys;
mod server;
mod signals;
mod zones;

use std::process::ExitCode;

use clap::Parser;
use store::FailPoint;

use cli::{Cli, Command};
use config::UsageError;

fn main() -> ExitCode {
    arm_for_tests();
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            output::say(&format!("error: {}", told_once(&error)));
            if error.is::<UsageError>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => block_on(commands::demo::run(args)),
        Command::Serve(args) => done(block_on(commands::serve::run(args))),
        Command::Account(command) => done(block_on(commands::account::run(command))),
        Command::Participants(command) => done(block_on(commands::participants::run(command))),
        Command::Nodes(command) => done(block_on(commands::nodes::run(command))),
        Command::Audit(command) => done(block_on(commands::audit::run(command))),
        Command::Import(args) => block_on(commands::import::run(args)),
        Command::Deliveries(command) => done(block_on(commands::deliveries::run(command))),
        Command::Notices(command) => done(block_on(commands::notices::run(command))),
        Command::Replay(args) => done(block_on(commands::replay::run(*args))),
        Command::Inbox(command) => done(block_on(commands::inbox::run(*command))),
        Command::Backup(args) => done(block_on(commands::backup::run(args))),
        Command::Compact(args) => done(block_on(commands::compact::run(args))),
        Command::Copy(args) => done(block_on(commands::copy::run(*args))),
        Command::Secrets(command) => done(block_on(commands::secrets::run(command))),
        // It binds its threads to cores, so it makes its own runtime.
        Command::Bench(command) => done(commands::bench::run(command)),
    }
}

/// The error and its causes, without those whose words stand in the text before already.
fn told_once(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// For crash tests: `FANFARE_FAIL_POINT=BatchAfterCommit:7` ends the process when that place is passed the eighth
/// time, and `FANFARE_TEST_FLUSH_LATE` answers commits before they are on disk. Release builds have neither.
fn arm_for_tests() {
    if !cfg!(debug_assertions) {
        return;
    }
    if std::env::var_os("FANFARE_TEST_FLUSH_LATE").is_some() {
        store_sqlite::flush_late_for_a_test();
    }
    if let Ok(text) = std::env::var("FANFARE_FAIL_POINT")
        && let Some((place, passes)) = text.split_once(':')
        && let (Ok(place), Ok(passes)) = (place.parse::<FailPoint>(), passes.parse())
    {
        place.arm(passes);
    }
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use receiver::Scheme;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error = Scheme::standard_webhooks(["whsec_c2hvcnQ="]).expect_err("5 bytes");
        let words = error.to_string();
        assert_eq!(told_once(&error.into()), words);
        let other = anyhow::anyhow!("no such file").context("cannot read it").context("cannot import");
        assert_eq!(told_once(&other), "cannot import: cannot read it: no such file");
    }
}
