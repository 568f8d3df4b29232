use std::time::Duration;

use handlers::{EmailHandler, Handler, RunFailure, RunFailureKind};

use crate::server::{Act, Speaks};
use crate::world::{World, announcement, session, settings};

const TARGET: RunFailureKind = RunFailureKind::Target { after: None };
const RETRY: RunFailureKind = RunFailureKind::Retry { after: None };

async fn failure_with(step: &'static str, act: Act) -> (RunFailure, World) {
    let mut world = World::with(Speaks::Plain, |settings| settings.patience = Duration::from_millis(300)).await;
    world.server.at(step, act);
    let failure = world.handle(announcement(&[session("a", "2024-03-15T10:00:00Z")])).await.unwrap_err();
    (failure, world)
}

#[tokio::test]
async fn what_follows_a_refusal_depends_on_whom_it_is_about() {
    let refused = Act::Answer("550 5.1.1 <bo@example.com> is unknown");
    let later = Act::Answer("451 4.7.1 <bo@example.com> greylisted");
    for (step, act, kind, said) in [
        ("greeting", Act::Answer("554 no"), TARGET, "refuses to talk (code 554)"),
        ("greeting", Act::Answer("421 busy"), TARGET, "code 421"),
        ("EHLO", later, TARGET, "code 451"),
        ("MAIL", refused, TARGET, "refuses the sender (code 550); check `from`"),
        ("MAIL", later, TARGET, "code 451"),
        ("RCPT", refused, RunFailureKind::Hopeless, "refuses the person's address for good (code 550)"),
        ("RCPT", later, RETRY, "does not take mail for the person now (code 451)"),
        ("RCPT", Act::Answer("421 closing"), TARGET, "code 421"),
        ("DATA", Act::Answer("554 no"), RunFailureKind::Hopeless, "refuses the mail for good (code 554)"),
        ("content", Act::Answer("554 spam"), RunFailureKind::Hopeless, "refuses the mail for good (code 554)"),
        ("content", Act::Answer("452 full"), RETRY, "does not take the mail now (code 452)"),
    ] {
        let (failure, world) = failure_with(step, act).await;
        assert_eq!(failure.kind, kind, "{step} {act:?}: {}", failure.reason);
        assert!(failure.reason.contains(said), "{step} {act:?}: {}", failure.reason);
        assert!(!failure.reason.contains('@'), "the server's words name people: {}", failure.reason);
        assert_eq!(world.memory.len(), 0, "what was not told is not known");
    }
}

#[tokio::test]
async fn a_server_that_hangs_or_hangs_up_is_at_fault_itself() {
    for (step, act, said) in [
        ("greeting", Act::Close, "cannot be reached"),
        ("greeting", Act::Hang, "did not answer in time when it was called"),
        ("RCPT", Act::Hang, "did not answer in time when it was told the recipient"),
        ("RCPT", Act::Close, "broke when it was told the recipient"),
        ("content", Act::Hang, "did not answer in time when it was given the mail"),
        ("content", Act::Close, "broke when it was given the mail"),
    ] {
        let (failure, _) = failure_with(step, act).await;
        assert_eq!(failure.kind, TARGET, "{step} {act:?}");
        assert!(failure.reason.contains(said), "{step} {act:?}: {}", failure.reason);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_the_mend() {
    let mut world = World::new().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let handler = EmailHandler::new(settings(&format!("smtp://127.0.0.1:{free}")), world.tools.clone()).unwrap();
    let job = world.job(announcement(&[session("a", "2024-03-15T10:00:00Z")]));
    let failure = handler.handle(&job).await.unwrap_err();
    assert_eq!(failure.kind, TARGET);
    assert!(failure.reason.contains("check host and port"), "{}", failure.reason);
}

#[tokio::test]
async fn after_a_failure_the_next_mail_goes_its_way() {
    let (_, mut world) = failure_with("RCPT", Act::Answer("550 no")).await;
    world.mail_for(announcement(&[session("a", "2024-03-15T10:00:00Z")])).await;
}

#[tokio::test]
async fn an_address_that_is_none_is_hopeless_and_not_repeated() {
    let mut world = World::new().await;
    let mut event = announcement(&[session("a", "2024-03-15T10:00:00Z")]);
    for address in
        ["bo at example", "bo@example.com, victim@example.com", "bo@example.com\r\nRCPT TO:<victim@example.com>"]
    {
        event.person.email = Some(address.to_owned());
        let failure = world.handle(event.clone()).await.unwrap_err();
        assert_eq!(failure.kind, RunFailureKind::Hopeless, "{address}");
        assert!(!failure.reason.contains("example"), "{}", failure.reason);
    }
    assert_eq!(world.server.connections(), 0);
}

#[tokio::test]
async fn a_connection_serves_many_mails_and_one_that_died_is_replaced() {
    let mut world = World::new().await;
    for n in 0..3 {
        world.mail_for(announcement(&[session(&format!("a{n}"), "2024-03-15T10:00:00Z")])).await;
    }
    assert_eq!(world.server.connections(), 1);
    world.server.at("NOOP", Act::Close);
    world.mail_for(announcement(&[session("b", "2024-03-15T10:00:00Z")])).await;
    assert_eq!(world.server.taken().last().unwrap().connection, 2);
}
