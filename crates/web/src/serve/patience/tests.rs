//! Clients that take their answers slowly, or not at all, on a clock that runs by itself.

use std::future::poll_fn;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);
/// What fits between the two ends.
const BUFFER: usize = 1_024;

/// Sends so many bytes while the client does what it does.
async fn send(bytes: usize, client: impl AsyncFnOnce(DuplexStream)) -> io::Result<()> {
    let (near, far) = duplex(BUFFER);
    let mut connection = Patient::new(TokioIo::new(near), PATIENCE);
    let sending = async {
        let mut left = vec![7; bytes];
        while !left.is_empty() {
            let written = poll_fn(|context| Pin::new(&mut connection).poll_write(context, &left)).await?;
            left.drain(..written);
        }
        Ok(())
    };
    tokio::select! {
        sent = sending => sent,
        () = async { client(far).await; std::future::pending().await } => unreachable!("the client never ends it"),
    }
}

/// A client that takes so much at once and then rests.
async fn taking(mut far: DuplexStream, bytes: usize, rest: Duration) {
    let mut piece = vec![0; bytes];
    while far.read_exact(&mut piece).await.is_ok() {
        sleep(rest).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let hold = async |far: DuplexStream| {
        sleep(PATIENCE * 100).await;
        drop(far);
    };
    assert_eq!(send(BUFFER * 2, hold).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_byte_now_and_then_is_given_up() {
    let drip = async |far| taking(far, 1, Duration::from_secs(1)).await;
    assert_eq!(send(TAKEN_BYTES_MIN * 4, drip).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_gets_everything() {
    // A tenth more than it has to take.
    let steady = async |far| taking(far, TAKEN_BYTES_MIN / 10, PATIENCE / 11).await;
    send(TAKEN_BYTES_MIN * 20, steady).await.unwrap();
    let small = async |far| taking(far, 1, PATIENCE * 100).await;
    send(BUFFER, small).await.unwrap();
}
