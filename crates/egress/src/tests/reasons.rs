//! What the owner of an endpoint reads: the right words, and nothing that is not theirs to know.

use std::net::TcpListener;
use std::time::Duration;

use super::world::{Receiver, ScriptedNames, egress, hurried, origin, origin_of, patient, post};
use crate::{Failure, Limits};

async fn words_after(script: impl Fn(super::world::Visit) + Send + Sync + 'static) -> String {
    let failure = post(&origin(&Receiver::run(script), hurried())).await.result.unwrap_err();
    failure.to_string()
}

#[tokio::test]
async fn how_a_connection_was_lost_is_said() {
    let before = "connection closed by the receiver before it answered";
    assert_eq!(words_after(|mut visit| drop(visit.read_request())).await, before);
    // Closing with a part of the request unread makes the system send a reset.
    let unread = words_after(|visit| drop(visit.stream.peek(&mut [0; 64]))).await;
    assert_eq!(unread, "connection reset by the receiver before it answered");
    let cut = words_after(|mut visit| {
        visit.read_request();
        visit.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    });
    assert_eq!(cut.await, "connection closed by the receiver in the middle of the answer's body");
    let reset = words_after(|mut visit| {
        visit.stream.peek(&mut [0; 64]).unwrap();
        visit.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    });
    let reset = reset.await;
    assert!(reset.starts_with("connection reset by the receiver"), "{reset}");
}

#[tokio::test]
async fn a_time_limit_is_named() {
    assert_eq!(words_after(|mut visit| visit.wait_for_close()).await, "no answer head within 0.1 s");
    let in_body = words_after(|mut visit| {
        visit.read_request();
        visit.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n");
        visit.drip(b'a');
    });
    assert_eq!(in_body.await, "the body of the answer did not end within 0.1 s");
    let limits = Limits { dns: Duration::from_millis(50), ..patient() };
    let slow_names = egress(limits, ScriptedNames::new(&[]));
    let failure = post(&origin_of(&slow_names, "https://hooks.example.com/")).await.result.unwrap_err();
    assert_eq!(failure.to_string(), "the host name was not looked up within 0.05 s; check its name servers");
}

#[tokio::test]
async fn a_closed_port_is_said_to_refuse() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let egress = egress(patient(), ScriptedNames::new(&[]));

    let failure = post(&origin_of(&egress, &format!("http://{free}/"))).await.result.unwrap_err();

    assert_eq!(failure.to_string(), "the host refused the connection; check that the receiver runs, and its port");
}

#[tokio::test]
async fn no_words_tell_where_a_name_led_or_repeat_what_a_receiver_or_name_server_sent() {
    let echo = Receiver::that_answers_once("HTTP/1.1 SECRET-OF-THE-RECEIVER\r\n\r\n");
    let by_receiver = post(&origin(&echo, patient())).await.result.unwrap_err();
    let names =
        ScriptedNames::new(&[Ok(&["10.20.30.40"]), Ok(&["127.0.0.1", "10.20.30.40"]), Err("SERVFAIL 10.20.30.40")]);
    let egress = egress(patient(), names);
    let named = origin_of(&egress, "http://hooks.example.com:8080/");
    let mut failures: Vec<Failure> = vec![by_receiver];
    for _ in 0..3 {
        failures.push(post(&named).await.result.unwrap_err());
    }
    for failure in &failures {
        let words = failure.to_string();
        assert!(!words.contains("10.20") && !words.contains("SECRET") && !words.contains("SERVFAIL"), "{words}");
    }
    assert_eq!(failures[1].to_string(), failures[2].to_string(), "one forbidden answer looks like another");
    assert!(failures[1].detail.contains("10.20.30.40"), "the operator's log has it: {}", failures[1].detail);
}
