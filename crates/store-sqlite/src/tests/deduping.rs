//! Recognising repetitions: a hash decides nothing, and what is old makes room.

use std::time::Duration;

use store::{Acceptance, DedupeWindow, DuplicateContent, Inbox, MessageNumber, StoreResult, Upkeep};
use store_spec::World;
use store_spec::world::Sender;

use super::Disk;
use crate::SqliteStore;

const A_DAY: Duration = Duration::from_secs(24 * 3_600);

async fn number(world: &World<SqliteStore>, sender: &Sender, id: &str) -> StoreResult<MessageNumber> {
    match world.accept(sender, id, "{}").await? {
        Acceptance::Stored(number) => Ok(number),
        Acceptance::Duplicate { of, .. } => panic!("{id} is new, and no copy of {of}"),
    }
}

fn keys(disk: &Disk) -> u64 {
    disk.other().query_row("select count(*) from message_seen", [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

#[tokio::test]
async fn a_message_that_shares_its_hash_with_another_is_not_lost() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let (first, second) = (number(&world, &sender, "msg_1").await?, number(&world, &sender, "msg_2").await?);
    // As if the hashes of both were the same.
    disk.other()
        .execute("update message_seen set number = ?2 where number = ?1", (first.cast_signed(), second.cast_signed()))
        .unwrap();
    let third = number(&world, &sender, "msg_1").await?;
    let copy = world.accept(&sender, "msg_1", "{}").await?;
    assert_eq!(copy, Acceptance::Duplicate { of: third, content: DuplicateContent::Same });
    Ok(())
}

#[tokio::test]
async fn a_message_that_fails_halfway_is_not_kept_and_may_come_again() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    disk.other()
        .execute_batch(
            "create trigger full before insert on message_seen begin select raise(abort, 'no more room'); end",
        )
        .unwrap();
    assert!(world.accept(&sender, "msg_1", "{}").await.is_err());
    assert_eq!(world.store.message_counts(account).await?.stored, 0);
    disk.other().execute_batch("drop trigger full").unwrap();
    number(&world, &sender, "msg_1").await?;
    Ok(())
}

#[tokio::test]
async fn a_window_of_its_own_is_kept_to() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = World::new(disk.open().with_dedupe_window(DedupeWindow::new(2).unwrap()));
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    number(&world, &sender, "msg_1").await?;
    world.pass(A_DAY * 2);
    assert!(matches!(world.accept(&sender, "msg_1", "{}").await?, Acceptance::Duplicate { .. }));
    world.pass(Duration::from_secs(1));
    number(&world, &sender, "msg_1").await?;
    Ok(())
}

#[tokio::test]
async fn a_sweep_takes_what_no_longer_counts_and_begins_only_when_that_is_much() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let sweep = async |world: &World<SqliteStore>| -> StoreResult<u64> {
        while world.store.forget_keys(world.now(), 3).await? > 0 {}
        Ok(keys(&disk))
    };
    for nth in 0..3 {
        number(&world, &sender, &format!("old_{nth}")).await?;
    }
    world.pass(A_DAY * 20);
    for nth in 0..24 {
        number(&world, &sender, &format!("msg_{nth}")).await?;
    }
    world.pass(A_DAY * 11);
    assert_eq!(sweep(&world).await?, 27, "an eighth of what counts is little");
    world.pass(A_DAY * 20);
    assert_eq!(sweep(&world).await?, 0);
    number(&world, &sender, "msg_0").await?;
    assert_eq!(sweep(&world).await?, 1);
    Ok(())
}
