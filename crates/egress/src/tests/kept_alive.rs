use std::sync::{Arc, Barrier};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use provider::target::TargetPolicy;
use tokio::sync::mpsc::unbounded_channel;

use super::world::{OK, Receiver, origin, patient, post, status};
use super::world::{ScriptedNames, egress, origin_of};
use crate::{FailureKind, Limits, Phase};

#[tokio::test]
async fn the_request_holds_the_callers_headers_and_ours_and_nothing_else() {
    let (sender, mut requests) = unbounded_channel();
    let receiver = Receiver::run(move |mut visit| {
        sender.send(visit.read_request().unwrap()).unwrap();
        visit.write(OK.as_bytes());
    });
    let origin = origin(&receiver, patient());
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "msg_7".parse().unwrap());
    headers.insert("host", "elsewhere.example.com".parse().unwrap());

    let exchange = origin.post(headers, Bytes::from_static(b"hello"), Duration::from_secs(9)).await;

    assert_eq!(exchange.result.unwrap().body_head, "ok");
    assert_eq!(exchange.peer, Some(receiver.address));
    let mut lines: Vec<String> = requests.recv().await.unwrap().lines().map(str::to_owned).collect();
    lines[1..4].sort();
    let host = format!("host: {}", receiver.address);
    assert_eq!(lines, ["POST /hook?a=b HTTP/1.1", "content-length: 5", &host, "webhook-id: msg_7", "", "hello"]);
}

#[tokio::test]
async fn a_kept_alive_connection_is_used_again() {
    let receiver = Receiver::that_answers(OK);
    let origin = origin(&receiver, patient());

    let first = post(&origin).await;
    let second = post(&origin.clone()).await;

    assert_eq!(receiver.accepted(), 1);
    assert!(!first.phases.reused && first.phases.connect.is_some() && first.phases.first_byte.is_some());
    assert!(second.phases.reused && second.phases.connect.is_none() && second.phases.first_byte.is_some());
    assert_eq!(second.peer, Some(receiver.address));
    assert!(first.phases.total >= first.phases.connect.unwrap() + first.phases.first_byte.unwrap());
}

#[tokio::test]
async fn every_complete_answer_leaves_the_connection_usable() {
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\ncontent-length: 16000\r\n\r\n{}", "x".repeat(16_000)),
    ] {
        let receiver = Receiver::that_answers(answer.clone());
        let origin = origin(&receiver, patient());

        assert_eq!(status(&origin).await, status(&origin).await);

        assert_eq!(receiver.accepted(), 1, "{answer:.60}");
    }
}

#[tokio::test]
async fn a_connection_the_receiver_ends_is_not_kept() {
    let receiver = Receiver::that_answers("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    let origin = origin(&receiver, patient());

    assert_eq!((status(&origin).await, status(&origin).await), (200, 200));

    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_unnoticed() {
    let (closed, mut closings) = unbounded_channel();
    let receiver = Receiver::run(move |mut visit| {
        visit.read_request();
        visit.write(OK.as_bytes());
        drop(visit);
        closed.send(()).unwrap();
    });
    let origin = origin(&receiver, patient());
    assert_eq!(status(&origin).await, 200);
    closings.recv().await.unwrap();
    // Lets the runtime hear of the closing, as it would within a moment of idleness.
    tokio::task::yield_now().await;

    let exchange = post(&origin).await;

    assert_eq!(exchange.result.unwrap().status, 200);
    assert!(!exchange.phases.reused && exchange.phases.connect.is_some());
    assert_eq!(receiver.accepted(), 2);
}

#[tokio::test]
async fn a_request_the_receiver_may_have_read_is_not_sent_again() {
    let (sender, mut requests) = unbounded_channel();
    let receiver = Receiver::run(move |mut visit| {
        sender.send(visit.read_request().unwrap()).unwrap();
        visit.write(OK.as_bytes());
        sender.send(visit.read_request().unwrap()).unwrap();
    });
    let origin = origin(&receiver, patient());
    assert_eq!(status(&origin).await, 200);

    let exchange = post(&origin).await;

    assert_eq!(exchange.result.unwrap_err().kind, FailureKind::ConnectionLost);
    assert!(exchange.phases.reused);
    assert_eq!((receiver.accepted(), requests.len()), (1, 2));
    requests.close();
}

#[tokio::test]
async fn a_connection_too_old_or_too_long_idle_is_not_used_again() {
    for limits in [
        Limits { idle_age: Duration::ZERO, ..patient() },
        Limits { connection_age: Duration::ZERO, ..patient() },
        Limits { idle_connections: 0, ..patient() },
    ] {
        let receiver = Receiver::that_answers(OK);
        let origin = origin(&receiver, limits);

        assert_eq!((status(&origin).await, status(&origin).await), (200, 200));

        assert_eq!(receiver.accepted(), 2);
    }
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_the_limit() {
    let together = Arc::new(Barrier::new(2));
    let receiver = Receiver::run(move |mut visit| {
        while visit.read_request().is_some() {
            together.wait();
            visit.write(OK.as_bytes());
        }
    });
    let origin = origin(&receiver, Limits { idle_connections: 1, ..patient() });

    tokio::join!(post(&origin), post(&origin));
    tokio::join!(post(&origin), post(&origin));

    assert_eq!(receiver.accepted(), 3, "one of the first two was used again");
}

#[tokio::test]
async fn a_tightened_policy_stops_new_connections() {
    let receiver = Receiver::that_answers(OK);
    let egress = egress(Limits { connection_age: Duration::ZERO, ..patient() }, ScriptedNames::new(&[]));
    let origin = origin_of(&egress, &receiver.url());
    assert_eq!(status(&origin).await, 200);

    egress.replace_policy(TargetPolicy::default());

    assert_eq!(post(&origin).await.result.unwrap_err().kind, FailureKind::InvalidTarget);
    assert_eq!(receiver.accepted(), 1);
}

#[tokio::test]
async fn a_tightened_policy_ends_kept_connections_within_a_minute() {
    let receiver = Receiver::that_answers(OK);
    let limits = Limits { idle_age: Duration::from_secs(3600), ..patient() };
    let egress = egress(limits.clone(), ScriptedNames::new(&[]));
    let origin = origin_of(&egress, &receiver.url());
    assert_eq!(status(&origin).await, 200);

    egress.replace_policy(TargetPolicy::default());
    let meanwhile = post(&origin).await;
    assert!(meanwhile.result.is_ok() && meanwhile.phases.reused, "it was vetted when it was made");
    // Only between attempts: a clock that runs ahead of the sockets would end them.
    tokio::time::pause();
    tokio::time::advance(limits.connection_age + Duration::from_secs(1)).await;
    tokio::time::resume();

    assert_eq!(post(&origin).await.result.unwrap_err().kind, FailureKind::InvalidTarget);
    assert_eq!((limits.connection_age, receiver.accepted()), (Duration::from_secs(60), 1));
}

#[tokio::test]
async fn the_caller_may_ask_for_less_time() {
    let receiver = Receiver::run(|mut visit| visit.wait_for_close());
    let origin = origin(&receiver, patient());

    let exchange = origin.post(HeaderMap::new(), Bytes::new(), Duration::from_millis(50)).await;

    assert_eq!(exchange.result.unwrap_err().kind, FailureKind::Timeout(Phase::Head));
}

#[tokio::test]
async fn a_second_answer_to_one_request_is_never_taken_for_the_next_one() {
    let smuggled = format!("{OK}HTTP/1.1 299 Smuggled\r\ncontent-length: 0\r\n\r\n");
    let receiver = Receiver::that_answers(smuggled);
    let origin = origin(&receiver, patient());

    assert_eq!((status(&origin).await, status(&origin).await), (200, 200));

    assert_eq!(receiver.accepted(), 2);
}
