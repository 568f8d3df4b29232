//! A handler that panics, hangs or always fails parks that message and never the others.

use std::time::Duration;

use handlers::Filter;
use store::RunState;

use crate::deeds::{Deed, Deeds};
use crate::world::World;

/// The script of a handler that does everything well but this.
fn well_but(poison: Deed) -> impl Fn(&str, u32) -> Deed {
    move |body, _| if body == "poison" { poison } else { Deed::Succeed }
}

async fn others_are_done_and_the_poison_is_parked(poison: Deed, batch_max: usize) -> Vec<String> {
    let deeds = Deeds::in_batches(batch_max, well_but(poison));
    let mut world = World::with_rules(&deeds, |rules| {
        rules.retry = vec![Duration::from_secs(1); 2];
        rules.timeout = Duration::from_secs(10);
    });
    let bodies: Vec<String> = (0..300).map(|number| format!("good {number}")).collect();
    world.accept_all(bodies[..150].iter().map(String::as_str));
    let number = world.accept("poison");
    world.accept_all(bodies[150..].iter().map(String::as_str));
    world.turns_for(Duration::from_secs(60)).await;

    let row = world.row("crm", number).unwrap();
    let RunState::Parked { reason } = row.state else { panic!("{row:?}") };
    assert_eq!(world.standings().iter().filter(|standing| **standing == "done").count(), 300);
    assert!(world.standings().iter().all(|standing| *standing != "waiting"));
    vec![row.attempts.to_string(), reason]
}

#[tokio::test(start_paused = true)]
async fn one_that_panics_parks_its_message_alone() {
    let parked = others_are_done_and_the_poison_is_parked(Deed::Panic, 1).await;
    assert_eq!(parked, ["3", "the handler panicked"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_parks_its_message_alone() {
    let parked = others_are_done_and_the_poison_is_parked(Deed::Hang, 1).await;
    assert_eq!(parked, ["3", "took longer than 10s"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_always_fails_parks_its_message_alone() {
    let parked = others_are_done_and_the_poison_is_parked(Deed::Refuse, 1).await;
    assert_eq!(parked, ["3", "as the test says"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_despairs_parks_its_message_at_once() {
    let parked = others_are_done_and_the_poison_is_parked(Deed::Despair, 1).await;
    assert_eq!(parked, ["1", "as the test says"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_its_target_for_down_each_time_parks_its_message_alone() {
    let parked = others_are_done_and_the_poison_is_parked(Deed::FindTargetDown, 1).await;
    assert_eq!(parked, ["3", "as the test says"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_panics_or_hangs_costs_only_the_poison_its_attempts() {
    for poison in [Deed::Panic, Deed::Hang, Deed::Refuse, Deed::FindTargetDown] {
        let parked = others_are_done_and_the_poison_is_parked(poison, 64).await;
        assert_eq!(parked[0], "3", "{poison:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_holds_up_nobody_meanwhile() {
    let deeds = Deeds::new(well_but(Deed::Hang));
    let mut world = World::with(&deeds);
    world.accept_all(["poison", "a", "b", "c", "d", "e"]);
    let supervisor = world.supervisor();
    let running = tokio::spawn(supervisor.run(Duration::ZERO));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(deeds.done().len(), 5);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_or_filtered_is_parked_alone() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let mut world = World::new();
    let filter = Filter::parse("'x' in message.rerun if message.senderId == 'msg_3' else true").unwrap();
    world.add("crm", &deeds, Some(filter), |_| {});
    world.accept_all(["before", "unreadable", "not to be filtered", "after"]);
    world.turn().await;
    assert_eq!(world.standings(), ["done", "parked", "parked", "done"]);
    let reason = |number| match world.row("crm", number).unwrap().state {
        RunState::Parked { reason } => reason,
        state => panic!("{state:?}"),
    };
    assert!(reason(2).contains("could not be read"), "{}", reason(2));
    assert!(reason(3).starts_with("the filter failed: "), "{}", reason(3));
}
