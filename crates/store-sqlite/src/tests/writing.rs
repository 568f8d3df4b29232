//! The writer: commits shared by many, refusals when too many wait or the disk is full, and the write-ahead log.

use std::sync::mpsc;

use futures_util::poll;
use rusqlite::Connection;
use store::{
    Acceptance, Accounts, Act, Actor, Audit, AuditNote, Inbox, MessageCounts, Roster, StoreError, StoreResult,
};
use tokio::sync::oneshot;

use super::{Disk, log_bytes};
use crate::SqliteStore;
use crate::columns::broken;
use crate::writer::WAITING_MAX;

#[tokio::test]
async fn writes_that_wait_together_are_committed_together() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let mangoes: Vec<_> = (0..100).map(|_| world.new_mango()).collect();
    let before = world.store.commit_stats();

    let plug = Plug::of(&world.store).await;
    let mut writes = Vec::new();
    for mango in mangoes {
        let mut write = Box::pin(world.store.create_mango(account, mango));
        assert!(poll!(&mut write).is_pending());
        writes.push(write);
    }
    drop(plug);
    for write in writes {
        write.await?;
    }

    let after = world.store.commit_stats();
    assert_eq!(after.writes - before.writes, 1 + 100);
    assert_eq!(after.commits - before.commits, 1 + 1, "the plug's, and one for all");
    assert_eq!(after.recent_micros.len() as u64, after.commits);
    Ok(())
}

#[tokio::test]
async fn a_webhook_is_refused_when_too_many_wait_and_none_of_those_is_lost() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let plug = Plug::of(&world.store).await;
    let mut waiting = Vec::new();
    for number in 1..WAITING_MAX {
        let mut accepting = Box::pin(world.store.accept(sender.message(&format!("msg_{number}"), "{}", world.now())));
        assert!(poll!(&mut accepting).is_pending());
        waiting.push(accepting);
    }

    let refused = world.accept(&sender, "msg_more", "{}").await;
    assert!(matches!(refused, Err(StoreError::Busy(WAITING_MAX))), "{refused:?}");
    drop(plug);
    for accepting in waiting {
        assert!(matches!(accepting.await?, Acceptance::Stored(_)));
    }
    let counts = world.store.message_counts(account).await?;
    assert_eq!(counts, MessageCounts { stored: WAITING_MAX as u64 - 1, duplicates: 0 });
    assert!(matches!(world.accept(&sender, "msg_more", "{}").await?, Acceptance::Stored(_)), "there is room again");
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_empties_the_log_and_loses_nothing() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    world.mango_of(account, &["ada", "bob"]).await?;
    assert!(log_bytes(&disk) > 0);
    world.store.checkpoint().await?;
    assert_eq!(log_bytes(&disk), 0);
    assert_eq!(world.number_of(account, "bob").await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_reader_that_stays_holds_up_a_checkpoint_but_no_write() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let reader = disk.other();
    reader.execute_batch("begin; select * from account").unwrap();
    world.mango(account).await?;

    let refused = world.store.checkpoint().await;
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    world.mango(account).await?;
    reader.execute_batch("commit").unwrap();
    world.store.checkpoint().await?;
    assert_eq!(log_bytes(&disk), 0);
    Ok(())
}

#[tokio::test]
async fn a_full_disk_refuses_all_of_a_batch_and_takes_it_when_there_is_space() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let mangoes = [world.new_mango(), world.new_mango()];
    let pages: u32 = disk.other().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    set_pages_max(&world.store, pages).await?;

    let large = "x".repeat(1 << 20);
    let plug = Plug::of(&world.store).await;
    let (before, accepted, after, ()) = tokio::join!(
        world.store.create_mango(account, mangoes[0].clone()),
        world.accept(&sender, "msg_1", &large),
        world.store.create_mango(account, mangoes[1].clone()),
        async { drop(plug) }
    );
    for refused in [before, accepted.map(|_| ()), after] {
        assert!(matches!(refused, Err(StoreError::Unwritable(_))), "{refused:?}");
    }
    assert_eq!(world.store.mangoes(account, None, 10).await?.items, []);
    assert_eq!(world.store.message_counts(account).await?, MessageCounts::default());

    set_pages_max(&world.store, 1 << 20).await?;
    assert!(matches!(world.accept(&sender, "msg_1", &large).await?, Acceptance::Stored(_)));
    for mango in mangoes {
        world.store.create_mango(account, mango).await?;
    }
    Ok(())
}

#[tokio::test]
async fn after_a_failed_commit_nothing_more_is_acknowledged() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    // An I/O error ends a transaction just so; what it lost on the way nobody knows.
    let ending = world.store.writer.write(|connection| connection.execute_batch("rollback").map_err(broken)).await;
    assert!(matches!(ending, Err(StoreError::DiskFailed(_))), "{ending:?}");
    let checkpoint = world.store.checkpoint().await;
    for refused in [world.mango(account).await.map(drop), world.store.check_writable().await, checkpoint] {
        assert!(matches!(&refused, Err(StoreError::DiskFailed(_))), "{refused:?}");
    }
    assert_eq!(world.store.failed().await, "a write ended its transaction");
    assert_eq!(world.store.mangoes(account, None, 10).await?.items, [], "reading goes on");
    Ok(())
}

#[tokio::test]
async fn a_write_that_panics_takes_its_batch_along_but_not_the_writer() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let (beside, after) = (world.new_mango(), world.new_mango());
    let plug = Plug::of(&world.store).await;
    let (panicked, beside, ()) = tokio::join!(
        world.store.writer.write(|connection| -> StoreResult<()> {
            connection.execute_batch("update account set name = 'half done'").map_err(broken)?;
            panic!("a bug");
        }),
        world.store.create_mango(account, beside),
        async { drop(plug) }
    );
    assert!(matches!(&panicked, Err(error) if error.to_string().contains("panicked: a bug")), "{panicked:?}");
    assert!(matches!(beside, Err(StoreError::Busy(_))), "{beside:?}");
    assert_ne!(world.store.accounts().await?[0].name, "half done");
    world.store.create_mango(account, after).await?;
    world.store.check_writable().await
}

#[tokio::test]
async fn a_full_disk_makes_the_store_unready_until_there_is_space() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    world.store.check_writable().await?;
    let pages: u32 = disk.other().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    set_pages_max(&world.store, pages).await?;
    let refused = world.accept(&sender, "msg_1", &"x".repeat(1 << 20)).await;
    assert!(matches!(refused, Err(StoreError::Unwritable(_))), "{refused:?}");
    let unready = world.store.check_writable().await;
    assert!(matches!(unready, Err(StoreError::Unwritable(_))), "though so small a write finds room: {unready:?}");
    Ok(())
}

#[tokio::test]
async fn the_check_of_readiness_reaches_the_disk() -> StoreResult<()> {
    let disk = Disk::new();
    let store = disk.open();
    store.checkpoint().await?;
    assert_eq!(log_bytes(&disk), 0);
    store.check_writable().await?;
    assert!(log_bytes(&disk) > 0);
    Ok(())
}

#[tokio::test]
async fn a_write_whose_caller_has_gone_is_done_all_the_same() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let plug = Plug::of(&world.store).await;
    let mango = world.new_mango();
    let mut gone = Box::pin(world.store.create_mango(account, mango));
    assert!(poll!(&mut gone).is_pending());
    drop(gone);
    drop(plug);
    world.mango(account).await?;
    assert_eq!(world.store.mangoes(account, None, 10).await?.items.len(), 2);
    Ok(())
}

#[tokio::test]
async fn what_was_answered_is_there_when_the_file_is_opened_again() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    let accounts = world.store.accounts().await?;
    drop(world);
    let again = disk.open();
    assert_eq!(again.accounts().await?, accounts);
    assert_eq!(again.keys(account).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_writer_waits_for_a_transaction_of_another_process() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let other = disk.other();
    other.execute_batch("begin immediate").unwrap();
    let mut making = Box::pin(world.account());
    assert!(poll!(&mut making).is_pending());
    other.execute_batch("rollback").unwrap();
    making.await.map(drop)
}

/// A write that keeps the writer at it until it is dropped, so that others come to wait behind it.
struct Plug {
    _out: mpsc::Sender<()>,
}

impl Plug {
    async fn of(store: &SqliteStore) -> Plug {
        let (inside, is_inside) = oneshot::channel();
        let (out, is_out) = mpsc::channel::<()>();
        let store = store.clone();
        tokio::spawn(async move {
            let stay = move |_: &Connection| {
                let _ = inside.send(());
                let _ = is_out.recv();
                Ok(())
            };
            store.writer.write(stay).await
        });
        is_inside.await.unwrap();
        Plug { _out: out }
    }
}

/// What a full disk looks like to SQLite: it can have no more pages than these.
async fn set_pages_max(store: &SqliteStore, pages: u32) -> StoreResult<()> {
    store
        .writer
        .write(move |connection| {
            connection.query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(())).map_err(broken)
        })
        .await
}

#[tokio::test]
async fn the_audit_log_cannot_be_changed_or_shortened() {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await.unwrap();
    let (mango, actor, from) = (world.new_mango(), Actor::CommandLine, None);
    let note = AuditNote { account, at: world.now(), actor, from, act: Act::MangoCreate, object: "x".to_owned() };
    world.store.noting(note).create_mango(account, mango).await.unwrap();
    for sql in ["update audit set actor = 'nobody'", "delete from audit"] {
        let error = disk.other().execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("only ever added to"), "{sql}: {error}");
    }
    assert_eq!(world.store.audit_log(account, None, 10).await.unwrap().items.len(), 1);
}
