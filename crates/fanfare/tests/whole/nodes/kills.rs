//! Three nodes killed and started again at random times, under deliveries and an inbox that go on.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cluster::Cluster;
use super::estate::Size;
use super::fleet::Fleet;
use super::load::Load;
use crate::crash::Chance;
use crate::receiver::Receiver;

const ROUNDS: usize = 10;
const SIZE: Size = Size { members: 30, endpoints: 4, series: 150, per_second: None };
/// So that requests are under way when a node is killed.
const TAKES: Duration = Duration::from_millis(50);
/// Clients of each kind, and how long each pauses: as many series as there are, spread over all rounds.
const CLIENTS: usize = 2;
const PAUSE: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_killed_at_random_times_lose_nothing_that_was_acknowledged() {
    let Some(cluster) = Cluster::start().await else { return };
    let seed = std::env::var("FANFARE_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(ROUNDS));
    println!("FANFARE_TEST_SEED={seed} repeats it");
    let mut chance = Chance(seed);
    let receiver = Receiver::that_takes(TAKES).await;
    let (ways, port) = ([cluster.url(), cluster.url(), cluster.url()], receiver.address.port());
    let mut fleet = Fleet::start_towards(&ways, &cluster.crm(), SIZE, receiver, port).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = clients(&fleet.load, &is_over);

    for _ in 0..ROUNDS {
        sleep(Duration::from_millis(chance.below(1_200))).await;
        // One of them, two, or all.
        let (first, count) = (chance.below(3), 1 + chance.below(3));
        let numbers: Vec<usize> = (first..first + count).map(|number| usize::try_from(number % 3).unwrap()).collect();
        for number in &numbers {
            fleet.kill_node(*number).await;
        }
        sleep(Duration::from_millis(chance.below(600))).await;
        for number in numbers {
            fleet.start_node(number).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }

    fleet.wait_until_all_is_done(&cluster).await;
    // One delivery may be in flight at several of the kills.
    fleet.judge(&cluster, &cluster, ROUNDS).await;
    let promises = fleet.load.promises();
    println!(
        "{} saves, {} webhooks to the inbox, {} requests repeated, {} of {} deliveries came more than once",
        promises.saves.len(),
        promises.acknowledged.len(),
        promises.repeated,
        fleet.duplicates(),
        fleet.received()
    );
    assert!(promises.repeated > 0 && promises.saves.len() > ROUNDS, "the kills came in the midst of the load");
    fleet.stop().await;
}

fn clients(load: &Arc<Load>, is_over: &Arc<AtomicBool>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (saver, is_over_for_saver) = (load.clone(), is_over.clone());
        clients.spawn(async move {
            while !is_over_for_saver.load(Ordering::Relaxed) && saver.has_unannounced() {
                saver.publish().await;
                sleep(PAUSE).await;
            }
        });
        let (sender, is_over) = (load.clone(), is_over.clone());
        clients.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                sender.send().await;
                sleep(PAUSE / 5).await;
            }
        });
    }
    clients
}
