//! A copy made while the server works: all that was acknowledged before is in it, and a server on it goes on from there.

use crate::power::{Kept, Promise};
use crate::server;
use crate::world::World;

/// Rounds of load before and during the copy.
const ROUNDS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_under_load_has_all_that_was_acknowledged_before() {
    let mut world = World::with_members(300).await;
    let server = world.start().await;
    for _ in 0..ROUNDS {
        world.announce_and_send(&server).await;
    }
    let (acknowledged, announced) = {
        let ledger = world.ledger.lock().unwrap();
        (ledger.acknowledged.clone(), ledger.announced.clone())
    };
    let (original, copy) = (world.database(), world.directory().join("copy.db"));
    let load = async {
        for _ in 0..ROUNDS {
            world.announce_and_send(&server).await;
        }
    };
    let ((), told) = tokio::join!(load, server::back_up(&original, &copy));
    assert!(told.contains("checked"), "{told}");

    let kept = Kept::read(&copy, "the copy");
    assert!(acknowledged.is_subset(&kept.messages) && acknowledged.len() > ROUNDS);
    assert!(announced.iter().all(|fan_out| kept.has(&Promise::FanOut(fan_out.clone()))) && announced.len() == ROUNDS);
    assert!(kept.messages.len() < world.ledger.lock().unwrap().acknowledged.len(), "it was made amid the load");

    world.wait_until_everything_is_delivered(&server).await;
    server.stop().await;
    world.judge("what was copied", 1);
    world.move_to(copy);
    let server = world.start().await;
    world.wait_until_everything_is_delivered(&server).await;
    server.stop().await;
    assert!(world.copies_of_one_message() <= 2, "what was owed at the copy is sent again, and no more");
}
