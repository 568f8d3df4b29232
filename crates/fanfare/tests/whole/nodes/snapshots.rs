//! A transaction that somebody forgot: it keeps dead rows from being cleared away, and must not slow down what is claimed.

use std::time::Duration;

use tokio::time::Instant;

use super::cluster::{Cluster, STORE};
use super::estate::Size;
use super::fleet::Fleet;
use super::wait_for;

const SIZE: Size = Size { members: 2, endpoints: 4, series: 20, per_second: None };
/// Announcements from whose times a median is taken.
const MEASURED: usize = 20;
/// Announcements while the transaction is open.
const LOAD: usize = 60;
/// What an hour leaves behind in which each lane becomes due every four seconds: versions of rows that nobody may clear away,
/// in the place where claims look. Made at once, since an hour is long.
const AN_HOUR: &str = "do $$ begin
        for wake in 1..900 loop
            update lane set due_at = (extract(epoch from clock_timestamp()) * 1000)::bigint where lease_until is null;
            commit;
            update lane set due_at = null where lease_until is null;
            commit;
        end loop;
    end $$";
/// How much slower it may be under the load of a machine that does much else. Where a claim has to pass each dead row it
/// is tens of times.
const SLOWER_MAX: f64 = 3.0;

#[tokio::test(flavor = "multi_thread")]
async fn an_old_idle_transaction_does_not_slow_down_what_is_claimed() {
    let Some(cluster) = Cluster::start().await else { return };
    let mut fleet = Fleet::of_two(&cluster, SIZE).await;
    measure(&fleet).await;
    let alone = measure(&fleet).await;

    let forgotten = cluster.connect(STORE).await;
    // As old as all that follows, and with a number of its own, which no vacuum passes.
    forgotten
        .batch_execute("begin isolation level repeatable read; select txid_current(), count(*) from lane")
        .await
        .unwrap();
    for _ in 0..LOAD / SIZE.series {
        fleet.load.publish_and_send(SIZE.series, SIZE.series).await;
    }
    fleet.wait_until_all_is_done(&cluster).await;
    let churning = cluster.connect(STORE).await;
    churning.batch_execute("set synchronous_commit = off").await.unwrap();
    churning.batch_execute(AN_HOUR).await.unwrap();
    cluster.execute(STORE, "vacuum lane").await;
    let held_up = measure(&fleet).await;
    let dead = "select pg_stat_get_dead_tuples('lane'::regclass)";
    let dead = cluster.count(STORE, dead).await;
    forgotten.batch_execute("rollback").await.unwrap();

    let ratio = held_up.as_secs_f64() / alone.as_secs_f64();
    println!(
        "from save to receiver: {alone:?} alone, {held_up:?} beside an old transaction ({dead} dead rows): {ratio:.2}"
    );
    assert!(ratio < SLOWER_MAX, "{alone:?} became {held_up:?}, {dead} dead rows");
    fleet.judge(&cluster, &cluster, 2).await;
    fleet.stop().await;
}

/// The median time from a save to its last webhook.
async fn measure(fleet: &Fleet) -> Duration {
    let mut times = Vec::new();
    for _ in 0..MEASURED {
        let (before, begun_at) = (fleet.received(), Instant::now());
        fleet.load.publish().await;
        let all = SIZE.members * SIZE.endpoints;
        while fleet.received() < before + all {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(begun_at.elapsed() < super::PATIENCE, "everyone is told");
        }
        times.push(begun_at.elapsed());
    }
    times.sort();
    wait_for("all is settled", async || fleet.is_all_delivered().await).await;
    times[MEASURED / 2]
}
