//! Hints between nodes that there is something to do, by LISTEN and NOTIFY on a connection of their own. Only hints: all
//! work is found by looking for it, so what is lost here costs a second and nothing else. No transaction that accepts
//! anything notifies, since such commits wait for each other, one at a time in the whole server.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Connection};

use crate::columns::in_words;
use crate::open::{Address, Preparing};

const CHANNEL: &str = "fanfare";
/// A node tells the others at most so often, however much it is given to do.
const QUIET: Duration = Duration::from_millis(100);
/// Between two tries to connect. Meanwhile work is found by looking.
const RECONNECT_AFTER: Duration = Duration::from_secs(2);

/// What there may be something to do of, poked when there is.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Lanes have something to send.
    pub lanes: Arc<Notify>,
    /// Replays have something to put into the queue.
    pub replays: Arc<Notify>,
    /// Handlers have messages.
    pub runs: Arc<Notify>,
}

impl Hints {
    /// Each kind with its name in a notification.
    fn kinds(&self) -> [(&'static str, &Arc<Notify>); 3] {
        [("lanes", &self.lanes), ("replays", &self.replays), ("runs", &self.runs)]
    }

    /// Pokes the kinds that a notification names. One of a newer version may name others.
    fn poke(&self, payload: &str) {
        for name in payload.split(' ') {
            let known = self.kinds().into_iter().find(|(known, _)| *known == name);
            known.iter().for_each(|(_, notify)| notify.notify_one());
        }
    }
}

/// Passes what is poked in `asked` on to `working` at once, and to the other nodes soon, and what they say to `working`;
/// until `stop` holds `true`. Behind a pooler in transaction mode, which loses what is listened for, there are no others.
pub async fn pass_hints_on(address: Address, asked: Hints, working: Hints, mut stop: watch::Receiver<bool>) {
    let news = News::default();
    let [lanes, replays, runs] = [0, 1, 2].map(|kind| pass_one_on(kind, &asked, &working, &news));
    let told = async {
        // An error means that nobody is left to say so.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    tokio::select! {
        () = told => {}
        _ = async { tokio::join!(lanes, replays, runs, talk(&address, &working, &news)) } => {}
    }
}

async fn pass_one_on(kind: usize, asked: &Hints, working: &Hints, news: &News) {
    let (asked, working) = (asked.kinds()[kind].1, working.kinds()[kind].1);
    loop {
        asked.notified().await;
        working.notify_one();
        news.add(kind);
    }
}

/// What the other nodes have not been told yet.
#[derive(Default)]
struct News {
    kinds: AtomicU8,
    has_any: Notify,
}

impl News {
    fn add(&self, kind: usize) {
        self.kinds.fetch_or(1 << kind, Ordering::Relaxed);
        self.has_any.notify_one();
    }

    /// Takes what there is, as a notification names it.
    fn take(&self, hints: &Hints) -> String {
        let kinds = self.kinds.swap(0, Ordering::Relaxed);
        let named = hints.kinds().into_iter().enumerate().filter(|(kind, _)| kinds & (1 << kind) != 0);
        named.map(|(_, (name, _))| name).collect::<Vec<_>>().join(" ")
    }
}

/// Talks with the other nodes over one connection after another, for ever.
async fn talk(address: &Address, working: &Hints, news: &News) {
    if address.preparing() == Preparing::Never {
        return;
    }
    let mut was_lost = false;
    loop {
        let Err(reason) = talk_once(address, working, news, was_lost).await;
        // Told once, not at every try: whoever cannot reach the server hears of it from everything else, too.
        if !was_lost {
            tracing::info!(reason, "no hints from other nodes; work is found by looking for it, within a second");
        }
        was_lost = true;
        sleep(RECONNECT_AFTER).await;
    }
}

async fn talk_once(address: &Address, working: &Hints, news: &News, was_lost: bool) -> Result<Infallible, String> {
    let (client, connection) = address.config().connect(address.tls()).await.map_err(|error| in_words(&error))?;
    let own = AtomicI32::new(0);
    let mut listening = pin!(listen(connection, &own, working));
    let telling = async {
        own.store(begin(&client).await.map_err(|error| in_words(&error))?, Ordering::Relaxed);
        if was_lost {
            tracing::info!("hints from other nodes are back");
        }
        // Whatever was said while nobody listened.
        working.kinds().into_iter().for_each(|(_, notify)| notify.notify_one());
        tell(&client, working, news).await
    };
    tokio::select! {
        ended = &mut listening => ended,
        failed = telling => failed,
    }
}

/// Listens from now on; the number by which this connection's own notifications are known.
async fn begin(client: &Client) -> Result<i32, tokio_postgres::Error> {
    let row = client.query_one("select pg_backend_pid()", &[]).await?;
    client.batch_execute(&format!("listen {CHANNEL}")).await?;
    row.try_get(0)
}

/// Tells the other nodes what this one has been asked.
async fn tell(client: &Client, hints: &Hints, news: &News) -> Result<Infallible, String> {
    loop {
        news.has_any.notified().await;
        let payload = news.take(hints);
        if payload.is_empty() {
            continue;
        }
        let values: [(&(dyn ToSql + Sync), Type); 2] = [(&CHANNEL, Type::TEXT), (&payload, Type::TEXT)];
        client.query_typed("select pg_notify($1, $2)", &values).await.map_err(|error| in_words(&error))?;
        sleep(QUIET).await;
    }
}

/// Drives a connection, and pokes what other nodes name.
async fn listen<S, T>(mut connection: Connection<S, T>, own: &AtomicI32, working: &Hints) -> Result<Infallible, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: TlsStream + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(said))) if said.process_id() != own.load(Ordering::Relaxed) => {
                working.poke(said.payload());
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(in_words(&error)),
            None => return Err("PostgreSQL has ended the connection".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::tests::TestDatabase;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// What a node asks and is asked, and the task between.
    struct Node {
        asked: Hints,
        working: Hints,
        stop: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    impl Node {
        fn start(address: Address) -> Node {
            let (asked, working, (stop, stopped)) = (Hints::default(), Hints::default(), watch::channel(false));
            let task = tokio::spawn(pass_hints_on(address, asked.clone(), working.clone(), stopped));
            Node { asked, working, stop, task }
        }

        /// Waits until it listens, which pokes everything.
        async fn listens(&self) {
            for (kind, hint) in self.working.kinds() {
                poked(hint).await.unwrap_or_else(|_| panic!("{kind}"));
            }
        }
    }

    async fn poked(hint: &Notify) -> Result<(), tokio::time::error::Elapsed> {
        timeout(PATIENCE, hint.notified()).await
    }

    fn is_poked(hint: &Notify) -> bool {
        futures_util::FutureExt::now_or_never(hint.notified()).is_some()
    }

    #[tokio::test]
    async fn what_one_node_is_asked_every_node_hears_of_and_of_nothing_else() {
        let Some(database) = TestDatabase::new() else { return };
        let nodes = [Node::start(database.address()), Node::start(database.address())];
        for node in &nodes {
            node.listens().await;
        }
        nodes[0].asked.runs.notify_one();
        for node in &nodes {
            poked(&node.working.runs).await.unwrap();
            assert!(!is_poked(&node.working.lanes) && !is_poked(&node.working.replays));
        }
        for node in nodes {
            node.stop.send_replace(true);
            timeout(PATIENCE, node.task).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn a_connection_that_is_lost_is_made_anew_and_meanwhile_this_node_hears_itself() {
        let Some(database) = TestDatabase::new() else { return };
        let nodes = [Node::start(database.address()), Node::start(database.address())];
        for node in &nodes {
            node.listens().await;
        }
        let session = database.store().session().await.unwrap();
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                   where query = 'listen fanfare' and datname = current_database()";
        session.execute_all(sql).await.unwrap();
        nodes[0].asked.lanes.notify_one();
        timeout(Duration::from_secs(1), nodes[0].working.lanes.notified()).await.expect("at once");
        for node in &nodes {
            node.listens().await;
        }
        nodes[1].asked.replays.notify_one();
        poked(&nodes[0].working.replays).await.unwrap();
    }

    #[tokio::test]
    async fn behind_a_pooler_by_the_transaction_a_node_hears_itself() {
        let address: Address = "postgres://nobody@127.0.0.1:1/none?pooler=transaction".parse().unwrap();
        let node = Node::start(address);
        node.asked.lanes.notify_one();
        poked(&node.working.lanes).await.unwrap();
        assert!(!is_poked(&node.working.runs));
    }

    #[test]
    fn kinds_that_are_not_known_are_passed_over() {
        let hints = Hints::default();
        hints.poke("colours runs  lanes");
        assert_eq!(hints.kinds().map(|(_, hint)| is_poked(hint)), [true, false, true]);
        let news = News::default();
        [2, 0, 2].into_iter().for_each(|kind| news.add(kind));
        assert_eq!([news.take(&hints), news.take(&hints)], ["lanes runs", ""]);
    }
}
