//! A PostgreSQL server that any number of nodes share: opened, asked whether it keeps what is written, and what each node
//! does for it beside its work.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use store::{Clock, DedupeWindow, StoreError, StoreResult, Vault};
use store_postgres::{Address, Hints, PostgresStore, Severity};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use webinar::Zones;

use crate::clock::SystemClock;
use crate::database::told_with_mend;

/// A server that does not answer sooner is as good as away; whoever asks for our readiness gives up soon, too.
const CHECK_TIME_MAX: Duration = Duration::from_secs(4);
/// Partitions are made for days ahead, and a day's log may stay an hour longer.
const PARTITIONS_EVERY: Duration = Duration::from_secs(3_600);
/// Where somebody was using a table, or the server was away.
const PARTITIONS_AGAIN: Duration = Duration::from_secs(60);

/// A PostgreSQL server and the way to it.
#[derive(Clone)]
pub(crate) struct SharedServer {
    pub(super) store: PostgresStore,
    address: Address,
    /// The proof that is under way: one that hangs keeps its connection until it ends, so that there is never a second.
    proof: Arc<Mutex<Option<JoinHandle<StoreResult<()>>>>>,
}

impl SharedServer {
    pub(super) async fn open(address: &Address, zones: &Zones, vault: Vault) -> anyhow::Result<SharedServer> {
        let opened = PostgresStore::open_as_server(address, zones.clone(), vault).await;
        let store = opened.map_err(told_with_mend)?;
        let server = SharedServer { store, address: address.clone(), proof: Arc::default() };
        server.check().await.with_context(|| format!("cannot serve from {address}"))?;
        Ok(server)
    }

    pub(super) fn with_dedupe_window(self, window: DedupeWindow) -> SharedServer {
        SharedServer { store: self.store.with_dedupe_window(window), ..self }
    }

    /// Proves that what is written now would be kept.
    pub(super) async fn check(&self) -> StoreResult<()> {
        let mut proof = self.proof.lock().await;
        let store = self.store.clone();
        let under_way = proof.get_or_insert_with(|| tokio::spawn(async move { store.check_writable().await }));
        match timeout(CHECK_TIME_MAX, under_way).await {
            Ok(ended) => {
                *proof = None;
                ended.unwrap_or_else(|error| Err(StoreError::broken(error)))
            }
            Err(_) => Err(StoreError::Unwritable(format!(
                "PostgreSQL has not kept a write within {} s; it is cut off, overloaded, or waits for a synchronous \
                 standby",
                CHECK_TIME_MAX.as_secs()
            ))),
        }
    }

    /// Says in the log what an operator should know of the server before something is lost by it.
    pub(super) async fn warn(&self) {
        let findings = match self.store.examine_server(&SystemClock).await {
            Ok(findings) => findings,
            Err(error) => return tracing::warn!(%error, "the settings of the PostgreSQL server could not be looked at"),
        };
        for finding in findings {
            match finding.severity {
                Severity::Warning => tracing::warn!("{}", finding.text),
                Severity::Remark => tracing::info!("{}", finding.text),
            }
        }
    }

    /// What a node does for the others and with them, until told to stop.
    pub(super) async fn attend(self, asked: Hints, working: Hints, stop: watch::Receiver<bool>) {
        let hints = store_postgres::pass_hints_on(self.address.clone(), asked, working, stop.clone());
        tokio::join!(hints, self.keep_partitions(stop));
    }

    /// Each node does it, so that none is needed for it; whoever comes second finds nothing to do.
    async fn keep_partitions(&self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = match self.store.keep_partitions(SystemClock.now()).await {
                Ok(kept) if kept.postponed == 0 => PARTITIONS_EVERY,
                Ok(_) => PARTITIONS_AGAIN,
                Err(error) => {
                    tracing::warn!(%error, "the log's partitions could not be kept; trying again in a minute");
                    PARTITIONS_AGAIN
                }
            };
            tokio::select! {
                // An error means that nobody is left to say so.
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep(pause) => {}
            }
        }
    }
}
