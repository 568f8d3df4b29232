//! The database is away for a while. Seconds here; minutes take the same way, for nothing waits longer the longer it lasts.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, STORE, Stop};
use super::estate::Size;
use super::fleet::Fleet;
use super::load::Answer;
use super::{LEASE, LOOK_AGAIN_AFTER, SLACK, wait_for};

const AWAY: Duration = Duration::from_secs(20);
/// Two announcements last 12 seconds at this pace.
const SIZE: Size = Size { members: 120, endpoints: 3, series: 4, per_second: Some(20) };

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_nothing_is_acknowledged_and_then_all_goes_on_by_itself() {
    let (Some(store), Some(crm)) = (Cluster::start().await, Cluster::start().await) else { return };
    let mut fleet = Fleet::start(&[store.url(), store.url()], &crm.crm(), SIZE).await;
    fleet.load.publish_and_send(2, 20).await;
    wait_for("deliveries are under way", async || fleet.received() > 50).await;

    store.stop(Stop::Fast).await;
    let refused = ask_in_vain(&mut fleet).await;
    assert!(!refused.is_empty() && fleet.received() < 2 * 3 * SIZE.members, "it was away in the midst of the work");
    store.resume().await;

    let (resumed_at, before) = (Instant::now(), fleet.received());
    wait_for("deliveries go on", async || fleet.received() > before).await;
    let lay_still = resumed_at.elapsed();
    assert!(lay_still < LEASE + SLACK, "deliveries went on after {lay_still:?}");
    fleet.load.publish_and_send(1, 10).await;
    println!(
        "deliveries went on {lay_still:?} after the database, and kept what was new after {:?}",
        resumed_at.elapsed()
    );
    fleet.wait_until_all_is_done(&crm).await;
    fleet.judge(&store, &crm, 2).await;
    for id in refused {
        let kept = store.count(STORE, &format!("select count(*) from message where message_id = '{id}'")).await;
        assert_eq!(kept, 0, "{id} was refused, and waited nowhere for the database");
    }
    assert!(fleet.node(0).lives() && fleet.node(1).lives());
    fleet.stop().await;
}

/// Saves and sends as long as the database is away: each node says at once that it cannot, and when to come again. The ids of
/// what was sent.
async fn ask_in_vain(fleet: &mut Fleet) -> Vec<String> {
    let nodes = [fleet.node(0).address, fleet.node(1).address];
    let (until, mut refused) = (Instant::now() + AWAY, Vec::new());
    while Instant::now() < until {
        for node in nodes {
            let id = fleet.load.next_message();
            let (series, body) = fleet.load.next_save();
            for answer in [fleet.load.send_this(node, &id).await, fleet.load.save(node, &series, &body).await] {
                // The client sees to it that a 503 has its Retry-After.
                assert!(matches!(answer, Answer::Refused(503, _)), "{answer:?}");
            }
            refused.push(id);
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
    refused
}
