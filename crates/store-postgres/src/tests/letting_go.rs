//! What goes with time or on request: dedupe keys account by account, and people to the last version of their rows.

use std::time::Duration;

use futures_util::future::join_all;
use store::{ErasureState, Erasures, Inbox, Prunable, Secrets, StoreError, StoreResult, Upkeep};
use store_spec::World;

use super::TestDatabase;
use crate::{LeaseClock, PostgresStore};

const A_DAY: Duration = Duration::from_secs(24 * 3_600);

async fn keys(database: &TestDatabase) -> i64 {
    database.client().await.query_one("select count(*) from message_seen", &[]).await.unwrap().get(0)
}

async fn sweep(world: &World<PostgresStore>) -> StoreResult<()> {
    while world.store.forget_keys(world.now(), 3).await? > 0 {}
    Ok(())
}

#[tokio::test]
async fn a_sweep_takes_what_no_longer_counts_and_begins_only_when_that_is_much() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store());
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    for nth in 0..3 {
        world.accept(&sender, &format!("old_{nth}"), "{}").await?;
    }
    world.pass(A_DAY * 20);
    for nth in 0..24 {
        world.accept(&sender, &format!("msg_{nth}"), "{}").await?;
    }
    world.pass(A_DAY * 11);
    sweep(&world).await?;
    assert_eq!(keys(&database).await, 27, "an eighth of what counts is little");
    world.pass(A_DAY * 20);
    sweep(&world).await?;
    assert_eq!(keys(&database).await, 0);
    world.accept(&sender, "msg_0", "{}").await?;
    sweep(&world).await?;
    assert_eq!(keys(&database).await, 1);
    Ok(())
}

#[tokio::test]
async fn nodes_that_sweep_at_once_take_the_old_keys_of_each_account_and_no_others() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store());
    let (mut accounts, mut senders) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let account = world.account().await?;
        accounts.push(account);
        senders.push(world.sender(account).await?);
    }
    for sender in &senders[..2] {
        world.messages(sender, 20).await?;
    }
    world.pass(A_DAY * 31);
    for sender in &senders {
        world.accept(sender, "msg_new", "{}").await?;
    }
    let nodes: Vec<_> = (0..3).map(|_| database.store()).collect();
    let mut turns = 0;
    loop {
        let looked_at = join_all(nodes.iter().map(|node| node.forget_keys(world.now(), 4))).await;
        let looked_at: Vec<usize> = looked_at.into_iter().collect::<StoreResult<_>>()?;
        if looked_at.iter().all(|keys| *keys == 0) {
            break;
        }
        turns += 1;
        assert!(turns < 100, "it comes to an end: {looked_at:?}");
    }
    assert_eq!(keys(&database).await, 3);
    for sender in &senders {
        let copy = world.accept(sender, "msg_new", "{}").await?;
        assert!(matches!(copy, store::Acceptance::Duplicate { .. }), "{copy:?}");
    }
    assert_eq!(world.store.message_counts(accounts[0]).await?.stored, 21, "messages stay");
    Ok(())
}

#[tokio::test]
async fn a_node_whose_clock_is_months_ahead_lets_go_of_nothing_that_others_keep() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(PostgresStore { lease_clock: LeaseClock::Database, ..database.store() });
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    world.endpoint(account).await?;
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    for nth in 0..9 {
        world.accept(&sender, &format!("msg_{nth}"), "{}").await?;
    }
    let client = database.client().await;
    // The last two messages and the event are a month old, the others years.
    let aged = "update message set received_at = (extract(epoch from now() - interval '30 days') * 1000)::bigint
        where number > 7; update event set created_at = (extract(epoch from now() - interval '30 days') * 1000)::bigint;
        update fan_out set is_logged = false; update message_seen_sweep set look_at = 0";
    client.batch_execute(aged).await.unwrap();
    let ahead = world.now() + A_DAY * 365 * 50;
    for what in Prunable::ALL {
        while world.store.prune(account, what, ahead, 100).await? > 0 {}
    }
    while world.store.forget_keys(ahead, 100).await? > 0 {}
    world.store.remove_expired_secrets(ahead).await?;
    let left = "select (select count(*) from message where emptied is null), (select count(*) from message),
        (select count(*) from event)";
    let left = client.query_one(left, &[]).await.unwrap();
    let left: Vec<i64> = (0..3).map(|at| left.get(at)).collect();
    assert_eq!(left, [2, 2, 1]);
    Ok(())
}

#[tokio::test]
async fn an_erasure_is_not_done_while_somebody_may_still_read_what_it_overwrote() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store());
    let account = world.account().await?;
    world.mango_of(account, &["ada", "bob"]).await?;
    let reader = database.client().await;
    reader.batch_execute("begin isolation level repeatable read; select 1").await.unwrap();

    let erasure = world.erase(account, "ada").await?;
    while world.search_on().await? {}
    let sealed = world.store.seal(world.now()).await;
    assert!(matches!(sealed, Err(StoreError::Busy(_))), "{sealed:?}");
    assert_eq!(world.store.erasure(account, erasure.id).await?.unwrap().state, ErasureState::Sealing);
    let seen = reader.query_one("select count(*) from participant where email like 'ada@%'", &[]).await.unwrap();
    assert_eq!(seen.get::<_, i64>(0), 1, "it was right to wait");

    reader.batch_execute("commit").await.unwrap();
    assert_eq!(world.store.seal(world.now()).await?, 1);
    assert_eq!(world.store.erasure(account, erasure.id).await?.unwrap().state, ErasureState::Done { at: world.now() });
    assert_eq!(world.store.seal(world.now()).await?, 0);
    Ok(())
}

#[tokio::test]
async fn an_erasure_ends_with_a_vacuum_of_what_holds_people() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store());
    let account = world.account().await?;
    world.mango_of(account, &["ada", "bob"]).await?;
    let sender = world.sender(account).await?;
    let body = format!("{{\"email\":\"ada@example.com\",\"pad\":\"{}\"}}", "x".repeat(5_000));
    world.accept(&sender, "msg_1", &body).await?;
    world.erase(account, "ada").await?;
    while world.search_on().await? {}
    let client = database.client().await;
    let sql = "select count(*) from pg_stat_user_tables where vacuum_count > 0
        and relname in ('participant', 'message', 'agenda', 'calendar', 'erasure')";
    let vacuumed = async || client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(vacuumed().await, 0);
    assert_eq!(world.store.seal(world.now()).await?, 1);
    super::eventually("old versions are gone", async || vacuumed().await == 5).await;
    Ok(())
}

/// A vacuum waits here for a lock, where on a large inbox it would read.
#[tokio::test]
async fn the_vacuum_of_an_erasure_may_take_longer_than_other_statements() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store_with("options=-c%20statement_timeout%3D1000"));
    let account = world.account().await?;
    world.mango_of(account, &["ada", "bob"]).await?;
    world.erase(account, "ada").await?;
    while world.search_on().await? {}
    let (holder, watcher) = (database.client().await, database.client().await);
    holder.batch_execute("begin; lock table message in share update exclusive mode").await.unwrap();
    let sql = "select count(*) from pg_stat_activity where datname = current_database()
        and query like 'vacuum %' and state = 'active' and clock_timestamp() - query_start > interval '1500 ms'";
    let release = async {
        let has_waited = async || watcher.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1;
        super::eventually("the vacuum waits longer than a statement may", has_waited).await;
        holder.batch_execute("commit").await.unwrap();
    };
    let (sealed, ()) = tokio::join!(world.store.seal(world.now()), release);
    assert_eq!(sealed?, 1);
    Ok(())
}
