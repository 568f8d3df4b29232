//! The real binary as a server: started, stopped, killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use store::{Chance, FailPoint, SealingKey, Vault};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::secrecy;

/// Far more than any step takes; a hang becomes a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A free port, and a receiver on this machine.
const ARGUMENTS: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.0/8"];

pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
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

/// Copies the database; what the command tells.
pub(crate) async fn back_up(database: &Path, to: &Path) -> String {
    let ran = command(database).arg("backup").arg("--to").arg(to).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Runs a command on the database, beside whatever serves from it; what it tells.
pub(crate) async fn run(database: &Path, arguments: &[&str]) -> String {
    let ran = command(database).args(arguments).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// From the environment, since copies of a database are opened without the files beside it.
fn sealing_key() -> SealingKey {
    SealingKey::from_bytes([7; 32])
}

/// Opens what the servers have sealed, and seals nothing.
pub(crate) fn vault() -> Vault {
    Vault::new([sealing_key()], Arc::new(NoChance)).unwrap()
}

struct NoChance;

impl Chance for NoChance {
    fn fill(&self, _: &mut [u8]) {
        unreachable!("nothing is sealed");
    }
}

fn command(database: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.env("FANFARE_DATABASE", database).env("FANFARE_SECRET_KEY", &*sealing_key().reveal());
    command.kill_on_drop(true).stdin(Stdio::null());
    command
}

impl Server {
    /// Starts it on a free port; `None` where the process ended before it listened.
    pub(crate) async fn start(database: &Path, failing: Option<(FailPoint, u64)>) -> Option<Server> {
        Server::start_with(database, &ARGUMENTS, failing).await
    }

    /// Starts it with these arguments.
    pub(crate) async fn start_with(
        database: &Path,
        arguments: &[&str],
        failing: Option<(FailPoint, u64)>,
    ) -> Option<Server> {
        let mut command = command(database);
        command.args(arguments);
        Server::spawn(command, failing).await
    }

    /// Starts it with these arguments and one setting in its environment.
    pub(crate) async fn start_where(
        database: &Path,
        arguments: &[&str],
        (name, value): (&str, &Path),
    ) -> Option<Server> {
        let mut command = command(database);
        command.args(arguments).env(name, value);
        Server::spawn(command, None).await
    }

    /// Starts it with these arguments and settings in its environment.
    pub(crate) async fn start_with_settings(
        database: &Path,
        arguments: &[&str],
        environment: &[(&'static str, String)],
    ) -> Option<Server> {
        let mut command = command(database);
        command.args(arguments).envs(environment.iter().cloned());
        Server::spawn(command, None).await
    }

    /// Starts it with these settings in its environment.
    pub(crate) async fn start_in(database: &Path, environment: &[(&'static str, PathBuf)]) -> Option<Server> {
        let mut command = command(database);
        command.args(ARGUMENTS).envs(environment.iter().cloned());
        Server::spawn(command, None).await
    }

    /// Starts it on a copy of the database in a small file system of its own, which goes with it; the copy's path.
    /// `None` where this machine lets us mount none.
    pub(crate) async fn start_on_small_disk(database: &Path, bytes: u64) -> Option<(Server, PathBuf)> {
        const MOUNT: &str = "mount -t tmpfs -o size=\"$0\" tmpfs \"$1\" && cp \"$2\" \"$1\" && shift 2 && exec \"$@\"";
        let directory = database.parent().unwrap().canonicalize().unwrap();
        let (mounted, name) = (directory.join("small"), database.file_name().unwrap());
        std::fs::create_dir(&mounted).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", MOUNT, &bytes.to_string()]);
        command.args([mounted.as_os_str(), database.as_os_str(), env!("CARGO_BIN_EXE_fanfare").as_ref()]);
        command.args(ARGUMENTS).env("FANFARE_DATABASE", mounted.join(name)).kill_on_drop(true).stdin(Stdio::null());
        command.env("FANFARE_SECRET_KEY", &*sealing_key().reveal());
        let server = Server::spawn(command, None).await?;
        let inside = format!("/proc/{}/root{}", server.process.id().unwrap(), mounted.display());
        Some((server, Path::new(&inside).join(name)))
    }

    async fn spawn(mut command: Command, failing: Option<(FailPoint, u64)>) -> Option<Server> {
        if let Some((place, passes)) = failing {
            command.env("FANFARE_FAIL_POINT", format!("{place}:{passes}"));
        }
        Server::listening(command).await
    }

    /// Starts it with everything logged that there is to log.
    pub(crate) async fn start_talkative(database: &Path) -> Server {
        let mut command = command(database);
        command.args(["serve", "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.0/8"]).env("FANFARE_LOG", "trace");
        Server::spawn(command, None).await.expect("the server starts")
    }

    async fn listening(mut command: Command) -> Option<Server> {
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let log: Arc<Mutex<String>> = Arc::default();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        while let Some(line) = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap() {
            keep(&log, &line);
            if let Some((_, address)) = line.split_once("listening on  http://") {
                let address = address.trim().parse().unwrap();
                let kept = log.clone();
                let reading = tokio::spawn(async move {
                    while let Ok(Some(line)) = lines.next_line().await {
                        keep(&kept, &line);
                    }
                });
                return Some(Server { process, address, log, reading });
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

    pub(crate) fn told(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it ends by itself; its exit code and all it told.
    pub(crate) async fn ended(mut self) -> (Option<i32>, String) {
        let status = timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap();
        timeout(PATIENCE, &mut self.reading).await.expect("its log ends").unwrap();
        (status.code(), self.told())
    }

    /// The most memory it has held so far (`VmHWM`), bytes; `None` where the system does not tell.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    pub(crate) async fn kill(&mut self) {
        let _ = self.process.kill().await;
    }

    /// Sends it a signal, such as one that lets it sleep.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id().expect("it lives")).unwrap();
        kill(Pid::from_raw(id), signal).unwrap();
    }

    /// Whether it has not ended.
    pub(crate) fn lives(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// SIGTERM, as an operator would; all it has logged.
    pub(crate) async fn stop(mut self) -> String {
        self.signal(Signal::SIGTERM);
        let status = timeout(PATIENCE, self.process.wait()).await.expect("it stops").unwrap();
        assert!(status.success(), "a graceful stop exits with 0, not {status}");
        timeout(PATIENCE, &mut self.reading).await.expect("its log ends").unwrap();
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            secrecy::check(&self.log.lock().unwrap());
        }
    }
}

fn keep(log: &Mutex<String>, line: &str) {
    let mut log = log.lock().unwrap();
    log.push_str(line);
    log.push('\n');
}
