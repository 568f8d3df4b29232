//! A node that is told to stop gives its lanes to the other at once.

use std::time::Duration;

use tokio::time::Instant;

use super::cluster::Cluster;
use super::estate::Size;
use super::fleet::Fleet;
use super::frozen::owners;
use super::verdict::stand_stills;
use super::wait_for;

/// Two announcements last 30 seconds at this pace.
const SIZE: Size = Size { members: 150, endpoints: 6, series: 2, per_second: Some(10) };
/// Far less than a lease.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_told_to_stop_gives_its_lanes_to_the_other_at_once() {
    let Some(cluster) = Cluster::start().await else { return };
    let mut fleet = Fleet::of_two(&cluster, SIZE).await;
    fleet.load.publish_and_send(1, 20).await;
    wait_for("both nodes deliver", async || owners(&cluster).await == 2 && fleet.received() > 100).await;

    let told_at = Instant::now();
    let load = fleet.load.clone();
    let beside = tokio::spawn(async move { load.publish_and_send(1, 40).await });
    fleet.stop_node(0).await;
    let stopped_after = told_at.elapsed();
    beside.await.unwrap();
    wait_for("the other node has all lanes", async || owners(&cluster).await == 1).await;

    fleet.wait_until_all_is_done(&cluster).await;
    fleet.judge(&cluster, &cluster, 1).await;
    let stand_still = stand_stills(&fleet, told_at).into_iter().max().unwrap();
    println!("drained in {stopped_after:?}; its lanes stood still for {stand_still:?}");
    assert!(stand_still < AT_ONCE && stopped_after < AT_ONCE, "{stand_still:?} {stopped_after:?}");
    fleet.stop().await;
}
