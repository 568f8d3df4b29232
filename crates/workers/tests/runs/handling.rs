//! Which messages are handled, how often, how fast.

use std::time::Duration;

use handlers::Filter;
use receiver::HandlerStart;
use receiver::handling::HandlerRate;
use store::{MessageContent, RunState, SkipReason};
use tokio::time::Instant;
use workers::Turn;

use crate::deeds::{Deed, Deeds};
use crate::world::World;

#[tokio::test(start_paused = true)]
async fn every_message_is_handled_once() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let mut world = World::with(&deeds);
    let bodies: Vec<String> = (0..1_000).map(|number| format!("message {number}")).collect();
    world.accept_all(bodies.iter().map(String::as_str));
    assert_eq!(world.turn().await, Turn::Worked);
    assert_eq!(world.turn().await, Turn::Idle);
    assert_eq!(deeds.done().len(), 1_000);
    assert!(deeds.attempts().values().all(|attempts| *attempts == 1));
    assert_eq!(world.cursor(), 1_000);
    assert!(deeds.at_once_max() <= 4, "{} at once", deeds.at_once_max());
    let (page, busy) = world.store.tables().asked_max;
    assert!(page <= 256 && busy <= 1_024, "a page of {page}, {busy} busy");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_handlers_moves_its_cursor_and_leaves_no_row() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let mut world = World::new();
    let filter = Filter::parse("message.senderId != 'msg_4'").unwrap();
    world.add("crm", &deeds, Some(filter), |rules| rules.events = vec!["order.*".to_owned()]);
    world.accept("no event");
    world.accept_with("fanfare-event: order.paid\n", "taken");
    world.accept_with("fanfare-event: order.paid\nfanfare-test: true\n", "a test");
    world.accept_with("fanfare-event: order.paid\n", "filtered");
    world.accept_with("fanfare-event: refund\n", "another event");
    world.turn().await;
    assert_eq!(deeds.done(), ["taken"]);
    assert_eq!(world.standings(), ["none", "done", "none", "none", "none"]);
    assert_eq!(world.cursor(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_handler_of_one_source_takes_no_other() {
    let (named, other) = (Deeds::new(|_, _| Deed::Succeed), Deeds::new(|_, _| Deed::Succeed));
    let mut world = World::new();
    world.add("crm", &named, None, |rules| rules.sources = vec!["courses".to_owned()]);
    world.add("shop", &other, None, |rules| rules.sources = vec!["shop".to_owned()]);
    world.accept("of courses");
    world.turn().await;
    assert_eq!((named.done().len(), other.done().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn test_webhooks_are_taken_where_the_rules_say_so() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let mut world = World::with_rules(&deeds, |rules| rules.test_webhooks = true);
    world.accept_with("fanfare-test: true\n", "a test");
    world.turn().await;
    assert_eq!(deeds.done(), ["a test"]);
}

#[tokio::test(start_paused = true)]
async fn a_new_handler_begins_now_and_a_known_one_where_it_was() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let mut world = World::with_rules(&deeds, |rules| rules.start = HandlerStart::Now);
    world.accept("before it was there");
    world.turn().await;
    world.accept("since");
    world.turn().await;
    assert_eq!(deeds.done(), ["since"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_content_is_gone_is_skipped() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let mut world = World::with(&deeds);
    let number = world.accept("about somebody");
    world.store.tables().messages.get_mut(&number).unwrap().empty(MessageContent::Erased);
    world.turn().await;
    assert_eq!(deeds.begun(), []);
    assert_eq!(world.row("crm", number).unwrap().state, RunState::Skipped(SkipReason::ContentGone));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_by_schedule_and_then_parked() {
    let deeds = Deeds::new(|_, _| Deed::Refuse);
    let mut world = World::with_rules(&deeds, |rules| rules.retry = [5, 60].map(Duration::from_secs).to_vec());
    let number = world.accept("refused");
    world.turns_for(Duration::from_secs(120)).await;
    let begun: Vec<Instant> = deeds.begun().iter().map(|begun| begun.at).collect();
    let waits: Vec<u64> = begun.windows(2).map(|two| two[1].duration_since(two[0]).as_secs()).collect();
    assert!(waits.len() == 2 && (4..=6).contains(&waits[0]) && (54..=67).contains(&waits[1]), "{waits:?}");
    let row = world.row("crm", number).unwrap();
    assert_eq!((row.attempts, row.state), (3, RunState::Parked { reason: "as the test says".to_owned() }));
}

#[tokio::test(start_paused = true)]
async fn a_run_asked_for_anew_is_run_again_from_the_beginning_of_its_schedule() {
    let deeds = Deeds::new(|_, attempt| if attempt == 1 { Deed::Despair } else { Deed::Succeed });
    let mut world = World::with(&deeds);
    let number = world.accept("once more");
    world.turn().await;
    assert_eq!(world.standings(), ["parked"]);
    let now = store::Clock::now(&*world.clock);
    world.store.tables().rerun("crm", number, now);
    world.turn().await;
    let row = world.row("crm", number).unwrap();
    assert_eq!((row.attempts, row.generation, deeds.begun()[1].attempt), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_handler_goes_no_faster_than_its_rates() {
    let deeds = Deeds::new(|_, _| Deed::Succeed);
    let per_second = |attempts, seconds| HandlerRate { attempts, per: Duration::from_secs(seconds) };
    let mut world = World::with_rules(&deeds, |rules| rules.rates = vec![per_second(10, 1), per_second(60, 60)]);
    world.accept_many(500);
    world.turns_for(Duration::from_secs(180)).await;
    let begun = deeds.begun();
    for (attempts, seconds) in [(10, 1), (60, 60)] {
        let most = begun.windows(attempts + 1).map(|some| some[attempts].at.duration_since(some[0].at)).min().unwrap();
        assert!(most >= Duration::from_secs(seconds), "{attempts} and one more in {most:?}");
    }
    assert!(begun.len() >= 150, "{} in three minutes", begun.len());
}
