//! The janitor, turn by turn.

use std::sync::Arc;

use provider::api_key::ApiKey;
use store::{
    Account, Accounts, Clock, DedupeWindow, DeliveryStatus, ErasureState, Erasures, Inbox, MessageContent,
    MessageFilter, Retention, Upkeep,
};
use store_spec::world::Sender;
use wire::{AccountId, SourceId};
use workers::{Janitor, Turn};

use crate::receiver::Answer;
use crate::world::{ACCOUNT, World};

#[tokio::test]
async fn a_search_goes_on_where_a_janitor_that_died_left_it() {
    let world = World::with_members(2).await;
    accept(&world, 600).await;
    let id = world.erase("Person 2").await;
    assert_eq!(janitor(&world).turn().await.unwrap(), Turn::Worked);
    let half = world.store.erasure(ACCOUNT, id).await.unwrap().unwrap();
    assert_eq!((half.searched, half.emptied, half.state), (256, 86, ErasureState::Searching));

    let mut successor = janitor(&world);
    while successor.turn().await.unwrap() == Turn::Worked {}
    let done = world.store.erasure(ACCOUNT, id).await.unwrap().unwrap();
    assert_eq!((done.searched, done.emptied, done.state), (600, 200, ErasureState::Done { at: world.clock.now() }));
    let listed = world.store.messages(ACCOUNT, MessageFilter::default(), None, 1_000).await.unwrap().items;
    assert_eq!(listed.iter().filter(|message| message.content == MessageContent::Kept).count(), 400);
}

#[tokio::test]
async fn what_is_old_goes_in_its_time_and_what_is_owed_stays() {
    let mut world = World::with_members(30).await;
    accept(&world, 30).await;
    let (receiver, _) = world.subscriber().await;
    receiver.answers(|arrived| Answer::Status(if arrived.name() == "Person 2" { 400 } else { 200 }));
    let event = world.save_series().await;
    world.work().await;
    world.store.set_retention(ACCOUNT, Retention::new(1, 2, 30).unwrap()).await.unwrap();
    let mut janitor = janitor(&world);
    let mut seen = Vec::new();
    for days in [0, 1, 2, 30] {
        world.advance(days * 24 * 3_600 + 7_200).await;
        if days == 2 {
            assert_eq!(world.deliveries_that_are(DeliveryStatus::Retrying).await.len(), 1);
            run(&mut janitor).await;
            assert_eq!(world.deliveries().await.len(), 30, "a retry is owed, so its fan-out keeps its log");
            receiver.answers(|_| Answer::Status(200));
            world.work().await;
            world.advance(3 * 24 * 3_600).await;
        }
        run(&mut janitor).await;
        let messages = world.store.messages(ACCOUNT, MessageFilter::default(), None, 100).await.unwrap().items;
        let bodies = messages.iter().filter(|message| message.content == MessageContent::Kept).count();
        let events = store::Catalog::events(&world.store, ACCOUNT, None, 10).await.unwrap().items;
        let delivered = events.first().map(|event| event.fan_outs[0].delivered);
        seen.push((bodies, world.deliveries().await.len(), messages.len(), delivered));
    }
    assert_eq!(
        seen,
        [(30, 30, 30, Some(29)), (0, 30, 30, Some(29)), (0, 0, 30, Some(30)), (0, 0, 0, None)],
        "bodies after a day, the log after two, the rest after thirty"
    );
    assert!(store::Catalog::event(&world.store, ACCOUNT, event).await.unwrap().is_none());
}

#[tokio::test]
async fn a_message_stays_as_long_as_its_repetition_is_to_be_recognised() {
    let mut world = World::with_members(1).await;
    accept(&world, 1).await;
    world.store.set_retention(ACCOUNT, Retention::new(1, 1, 30).unwrap()).await.unwrap();
    let store = world.store.clone().with_dedupe_window(DedupeWindow::new(40).unwrap());
    let mut janitor = Janitor::new(Arc::new(store), world.clock.clone());
    for (days, messages) in [(39, 1), (2, 0)] {
        world.advance(days * 24 * 3_600).await;
        run(&mut janitor).await;
        assert_eq!(world.store.message_counts(ACCOUNT).await.unwrap().stored, messages);
    }
}

#[tokio::test]
async fn a_round_waits_for_the_next_hour() {
    let mut world = World::with_members(1).await;
    let mut janitor = janitor(&world);
    run(&mut janitor).await;
    assert_eq!(janitor.turn().await.unwrap(), Turn::Idle);
    world.advance(3_600).await;
    assert_eq!(janitor.turn().await.unwrap(), Turn::Worked);
}

#[tokio::test]
async fn what_cannot_be_let_go_of_for_one_account_goes_for_the_others() {
    let mut world = World::with_members(1).await;
    accept(&world, 3).await;
    let other = AccountId::from_u32(2);
    let now = world.clock.now();
    let account = Account { id: other, name: "Other".into(), timezone: "Asia/Kolkata".into(), created_at: now };
    world.store.create_account(account, ApiKey::from_chance([2; 8], [2; 32]).to_stored()).await.unwrap();
    let (sender, record) = Sender::new(SourceId::from_bytes([8; 16]), other);
    world.store.create_source(record).await.unwrap();
    world.store.accept(sender.message("msg_1", "{}", now)).await.unwrap();
    let damaged = "create trigger damaged before update on message when new.account = 1
        begin select raise(abort, 'damaged'); end";
    rusqlite::Connection::open(world.file()).unwrap().execute_batch(damaged).unwrap();

    world.advance(100 * 24 * 3_600).await;
    let mut janitor = janitor(&world);
    let mut failures = 0;
    for _ in 0..100 {
        match janitor.turn().await {
            Ok(Turn::Idle) => break,
            Ok(Turn::Worked) => {}
            Err(_) => failures += 1,
        }
    }
    assert_eq!(failures, 1, "until the next round");
    for (account, content) in [(ACCOUNT, MessageContent::Kept), (other, MessageContent::Expired)] {
        let listed = world.store.messages(account, MessageFilter::default(), None, 10).await.unwrap().items;
        assert!(listed.iter().all(|message| message.content == content), "{account}: {listed:?}");
    }
}

fn janitor(world: &World) -> Janitor {
    Janitor::new(Arc::new(world.store.clone()), world.clock.clone())
}

async fn run(janitor: &mut Janitor) {
    while janitor.turn().await.unwrap() == Turn::Worked {}
}

/// Messages to the inbox; every third is about Person 2.
async fn accept(world: &World, count: usize) {
    let (sender, record) = Sender::new(SourceId::from_bytes([7; 16]), ACCOUNT);
    world.store.create_source(record).await.unwrap();
    for n in 0..count {
        let who = if n % 3 == 0 { "person2" } else { "person1" };
        let body = format!("{{\"n\":{n},\"email\":\"{who}@example.com\"}}");
        let message = sender.message(&format!("msg_{n}"), &body, world.clock.now());
        world.store.accept(message).await.unwrap();
    }
}
