//! Nodes of the real binary on one database, each by its own way to it, with a receiver and clients.

use std::path::{Path, PathBuf};
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
    settings: PathBuf,
    _directory: TempDir,
}

struct Node {
    /// Its way to the database.
    url: String,
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
        estate::write_settings(&settings, crm);
        let key = server::create_account(Path::new(&urls[0])).await;
        // The first that serves from a database makes what all others find.
        let first = serve(&urls[0], &settings, &[]).await;
        let hook = format!("http://127.0.0.1:{port}/hook");
        let load = Arc::new(Load::new(Estate::make(first.address, key, size, &hook).await));
        load.set_node(0, Some(first.address));
        let node = |url: &String| Node { url: url.clone(), arguments: Vec::new(), server: None };
        let mut fleet =
            Fleet { load, receiver, nodes: urls.iter().map(node).collect(), settings, _directory: directory };
        fleet.nodes[0].server = Some(first);
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
        let node = &mut self.nodes[number];
        let arguments: Vec<&str> = node.arguments.iter().map(String::as_str).collect();
        let server = serve(&node.url, &self.settings, &arguments).await;
        self.load.set_node(number, Some(server.address));
        node.server = Some(server);
    }

    /// From its next start on a node has these arguments as well.
    pub(crate) fn set_arguments(&mut self, number: usize, arguments: &[&str]) {
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

async fn serve(url: &str, settings: &Path, arguments: &[&str]) -> Server {
    let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--allow-target", "127.0.0.0/8"];
    all.extend(["--config", settings.to_str().unwrap()]);
    all.extend(arguments);
    Server::start_with(Path::new(url), &all, None).await.expect("the node starts")
}
