//! Accepting messages on several nodes: each once, in numbers that rise as they come to be seen.

use std::time::Duration;

use futures_util::future::{join, join_all};
use receiver::{RawRequest, Scheme, Source, Verified, verify};
use store::{Acceptance, DuplicateContent, Inbox, MessageCounts, MessageNumber, StoreError, StoreResult};
use store_spec::World;
use store_spec::world::Sender;
use tokio_postgres::Client;
use wire::{AccountId, SourceId};

use super::{TestDatabase, eventually};
use crate::PostgresStore;

/// A world, a second node on its database, and somebody who sends.
async fn two_nodes() -> StoreResult<Option<(World<PostgresStore>, PostgresStore, Sender, AccountId, TestDatabase)>> {
    let Some(database) = TestDatabase::new() else { return Ok(None) };
    let mut world = World::new(database.store());
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    Ok(Some((world, database.store(), sender, account, database)))
}

fn number(acceptance: Acceptance) -> MessageNumber {
    match acceptance {
        Acceptance::Stored(number) => number,
        Acceptance::Duplicate { of, .. } => panic!("a new message, and no copy of {of}"),
    }
}

/// Whether a connection waits for a row that another holds.
async fn is_anybody_waiting(other: &Client) -> bool {
    let sql = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    other.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_same_messages_to_two_nodes_at_once_each_is_stored_once() -> StoreResult<()> {
    let Some((world, other, sender, account, _kept)) = two_nodes().await? else { return Ok(()) };
    let messages: Vec<Verified> =
        (0..1_000).map(|nth| sender.message(&format!("msg_{nth}"), "{}", world.now())).collect();
    let ours = join_all(messages.iter().map(|message| world.store.accept(message.clone())));
    // The other way round, so that each is sometimes the first.
    let theirs = join_all(messages.iter().rev().map(|message| other.accept(message.clone())));
    let (ours, theirs) = join(ours, theirs).await;
    let mut numbers = Vec::new();
    for (ours, theirs) in ours.into_iter().zip(theirs.into_iter().rev()) {
        let (first, second) = match (ours?, theirs?) {
            (second @ Acceptance::Duplicate { .. }, first) | (first, second) => (number(first), second),
        };
        assert_eq!(second, Acceptance::Duplicate { of: first, content: DuplicateContent::Same });
        numbers.push(first);
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=1_000), "without gaps");
    let counts = world.store.message_counts(account).await?;
    assert_eq!(counts, MessageCounts { stored: 1_000, duplicates: 1_000 });
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_reads_while_two_nodes_accept_misses_nothing() -> StoreResult<()> {
    let Some((world, other, sender, account, _kept)) = two_nodes().await? else { return Ok(()) };
    let lease = world.handler(account, "crm").await?;
    let send = async |store: &PostgresStore, from: usize| {
        for nth in 0..60 {
            let message = sender.message(&format!("msg_{}", from + nth), "{}", world.now());
            number(store.accept(message).await.unwrap());
        }
    };
    // Few at a time, so that there are many commits.
    let ours = join_all((0..4).map(|caller| send(&world.store, caller * 100)));
    let theirs = join_all((4..8).map(|caller| send(&other, caller * 100)));
    let reading = async {
        let mut read = Vec::new();
        while read.len() < 480 {
            // As a worker does: after what it has read.
            let more = world.due_numbers(&lease, read.last().copied().unwrap_or(0)).await.unwrap();
            read.extend(more);
        }
        read
    };
    let (_, _, read) = tokio::join!(ours, theirs, reading);
    assert!(read.iter().copied().eq(1..=480), "{read:?}");
    Ok(())
}

#[tokio::test]
async fn nothing_newer_is_seen_before_a_message_that_is_still_being_committed() -> StoreResult<()> {
    let Some((world, other, sender, account, database)) = two_nodes().await? else { return Ok(()) };
    let lease = world.handler(account, "crm").await?;
    let first = number(world.accept(&sender, "msg_1", "{}").await?);
    let (mut node, watch) = (database.client().await, database.client().await);
    // A node that has taken a number and has not committed yet.
    let committing = node.transaction().await.unwrap();
    committing.batch_execute("update message_counter set newest = newest + 1").await.unwrap();
    let copy = "insert into message select account, 2, source, '\\x01', digest, 'msg_2', headers, received_at, emptied,
                fan_out, fan_out_index, fan_out_total, body from message";
    committing.batch_execute(copy).await.unwrap();
    let message = sender.message("msg_3", "{}", world.now());
    let accepting = other.accept(message);
    let looking = async {
        eventually("the newer one waits", async || is_anybody_waiting(&watch).await).await;
        assert_eq!(world.due_numbers(&lease, 0).await.unwrap(), [first]);
        committing.commit().await.unwrap();
    };
    let (accepted, ()) = join(accepting, looking).await;
    assert_eq!(number(accepted?), first + 2);
    assert_eq!(world.due_numbers(&lease, first).await?, [first + 1, first + 2]);
    Ok(())
}

#[tokio::test]
async fn one_message_that_cannot_be_kept_takes_no_other_with_it() -> StoreResult<()> {
    let Some((mut world, _other, sender, account, database)) = two_nodes().await? else { return Ok(()) };
    let refusing = "create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'not this one'; end $$;
        create trigger refused before insert on message for each row when (new.message_id = 'msg_bad')
            execute function refuse()";
    database.client().await.batch_execute(refusing).await.unwrap();
    let (homeless, _) = Sender::new(SourceId::from_bytes(world.id()), AccountId::from_u32(404));
    let ids = ["msg_1", "msg_bad", "msg_2", "msg_1"];
    let mut messages: Vec<Verified> = ids.map(|id| sender.message(id, "{}", world.now())).into();
    messages.push(homeless.message("msg_1", "{}", world.now()));
    let accepted = join_all(messages.into_iter().map(|message| world.store.accept(message))).await;
    let [Ok(Acceptance::Stored(first)), Err(refused), Ok(Acceptance::Stored(second)), Ok(copy), Err(nobodys)] =
        &accepted[..]
    else {
        panic!("{accepted:?}");
    };
    assert_eq!((*first, *second), (1, 2), "a number that was not used is given again");
    assert_eq!(*copy, Acceptance::Duplicate { of: *first, content: DuplicateContent::Same });
    assert!(refused.to_string().contains("not this one"), "{refused}");
    assert!(matches!(nobodys, StoreError::Missing("the account")), "{nobodys}");
    for _ in 0..50 {
        let refused = world.accept(&sender, "msg_bad", "{}").await.unwrap_err().to_string();
        assert!(refused.contains("not this one"), "the cause, and not what it led to: {refused}");
    }
    assert_eq!(world.store.message_counts(account).await?, MessageCounts { stored: 2, duplicates: 1 });
    Ok(())
}

#[tokio::test]
async fn too_much_that_waits_is_refused_and_the_rest_is_kept() -> StoreResult<()> {
    let Some((world, _other, sender, account, database)) = two_nodes().await? else { return Ok(()) };
    world.accept(&sender, "msg", "{}").await?;
    let (mut node, watch) = (database.client().await, database.client().await);
    let holding = node.transaction().await.unwrap();
    holding.batch_execute("select 1 from message_counter for update").await.unwrap();
    let body = "x".repeat(1 << 20);
    let accepting = join_all((0..70).map(|nth| {
        let message = sender.message(&format!("msg_{nth}"), &body, world.now());
        world.store.accept(message)
    }));
    let letting_go = async {
        eventually("they wait", async || is_anybody_waiting(&watch).await).await;
        holding.rollback().await.unwrap();
    };
    let (accepted, ()) = join(accepting, letting_go).await;
    let refused = accepted.iter().filter(|answer| matches!(answer, Err(StoreError::Busy(_)))).count();
    assert_eq!((refused, accepted.iter().filter(|answer| answer.is_ok()).count()), (6, 64), "64 MiB may wait");
    assert_eq!(world.store.message_counts(account).await?.stored, 65);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_ends_keeps_nothing_and_the_sender_comes_again() -> StoreResult<()> {
    let Some((world, _other, sender, account, database)) = two_nodes().await? else { return Ok(()) };
    world.accept(&sender, "msg_1", "{}").await?;
    let (mut node, watch) = (database.client().await, database.client().await);
    let holding = node.transaction().await.unwrap();
    holding.batch_execute("select 1 from message_counter for update").await.unwrap();
    let cutting = async {
        eventually("it waits", async || is_anybody_waiting(&watch).await).await;
        let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                   where datname = current_database() and wait_event_type = 'Lock'";
        watch.query(sql, &[]).await.unwrap();
    };
    let (cut, ()) = join(world.accept(&sender, "msg_2", "{}"), cutting).await;
    assert!(matches!(cut, Err(StoreError::Unwritable(_))), "{cut:?}");
    holding.rollback().await.unwrap();
    eventually("the sender comes again", async || world.accept(&sender, "msg_2", "{}").await.is_ok()).await;
    assert_eq!(world.store.message_counts(account).await?, MessageCounts { stored: 2, duplicates: 0 });
    Ok(())
}

#[tokio::test]
async fn a_message_that_shares_its_hash_with_another_is_not_lost() -> StoreResult<()> {
    let Some((world, _other, sender, _account, database)) = two_nodes().await? else { return Ok(()) };
    number(world.accept(&sender, "msg_1", "{}").await?);
    number(world.accept(&sender, "msg_2", "{}").await?);
    // As if the hashes of both were the same.
    database.client().await.batch_execute("update message_seen set number = 2").await.unwrap();
    let third = number(world.accept(&sender, "msg_1", "{}").await?);
    let copy = world.accept(&sender, "msg_1", "{}").await?;
    assert_eq!(copy, Acceptance::Duplicate { of: third, content: DuplicateContent::Same });
    Ok(())
}

#[tokio::test]
async fn a_state_that_was_left_and_comes_back_is_news_also_within_one_commit() -> StoreResult<()> {
    let Some((mut world, _other, _sender, account, _kept)) = two_nodes().await? else { return Ok(()) };
    // A sender without ids: its messages are recognised by whom and what they are about.
    let source = Source::new(SourceId::from_bytes(world.id()), account, "plain", Scheme::path()).unwrap();
    let moved_to = |hour: u8| {
        let body = format!(
            r#"{{"name":"Ada","email":"ada@example.com","phone":919000000000,"timezone":"+05:30","callList":[{{
                "title":"Design clinic","webinarId":"65f0c0ffee0000000000a001","webinarLink":"https://meet.example/abc",
                "webinarFromTime":"2024-03-15T{hour}:00:00.000Z","webinarToTime":"2024-03-15T{hour}:30:00.000Z",
                "webinarFromTimeInCreatorTimezone":"2024-03-15T{hour}:00:00.000Z","creatorTimezone":"+00:00"}}]}}"#
        );
        let headers: [(&str, &[u8]); 0] = [];
        verify(&source, RawRequest { headers, body: body.into() }, world.now()).unwrap()
    };
    assert_eq!(moved_to(15).dedupe_slot(), moved_to(16).dedupe_slot(), "one subject");
    let states = [15, 16, 16, 15, 15].map(|hour| world.store.accept(moved_to(hour)));
    let accepted: Vec<Acceptance> = join_all(states).await.into_iter().collect::<StoreResult<_>>()?;
    let copy_of = |of| Acceptance::Duplicate { of, content: DuplicateContent::Same };
    let news = Acceptance::Stored;
    assert_eq!(accepted, [news(1), news(2), copy_of(2), news(3), copy_of(3)]);
    assert_eq!(world.store.accept(moved_to(15)).await?, copy_of(3), "the last one has the slot");
    Ok(())
}

#[tokio::test]
async fn a_window_of_its_own_is_kept_to() -> StoreResult<()> {
    let Some((mut world, other, sender, _account, _kept)) = two_nodes().await? else { return Ok(()) };
    world.store = other.with_dedupe_window(store::DedupeWindow::new(2).unwrap());
    number(world.accept(&sender, "msg_1", "{}").await?);
    world.pass(Duration::from_secs(2 * 24 * 3_600));
    assert!(matches!(world.accept(&sender, "msg_1", "{}").await?, Acceptance::Duplicate { .. }));
    world.pass(Duration::from_secs(1));
    number(world.accept(&sender, "msg_1", "{}").await?);
    Ok(())
}

#[tokio::test]
async fn what_was_planned_while_the_inbox_was_small_is_not_dear_when_it_has_grown() -> StoreResult<()> {
    let Some((world, other, sender, _account, database)) = two_nodes().await? else { return Ok(()) };
    let watch = database.client().await;
    for burst in 0..12 {
        let messages = (0..20).map(|nth| sender.message(&format!("msg_{burst}_{nth}"), "{}", world.now()));
        for accepted in join_all(messages.map(|message| world.store.accept(message))).await {
            number(accepted?);
        }
        // Now the planner knows how small everything is.
        watch.batch_execute("analyze").await.unwrap();
    }
    // Connections tell what they have read when they end.
    drop((world, other));
    let sql = "select seq_scan, coalesce(idx_scan, 0) from pg_stat_user_tables
               where relname in ('message', 'message_seen', 'message_counter') order by relname";
    eventually("each slot was looked up by the index", async || {
        let rows = watch.query(sql, &[]).await.unwrap();
        let scans: Vec<(i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert!(scans.iter().all(|(whole, _)| *whole == 0), "tables read as a whole: {scans:?}");
        scans[2].1 >= 240
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_stopped_while_it_accepts_holds_up_others_for_seconds_only() -> StoreResult<()> {
    let Some((world, other, sender, _account, _kept)) = two_nodes().await? else { return Ok(()) };
    number(world.accept(&sender, "msg_1", "{}").await?);
    // It has taken the counter, and comes no further.
    let stopped = world.store.begin().await?;
    stopped.query("select newest from message_counter for no key update", &[]).await?;
    assert_eq!(number(other.accept(sender.message("msg_2", "{}", world.now())).await?), 2);
    let late = stopped.commit().await;
    assert!(late.is_err(), "{late:?}");
    Ok(())
}
