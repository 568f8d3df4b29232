//! A primary that dies and a standby that takes its place; and what a node says of replication at its start.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::cluster::{Cluster, STORE, Stop};
use super::estate::Size;
use super::fleet::Fleet;
use super::wait_for;

const WARNING: &str = "async replication";

#[tokio::test(flavor = "multi_thread")]
async fn when_the_primary_dies_its_synchronous_standby_has_all_that_was_acknowledged_and_the_nodes_find_it() {
    const SIZE: Size = Size { members: 20, endpoints: 3, series: 40, per_second: Some(40) };
    let (Some(primary), Some(crm)) = (Cluster::start().await, Cluster::start().await) else { return };
    let standby = primary.standby().await;
    primary.wait_for_the_standby().await;
    let url = of_both(&primary, &standby);
    let mut fleet = Fleet::start(&[url.clone(), url], &crm.crm(), SIZE).await;
    for number in 0..2 {
        let told = fleet.node(number).told();
        assert!(!told.contains(WARNING), "{told}");
    }
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let load = fleet.load.clone();
        clients.spawn(async move { load.publish_and_send(10, 100).await });
    }
    wait_for("the load is under way", async || fleet.load.promises().acknowledged.len() > 40).await;

    primary.stop(Stop::Immediate).await;
    standby.promote().await;

    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert!(fleet.load.promises().repeated > 0, "it died in the midst of the load");
    fleet.wait_until_all_is_done(&crm).await;
    fleet.judge(&standby, &crm, 3).await;
    assert!(fleet.node(0).lives() && fleet.node(1).lives());
    fleet.stop().await;
}

/// Longer than a client waits for an answer, shorter than a node does.
const GONE: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn while_the_standby_that_commits_wait_for_is_gone_nothing_is_acknowledged_and_nothing_is_lost() {
    const SIZE: Size = Size { members: 50, endpoints: 2, series: 4, per_second: None };
    let (Some(primary), Some(crm)) = (Cluster::start().await, Cluster::start().await) else { return };
    let standby = primary.standby().await;
    primary.wait_for_the_standby().await;
    let mut fleet = Fleet::start(&[primary.url()], &crm.crm(), SIZE).await;
    fleet.load.publish_and_send(1, 10).await;

    standby.stop(Stop::Fast).await;
    let acknowledged = fleet.load.promises().acknowledged.len();
    let load = fleet.load.clone();
    let asking = tokio::spawn(async move { load.publish_and_send(1, 5).await });
    sleep(GONE).await;
    let promises = fleet.load.promises();
    assert_eq!((promises.acknowledged.len(), promises.saves.len()), (acknowledged, 1), "nothing new is promised");
    standby.resume().await;

    asking.await.unwrap();
    fleet.wait_until_all_is_done(&crm).await;
    fleet.judge(&primary, &crm, 2).await;
    assert!(fleet.node(0).lives());
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_warns_where_a_standby_follows_that_no_commit_waits_for() {
    const SIZE: Size = Size { members: 1, endpoints: 1, series: 1, per_second: None };
    let Some(primary) = Cluster::start().await else { return };
    let mut fleet = Fleet::start(&[primary.url()], &primary.crm(), SIZE).await;
    assert!(!fleet.stop_node(0).await.contains(WARNING), "nothing follows it");

    let _standby = primary.standby().await;
    let following = "select count(*) from pg_stat_replication where state = 'streaming'";
    wait_for("the standby follows", async || primary.count(STORE, following).await == 1).await;
    fleet.start_node(0).await;
    wait_for("a warning", async || fleet.node(0).told().contains(WARNING)).await;
    fleet.stop_node(0).await;

    primary.wait_for_the_standby().await;
    fleet.start_node(0).await;
    assert!(!fleet.stop_node(0).await.contains(WARNING), "commits wait for it");
}

fn of_both(primary: &Cluster, standby: &Cluster) -> String {
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port, standby.port);
    format!("postgres://fanfare@{hosts}/{STORE}?sslmode=disable&target_session_attrs=read-write")
}
