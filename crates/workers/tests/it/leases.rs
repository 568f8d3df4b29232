//! Leases beside other nodes: what is given back, and what becomes of a lane that another has taken.

use std::time::Duration;

use store::{Clock, Lanes, Lease, Nodes, Room};
use tokio::sync::watch;
use wire::NodeId;

use crate::log::Log;
use crate::receiver::Answer;
use crate::world::World;

const A_MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_lane_that_another_has_taken_drops_what_it_holds_and_says_so_once() {
    let (log, _listening) = Log::listen();
    let mut world = World::with_members(4).await;
    let (receiver, endpoint) = world.subscriber().await;
    let (open, gate) = watch::channel(false);
    receiver.answers(move |_| Answer::When(gate.clone()));
    world.save_series().await;
    world.start_work().await;
    receiver.has_got(4).await;

    assert_eq!(claim_elsewhere(&world, A_MINUTE).await.len(), 1, "its lease is over");
    open.send_replace(true);
    world.finish_work().await;

    let told: Vec<_> = log.lines().into_iter().filter(|line| line.contains(&endpoint.to_string())).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("another owner has a lane"), "{told:?}");
    assert!(told[0].contains("outcomes=4 ") || told[0].contains("in_flight=4 "), "what it held: {told:?}");
    assert!(world.deliveries().await.is_empty(), "nothing of it is on disk");
}

#[tokio::test]
async fn a_node_that_stops_leaves_its_lanes_to_others_at_once() {
    let mut world = World::with_members(300).await;
    let (receiver, _) = world.subscriber().await;
    let (open, gate) = watch::channel(false);
    receiver.answers(move |_| Answer::When(gate.clone()));
    world.save_series().await;
    let (running, stop) = world.run_among_others("a.example");
    receiver.has_got(1).await;
    let nodes = world.store.nodes().await.unwrap();
    assert_eq!(nodes.iter().map(|record| record.presence.name.as_str()).collect::<Vec<_>>(), ["a.example"]);
    assert!(claim_elsewhere(&world, Duration::ZERO).await.is_empty());

    stop.send_replace(true);
    open.send_replace(true);
    running.await.unwrap();
    assert!(world.store.nodes().await.unwrap().is_empty());
    assert_eq!(claim_elsewhere(&world, Duration::ZERO).await.len(), 1, "long before the lease would have been over");
    let delivered = world.deliveries().await.len();
    assert!((1..300).contains(&delivered), "{delivered} of 300 were on their way and are on disk");
}

/// What another node gets so much later.
async fn claim_elsewhere(world: &World, later: Duration) -> Vec<Lease> {
    let (other, now) = (NodeId::from_bytes([9; 16]), world.clock.now() + later);
    world.store.claim(other, now, A_MINUTE, Room::of(10)).await.unwrap()
}
