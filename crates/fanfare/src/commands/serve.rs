//! `fanfare serve`: the whole system in one process, until SIGTERM or Ctrl-C.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Args;
use provider::target::TargetPolicy;
use tokio::net::TcpListener;
use web::{Dashboard, Halves};
use webinar::Zones;

use crate::config::{Schemes, Settings, SettingsArgs};
use crate::database::Database;
use crate::engine::Engine;
use crate::logs::LogFormat;
use crate::receiving::{self, ReceivingSettings};
use crate::server::{Parts, Server};
use crate::signals::StopSignals;
use crate::{limits, logs, output, secret_keys, zones};

/// How to serve.
#[derive(Debug, Args)]
#[command(after_help = "An option wins over the environment (FANFARE_LISTEN and so on), that over the settings file, \
    that over the default. FANFARE_LOG chooses what is logged, such as debug.\n\nTime zones are those of the bundled tz \
    database or of the system's (TZDIR), whichever is newer.\n\nSIGTERM or Ctrl-C stops gracefully: \
    what is under way is finished, for at most 35 seconds; a second one stops at once.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Serves until told to stop.
pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let settings = args.settings.complete()?;
    logs::start(settings.log_format, "info");
    let mut signals = StopSignals::listen()?;
    limits::raise_open_files_limit();

    let zones = zones::newest();
    let (vault, made) = settings.secret_keys.vault(&settings.database)?;
    let (engine, lock) = Engine::open_as_server(&settings.database, &zones, vault).await?;
    let listener = TcpListener::bind(settings.listen).await.with_context(|| {
        format!("cannot listen on {}; stop what uses it, or choose another with --listen ADDRESS:PORT", settings.listen)
    })?;
    let parts = Parts {
        engine: engine.clone(),
        zones: zones.clone(),
        listener,
        targets: targets(&settings)?,
        dashboard: settings.dashboard,
        halves: settings.halves,
        disable_after: settings.disable_after,
        rule_updates: settings.rule_updates,
        receiving: receiving_settings(&settings)?,
    };
    let mut server = Server::start(parts).await?;
    greet(&settings, server.address(), &zones);
    warn_of_exposure(&settings, server.address());
    if let Some(made) = made {
        tracing::info!(file = %made.display(), "{}", secret_keys::NEW_FILE);
    }
    engine.warn().await;
    if engine.store().accounts().await?.is_empty() {
        tracing::info!("there is no account yet; make one with: fanfare account create --name NAME --timezone ZONE");
    }

    let ended = tokio::select! {
        () = signals.next() => Ok(()),
        error = server.failed() => Err(error),
    };
    signals.exit_at_the_next();
    tracing::info!("stopping: finishing what is under way");
    let stopped = server.stop().await;
    drop(lock);
    ended.and(stopped)?;
    tracing::info!("stopped");
    Ok(())
}

/// The receiving half, where it is served and the settings file says something of it.
fn receiving_settings(settings: &Settings) -> anyhow::Result<Option<ReceivingSettings>> {
    let Some(file) = settings.file.clone().filter(|_| settings.halves != Halves::Provider) else { return Ok(None) };
    let database = match &settings.database {
        Database::Sqlite(path) => Some(path.clone()),
        Database::Postgres(_) => None,
    };
    Ok(receiving::is_in(&receiving::read_text(&file)?).then_some(ReceivingSettings { file, database }))
}

fn targets(settings: &Settings) -> anyhow::Result<TargetPolicy> {
    Ok(TargetPolicy {
        https_only: settings.schemes == Schemes::HttpsOnly,
        allow: settings.allow_targets.clone(),
        own_addresses: egress::own_addresses().context("cannot list this machine's addresses")?,
        ..TargetPolicy::default()
    })
}

fn greet(settings: &Settings, address: SocketAddr, zones: &Zones) {
    let (database, tzdb) = (&settings.database, zones.version());
    if settings.log_format == LogFormat::Json {
        tracing::info!(%address, %database, tzdb, dashboard = %format!("http://{address}/"), "listening");
        return;
    }
    let sign_in = match settings.dashboard {
        Dashboard::Open => "open to whoever reaches it",
        Dashboard::Keyed => "any user name, an API key as the password",
    };
    output::say(&format!(
        "Fanfare {}\n  listening on  http://{address}\n  database      {database}\n  time zones    {tzdb}\n  \
         dashboard     http://{address}/ ({sign_in})",
        env!("CARGO_PKG_VERSION"),
    ));
}

fn warn_of_exposure(settings: &Settings, address: SocketAddr) {
    if address.ip().is_loopback() {
        return;
    }
    tracing::warn!(%address, "reachable from other machines without TLS; put a proxy with TLS in front of it");
    if settings.dashboard == Dashboard::Open {
        tracing::warn!("the dashboard shows all accounts to whoever reaches it; leave --open-dashboard out here");
    }
}
