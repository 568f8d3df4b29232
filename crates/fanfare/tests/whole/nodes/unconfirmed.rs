//! Connections cut between a COMMIT and its answer, or just before the COMMIT: nobody is told which of the two it was, and
//! all comes right.

use super::cluster::Cluster;
use super::estate::Size;
use super::fleet::Fleet;
use super::proxy::{Behind, Moment, Proxy};
use super::wait_for;

const MOMENTS: [Moment; 2] = [Moment::BeforeTheCommit, Moment::AfterTheCommit];

#[tokio::test(flavor = "multi_thread")]
async fn a_save_and_a_webhook_whose_commit_was_not_answered_are_there_once_when_they_are_sent_again() {
    const SIZE: Size = Size { members: 20, endpoints: 2, series: 6, per_second: None };
    let Some(cluster) = Cluster::start().await else { return };
    let proxy = Proxy::to(cluster.port, Behind::Postgres).await;
    let mut fleet = Fleet::start(&[Cluster::url_through(proxy.port)], &cluster.crm(), SIZE).await;
    for (round, moment) in MOMENTS.into_iter().enumerate() {
        let cut_before = proxy.commits_cut();
        proxy.cut_commits("into event ", moment, 2);
        proxy.cut_commits("into message ", moment, 2);
        fleet.load.publish_and_send(2, 2).await;
        assert_eq!(proxy.commits_cut() - cut_before, 4, "{moment:?} was met");
        assert!(fleet.load.promises().repeated >= 4 * (round + 1), "and told to the clients");
    }
    fleet.wait_until_all_is_done(&cluster).await;
    fleet.judge(&cluster, &cluster, 2).await;
    fleet.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_whose_commit_was_not_answered_are_neither_lost_nor_counted_twice() {
    const SIZE: Size = Size { members: 100, endpoints: 3, series: 8, per_second: None };
    let Some(cluster) = Cluster::start().await else { return };
    let proxy = Proxy::to(cluster.port, Behind::Postgres).await;
    let mut fleet = Fleet::start(&[Cluster::url_through(proxy.port)], &cluster.crm(), SIZE).await;
    for moment in MOMENTS {
        let cut_before = proxy.commits_cut();
        proxy.cut_commits("into segment ", moment, 2);
        proxy.cut_commits("into run ", moment, 2);
        fleet.load.publish_and_send(4, 40).await;
        wait_for("the cuts", async || proxy.commits_cut() - cut_before == 4).await;
        fleet.wait_until_all_is_done(&cluster).await;
    }
    fleet.judge(&cluster, &cluster, 3).await;
    fleet.stop().await;
}
