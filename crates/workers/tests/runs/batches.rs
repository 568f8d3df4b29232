//! Handlers that like to do several at once.

use std::time::Duration;

use receiver::handling::HandlerRate;

use crate::deeds::{Deed, Deeds};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn messages_are_handed_over_together_as_many_as_the_handler_likes() {
    let deeds = Deeds::in_batches(50, |_, _| Deed::Succeed);
    let mut world = World::with(&deeds);
    world.accept_many(200);
    world.turn().await;
    assert_eq!(deeds.done().len(), 200);
    assert!(deeds.begun().iter().all(|begun| begun.together == 50));
}

#[tokio::test(start_paused = true)]
async fn a_batch_holds_one_message_of_each_person() {
    let deeds = Deeds::in_batches(50, |_, _| Deed::Succeed);
    let mut world = World::with(&deeds);
    world.accept_all(["ann/1", "bob/1", "ann/2", "ann/3", "cid/1"]);
    world.turn().await;
    let together: Vec<_> = deeds.begun().iter().map(|begun| begun.together).collect();
    assert_eq!(deeds.done(), ["ann/1", "bob/1", "cid/1", "ann/2", "ann/3"]);
    assert_eq!(together, [3, 3, 3, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_has_failed_before_is_tried_alone() {
    let deeds = Deeds::in_batches(50, |body, attempt| match (body, attempt) {
        ("b", 1) => Deed::Refuse,
        _ => Deed::Succeed,
    });
    let mut world = World::with(&deeds);
    world.accept_all(["a", "b", "c"]);
    world.turn().await;
    tokio::time::advance(Duration::from_secs(6)).await;
    world.accept_all(["d", "e"]);
    world.turn().await;
    let together: Vec<_> = deeds.begun().into_iter().map(|begun| (begun.body, begun.together)).collect();
    let wanted = [("a", 3), ("b", 3), ("c", 3), ("b", 1), ("d", 2), ("e", 2)];
    assert_eq!(together, wanted.map(|(body, together)| (body.to_owned(), together)));
}

#[tokio::test(start_paused = true)]
async fn a_rate_counts_messages_and_not_batches() {
    let deeds = Deeds::in_batches(50, |_, _| Deed::Succeed);
    let rate = HandlerRate { attempts: 20, per: Duration::from_secs(60) };
    let mut world = World::with_rules(&deeds, |rules| rules.rates = vec![rate]);
    world.accept_many(200);
    world.turns_for(Duration::from_secs(59)).await;
    let begun = deeds.begun().len();
    assert!((15..=20).contains(&begun), "{begun} in a minute");
}
