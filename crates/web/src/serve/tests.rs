//! The accept loop over real sockets, with short limits.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::WebSettings;
use crate::tests::world::World;

/// Long enough that only a limit that does not hold reaches it.
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(150);
/// Both ends of each are files of this process, which may have 1,024 of them.
const IDLE: usize = 400;

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<io::Result<()>>,
    _world: World,
}

impl Server {
    async fn with(limits: Limits) -> Server {
        let world = World::with(WebSettings { limits, ..WebSettings::default() }).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let context = world.context.clone();
        let running = tokio::spawn(serve(listener, context, async move { drop(stopped.await) }));
        Server { address, stop, running, _world: world }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends on a connection of its own; everything that comes back until it is closed.
    async fn exchange(&self, sent: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(sent).await.unwrap();
        read_to_end(&mut stream).await
    }
}

/// A reset instead of an end is the same to a client that has its answer.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let mut piece = [0; 4_096];
    let reading = async {
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            all.extend_from_slice(&piece[..read]);
        }
    };
    timeout(PATIENCE, reading).await.expect("the server closes the connection");
    String::from_utf8(all).unwrap()
}

/// One answer of a connection that stays open.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut piece = [0; 4_096];
    let read = timeout(PATIENCE, stream.read(&mut piece)).await.expect("an answer").unwrap();
    String::from_utf8(piece[..read].to_vec()).unwrap()
}

const LIVE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn the_inbox_and_the_router_answer_on_one_connection() {
    let server = Server::with(Limits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(LIVE).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"));
    stream.write_all(b"POST /in/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    let answer = read_head(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("cache-control: no-store"), "{answer}");
}

#[tokio::test]
async fn a_silent_a_slow_and_an_idle_connection_are_closed_in_time() {
    let server = Server::with(Limits { header_time: SHORT, ..Limits::default() }).await;
    let mut silent = server.connect().await;
    assert_eq!(read_to_end(&mut silent).await, "");
    assert_eq!(server.exchange(b"GET /livez HTTP/1.1\r\nhost: ").await, "");
    assert!(server.exchange(LIVE).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::with(Limits { body_time: SHORT, ..Limits::default() }).await;
    let answer = server.exchange(b"POST /in/x HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n{").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_and_without_its_length() {
    let server = Server::with(Limits { body_bytes: 1_000, ..Limits::default() }).await;
    let declared = server.exchange(b"POST /in/x HTTP/1.1\r\nhost: x\r\ncontent-length: 1001\r\n\r\n").await;
    assert!(declared.starts_with("HTTP/1.1 413"), "{declared}");
    let expecting = b"POST /in/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n";
    let expecting = server.exchange(expecting).await;
    assert!(expecting.starts_with("HTTP/1.1 413"), "{expecting}");
    let chunk =
        format!("POST /in/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{}\r\n", "x".repeat(1_001));
    let chunked = server.exchange(chunk.as_bytes()).await;
    assert!(chunked.starts_with("HTTP/1.1 413"), "{chunked}");
}

#[tokio::test]
async fn a_head_over_the_limit_is_refused() {
    let server = Server::with(Limits::default()).await;
    let long = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    assert!(server.exchange(long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(101));
    assert!(server.exchange(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn one_connection_too_many_waits_until_another_ends() {
    let server = Server::with(Limits { connections: 1, header_time: SHORT, ..Limits::default() }).await;
    let mut first = server.connect().await;
    first.write_all(LIVE).await.unwrap();
    assert!(read_head(&mut first).await.starts_with("HTTP/1.1 200"));

    let mut second = server.connect().await;
    second.write_all(LIVE).await.unwrap();
    // The first is closed because it is idle, and only then is the second one answered.
    assert_eq!(read_to_end(&mut first).await, "");
    assert!(read_head(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stop_finishes_the_request_under_way_and_takes_no_other() {
    let server = Server::with(Limits::default()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /in/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{").await.unwrap();
    // An answer on another connection proves that the first has been accepted before the stop.
    let mut other = server.connect().await;
    other.write_all(LIVE).await.unwrap();
    read_head(&mut other).await;

    server.stop.send(()).unwrap();
    assert_eq!(read_to_end(&mut other).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    stream.write_all(b"}").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
    timeout(PATIENCE, server.running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_cuts_off_what_does_not_finish() {
    let server = Server::with(Limits { drain_time: SHORT, ..Limits::default() }).await;
    let mut stream = server.connect().await;
    stream.write_all(b"POST /in/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{").await.unwrap();
    server.stop.send(()).unwrap();
    timeout(PATIENCE, server.running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_never_reads_is_given_up() {
    let server = Server::with(Limits { answer_time: SHORT, ..Limits::default() }).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    // More answers than any buffer holds.
    let asking = async {
        let many = b"GET /assets/style.css HTTP/1.1\r\nhost: x\r\n\r\n".repeat(256);
        while stream.write_all(&many).await.is_ok() {}
    };
    timeout(PATIENCE, asking).await.expect("the server gives up");
}

#[tokio::test]
async fn a_head_and_a_body_by_drips_end_in_time_although_something_always_comes() {
    let limits = Limits { header_time: SHORT, body_time: SHORT, ..Limits::default() };
    let server = Server::with(limits).await;
    for (start, answer) in [
        ("GET /livez HTTP/1.1\r\nx: ", ""),
        ("POST /in/x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n", "HTTP/1.1 408"),
        ("POST /in/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n100000\r\n", "HTTP/1.1 408"),
    ] {
        let (mut reading, mut writing) = server.connect().await.into_split();
        writing.write_all(start.as_bytes()).await.unwrap();
        let dripping = async {
            while writing.write_all(b"x").await.is_ok() {
                sleep(SHORT / 10).await;
            }
        };
        let mut told = Vec::new();
        let listening = timeout(PATIENCE, reading.read_to_end(&mut told));
        tokio::select! {
            ended = listening => drop(ended.expect("it ends in time")),
            () = dripping => {}
        }
        assert!(told.starts_with(answer.as_bytes()), "{start:?} {}", String::from_utf8_lossy(&told));
    }
}

#[tokio::test]
async fn new_clients_are_served_beside_many_idle_ones() {
    let server = Server::with(Limits { header_time: PATIENCE, ..Limits::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(server.connect().await);
    }
    let mut stream = server.connect().await;
    stream.write_all(LIVE).await.unwrap();
    assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 200"));
    drop(idle);
}

#[tokio::test]
async fn a_stranger_is_turned_away_before_the_body_is_read() {
    let server = Server::with(Limits::default()).await;
    let huge = "content-type: application/json\r\ncontent-length: 10737418240\r\n";
    for (headers, answer) in [
        (format!("{huge}\r\n{{"), "HTTP/1.1 401"),
        (format!("{huge}expect: 100-continue\r\n\r\n"), "HTTP/1.1 401"),
        ("transfer-encoding: chunked\r\n\r\nfffff\r\nxxxx".to_owned(), "HTTP/1.1 401"),
        ("content-encoding: gzip\r\ncontent-length: 4\r\n\r\n\u{1f}xxx".to_owned(), "HTTP/1.1 401"),
        ("content-length: 4\r\ncontent-length: 5\r\n\r\nxxxx".to_owned(), "HTTP/1.1 400"),
        ("content-length: -4\r\n\r\n".to_owned(), "HTTP/1.1 400"),
    ] {
        for path in ["/api/v1/mangoes", "/api/v1/integration/webhook/webhook", "/api/v1/mangoes/x/members"] {
            let mut stream = server.connect().await;
            stream.write_all(format!("POST {path} HTTP/1.1\r\nhost: x\r\n{headers}").as_bytes()).await.unwrap();
            let told = read_head(&mut stream).await;
            assert!(told.starts_with(answer), "{path} {headers:?} {told}");
        }
    }
}
