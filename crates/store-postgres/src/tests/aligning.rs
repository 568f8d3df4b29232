//! Rows that wait while their event is paused, and come to be sent again when it is resumed.

use futures_util::future::join_all;
use provider::frontier::Place;
use store::{Lanes, StoreResult};
use store_spec::World;
use store_spec::world::{LEASE, Report};
use tokio_postgres::Client;
use wire::{AccountId, FanOutId};

use super::TestDatabase;
use crate::columns::{Id, number};

/// More than one transaction may bring in line.
const MANY: i64 = 1_500;

/// Rows of a resumed fan-out that were not brought in line yet.
async fn hold_rows(client: &Client, (account, fan_out): (AccountId, FanOutId), rows: i64) {
    let sql = "insert into exception (account, fan_out, participant, place, endpoint, state, attempt)
        select f.account, f.fan_out, 100 + nth, 100 + nth, f.endpoint, 'held', 1
        from fan_out as f cross join generate_series(1, $3::bigint) as nth where f.account = $1 and f.fan_out = $2";
    assert_eq!(client.execute(sql, &[&number(account), &fan_out.bytes(), &rows]).await.unwrap(), rows as u64);
}

async fn held(client: &Client, account: AccountId) -> i64 {
    let sql = "select count(*) from exception where account = $1 and state = 'held'";
    client.query_one(sql, &[&number(account)]).await.unwrap().get(0)
}

#[tokio::test]
async fn the_many_rows_of_one_account_hold_up_those_of_no_other() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let client = database.client().await;
    let mut world = World::new(database.store());
    let (many, one) = (world.account().await?, world.account().await?);
    for (account, rows) in [(many, MANY), (one, 1)] {
        world.endpoint(account).await?;
        let mango = world.mango_of(account, &["ada"]).await?;
        let plan = world.plan(&[mango]);
        let fan_out = world.fan_out(account, &plan).await?;
        let lease = world.lease().await?;
        let swept = Report::of(fan_out, world.now()).delivered([1]).up_to(Place { participant: 1, index: 1 }).swept();
        world.settle(lease, swept).await?;
        hold_rows(&client, (account, fan_out), rows).await;
    }
    // Both are given back at once.
    world.pass(LEASE);
    client.execute("update lane set due_at = 0", &[]).await.unwrap();
    let mut turns = 0;
    while held(&client, many).await + held(&client, one).await > 0 {
        let leases = world.claim().await?;
        assert_eq!(leases.len(), 2, "after {turns} turns both have something to do");
        for released in join_all(leases.into_iter().map(|lease| world.store.release(lease, world.now()))).await {
            released?;
        }
        assert_eq!(held(&client, one).await, 0, "at the first turn");
        turns += 1;
    }
    assert!(turns <= 4, "{turns}");
    Ok(())
}
