//! A target that is down: the whole handler rests, and few messages pay for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::deeds::{Deed, Deeds};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_target_that_is_down_costs_few_messages_an_attempt() {
    let is_down = Arc::new(AtomicBool::new(true));
    let seen = is_down.clone();
    let script = move |_: &str, _| if seen.load(Ordering::SeqCst) { Deed::FindTargetDown } else { Deed::Succeed };
    let deeds = Deeds::new(script);
    let mut world = World::with(&deeds);
    world.accept_many(200);
    world.turns_for(Duration::from_secs(60)).await;
    let begun = deeds.begun();
    // Four at once, then after 1, 2, 4, 8, 16 and 32 seconds one each.
    assert!((8..=10).contains(&begun.len()), "{} attempts in a minute", begun.len());

    is_down.store(false, Ordering::SeqCst);
    world.turns_for(Duration::from_secs(70)).await;
    assert_eq!(deeds.done().len(), 200);
    assert_eq!(deeds.begun().len(), 200 + begun.len());
}

#[tokio::test(start_paused = true)]
async fn each_probe_is_another_message() {
    let deeds = Deeds::new(|_, _| Deed::FindTargetDown);
    let mut world = World::with(&deeds);
    world.accept_many(200);
    world.turns_for(Duration::from_secs(250)).await;
    let begun = deeds.begun();
    let bodies: BTreeSet<&str> = begun.iter().map(|begun| begun.body.as_str()).collect();
    assert_eq!(bodies.len(), begun.len());
}

#[tokio::test(start_paused = true)]
async fn messages_that_provoke_it_do_not_stop_the_others() {
    let deeds = Deeds::new(|body, _| if body.starts_with("bad") { Deed::FindTargetDown } else { Deed::Succeed });
    let mut world = World::with_rules(&deeds, |rules| rules.concurrency = 1);
    for number in 0..100 {
        world.accept(&format!("bad {number}"));
        world.accept(&format!("good {number}"));
    }
    world.turns_for(Duration::from_secs(600)).await;
    assert_eq!(deeds.done().len(), 100);
}
