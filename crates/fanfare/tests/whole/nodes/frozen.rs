//! A node that sleeps for longer than its leases: others take over, and what it still believes to own it cannot change.

use std::time::Duration;

use tokio::time::Instant;

use super::cluster::{CRM, Cluster, STORE};
use super::estate::Size;
use super::fleet::Fleet;
use super::verdict::stand_stills;
use super::{LEASE, SLACK, wait_for};
use crate::receiver::Receiver;

/// Two announcements last 24 seconds at this pace: longer than a lease.
const SIZE: Size = Size { members: 60, endpoints: 6, series: 2, per_second: Some(5) };

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_slept_for_longer_than_its_lease_has_lost_its_lanes_and_goes_on_with_others() {
    let Some(cluster) = Cluster::start().await else { return };
    // Some requests are under way when it falls asleep, and answered when it wakes.
    let receiver = Receiver::that_takes(Duration::from_millis(300)).await;
    let (ways, port) = ([cluster.url(), cluster.url()], receiver.address.port());
    let mut fleet = Fleet::start_towards(&ways, &cluster.crm(), SIZE, receiver, port).await;
    fleet.load.publish_and_send(1, 20).await;
    wait_for("both nodes deliver", async || owners(&cluster).await == 2 && fleet.received() > 50).await;

    fleet.freeze_node(0);
    let frozen_at = Instant::now();
    fleet.load.publish_and_send(1, 20).await;
    wait_for("the other node has all lanes", async || owners(&cluster).await == 1).await;
    assert!(frozen_at.elapsed() < LEASE + SLACK, "it took {:?}", frozen_at.elapsed());
    wait_for("and delivers what the sleeper had", async || stand_stills(&fleet, frozen_at).len() == SIZE.endpoints)
        .await;
    let effects = "select count(*) from effect";
    wait_for("and the handler", async || cluster.count(CRM, effects).await == 40).await;
    fleet.wake_node(0);
    for told in ["another owner has a lane", "another node has the handler"] {
        wait_for("the sleeper is told", async || fleet.node(0).told().contains(told)).await;
    }

    fleet.wait_until_all_is_done(&cluster).await;
    fleet.judge(&cluster, &cluster, 2).await;
    assert!(fleet.node(0).lives());
    let stand_still = stand_stills(&fleet, frozen_at).into_iter().max().unwrap();
    assert!(stand_still < LEASE + SLACK, "its lanes stood still for {stand_still:?}");
    println!("lanes of a sleeping node stood still for {stand_still:?}; {} webhooks came twice", fleet.duplicates());
    fleet.stop().await;
}

/// How many nodes have lanes now.
pub(super) async fn owners(cluster: &Cluster) -> i64 {
    let now = "(extract(epoch from clock_timestamp()) * 1000)::bigint";
    cluster.count(STORE, &format!("select count(distinct owner) from lane where lease_until > {now}")).await
}
