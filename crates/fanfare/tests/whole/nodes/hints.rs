//! Hints between nodes that are lost: looking by itself, each node finds what there is to do.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::PATIENCE;
use super::cluster::{CRM, Cluster};
use super::estate::Size;
use super::fleet::Fleet;
use super::proxy::{Behind, Proxy};
use crate::server;

/// Each loop looks once a second; the rest is for the work itself.
const SOON: Duration = Duration::from_secs(2);
/// Of a node that has lost its connections, and has to find new ones first.
const SOON_AFTER_A_CUT: Duration = Duration::from_secs(5);
const MESSAGES: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_accepts_another_finds_by_looking_where_no_notification_comes() {
    const SIZE: Size = Size { members: 20, endpoints: 1, series: 1, per_second: None };
    let Some(cluster) = Cluster::start().await else { return };
    let proxy = Proxy::to(cluster.port, Behind::Postgres).await;
    let ways = [cluster.url(), Cluster::url_through(proxy.port)];
    let mut fleet = Fleet::start(&ways, &cluster.crm(), SIZE).await;
    fleet.stop_node(0).await;
    fleet.let_only_accept(0);
    fleet.start_node(0).await;
    proxy.lose_notifications();
    let working = fleet.node(1).address;
    fleet.load.set_node(1, None);

    let mut longest = Duration::ZERO;
    for number in 0..MESSAGES {
        fleet.load.send().await;
        longest = longest.max(until_effects(&cluster, number + 1).await);
    }
    assert!(longest < SOON, "the slowest was found after {longest:?}");
    assert!(proxy.notifications_lost() > 0, "hints were on their way");
    proxy.cut();
    fleet.load.send().await;
    let after_a_cut = until_effects(&cluster, MESSAGES + 1).await;
    assert!(after_a_cut < SOON_AFTER_A_CUT, "it was found after {after_a_cut:?}");

    // A command puts work in line and tells nobody.
    fleet.load.set_node(0, None);
    fleet.load.set_node(1, Some(working));
    fleet.load.publish().await;
    until_received(&fleet, SIZE.members).await;
    let event = fleet.load.newest_event().await;
    let replay = ["replay", "--event", &event, "--all", "--yes", "--json"];
    server::run(Path::new(&cluster.url()), &replay).await;
    let replayed = until_received(&fleet, 2 * SIZE.members).await;
    // The replay is found first, then the lane.
    assert!(replayed < 2 * SOON, "it was found after {replayed:?}");
    println!(
        "found by looking: messages within {longest:?}, {after_a_cut:?} after a cut, a replay within {replayed:?}"
    );
    fleet.stop().await;
}

/// How long it takes until so many effects are there.
async fn until_effects(cluster: &Cluster, count: usize) -> Duration {
    let database = cluster.connect(CRM).await;
    until(async || {
        let found = database.query_one("select count(*) from effect", &[]).await.unwrap();
        found.get::<_, i64>(0) >= count as i64
    })
    .await
}

async fn until_received(fleet: &Fleet, count: usize) -> Duration {
    until(async || fleet.received() >= count).await
}

async fn until(mut is_there: impl AsyncFnMut() -> bool) -> Duration {
    let begun_at = Instant::now();
    let waiting = async {
        while !is_there().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it is found in the end");
    begun_at.elapsed()
}
