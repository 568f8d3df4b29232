//! A proxy between a node and its database, or between the nodes and a receiver: it lets everything pass, cuts connections,
//! holds everything back as a partition does, or cuts a connection just before or just after a commit of its choice.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::wire::{Messages, Transaction};

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

/// What is behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    Postgres,
    Anything,
}

/// When a connection is cut: the client cannot tell one from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The commit never reaches the server.
    BeforeTheCommit,
    /// The server has committed, and its answer never reaches the client.
    AfterTheCommit,
}

/// Commits to be cut: those of transactions that hold this text.
struct Cut {
    of: &'static str,
    moment: Moment,
    times: usize,
}

struct Shared {
    behind: Behind,
    target: u16,
    is_held: watch::Sender<bool>,
    cuts: watch::Sender<u64>,
    to_cut: Mutex<Vec<Cut>>,
    commits_cut: AtomicUsize,
    loses_notifications: AtomicBool,
    notifications_lost: AtomicUsize,
}

impl Proxy {
    /// To a port of this machine.
    pub(crate) async fn to(target: u16, behind: Behind) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            behind,
            target,
            is_held: watch::Sender::new(false),
            cuts: watch::Sender::new(0),
            to_cut: Mutex::default(),
            commits_cut: AtomicUsize::new(0),
            loses_notifications: AtomicBool::new(false),
            notifications_lost: AtomicUsize::new(0),
        });
        let accepting = shared.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let shared = accepting.clone();
                // A connection that breaks is what a proxy of faults is for.
                tokio::spawn(async move { drop(carry(&shared, client).await) });
            }
        });
        Proxy { port, shared }
    }

    /// Cuts all connections there are; new ones pass.
    pub(crate) fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on nothing goes either way, and nothing is closed.
    pub(crate) fn hold(&self) {
        self.shared.is_held.send_replace(true);
    }

    /// What was held back goes on.
    pub(crate) fn let_go(&self) {
        self.shared.is_held.send_replace(false);
    }

    /// Cuts the next connections that commit something with this text.
    pub(crate) fn cut_commits(&self, of: &'static str, moment: Moment, times: usize) {
        self.shared.to_cut.lock().unwrap().push(Cut { of, moment, times });
    }

    /// How many commits were cut.
    pub(crate) fn commits_cut(&self) -> usize {
        self.shared.commits_cut.load(Ordering::Relaxed)
    }

    /// From now on no notification reaches the client.
    pub(crate) fn lose_notifications(&self) {
        self.shared.loses_notifications.store(true, Ordering::Relaxed);
    }

    pub(crate) fn notifications_lost(&self) -> usize {
        self.shared.notifications_lost.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn wait_while_held(&self) {
        let _ = self.is_held.subscribe().wait_for(|is_held| !is_held).await;
    }

    /// When the connection that commits this is to be cut, if it is.
    fn cut_for(&self, statements: &[String]) -> Option<Moment> {
        let mut to_cut = self.to_cut.lock().unwrap();
        let is_meant = |cut: &&mut Cut| cut.times > 0 && statements.iter().any(|text| text.contains(cut.of));
        let cut = to_cut.iter_mut().find(is_meant)?;
        cut.times -= 1;
        Some(cut.moment)
    }
}

/// Carries one connection to its end.
async fn carry(shared: &Shared, client: TcpStream) -> io::Result<()> {
    let mut cuts = shared.cuts.subscribe();
    let carrying = async {
        shared.wait_while_held().await;
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.target)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let swallows = AtomicBool::new(false);
        tokio::select! {
            ended = upwards(shared, from_client, to_server, &swallows) => ended,
            ended = downwards(shared, from_server, to_client, &swallows) => ended,
        }
    };
    tokio::select! {
        ended = carrying => ended,
        _ = cuts.changed() => Ok(()),
    }
}

/// From the client to the server, up to a commit that is to be cut.
async fn upwards(
    shared: &Shared,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    swallows: &AtomicBool,
) -> io::Result<()> {
    let (mut chunk, mut messages, mut transaction) =
        (vec![0; 64 * 1024], Messages::of_client(), Transaction::default());
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        shared.wait_while_held().await;
        if shared.behind == Behind::Postgres {
            messages.push(&chunk[..read]);
            while let Some(message) = messages.next() {
                let moment = transaction.take_in(&message).and_then(|statements| shared.cut_for(&statements));
                match moment {
                    Some(Moment::BeforeTheCommit) => {
                        shared.commits_cut.fetch_add(1, Ordering::Relaxed);
                        return Ok(());
                    }
                    Some(Moment::AfterTheCommit) => swallows.store(true, Ordering::Relaxed),
                    None => {}
                }
            }
        }
        to.write_all(&chunk[..read]).await?;
    }
}

/// From the server to the client. Where a commit is swallowed, up to the server's answer to it.
async fn downwards(
    shared: &Shared,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    swallows: &AtomicBool,
) -> io::Result<()> {
    let (mut chunk, mut messages) = (vec![0; 64 * 1024], Messages::of_server());
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        shared.wait_while_held().await;
        if shared.behind == Behind::Anything {
            to.write_all(&chunk[..read]).await?;
            continue;
        }
        messages.push(&chunk[..read]);
        let mut passing = Vec::with_capacity(read);
        while let Some(message) = messages.next() {
            let is_swallowed = swallows.load(Ordering::Relaxed);
            match message.kind() {
                b'C' if is_swallowed && message.text(0) == "COMMIT" => {
                    shared.commits_cut.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                b'A' if shared.loses_notifications.load(Ordering::Relaxed) => {
                    shared.notifications_lost.fetch_add(1, Ordering::Relaxed);
                }
                _ if is_swallowed => {}
                _ => passing.extend(message.bytes),
            }
        }
        to.write_all(&passing).await?;
    }
}
