//! What is kept of attempts that failed.

use provider::attempt::FailureDetail;
use store::{AttemptRecord, DeliveryStatus, Journal, Subscriptions};

use crate::receiver::Answer;
use crate::world::{ACCOUNT, World};

/// The last failure of the first delivery in the log.
async fn failure(world: &World) -> FailureDetail {
    world.deliveries().await[0].last.clone().unwrap().failure.unwrap()
}

#[tokio::test]
async fn a_redirect_is_kept_with_its_place_and_its_times() {
    let mut world = World::with_members(1).await;
    let (receiver, endpoint) = world.subscriber().await;
    receiver.answers(|_| Answer::Elsewhere("https://new.example.com/hook?to=person1@example.com"));
    world.save_series().await;
    world.work().await;

    let FailureDetail { phases, reason } = failure(&world).await;
    let expected = "HTTP 301 (redirects are not followed) to https://new.example.com/hook?…";
    assert_eq!(reason.as_str(), expected);
    assert!(phases.connect.is_some() && phases.first_byte.is_some() && phases.tls.is_none() && !phases.reused);
    let last = world.store.endpoint(ACCOUNT, endpoint).await.unwrap().unwrap().last_failure.unwrap();
    assert_eq!((last.reason.as_str(), last.at), (expected, store::Clock::now(&*world.clock)));
}

#[tokio::test]
async fn every_failed_attempt_is_kept_and_a_success_has_nothing() {
    let mut world = World::with_members(1).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|arrived| Answer::Status(if arrived.header("fanfare-attempt") == "3" { 200 } else { 422 }));
    world.save_series().await;
    for _ in 0..3 {
        world.work().await;
        world.advance(3600).await;
    }

    let delivery = world.deliveries().await.remove(0);
    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Delivered, 3));
    let attempts = world.store.delivery(ACCOUNT, delivery.id).await.unwrap().unwrap().attempts;
    let words: Vec<_> = attempts.iter().map(AttemptRecord::in_words).collect();
    assert_eq!(words, ["HTTP 422", "HTTP 422", "HTTP 200"]);
    assert_eq!(attempts.iter().filter(|attempt| attempt.failure.is_some()).count(), 2);
}

#[tokio::test]
async fn what_could_not_be_sent_says_why_and_names_no_address() {
    let mut world = World::with_members(1).await;
    let endpoint = world.subscribe("http://127.0.0.1:1/nobody-listens").await;
    world.save_series().await;
    world.work().await;
    assert!(
        failure(&world).await.reason.as_str().starts_with("the host is, or resolves to, an address that is not public")
    );
    let last = world.store.endpoint(ACCOUNT, endpoint).await.unwrap().unwrap().last_failure.unwrap();
    assert!(!last.reason.as_str().contains("127.0.0.1"));
}
