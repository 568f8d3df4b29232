//! Where the program's own log goes: stderr, as text or as JSON.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `FANFARE_LOG` chooses what, such as `debug` or `info,egress=debug`; without it, `level` and above.
pub(crate) fn start(format: LogFormat, level: &str) {
    // The pool says of each connection that it is lost; that the database is away is told once, by whoever needs it.
    let usual = || EnvFilter::new(format!("{level},tokio_postgres=error,deadpool=error,deadpool_postgres=error"));
    let filter = EnvFilter::try_from_env("FANFARE_LOG").unwrap_or_else(|_| usual());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // Somebody who has set up a subscriber before us keeps it.
    let _ = match format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.with_ansi(has_colours()).try_init(),
    };
}

fn has_colours() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !is_set("NO_COLOR") && (is_set("CLICOLOR_FORCE") || (io::stderr().is_terminal() && !is_dumb))
}
