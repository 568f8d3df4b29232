//! A way to the database that breaks at the worst moment: around a COMMIT, or a statement that is a transaction by itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Address;

/// COMMIT as it travels.
const COMMIT: &[u8] = b"commit\0";

/// How a COMMIT, or another statement, is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It is carried out, and the connection ends before its answer is here.
    Answer,
    /// It does not arrive, and both ends see the connection end.
    Commit,
    /// It does not arrive, and the database does not see the connection end.
    CommitUnseen,
}

/// The way, which loses one COMMIT or statement each time it is told to.
pub(crate) struct LossyWay {
    at: SocketAddr,
    losing: Arc<Losing>,
}

#[derive(Default)]
struct Losing {
    /// How, and what is in it.
    next: Mutex<Option<(Loss, &'static [u8])>>,
    lost: AtomicUsize,
}

impl LossyWay {
    /// A way to the server of a database.
    pub(crate) async fn to(database: &Address) -> LossyWay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, losing) = (listener.local_addr().unwrap(), Arc::new(Losing::default()));
        let (server, shared) = (host(&database.to_string()).to_owned(), losing.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(carry(client, server, shared.clone()));
            }
        });
        LossyWay { at, losing }
    }

    /// The address of the database by this way.
    pub(crate) fn address(&self, database: &Address) -> Address {
        let text = database.to_string();
        text.replace(host(&text), &self.at.to_string()).parse().unwrap()
    }

    /// The same for a store that sends each statement whole, as it does behind a pooler.
    pub(crate) fn address_unprepared(&self, database: &Address) -> Address {
        let text = database.to_string();
        format!("{}?pooler=transaction", text.replace(host(&text), &self.at.to_string())).parse().unwrap()
    }

    /// Loses the next COMMIT in this manner.
    pub(crate) fn lose(&self, loss: Loss) {
        *self.losing.next.lock().unwrap() = Some((loss, COMMIT));
    }

    /// Loses the next statement that has this in it.
    pub(crate) fn lose_statement(&self, loss: Loss, part: &'static str) {
        *self.losing.next.lock().unwrap() = Some((loss, part.as_bytes()));
    }

    /// How many it has lost.
    pub(crate) fn lost(&self) -> usize {
        self.losing.lost.load(Ordering::SeqCst)
    }
}

impl Losing {
    /// How this is to be lost, if it is.
    fn loss_of(&self, sent: &[u8]) -> Option<Loss> {
        let is_meant = |(_, part): &mut (Loss, &[u8])| sent.windows(part.len()).any(|window| window == *part);
        let loss = self.next.lock().unwrap().take_if(is_meant).map(|(loss, _)| loss);
        self.lost.fetch_add(usize::from(loss.is_some()), Ordering::SeqCst);
        loss
    }
}

/// Host and port of an address.
fn host(address: &str) -> &str {
    let (_, after) = address.split_once('@').unwrap();
    after.split_once('/').unwrap().0
}

async fn carry(mut client: TcpStream, mut server: TcpStream, losing: Arc<Losing>) {
    let (mut asked, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Some(sent) = some(read).map(|count| &asked[..count]) else { return };
                if let Some(loss) = losing.loss_of(sent) {
                    drop(client);
                    return lose(server, sent, loss).await;
                }
                if server.write_all(sent).await.is_err() { return }
            }
            read = server.read(&mut answered) => {
                let Some(sent) = some(read).map(|count| &answered[..count]) else { return };
                if client.write_all(sent).await.is_err() { return }
            }
        }
    }
}

async fn lose(mut server: TcpStream, commit: &[u8], loss: Loss) {
    let mut unheard = [0; 1024];
    match loss {
        Loss::Commit => {}
        Loss::Answer => {
            server.write_all(commit).await.unwrap();
            let _ = server.read(&mut unheard).await;
        }
        // Until the server ends it by itself.
        Loss::CommitUnseen => while some(server.read(&mut unheard).await).is_some() {},
    }
}

/// How much was read, before the end.
fn some(read: std::io::Result<usize>) -> Option<usize> {
    read.ok().filter(|count| *count > 0)
}
