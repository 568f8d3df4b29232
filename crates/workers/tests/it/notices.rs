//! Notices to the account's owner.

use provider::attempt::Outcome;
use store::{DisabledBecause, NewNotice, NoticeDelivery, NoticeDeliveryState, Notices};
use webinar::{EventType, NoticeKind};
use wire::{EndpointId, NoticeId};

use crate::receiver::{Answer, Receiver};
use crate::world::{ACCOUNT, World};

const BROKEN: EndpointId = EndpointId::from_bytes([7; 16]);
const NOTICE: NoticeId = NoticeId::from_bytes([3; 16]);

/// A world with an owner's endpoint, and a notice that another one is disabled.
async fn world_with_a_notice() -> (World, Receiver) {
    let world = World::with_members(0).await;
    let receiver = Receiver::start().await;
    let url = format!("http://{}/owner", receiver.address);
    world.subscribe_to(&url, EventType::Notice(NoticeKind::EndpointDisabled)).await;
    let now = store::Clock::now(&*world.clock);
    let notice = NewNotice::endpoint_disabled(NOTICE, BROKEN, DisabledBecause::Gone, now);
    world.store.raise_notice(ACCOUNT, notice).await.unwrap();
    (world, receiver)
}

async fn delivery(world: &World) -> NoticeDelivery {
    let (_, mut deliveries) = world.store.notice(ACCOUNT, NOTICE).await.unwrap().unwrap();
    deliveries.remove(0)
}

#[tokio::test]
async fn a_notice_arrives_once_signed_under_its_own_id() {
    let (mut world, receiver) = world_with_a_notice().await;
    world.send_notices().await;
    world.advance(100 * 3600).await;
    world.send_notices().await;

    let arrived = receiver.arrived();
    let [one] = &arrived[..] else { panic!("one, not {arrived:?}") };
    assert_eq!((one.id.as_str(), one.header("fanfare-event")), (&*NOTICE.text(), "endpoint.disabled"));
    let body = String::from_utf8(one.body.clone()).unwrap();
    assert!(body.starts_with("{\"type\":\"endpoint.disabled\",\"timestamp\":\"2026-"), "{body}");
    assert!(body.contains(&format!("\"data\":{{\"endpoint\":\"{BROKEN}\",\"reason\":\"gone\"")), "{body}");
    let signature = one.header("webhook-signature");
    let signed = wire::SignedHeaders::new(&one.id, one.header("webhook-timestamp"), signature).unwrap();
    let keys = wire::KeyRing::new([wire::SigningSecret::from_random([5; 32])]).unwrap();
    let sent_at = one.header("webhook-timestamp").parse().unwrap();
    keys.verify(&signed, &one.body, sent_at).unwrap();
    assert_eq!(delivery(&world).await.state, NoticeDeliveryState::Delivered);
}

#[tokio::test]
async fn a_refused_notice_is_tried_on_schedule_and_then_given_up() {
    let (mut world, receiver) = world_with_a_notice().await;
    receiver.answers(|_| Answer::Status(500));
    world.send_notices().await;
    world.send_notices().await;
    assert_eq!(receiver.arrived().len(), 1, "not before it is due");
    for _ in 0..100 {
        world.advance(3600).await;
        world.send_notices().await;
    }
    let attempts: Vec<String> =
        receiver.arrived().iter().map(|arrived| arrived.header("fanfare-attempt").to_owned()).collect();
    assert_eq!(attempts, (1..=10).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(receiver.copies().len(), 1, "under one id");
    let given_up = delivery(&world).await;
    assert_eq!((given_up.state, given_up.attempts), (NoticeDeliveryState::Abandoned, 10));
    assert_eq!(given_up.last.map(|(outcome, _)| outcome), Some(Outcome::Answered(500)));
}

#[tokio::test]
async fn a_hanging_receiver_does_not_hold_up_another() {
    let (mut world, hanging) = world_with_a_notice().await;
    let (seen, mut reached) = tokio::sync::mpsc::unbounded_channel();
    let also_seen = seen.clone();
    hanging.answers(move |_| {
        let _ = seen.send("hanging");
        Answer::Nothing
    });
    world.start_notices().await;
    assert_eq!(reached.recv().await, Some("hanging"));

    let quick = Receiver::start().await;
    quick.answers(move |_| {
        let _ = also_seen.send("quick");
        Answer::Status(200)
    });
    let url = format!("http://{}/owner", quick.address);
    world.subscribe_to(&url, EventType::Notice(NoticeKind::EndpointDisabled)).await;
    let (id, now) = (NoticeId::from_bytes([4; 16]), store::Clock::now(&*world.clock));
    let notice = NewNotice::endpoint_disabled(id, BROKEN, DisabledBecause::Gone, now);
    world.store.raise_notice(ACCOUNT, notice).await.unwrap();
    world.start_notices().await;
    while reached.recv().await != Some("quick") {}
}

#[tokio::test]
async fn a_notice_whose_sender_died_is_sent_again_under_the_same_id() {
    let (mut world, receiver) = world_with_a_notice().await;
    let now = store::Clock::now(&*world.clock);
    let lease = std::time::Duration::from_secs(60);
    assert_eq!(world.store.claim_notices(now, lease, 10).await.unwrap().len(), 1, "and then it dies");
    world.send_notices().await;
    assert!(receiver.arrived().is_empty());
    world.advance(60).await;
    world.send_notices().await;
    assert_eq!(receiver.copies().into_values().collect::<Vec<_>>(), [1]);
}
