//! Partitions: nothing goes through and nothing is closed, between a node and the database, or between the nodes and a
//! receiver.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cluster::Cluster;
use super::estate::Size;
use super::fleet::Fleet;
use super::frozen::owners;
use super::load::Answer;
use super::proxy::{Behind, Proxy};
use super::verdict::stand_stills;
use super::{LEASE, SLACK, wait_for};
use crate::receiver::Receiver;

/// Of the workers: an attempt that takes longer has failed.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cut_off_from_the_database_loses_its_lanes_and_acknowledges_nothing() {
    /// Two announcements last 24 seconds at this pace: longer than a lease.
    const SIZE: Size = Size { members: 60, endpoints: 6, series: 2, per_second: Some(5) };
    let Some(cluster) = Cluster::start().await else { return };
    let proxy = Proxy::to(cluster.port, Behind::Postgres).await;
    let ways = [Cluster::url_through(proxy.port), cluster.url()];
    let mut fleet = Fleet::start(&ways, &cluster.crm(), SIZE).await;
    fleet.load.publish_and_send(1, 20).await;
    wait_for("both nodes deliver", async || owners(&cluster).await == 2 && fleet.received() > 50).await;

    proxy.hold();
    let held_at = Instant::now();
    let cut_off = fleet.node(0).address;
    fleet.load.set_node(0, None);
    let id = fleet.load.next_message();
    let answer = fleet.load.send_this(cut_off, &id).await;
    assert!(!matches!(answer, Answer::Kept(_)), "{answer:?}");
    fleet.load.publish_and_send(1, 20).await;
    wait_for("the other node has all lanes", async || owners(&cluster).await == 1).await;
    assert!(held_at.elapsed() < LEASE + SLACK, "it took {:?}", held_at.elapsed());
    sleep(SLACK).await;
    proxy.let_go();

    wait_for("the node takes webhooks again", async || {
        matches!(fleet.load.send_this(cut_off, &id).await, Answer::Kept(_))
    })
    .await;
    fleet.load.set_node(0, Some(cut_off));
    fleet.wait_until_all_is_done(&cluster).await;
    fleet.judge(&cluster, &cluster, 2).await;
    assert!(fleet.node(0).lives());
    let stand_still = stand_stills(&fleet, held_at).into_iter().max().unwrap();
    assert!(stand_still < LEASE + SLACK, "its lanes stood still for {stand_still:?}");
    println!("lanes of a node cut off stood still for {stand_still:?}; {} webhooks came twice", fleet.duplicates());
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_cut_off_from_all_nodes_gets_everything_afterwards() {
    const SIZE: Size = Size { members: 150, endpoints: 2, series: 3, per_second: Some(30) };
    let Some(cluster) = Cluster::start().await else { return };
    let receiver = Receiver::start().await;
    let proxy = Proxy::to(receiver.address.port(), Behind::Anything).await;
    let ways = [cluster.url(), cluster.url()];
    let mut fleet = Fleet::start_towards(&ways, &cluster.crm(), SIZE, receiver, proxy.port).await;
    fleet.load.publish_and_send(1, 10).await;
    wait_for("deliveries are under way", async || fleet.received() > 50).await;

    proxy.hold();
    let before = fleet.received();
    fleet.load.publish_and_send(1, 10).await;
    // So that some have failed.
    sleep(ATTEMPT_TIME_MAX + SLACK).await;
    assert!(fleet.received() <= before + 2, "nothing comes through");
    proxy.let_go();

    fleet.wait_until_all_is_done(&cluster).await;
    // What was held back arrives after all, and is sent again.
    fleet.judge(&cluster, &cluster, 3).await;
    fleet.stop().await;
}
