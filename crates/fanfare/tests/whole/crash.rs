//! Crashes, judged by a ledger: whatever was acknowledged is there, everyone is told, and a duplicate bears the id of
//! what it repeats.

use std::time::Duration;

use store::FailPoint;
use tokio::time::sleep;

use crate::server::Ended;
use crate::world::World;

/// People each announcement goes to: several pages of outcomes, and still quick.
const MEMBERS: usize = 300;
/// How often a busy place is passed before it fails: at the first chance, and in the midst of the work.
const PASSES: [u64; 2] = [0, 7];

#[tokio::test(flavor = "multi_thread")]
async fn at_every_fail_point_nothing_acknowledged_is_lost() {
    // Those of handlers are passed in `receiving`.
    let is_of_handlers = |place: &FailPoint| place.to_string().starts_with("Run");
    let places = FailPoint::ALL.into_iter().filter(|place| !is_of_handlers(place));
    for place in places.filter(|place| *place != FailPoint::MigrationBeforeCommit) {
        for passes in PASSES {
            let world = World::with_members(MEMBERS).await;
            let ended = match world.start_failing_at(place, passes).await {
                Some(mut server) => {
                    world.announce_and_send(&server).await;
                    server.died_or(|| world.has_delivered()).await
                }
                None => Ended::Died,
            };
            // What is passed once or twice in all does not fail the eighth time.
            assert!(ended == Ended::Died || passes > 0, "{place} was never reached");

            let server = world.start().await;
            world.wait_until_everything_is_delivered(&server).await;
            server.stop().await;
            world.judge(&format!("{place} after {passes}"), 2);
        }
    }
}

#[tokio::test]
async fn a_crash_during_the_first_migration_leaves_a_file_that_opens() {
    let world = World::empty();
    assert!(world.start_failing_at(FailPoint::MigrationBeforeCommit, 0).await.is_none(), "it dies before it listens");
    let server = world.start().await;
    server.stop().await;
}

/// Rounds of load and kill. Each costs about half a second.
const KILLS: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn killed_two_hundred_times_under_load_nothing_acknowledged_is_lost() {
    let world = World::with_members(40).await;
    let mut chance = Chance(0x5eed);
    for round in 0..KILLS {
        let mut server = world.start().await;
        let kill_after = Duration::from_millis(chance.below(60));
        let load = world.announce_and_send(&server);
        tokio::select! {
            () = load => {}
            () = sleep(kill_after) => {}
        }
        server.kill().await;
        assert!(world.ledger.lock().unwrap().attempted() > round / 4, "the load reaches the server");
    }
    let server = world.start().await;
    world.wait_until_everything_is_delivered(&server).await;
    server.stop().await;
    // One delivery may be in flight at several of the kills.
    world.judge("random kills", KILLS);
    let ledger = world.ledger.lock().unwrap();
    assert!(ledger.announced.len() < ledger.tried, "the kills came in the midst of saves");
    assert!(ledger.acknowledged.len() < ledger.sent.len(), "and in the midst of webhooks");
    assert!(world.copies_of_one_message() > 1, "and in the midst of deliveries");
}

/// Numbers that look random and are the same in each run (Knuth's multiplier).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
