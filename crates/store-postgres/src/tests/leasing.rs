//! Leases of several nodes: each lane has one owner, by the clock of the database.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{join, join_all};
use jiff::Timestamp;
use provider::frontier::Place;
use provider::lane::LaneState;
use store::{Lanes, Lease, Room, StoreError, StoreResult};
use store_spec::World;
use store_spec::world::{LEASE, NODE, Report};
use tokio_postgres::Client;
use wire::NodeId;

use super::TestDatabase;
use crate::{LeaseClock, PostgresStore};

const OTHER: NodeId = NodeId::from_bytes([2; 16]);
const HOUR: Duration = Duration::from_secs(3_600);
const LANES: usize = 1_000;

/// A node that looks at the database's clock, as all do but those of the contract's tests.
fn in_earnest(store: PostgresStore) -> PostgresStore {
    PostgresStore { lease_clock: LeaseClock::Database, ..store }
}

/// The time on the database's clock.
async fn time_there(client: &Client) -> Timestamp {
    client.query_one("select now()", &[]).await.unwrap().get(0)
}

/// Lanes that have just become due, of an account that nothing else knows.
async fn due_lanes(client: &Client, lanes: usize) {
    let sql = "insert into lane (account, endpoint, due_at)
        select 7, decode(lpad(to_hex(nth), 32, '0'), 'hex'), (extract(epoch from now()) * 1000)::bigint - nth
        from generate_series(1, $1::bigint) as nth";
    client.execute(sql, &[&(lanes as i64)]).await.unwrap();
}

/// Claims until there is nothing left, some at a time.
async fn claim_all(node: &PostgresStore, owner: NodeId) -> StoreResult<Vec<Lease>> {
    let mut claimed = Vec::new();
    // One that finds nothing may have passed over what the other was claiming.
    let mut empty = 0;
    while empty < 10 {
        let some = node.claim(owner, Timestamp::UNIX_EPOCH, LEASE, Room::of(32)).await?;
        empty = if some.is_empty() { empty + 1 } else { 0 };
        claimed.extend(some);
    }
    Ok(claimed)
}

#[tokio::test]
async fn two_owners_that_claim_at_once_get_each_lane_once() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    due_lanes(&database.client().await, LANES).await;
    let (one, two) = (in_earnest(database.store()), in_earnest(database.store()));
    let (first, second) = join(claim_all(&one, NODE), claim_all(&two, OTHER)).await;
    let (first, second) = (first?, second?);
    let lanes: BTreeSet<_> = first.iter().chain(&second).map(|lease| lease.endpoint).collect();
    assert_eq!((first.len() + second.len(), lanes.len()), (LANES, LANES));
    assert!(!first.is_empty() && !second.is_empty(), "{} and {}", first.len(), second.len());
    Ok(())
}

#[tokio::test]
async fn a_lease_runs_by_the_databases_clock_whatever_its_owners_says() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let client = database.client().await;
    due_lanes(&client, 1).await;
    let (slow, fast) = (in_earnest(database.store()), in_earnest(database.store()));
    let now = time_there(&client).await;
    let lease = slow.claim(NODE, now - HOUR, LEASE, Room::of(10)).await?[0];
    assert_eq!(fast.claim(OTHER, now + HOUR, LEASE, Room::of(10)).await?, [], "it is not over");
    slow.renew(lease, now - HOUR, LEASE * 2).await?;
    let sql = "select lease_until - (extract(epoch from now()) * 1000)::bigint from lane";
    let left: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert!((LEASE.as_millis() as i64..=2 * LEASE.as_millis() as i64).contains(&left), "{left} ms");

    client.execute("update lane set lease_until = lease_until - $1", &[&left]).await.unwrap();
    // It has been due for long, which not each look looks for.
    let claim = async || fast.claim(OTHER, now - HOUR, LEASE, Room::of(10)).await.unwrap().len() == 1;
    super::eventually("now it is", claim).await;
    assert!(matches!(slow.renew(lease, now, LEASE).await, Err(StoreError::Fenced)));
    Ok(())
}

#[tokio::test]
async fn a_node_whose_clock_is_ahead_wakes_a_lane_at_once() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let now = time_there(&database.client().await).await;
    let mut world = World::new(in_earnest(database.store()));
    let ahead = now.duration_since(world.now()).unsigned_abs() + HOUR;
    world.pass(ahead);
    let account = world.account().await?;
    world.endpoint(account).await?;
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let other = in_earnest(database.store());
    assert_eq!(other.claim(OTHER, now, LEASE, Room::of(10)).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_node_whose_clock_is_behind_does_not_turn_in_a_circle() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let client = database.client().await;
    let mut world = World::new(in_earnest(database.store()));
    let account = world.account().await?;
    world.endpoint(account).await?;
    let plan = world.plan(&[]);
    let fan_out = world.fan_out(account, &plan).await?;
    let lease = world.lease().await?;
    // The breaker's time is over for the database, and far from it for the node, which sends nothing.
    let (now, until) = (time_there(&client).await, time_there(&client).await - Duration::from_secs(60));
    let open = LaneState::Open { failures: 1, until, since: until };
    world.settle(lease, Report::of(fan_out, until).health(open)).await?;
    world.store.release(lease, now - HOUR).await?;
    assert_eq!(world.claim().await?, [], "it is not due at once");
    let due = "select due_at - (extract(epoch from now()) * 1000)::bigint from lane";
    let left: i64 = client.query_one(due, &[]).await.unwrap().get(0);
    assert!((1..=1_000).contains(&left), "and is in {left} ms");
    Ok(())
}

/// All that lanes have written, row for row and with the number of the transaction that wrote each.
async fn everything(client: &Client) -> Vec<String> {
    let mut rows = Vec::new();
    for table in ["lane", "fan_out", "exception", "segment", "attempt_failure", "notice", "event"] {
        let sql = format!("select t.xmin::text || t.*::text from {table} as t order by 1");
        rows.extend(client.query(&sql, &[]).await.unwrap().iter().map(|row| row.get::<_, String>(0)));
    }
    rows
}

#[tokio::test]
async fn a_stale_owner_changes_no_row() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let client = database.client().await;
    let mut world = World::new(database.store());
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mango = world.mango_of(account, &["ada", "bob"]).await?;
    let plan = world.plan(&[mango]);
    let fan_out = world.fan_out(account, &plan).await?;
    let stale = world.lease().await?;
    let now = world.pass(LEASE);
    world.lease().await?;
    let before = everything(&client).await;

    let place = Place { participant: 1, index: 1 };
    let open = LaneState::Open { failures: 1, until: now + LEASE, since: now };
    let report = Report::of(fan_out, now).delivered([2]).abandoned(place, 1).up_to(place).swept().health(open);
    for refused in [
        world.settle(stale, report).await.map(drop),
        world.store.renew(stale, now, LEASE * 100).await,
        world.store.release(stale, now).await,
        world.work(stale).await.map(drop),
        world.store.due_retries(stale, now, 10).await.map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    }
    assert_eq!(everything(&client).await, before);
    Ok(())
}

#[tokio::test]
async fn leases_are_renewed_and_given_back_many_at_a_time() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    due_lanes(&database.client().await, LANES).await;
    let node = in_earnest(database.store());
    let leases = node.claim(NODE, Timestamp::UNIX_EPOCH, LEASE, Room::of(LANES)).await?;
    assert_eq!(leases.len(), LANES);
    let before = node.statements();
    for renewed in join_all(leases.iter().map(|lease| node.renew(*lease, Timestamp::UNIX_EPOCH, LEASE))).await {
        renewed?;
    }
    let renewing = node.statements() - before;
    for released in join_all(leases.iter().map(|lease| node.release(*lease, Timestamp::UNIX_EPOCH))).await {
        released?;
    }
    let releasing = node.statements() - before - renewing;
    assert!(renewing <= 4 && releasing <= 12, "{renewing} and {releasing}");
    assert!(matches!(node.renew(leases[0], Timestamp::UNIX_EPOCH, LEASE).await, Err(StoreError::Fenced)));
    Ok(())
}
