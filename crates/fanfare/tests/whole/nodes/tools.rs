//! The tools themselves: a fault that does not happen proves nothing.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use super::cluster::{CRM, Cluster, Stop};
use super::proxy::{Behind, Moment, Proxy};
use super::wait_for;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_cut_before_has_not_happened_and_one_cut_afterwards_has() {
    let Some(cluster) = Cluster::start().await else { return };
    let proxy = Proxy::to(cluster.port, Behind::Postgres).await;
    for (moment, text, kept) in [(Moment::BeforeTheCommit, "a", 0), (Moment::AfterTheCommit, "b", 1)] {
        proxy.cut_commits("into effect ", moment, 1);
        let client = connect(&proxy).await;
        client.batch_execute("begin").await.unwrap();
        client.execute("insert into effect values ($1)", &[&text]).await.unwrap();
        assert!(client.batch_execute("commit").await.unwrap_err().is_closed(), "{moment:?}");
        let found = format!("select count(*) from effect where message = '{text}'");
        assert_eq!(cluster.count(CRM, &found).await, kept, "{moment:?}");
    }
    assert_eq!(proxy.commits_cut(), 2);
    let client = connect(&proxy).await;
    client.batch_execute("begin; insert into effect values ('c'); commit").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_goes_on_afterwards_and_what_is_cut_ends() {
    let Some(cluster) = Cluster::start().await else { return };
    let proxy = Proxy::to(cluster.port, Behind::Postgres).await;
    let client = connect(&proxy).await;
    proxy.hold();
    let mut asking = std::pin::pin!(client.batch_execute("select 1"));
    assert!(timeout(Duration::from_millis(300), &mut asking).await.is_err(), "nothing comes back");
    proxy.let_go();
    asking.await.unwrap();
    proxy.cut();
    wait_for("the cut", async || client.is_closed()).await;

    let listening = connect(&proxy).await;
    listening.batch_execute("listen news").await.unwrap();
    proxy.lose_notifications();
    cluster.execute(CRM, "notify news").await;
    wait_for("the loss", async || proxy.notifications_lost() == 1).await;
    listening.batch_execute("select 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_waited_for_has_everything_when_it_is_promoted() {
    let Some(primary) = Cluster::start().await else { return };
    let standby = primary.standby().await;
    primary.wait_for_the_standby().await;
    primary.execute(CRM, "insert into effect values ('a')").await;
    primary.stop(Stop::Immediate).await;
    standby.promote().await;
    standby.execute(CRM, "insert into effect values ('b')").await;
    assert_eq!(standby.count(CRM, "select count(*) from effect").await, 2);
}

async fn connect(proxy: &Proxy) -> Client {
    let settings = format!("host=127.0.0.1 port={} user=fanfare dbname={CRM}", proxy.port);
    let (client, connection) = tokio_postgres::connect(&settings, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
