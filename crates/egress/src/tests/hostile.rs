use std::net::TcpListener;

use tokio::sync::mpsc::unbounded_channel;

use super::world::{Receiver, hurried, origin, origin_of, patient, post};
use super::world::{ScriptedNames, egress};
use crate::{Failure, FailureKind, Phase};

async fn failure_of(receiver: &Receiver) -> Failure {
    let exchange = post(&origin(receiver, patient())).await;
    exchange.result.unwrap_err()
}

async fn kind_after(answer: impl Into<Vec<u8>>) -> FailureKind {
    failure_of(&Receiver::that_answers_once(answer)).await.kind
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let canary = Receiver::canary("127.0.0.1:0");
    for code in [301, 302, 303, 307, 308] {
        let answer = format!("HTTP/1.1 {code} Go\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", canary.url());
        let receiver = Receiver::that_answers(answer);

        let answer = post(&origin(&receiver, patient())).await.result.unwrap();

        assert_eq!((answer.status, answer.location), (code, Some(canary.url())));
    }
    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn any_three_digit_status_is_an_answer() {
    for code in [101, 200, 204, 299, 400, 410, 429, 503, 600, 999] {
        let receiver = Receiver::that_answers(format!("HTTP/1.1 {code} x\r\ncontent-length: 0\r\n\r\n"));

        assert_eq!(post(&origin(&receiver, patient())).await.result.unwrap().status, code);
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_bad_answer() {
    for answer in [
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 2000 High\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "<html>HTTP/0.9 says hello</html>\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 3, 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 0x10\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: b\u{0}c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-a: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx a: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ] {
        assert_eq!(kind_after(answer).await, FailureKind::BadAnswer, "{answer:?}");
    }
}

#[tokio::test]
async fn http_2_that_nobody_asked_for_is_a_bad_answer() {
    // Length, type, flags, stream (RFC 9113, section 4.1): SETTINGS, then GOAWAY with ENHANCE_YOUR_CALM, or RST_STREAM.
    let settings: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
    let go_away: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0b];
    let reset_stream: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0x0b];
    for frames in [[settings, go_away].concat(), [settings, reset_stream].concat(), go_away.to_vec()] {
        assert_eq!(kind_after(frames.clone()).await, FailureKind::BadAnswer, "{frames:?}");
    }
}

#[tokio::test]
async fn header_values_of_any_bytes_are_kept_as_bounded_safe_text() {
    let head = b"HTTP/1.1 302 \xc3\x28\r\nx-a: \xe2\x28\xa1\r\nlocation: http://x.example/\xff\xfe\t";
    let answer = [&head[..], &[b'a'; 5000], b"\r\ncontent-length: 0\r\n\r\n"].concat();

    let location = post(&origin(&Receiver::that_answers(answer), patient())).await.result.unwrap().location.unwrap();

    assert_eq!(location.chars().count(), 512);
    assert!(location.starts_with("http://x.example/\u{fffd}\u{fffd}\u{fffd}aaa"), "{location}");
    let with_delete = "HTTP/1.1 302 x\r\nlocation: http://x.example/\x7f\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(kind_after(with_delete).await, FailureKind::BadAnswer);
}

#[tokio::test]
async fn a_head_beyond_the_limits_is_too_large() {
    let long = format!("HTTP/1.1 200 OK\r\nx-a: {}\r\n\r\n", "a".repeat(1 << 20));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-a: b\r\n".repeat(100_000));
    let a_few_too_many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    let informational = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_000_000);

    for answer in [long, many, a_few_too_many, informational] {
        assert_eq!(kind_after(answer.clone()).await, FailureKind::TooLarge, "{answer:.60}");
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_off_and_its_status_counts() {
    let endless = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n", vec![b'x'; 4096]),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", [b"1000\r\n", &[b'x'; 4096][..], b"\r\n"].concat()),
        ("HTTP/1.0 200 OK\r\n\r\n", vec![b'x'; 4096]),
    ];
    for (head, piece) in endless {
        let (sender, mut writing_ended) = unbounded_channel();
        let receiver = Receiver::run(move |mut visit| {
            visit.read_request();
            visit.write(head.as_bytes());
            while visit.write(&piece) {}
            sender.send(()).unwrap();
        });

        let answer = post(&origin(&receiver, patient())).await.result.unwrap();

        assert_eq!((answer.status, &answer.body_head[..]), (200, &[b'x'; 1024][..]));
        writing_ended.recv().await.expect("the connection was closed");
    }
}

#[tokio::test]
async fn a_receiver_that_never_finishes_is_left_at_the_deadline() {
    let (accepts_only, drips_head, drips_body) = (
        Receiver::run(|mut visit| visit.wait_for_close()),
        Receiver::run(|mut visit| {
            visit.read_request();
            visit.write(b"HTTP/1.1 200 OK\r\nx-a: ");
            visit.drip(b'a');
        }),
        Receiver::run(|mut visit| {
            visit.read_request();
            visit.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n");
            visit.drip(b'a');
        }),
    );
    for (receiver, phase) in [(accepts_only, Phase::Head), (drips_head, Phase::Head), (drips_body, Phase::Body)] {
        let limits = hurried();
        let exchange = post(&origin(&receiver, limits.clone())).await;

        assert_eq!(exchange.result.unwrap_err().kind, FailureKind::Timeout(phase));
        assert!(exchange.phases.total >= limits.total && exchange.phases.total < limits.total * 20);
        assert_eq!(exchange.phases.first_byte.is_some(), phase == Phase::Body);
    }
}

#[tokio::test]
async fn an_encoded_body_is_kept_as_sent() {
    let bomb = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xed, 0xc1];
    for encoding in ["gzip", "br", "zstd", "gzip, gzip"] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: 12\r\n\r\n");
        let receiver = Receiver::that_answers([head.as_bytes(), &bomb].concat());

        assert_eq!(post(&origin(&receiver, patient())).await.result.unwrap().body_head, bomb[..]);
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_answer_is_lost() {
    let closes = Receiver::run(|mut visit| drop(visit.read_request()));
    // Closing with the request unread makes the system send a reset.
    let resets = Receiver::run(|visit| drop(visit.stream.peek(&mut [0; 64])));
    let half_closes = Receiver::run(|mut visit| {
        visit.read_request();
        visit.write_nothing_more();
        visit.wait_for_close();
    });
    let ends_in_head = Receiver::that_answers_once("HTTP/1.1 200 OK\r\ncontent-le");
    for receiver in [closes, resets, half_closes, ends_in_head] {
        assert_eq!(failure_of(&receiver).await.kind, FailureKind::ConnectionLost);
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_a_lost_connection_whatever_the_status() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let failure = failure_of(&Receiver::that_answers_once(answer)).await;

        assert_eq!(failure.kind, FailureKind::ConnectionLost);
        assert!(failure.detail.ends_with("(status 200)"), "{}", failure.detail);
    }
}

#[tokio::test]
async fn retry_after_is_handed_on_as_bounded_safe_text() {
    let long = "9".repeat(5000);
    for (sent, kept) in [
        (&b"120"[..], "120".to_owned()),
        (b"  Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 GMT".to_owned()),
        (b"inf\x80\xff", "inf\u{fffd}\u{fffd}".to_owned()),
        (long.as_bytes(), "9".repeat(128)),
    ] {
        let answer = [b"HTTP/1.1 503 Busy\r\nretry-after: ", sent, b"\r\ncontent-length: 0\r\n\r\n"].concat();
        let receiver = Receiver::that_answers(answer);

        assert_eq!(post(&origin(&receiver, patient())).await.result.unwrap().retry_after, Some(kept));
    }
}

#[tokio::test]
async fn a_port_nobody_listens_on_refuses_the_connection() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let egress = egress(patient(), ScriptedNames::new(&[]));

    let exchange = post(&origin_of(&egress, &format!("http://{free}/"))).await;

    let failure = exchange.result.unwrap_err();
    assert_eq!((failure.kind, failure.code()), (FailureKind::Connect, "E_CONNECT"));
    assert!(failure.detail.contains(&free.to_string()) && !failure.to_string().contains("127.0.0.1"));
    assert_eq!(exchange.peer, None);
}
