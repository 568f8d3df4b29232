//! `fanfare demo`: the whole main job in a temporary database, over real HTTP with real signatures. The server of the
//! demo is the one of `serve`; the demo talks to it as any client would.

mod audience;
mod counts;
mod http;
mod story;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use provider::lane::DISABLE_AFTER;
use provider::target::TargetPolicy;
use store_sqlite::{ServerLock, SqliteStore};
use tempfile::TempDir;
use tokio::net::TcpListener;
use web::{Dashboard, Halves};
use webinar::{RuleUpdate, Zones};

use crate::config::ListenAddress;
use crate::engine::Engine;
use crate::logs::{self, LogFormat};
use crate::output::{self, grouped};
use crate::server::{Parts, Server};
use crate::signals::StopSignals;
use crate::{secret_keys, zones};
use counts::Counts;
use story::Story;

/// A million is what the design is for; more would fill the temporary directory, at about 2 KB for each webhook stored.
const PARTICIPANTS_MAX: u64 = 1_000_000;

/// How much to show.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// People to tell.
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=PARTICIPANTS_MAX))]
    participants: u64,
    /// End when everything is counted, instead of leaving the dashboard open.
    #[arg(long)]
    exit: bool,
    /// Print the counts as one JSON object.
    #[arg(long)]
    json: bool,
    /// Where to listen [default: 127.0.0.1:8080, or a free port where that is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<ListenAddress>,
}

/// Shows it. Code 1 where anything was lost or doubled.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    logs::start(LogFormat::Text, "error");
    let mut signals = StopSignals::listen()?;
    let mut stage = Stage::build(args.listen).await?;
    let mut story = Story::new(stage.engine.store(), stage.zones.clone(), stage.server.address(), args.participants);

    let shown = tokio::select! {
        counts = story.tell() => Some(counts),
        error = stage.server.failed() => Some(Err(error)),
        () = signals.next() => None,
    };
    let code = match shown {
        Some(Ok(counts)) => {
            counts.print(args.json)?;
            if !args.exit {
                invite(&stage, args.participants);
                tokio::select! {
                    () = signals.next() => {}
                    error = stage.server.failed() => return Err(error),
                }
            }
            if counts.are_perfect() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Some(Err(error)) => return Err(error),
        None => {
            output::say("\nstopped before the end");
            ExitCode::FAILURE
        }
    };
    signals.exit_at_the_next();
    stage.clear().await?;
    Ok(code)
}

/// What the demo runs on; gone with it.
struct Stage {
    server: Server,
    engine: Engine,
    zones: Zones,
    lock: ServerLock,
    directory: TempDir,
}

impl Stage {
    async fn build(listen: Option<ListenAddress>) -> anyhow::Result<Stage> {
        let directory =
            tempfile::tempdir().context("cannot make a temporary directory; set TMPDIR to one that is writable")?;
        let zones = zones::newest();
        let (store, lock) = SqliteStore::open_as_server(
            &directory.path().join("demo.db"),
            zones.clone(),
            secret_keys::passing_vault()?,
        )?;
        let engine = Engine::Sqlite(store);
        let listener = bind(listen).await?;
        let address = reachable(listener.local_addr()?);
        let server = Server::start(Parts {
            engine: engine.clone(),
            zones: zones.clone(),
            listener,
            // The receiver is this very process, which no target rule admits by itself.
            targets: TargetPolicy { allow: vec![address.to_string().parse()?], ..TargetPolicy::default() },
            dashboard: Dashboard::Open,
            halves: Halves::Both,
            disable_after: DISABLE_AFTER,
            rule_updates: RuleUpdate::Waiting,
            receiving: None,
        })
        .await?;
        Ok(Stage { server, engine, zones, lock, directory })
    }

    async fn clear(self) -> anyhow::Result<()> {
        let Stage { server, engine, lock, directory, .. } = self;
        server.stop().await?;
        drop((engine, lock));
        directory.close().context("cannot remove the temporary directory")
    }
}

async fn bind(listen: Option<ListenAddress>) -> anyhow::Result<TcpListener> {
    let usual = ListenAddress::default().0;
    let address = listen.map_or(usual, |listen| listen.0);
    let told = || format!("cannot listen on {address}; choose another with --listen ADDRESS:PORT");
    match (TcpListener::bind(address).await, listen) {
        (Err(_), None) => TcpListener::bind(SocketAddr::new(usual.ip(), 0)).await.with_context(told),
        (bound, _) => bound.with_context(told),
    }
}

/// The address under which a listener is reached from here: all addresses is no address to call.
fn reachable(listening: SocketAddr) -> SocketAddr {
    match listening {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, v6.port())),
        other => other,
    }
}

fn invite(stage: &Stage, participants: u64) {
    let address = reachable(stage.server.address());
    output::say(&format!(
        "\nSee both announcements, the newest of their {} deliveries and of the inbox at http://{address}/ (open while \
         this runs; Ctrl-C ends it and removes the database)",
        grouped(participants * Counts::EVENTS)
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_called_over_loopback() {
        for (listening, called) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.1.2.3:80", "10.1.2.3:80")]
        {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), called);
        }
    }
}
