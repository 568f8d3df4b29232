//! Handlers on several nodes: one owner at a time, by the database's clock.

use std::time::Duration;

use jiff::Timestamp;
use store::{RunOrder, RunSettlement, RunState, Runs, RunsWanted, SettledRun, StoreError, StoreResult};
use store_spec::World;
use store_spec::world::{Sender, ended, everything};
use wire::{AccountId, NodeId};

use super::{TestDatabase, eventually};
use crate::{LeaseClock, PostgresStore};

const NODES: [NodeId; 2] = [NodeId::from_bytes([1; 16]), NodeId::from_bytes([2; 16])];
const HOUR: Duration = Duration::from_secs(3_600);

/// A world, a second node on its database, and an account with a sender and this many messages.
async fn two_nodes(
    messages: usize,
) -> StoreResult<Option<(World<PostgresStore>, PostgresStore, AccountId, TestDatabase)>> {
    let Some(database) = TestDatabase::new() else { return Ok(None) };
    let mut world = World::new(database.store());
    let account = world.account().await?;
    let sender: Sender = world.sender(account).await?;
    world.messages(&sender, messages).await?;
    Ok(Some((world, database.store(), account, database)))
}

/// A node that looks at the database's clock, as all do but those of the contract's tests.
fn in_earnest(store: PostgresStore) -> PostgresStore {
    PostgresStore { lease_clock: LeaseClock::Database, ..store }
}

#[tokio::test]
async fn of_two_owners_the_stale_one_changes_nothing() -> StoreResult<()> {
    let Some((mut world, other, account, _kept)) = two_nodes(3).await? else { return Ok(()) };
    let stale = world.handler(account, "crm").await?;
    let now = world.pass(HOUR);
    let lease = other.claim_handler(account, "crm", NODES[1], now, HOUR).await?.expect("its time is over");
    let done = SettledRun { handled: Some((receiver::Subject(1), 7)), ..ended(1, RunState::Done) };
    let settlement = RunSettlement { cursor: 3, runs: vec![done], now };
    let written = world.store.settle_runs(&stale, settlement).await;
    assert!(matches!(written, Err(StoreError::Fenced)), "{written:?}");
    assert!(matches!(world.store.renew_handler(&stale, now, Some(HOUR)).await, Err(StoreError::Fenced)));
    assert!(matches!(world.store.renew_handler(&stale, now, None).await, Err(StoreError::Fenced)));
    assert!(matches!(world.due_runs(&stale, 0).await, Err(StoreError::Fenced)));

    world.store = other;
    assert_eq!(world.due_numbers(&lease, 0).await?, [1, 2, 3]);
    assert_eq!(world.store.newest_handled(&lease, vec![receiver::Subject(1)]).await?, [None]);
    assert_eq!(world.store.handlers(account).await?[0].cursor, 0);
    world.store.renew_handler(&lease, now, Some(HOUR)).await
}

#[tokio::test]
async fn of_two_nodes_that_claim_at_once_one_has_it() -> StoreResult<()> {
    let Some((mut world, other, account, _kept)) = two_nodes(0).await? else { return Ok(()) };
    world.handler(account, "crm").await?;
    for _ in 0..20 {
        let now = world.pass(HOUR);
        let claims = NODES.map(|node| (node, if node == NODES[0] { &world.store } else { &other }));
        let [ours, theirs] = claims.map(|(node, store)| store.claim_handler(account, "crm", node, now, HOUR / 2));
        let (ours, theirs) = tokio::try_join!(ours, theirs)?;
        assert!(ours.is_some() != theirs.is_some(), "{ours:?} and {theirs:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_neither_takes_nor_loses_a_handler() -> StoreResult<()> {
    let Some((world, other, account, _kept)) = two_nodes(0).await? else { return Ok(()) };
    world.handler(account, "crm").await?;
    let (slow, fast) = (in_earnest(world.store.clone()), in_earnest(other));
    world.store.renew_handler(&world.handler(account, "crm").await?, world.now(), None).await?;
    let (before, after) = (Timestamp::UNIX_EPOCH, world.now() + HOUR * 24 * 365 * 10);

    let lease = slow.claim_handler(account, "crm", NODES[0], before, HOUR).await?.expect("free");
    assert_eq!(fast.claim_handler(account, "crm", NODES[1], after, HOUR).await?, None, "its hour is not over");
    let short = Duration::from_millis(50);
    slow.renew_handler(&lease, after, Some(short)).await?;
    eventually("its time is over by the database's clock", async || {
        fast.claim_handler(account, "crm", NODES[1], before, HOUR).await.unwrap().is_some()
    })
    .await;
    assert!(matches!(slow.renew_handler(&lease, before, Some(HOUR)).await, Err(StoreError::Fenced)));
    Ok(())
}

#[tokio::test]
async fn many_runs_are_settled_in_as_many_statements_as_one() -> StoreResult<()> {
    let Some((world, _other, account, _kept)) = two_nodes(300).await? else { return Ok(()) };
    let lease = world.handler(account, "crm").await?;
    let mut counted = Vec::new();
    for numbers in [1..2, 2..300, 300..301] {
        let done = |number| SettledRun {
            handled: Some((receiver::Subject(number % 7), number)),
            ..ended(number, RunState::Done)
        };
        let runs: Vec<SettledRun> = numbers.map(done).collect();
        let before = world.store.statements();
        world.end_runs(&lease, 0, &runs).await?;
        counted.push(world.store.statements() - before);
    }
    assert!(counted.iter().all(|count| *count == counted[0]), "{counted:?}");
    assert_eq!(world.store.handlers(account).await?[0].done, 300);
    Ok(())
}

#[tokio::test]
async fn an_order_waits_for_a_settlement_and_is_not_lost_to_it() -> StoreResult<()> {
    let Some((world, other, account, _kept)) = two_nodes(20).await? else { return Ok(()) };
    let lease = world.handler(account, "crm").await?;
    let runs: Vec<SettledRun> = (1..=20).map(|number| ended(number, RunState::Done)).collect();
    world.end_runs(&lease, 20, &runs).await?;
    for generation in 0..10 {
        let runs: Vec<SettledRun> =
            (1..=20).map(|number| SettledRun { generation, ..ended(number, RunState::Done) }).collect();
        let settlement = RunSettlement { cursor: 20, runs, now: world.now() };
        let order = RunOrder::Rerun { first: world.now(), spacing: Duration::ZERO };
        let piece = store::RunPiece { after: 0, limit: 100, now: world.now() };
        let scope = everything("crm");
        let (ordered, ()) = tokio::try_join!(
            other.order_runs(account, &scope, order, piece),
            world.store.settle_runs(&lease, settlement)
        )?;
        assert_eq!(ordered.runs, 20);
        let standing = world.store.handlers(account).await?.remove(0);
        assert_eq!((standing.waiting, standing.done), (20, 0), "asked for anew, whichever was first");
    }
    Ok(())
}

#[tokio::test]
async fn last_words_with_a_nul_in_them_are_kept() -> StoreResult<()> {
    let Some((world, _other, account, _kept)) = two_nodes(1).await? else { return Ok(()) };
    let lease = world.handler(account, "crm").await?;
    world.end_runs(&lease, 1, &[ended(1, RunState::Parked { reason: "exit 1: \0".to_owned() })]).await?;
    let run = world.store.runs(account, Default::default(), None, 1).await?.items.remove(0);
    assert_eq!(run.state, RunState::Parked { reason: "exit 1: \u{fffd}".to_owned() });
    Ok(())
}

#[tokio::test]
async fn bodies_that_do_not_fit_are_not_read() -> StoreResult<()> {
    let Some((mut world, _other, account, database)) = two_nodes(0).await? else { return Ok(()) };
    let sender = world.sender(account).await?;
    let lease = world.handler(account, "crm").await?;
    for nth in 0..8 {
        world.accept(&sender, &format!("msg_{nth}"), &"x".repeat(1 << 20)).await?;
    }
    let wanted = RunsWanted { limit: 8, bytes_max: 1, ..RunsWanted::default() };
    let due = world.store.due_runs(&lease, world.now(), wanted).await?;
    assert_eq!(due.iter().map(|run| run.message.body.len()).collect::<Vec<_>>(), [1 << 20]);
    // Chunks of a body lie in a table of their own; a connection tells what it has read when it ends.
    drop(world);
    let watch = database.client().await;
    let sql = "select s.idx_tup_fetch from pg_stat_all_tables as s join pg_class as c on c.reltoastrelid = s.relid
               where c.relname = 'message'";
    let chunks = (1 << 20) / 1_996;
    eventually("one body was read", async || {
        let read: i64 = watch.query_one(sql, &[]).await.unwrap().get(0);
        assert!(read < 2 * chunks, "{read} chunks of {chunks} each");
        read >= chunks
    })
    .await;
    Ok(())
}
