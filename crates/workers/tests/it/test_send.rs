//! Webhooks sent to try an endpoint.

use provider::attempt::{Failure, Outcome};
use store::{EndpointChange, Subscriptions};
use wire::{KeyRing, SignedHeaders, SigningSecret};

use crate::receiver::Answer;
use crate::world::{ACCOUNT, World};

#[tokio::test]
async fn a_test_is_a_signed_webhook_about_nobody_that_leaves_no_trace() {
    let mut world = World::with_members(3).await;
    let (receiver, endpoint) = world.subscriber().await;
    let now = store::Clock::now(&*world.clock);
    world.store.change_endpoint(ACCOUNT, endpoint, EndpointChange::Pause, now).await.unwrap();

    let report = world.test(endpoint).await;
    let again = world.test(endpoint).await;

    assert_eq!((report.outcome, &report.reason), (Outcome::Answered(200), &None));
    assert!(report.phases.connect.is_some() && report.phases.first_byte.is_some());
    let arrived = &receiver.arrived()[0];
    assert_eq!((arrived.header("fanfare-test"), arrived.name().as_str()), ("true", "Fanfare Test"));
    assert_eq!(arrived.body, report.body);
    for (name, value) in &report.headers {
        assert_eq!(arrived.header(name), value);
    }
    assert_ne!(report.headers, again.headers, "each has an id of its own");
    world.work().await;
    assert_eq!((world.deliveries().await, receiver.arrived().len()), (vec![], 2));
}

#[tokio::test]
async fn a_test_is_signed_with_the_endpoints_secret() {
    let world = World::with_members(1).await;
    let (receiver, endpoint) = world.subscriber().await;
    world.test(endpoint).await;

    let arrived = &receiver.arrived()[0];
    let keys = KeyRing::new([SigningSecret::from_random([5; 32])]).unwrap();
    let headers = arrived.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let now = store::Clock::now(&*world.clock).as_second();
    keys.verify(&SignedHeaders::find_in(headers).unwrap(), &arrived.body, now).unwrap();
}

#[tokio::test]
async fn a_test_tells_what_went_wrong_and_does_not_change_how_the_endpoint_is_doing() {
    let world = World::with_members(1).await;
    let (receiver, endpoint) = world.subscriber().await;
    for (status, reason) in [(503, "HTTP 503"), (410, "HTTP 410")] {
        receiver.answers(move |_| Answer::Status(status));
        let report = world.test(endpoint).await;
        assert_eq!((report.outcome, report.reason.unwrap().as_str()), (Outcome::Answered(status), reason));
    }
    let kept = world.store.endpoint(ACCOUNT, endpoint).await.unwrap().unwrap();
    assert_eq!((kept.health, kept.last_failure), (provider::lane::LaneState::default(), None));
}

#[tokio::test]
async fn a_test_goes_through_the_same_gate_as_a_delivery() {
    let world = World::with_members(1).await;
    let endpoint = world.subscribe("http://10.0.0.1/hook").await;
    let report = world.test(endpoint).await;
    assert_eq!(report.outcome, Outcome::Failed(Failure::ForbiddenTarget));
    assert_eq!((report.phases.connect, report.phases.dns), (None, None));
    assert!(!report.reason.unwrap().as_str().contains("10.0"));
}
