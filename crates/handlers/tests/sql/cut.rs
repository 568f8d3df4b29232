//! A connection that is cut at the worst moments: with the effect sent and the commit not, and with the commit done and
//! its answer on the way.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handlers::Handler;
use handlers::sql::{SqlHandler, SqlSettings, SqlTarget, SqlWork, Statement};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::events::job;
use crate::world::{Database, handler, rules};

const TIMEOUT: Duration = Duration::from_secs(20);

/// Where the connection is cut, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    BeforeTheCommit,
    BeforeItsAnswer,
}

type Order = Arc<Mutex<Option<Cut>>>;

/// Takes connections for the server and cuts one when ordered.
async fn between(server: SocketAddr, order: Order) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(server).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let end = Arc::new(Notify::new());
            tokio::spawn(carry(
                from_client,
                to_server,
                (b"Q\0\0\0\x0bcommit\0", Cut::BeforeTheCommit),
                order.clone(),
                end.clone(),
            ));
            tokio::spawn(carry(from_server, to_client, (b"COMMIT\0", Cut::BeforeItsAnswer), order.clone(), end));
        }
    });
    address
}

/// Carries bytes until one end is closed, or up to the mark at which to cut; then both directions end.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (mark, cut): (&'static [u8], Cut),
    order: Order,
    end: Arc<Notify>,
) {
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let length = tokio::select! {
            () = end.notified() => return,
            length = from.read(&mut buffer) => length.unwrap_or(0),
        };
        let place = buffer[..length].windows(mark.len()).position(|bytes| bytes == mark);
        let is_cut = place.is_some() && order.lock().unwrap().take_if(|ordered| *ordered == cut).is_some();
        let carried = if is_cut { place.unwrap() } else { length };
        if to.write_all(&buffer[..carried]).await.is_err() || is_cut || length == 0 {
            end.notify_one();
            return;
        }
    }
}

async fn world(order: &Order) -> Option<(Database, SqlHandler)> {
    let database = Database::postgres().await?;
    database.run("create table kept (run text)").await;
    let text = "insert into kept values (:message.idempotencyKey)";
    let work = SqlWork::Statements(vec![Statement::parse(text, database.dialect(), None).unwrap()]);
    // The table of runs is made beforehand, whose commit is not the one to cut at.
    handler(&database.url, work.clone(), TIMEOUT).check().await.unwrap();
    let server = database.url.split(['@', '/']).find(|part| part.starts_with("127.0.0.1:")).unwrap().to_owned();
    let proxy = between(server.parse().unwrap(), order.clone()).await;
    let url = database.url.replace(&server, &proxy.to_string());
    let target = SqlTarget::parse(&url, None).unwrap();
    let settings = SqlSettings { target, work, create_tables: false, forbidden_file: None };
    let handler = SqlHandler::new(settings, &rules(TIMEOUT)).unwrap();
    Some((database, handler))
}

#[tokio::test]
async fn a_run_whose_connection_is_cut_is_done_once_by_the_next_attempt() {
    for (cut, after, then) in
        [(Cut::BeforeTheCommit, "0", "ran the statements"), (Cut::BeforeItsAnswer, "1", "already done")]
    {
        let order: Order = Arc::new(Mutex::new(Some(cut)));
        let Some((database, handler)) = world(&order).await else { return };
        let failure = handler.handle(&job("v1 #1 ann: a")).await.unwrap_err();
        assert!(failure.reason.contains("was lost"), "{cut:?}: {failure:?}");
        assert_eq!(database.one("select count(*) from kept").await, after, "{cut:?}");
        assert_eq!(handler.handle(&job("v1 #1 ann: a")).await.unwrap(), then, "{cut:?}");
        assert_eq!(database.one("select count(*) from kept").await, "1", "{cut:?}");
    }
}

#[tokio::test]
async fn a_run_on_a_connection_that_had_waited_is_tried_anew_at_once_and_still_done_once() {
    for (cut, words) in [(Cut::BeforeTheCommit, "ran the statements"), (Cut::BeforeItsAnswer, "already done")] {
        let order: Order = Arc::default();
        let Some((database, handler)) = world(&order).await else { return };
        handler.handle(&job("v1 #1 ann: a")).await.unwrap();
        *order.lock().unwrap() = Some(cut);
        assert_eq!(handler.handle(&job("v1 #2 ann: a")).await.unwrap(), words, "{cut:?}");
        assert_eq!(*order.lock().unwrap(), None, "the connection was cut");
        assert_eq!(database.one("select count(*), count(distinct run) from kept").await, "2 2", "{cut:?}");
    }
}
