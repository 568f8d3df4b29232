//! Receivers that send without end: what counts is how much they got rid of before we hung up.

use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;

use super::world::{Receiver, origin, patient, post};
use crate::FailureKind;

/// What we read of one answer is 144 KiB at most. The rest is what the kernel takes on both sides before its buffers
/// are full, 10 MB as Linux has it; 10 GiB would be as endless as anything.
const WRITTEN_MAX: usize = 16 * 1024 * 1024;
/// Ends an attempt that would never end by itself.
const SOON: Duration = Duration::from_secs(10);

/// A head, what follows it for ever, and what comes of it.
type Case = (&'static [u8], Vec<u8>, Result<u16, FailureKind>);

/// Answers with `head` and then `piece` for ever; what came of the attempt, and how much could be written.
async fn endless(head: &'static [u8], piece: Vec<u8>) -> (Result<u16, FailureKind>, usize) {
    let (sender, mut totals) = unbounded_channel();
    let receiver = Receiver::run(move |mut visit| {
        visit.read_request();
        let mut written = 0;
        if visit.write(head) {
            while visit.write(&piece) {
                written += piece.len();
            }
        }
        sender.send(written).unwrap();
    });
    let exchange = post(&origin(&receiver, patient())).await;
    assert!(exchange.phases.total < SOON, "{:?}", exchange.phases);
    let written = totals.recv().await.expect("the connection was closed");
    (exchange.result.map(|answer| answer.status).map_err(|failure| failure.kind), written)
}

#[tokio::test]
async fn no_receiver_can_make_us_take_more_than_a_little() {
    let chunk = [b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat();
    let x = || vec![b'x'; 4096];
    let (ok, too_large, bad) = (Ok(200), Err(FailureKind::TooLarge), Err(FailureKind::BadAnswer));
    let cases: [Case; 14] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n", x(), ok),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk.clone(), ok),
        (b"HTTP/1.0 200 OK\r\n\r\n", x(), ok),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip, gzip\r\ntransfer-encoding: chunked\r\n\r\n", chunk, ok),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;", x(), bad),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", b"x-a: b\r\n".repeat(512), bad),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n".repeat(512), ok),
        (b"HTTP/1.1 200 OK\r\nx-a: ", x(), too_large),
        (b"HTTP/1.1 200 OK\r\n", b"x-a: b\r\n".repeat(512), too_large),
        (b"HTTP/1.1 200 ", x(), too_large),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(256), too_large),
        (b"", b"\r\n".repeat(2048), too_large),
        (b"", vec![0; 4096], bad),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", x(), Ok(101)),
    ];
    for (head, piece, expected) in cases {
        let (result, written) = endless(head, piece).await;

        let head = String::from_utf8_lossy(head);
        assert_eq!(result, expected, "{head:?}");
        assert!(written < WRITTEN_MAX, "{head:?}: {written} bytes were written");
    }
}
