use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use super::world::{OK, Receiver, ScriptedNames, allowing, egress, origin_of, patient, post, status};
use crate::{Egress, FailureKind, Limits, Phase, client_config};

const PRIVATE: &[&str] = &["10.0.0.1"];
const HERE: &[&str] = &["127.0.0.1"];

fn url_of(receiver: &Receiver) -> String {
    format!("http://hooks.example.com:{}/", receiver.address.port())
}

/// Only 127.0.0.1 may be reached, not the rest of the loopback network.
fn narrow_egress(names: std::sync::Arc<ScriptedNames>) -> Egress {
    let egress = egress(patient(), names);
    egress.replace_policy(allowing(&["127.0.0.1"]));
    egress
}

#[tokio::test]
async fn a_name_is_looked_up_once_per_connection_and_the_vetted_address_is_dialled() {
    let receiver = Receiver::that_answers(OK);
    let names = ScriptedNames::new(&[Ok(HERE), Ok(PRIVATE)]);
    let origin = origin_of(&egress(patient(), names.clone()), &url_of(&receiver));

    let first = post(&origin).await;
    let second = post(&origin).await;

    assert!(first.result.is_ok() && first.phases.dns.is_some());
    assert_eq!(first.peer, Some(receiver.address));
    assert!(second.result.is_ok() && second.phases.dns.is_none(), "the rebound answer was never asked for");
    assert_eq!(names.asked(), 1);
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_at_the_next_connection() {
    let receiver = Receiver::that_answers(OK);
    let names = ScriptedNames::new(&[Ok(HERE), Ok(PRIVATE)]);
    let egress = egress(Limits { connection_age: Duration::ZERO, ..patient() }, names);
    let origin = origin_of(&egress, &url_of(&receiver));

    assert_eq!(status(&origin).await, 200);

    assert_eq!(post(&origin).await.result.unwrap_err().kind, FailureKind::InvalidTarget);
}

#[tokio::test]
async fn a_forbidden_answer_is_never_dialled_not_even_beside_an_allowed_one() {
    let canary = Receiver::canary("127.0.0.2:0");
    for answer in [&["127.0.0.2"][..], &["127.0.0.1", "127.0.0.2"], &["127.0.0.2", "127.0.0.1"], &["::ffff:127.0.0.2"]]
    {
        let names = ScriptedNames::new(&[Ok(answer)]);

        let exchange = post(&origin_of(&narrow_egress(names), &url_of(&canary))).await;

        assert_eq!(exchange.result.unwrap_err().code(), "E_INVALID_TARGET", "{answer:?}");
        assert_eq!(exchange.phases.connect, None);
    }
    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn an_address_forbidden_since_registration_is_never_dialled() {
    let canary = Receiver::canary("127.0.0.2:0");
    let egress = egress(patient(), ScriptedNames::new(&[]));
    let origin = origin_of(&egress, &canary.url());
    egress.replace_policy(allowing(&["127.0.0.1"]));

    assert_eq!(post(&origin).await.result.unwrap_err().kind, FailureKind::InvalidTarget);

    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn a_failed_lookup_never_skips_the_check() {
    let canary = Receiver::canary("127.0.0.2:0");
    let names = ScriptedNames::new(&[Err("SERVFAIL"), Ok(&["127.0.0.2"])]);
    let origin = origin_of(&narrow_egress(names), &url_of(&canary));

    let first = post(&origin).await.result.unwrap_err();
    let second = post(&origin).await.result.unwrap_err();

    assert_eq!((first.kind, first.detail.as_str()), (FailureKind::Dns, "SERVFAIL"));
    assert_eq!(second.kind, FailureKind::InvalidTarget);
    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn a_thousand_answers_are_refused_and_none_is_a_failed_lookup() {
    let receiver = Receiver::canary("127.0.0.1:0");
    let thousand = ["127.0.0.1"; 1000];
    let names = ScriptedNames::new(&[Ok(&thousand), Ok(&[])]);
    let origin = origin_of(&egress(patient(), names), &url_of(&receiver));

    assert_eq!(post(&origin).await.result.unwrap_err().kind, FailureKind::InvalidTarget);
    assert_eq!(post(&origin).await.result.unwrap_err().kind, FailureKind::Dns);
    assert_eq!(receiver.accepted(), 0);
}

#[tokio::test]
async fn a_lookup_that_never_ends_is_left_at_its_own_limit() {
    let limits = Limits { dns: Duration::from_millis(50), ..patient() };
    let egress = egress(limits, ScriptedNames::new(&[]));

    let exchange = post(&origin_of(&egress, "https://hooks.example.com/")).await;

    assert_eq!(exchange.result.unwrap_err().kind, FailureKind::Timeout(Phase::Dns));
    assert!(exchange.phases.dns.is_some() && exchange.phases.total < Duration::from_secs(5));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let receiver = Receiver::that_answers(OK);
    let names = ScriptedNames::new(&[Ok(&["::1", "127.0.0.3", "127.0.0.1"])]);
    let egress = egress(patient(), names);
    egress.replace_policy(allowing(&["127.0.0.0/8", "::1"]));

    let exchange = post(&origin_of(&egress, &url_of(&receiver))).await;

    assert_eq!(exchange.result.unwrap().status, 200);
    assert_eq!(exchange.peer, Some(receiver.address));
}

#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    // With its queue of one full, a listener lets further callers wait.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _queued = TcpStream::connect(address).await.unwrap();
    let egress = egress(Limits { connect: Duration::from_millis(50), ..patient() }, ScriptedNames::new(&[]));

    let exchange = post(&origin_of(&egress, &format!("http://{address}/"))).await;

    assert_eq!(exchange.result.unwrap_err().kind, FailureKind::Timeout(Phase::Connect));
    assert_eq!((exchange.phases.connect, exchange.peer), (None, None));
}

#[test]
fn whatever_the_policy_accepts_becomes_an_origin() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
    let egress = egress(patient(), ScriptedNames::new(&[]));
    for host in
        ["hooks.example.com", "exam_ple.com", "_a.b-c.d1", "xn--fa-hia.de", "1.1.1.1", "[2606:4700::1]", &longest]
    {
        for scheme in ["http", "https"] {
            let url = egress.policy().parse(&format!("{scheme}://{host}:8443/a%00;b?{{}}|^`\"'[]%zz&&=")).unwrap();
            assert!(egress.origin(&url).is_ok(), "{url:?}");
        }
    }
}

#[tokio::test]
async fn localhost_is_not_looked_up() {
    let receiver = Receiver::that_answers(OK);
    let names = ScriptedNames::new(&[Ok(PRIVATE)]);
    let origin =
        origin_of(&egress(patient(), names.clone()), &format!("http://localhost:{}/", receiver.address.port()));

    assert_eq!(status(&origin).await, 200);

    assert_eq!(names.asked(), 0);
}

#[test]
fn a_way_out_without_any_trusted_certificate_is_not_built() {
    assert!(client_config(rustls::RootCertStore::empty()).is_err());
}
