//! The real binary as a server: started, stopped, killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use store::FailPoint;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Far more than any step takes; a hang becomes a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

/// How a server's run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Died,
    Survived,
}

/// Makes an account by the command line; its API key.
pub(crate) async fn create_account(database: &Path) -> String {
    let made = command(database)
        .args(["account", "create", "--name", "Acme", "--timezone", "Asia/Kolkata", "--json"])
        .output()
        .await
        .unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    made["apiKey"].as_str().unwrap().to_owned()
}

fn command(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.env("FANFARE_DATABASE", database).kill_on_drop(true).stdin(Stdio::null());
    command
}

impl Server {
    /// Starts it on a free port; `None` where the process ended before it listened.
    pub(crate) async fn start(database: &Path, failing: Option<(FailPoint, u64)>) -> Option<Server> {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.0/8"];
        Server::start_with(database, &arguments, failing).await
    }

    /// Starts it with these arguments.
    pub(crate) async fn start_with(
        database: &Path,
        arguments: &[&str],
        failing: Option<(FailPoint, u64)>,
    ) -> Option<Server> {
        let failing = failing.map(|(place, passes)| PathBuf::from(format!("{place}:{passes}")));
        let environment = failing.iter().map(|failing| ("FANFARE_FAIL_POINT", failing));
        Server::start_in(database, arguments, &environment.collect::<Vec<_>>()).await
    }

    /// Starts it with these arguments in this environment.
    pub(crate) async fn start_in(
        database: &Path,
        arguments: &[&str],
        environment: &[(&str, &PathBuf)],
    ) -> Option<Server> {
        let mut command = command(database);
        command.args(arguments).envs(environment.iter().copied());
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        while let Some(line) = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap() {
            if let Some((_, address)) = line.split_once("listening on  http://") {
                let address = address.trim().parse().unwrap();
                // The pipe must not fill up.
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return Some(Server { process, address });
            }
        }
        None
    }

    /// Waits until the process dies, or until `is_over` says that it had no reason to.
    pub(crate) async fn died_or(&mut self, is_over: impl Fn() -> bool) -> Ended {
        let dying = async {
            loop {
                tokio::select! {
                    _ = self.process.wait() => return Ended::Died,
                    () = sleep(LOOK_AGAIN_AFTER) => {}
                }
                if is_over() {
                    // What comes after the last delivery (commits, release, checkpoint) has a second to fail.
                    return match timeout(Duration::from_secs(1), self.process.wait()).await {
                        Ok(_) => Ended::Died,
                        Err(_) => Ended::Survived,
                    };
                }
            }
        };
        let ended = timeout(PATIENCE, dying).await.expect("it dies or delivers");
        self.kill().await;
        ended
    }

    pub(crate) async fn kill(&mut self) {
        let _ = self.process.kill().await;
    }

    /// SIGTERM, as an operator would.
    pub(crate) async fn stop(mut self) {
        let id = i32::try_from(self.process.id().unwrap()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGTERM).unwrap();
        let status = timeout(PATIENCE, self.process.wait()).await.expect("it stops").unwrap();
        assert!(status.success(), "a graceful stop exits with 0, not {status}");
    }
}
