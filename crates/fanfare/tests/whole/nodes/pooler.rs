//! Through PgBouncer, which gives a connection for one transaction only.

use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Child;

use super::cluster::{Cluster, STORE, free_port};
use super::estate::Size;
use super::fleet::Fleet;
use super::{programs, wait_for};

const SIZE: Size = Size { members: 200, endpoints: 3, series: 4, per_second: None };

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_work_through_a_pooler_that_gives_connections_by_the_transaction() {
    let (Some(program), Some(cluster)) = (programs::pgbouncer(), Cluster::start().await) else { return };
    let pooler = Pooler::start(program, &cluster).await;
    let url = format!("{}&pooler=transaction", Cluster::url_through(pooler.port));
    let mut fleet = Fleet::start(&[url.clone(), url], &cluster.crm(), SIZE).await;
    fleet.load.publish_and_send(4, 40).await;
    fleet.wait_until_all_is_done(&cluster).await;
    fleet.judge(&cluster, &cluster, 1).await;
    let direct = format!("select count(*) from pg_stat_activity where datname = '{STORE}'");
    assert!(cluster.count("postgres", &direct).await <= 4, "fewer connections than the nodes have");
    fleet.stop().await;
}

struct Pooler {
    port: u16,
    _process: Child,
    directory: TempDir,
}

impl Pooler {
    /// Four connections to the server for all that come.
    async fn start(program: PathBuf, cluster: &Cluster) -> Pooler {
        let (directory, port) = (tempfile::tempdir_in("/tmp").unwrap(), free_port());
        programs::give_to_owner(directory.path());
        let file = directory.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n{STORE} = host=127.0.0.1 port={0} user=fanfare\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 4\n\
             logfile = {1}/log\npidfile = {1}/pid\n",
            cluster.port,
            directory.path().display()
        );
        std::fs::write(&file, settings).unwrap();
        let mut command = programs::as_owner(&program);
        let process =
            command.arg(&file).kill_on_drop(true).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("PgBouncer listens", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        Pooler { port, _process: process, directory }
    }
}

impl Drop for Pooler {
    /// Ends the process itself: what was started here may be the program that changed its user.
    fn drop(&mut self) {
        let text = std::fs::read_to_string(self.directory.path().join("pid")).unwrap_or_default();
        if let Ok(process) = text.trim().parse() {
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
    }
}
