//! Nodes of the real binary on one database, each by its own way to it, with a receiver and clients.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::cluster::Cluster;
use super::estate::{self, Estate, Size};
use super::load::Load;
use crate::receiver::Receiver;
use crate::server::{self, Server};

pub(crate) struct Fleet {
    pub(crate) load: Arc<Load>,
    pub(crate) receiver: Receiver,
    nodes: Vec<Node>,
    directory: TempDir,
}

struct Node {
    /// Its way to the database.
    url: String,
    /// Beside those that all have.
    arguments: Vec<String>,
    server: Option<Server>,
}

impl Fleet {
    /// A node for each of these ways to one database, all started; effects go to the user's database at `crm`.
    pub(crate) async fn start(urls: &[String], crm: &str, size: Size) -> Fleet {
        let receiver = Receiver::start().await;
        let port = receiver.address.port();
        Fleet::start_towards(urls, crm, size, receiver, port).await
    }

    /// The same, with the receiver behind this port.
    pub(crate) async fn start_towards(urls: &[String], crm: &str, size: Size, receiver: Receiver, port: u16) -> Fleet {
        let directory = tempfile::tempdir().unwrap();
        let settings = directory.path().join("inbox.toml");
        std::fs::write(&settings, estate::settings(crm)).unwrap();
        let arguments = vec!["--config".to_owned(), settings.to_str().unwrap().to_owned()];
        let key = server::create_account(Path::new(&urls[0])).await;
        let node = |url: &String| Node { url: url.clone(), arguments: arguments.clone(), server: None };
        let mut nodes: Vec<Node> = urls.iter().map(node).collect();
        let first = nodes[0].serve().await;
        let hook = format!("http://127.0.0.1:{port}/hook");
        let load = Arc::new(Load::new(Estate::make(first, key, size, &hook).await));
        load.set_node(0, Some(first));
        let mut fleet = Fleet { load, receiver, nodes, directory };
        for number in 1..urls.len() {
            fleet.start_node(number).await;
        }
        fleet
    }

    /// Two nodes straight on this server.
    pub(crate) async fn of_two(cluster: &Cluster, size: Size) -> Fleet {
        Fleet::start(&[cluster.url(), cluster.url()], &cluster.crm(), size).await
    }

    pub(crate) fn node(&mut self, number: usize) -> &mut Server {
        self.nodes[number].server.as_mut().expect("the node runs")
    }

    /// Starts a node, again where it ran before.
    pub(crate) async fn start_node(&mut self, number: usize) {
        let address = self.nodes[number].serve().await;
        self.load.set_node(number, Some(address));
    }

    /// From its next start on a node takes webhooks in and does nothing more: no deliveries, no handlers.
    pub(crate) fn let_only_accept(&mut self, number: usize) {
        let settings = self.directory.path().join("source.toml");
        std::fs::write(&settings, estate::settings_of_the_source()).unwrap();
        let arguments = ["--only", "receiver", "--config", settings.to_str().unwrap()];
        self.nodes[number].arguments = arguments.iter().map(ToString::to_string).collect();
    }

    pub(crate) async fn kill_node(&mut self, number: usize) {
        self.load.set_node(number, None);
        if let Some(mut server) = self.nodes[number].server.take() {
            server.kill().await;
        }
    }

    /// SIGTERM; all that the node has logged once it has ended well.
    pub(crate) async fn stop_node(&mut self, number: usize) -> String {
        self.load.set_node(number, None);
        self.nodes[number].server.take().expect("the node runs").stop().await
    }

    /// Lets a node sleep in the midst of whatever it does.
    pub(crate) fn freeze_node(&mut self, number: usize) {
        self.load.set_node(number, None);
        self.node(number).signal(Signal::SIGSTOP);
    }

    pub(crate) fn wake_node(&mut self, number: usize) {
        let server = self.node(number);
        server.signal(Signal::SIGCONT);
        let address = server.address;
        self.load.set_node(number, Some(address));
    }

    /// Ends all nodes well.
    pub(crate) async fn stop(&mut self) {
        for node in &mut self.nodes {
            if let Some(server) = node.server.take() {
                server.stop().await;
            }
        }
    }
}

/// Lines of each log that a failed test shows.
const LINES_SHOWN: usize = 40;

impl Drop for Fleet {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let told = node.server.as_ref().map(Server::told).unwrap_or_default();
            let lines: Vec<&str> = told.lines().collect();
            let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
            eprintln!("node {number} has told at last:\n{shown}\n");
        }
    }
}

impl Node {
    async fn serve(&mut self) -> SocketAddr {
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.0/8"];
        arguments.extend(self.arguments.iter().map(String::as_str));
        let server = Server::start_with(Path::new(&self.url), &arguments, None).await.expect("the node starts");
        let address = server.address;
        self.server = Some(server);
        address
    }
}
