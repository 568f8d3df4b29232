//! What a store owes of handlers: one node at a time, nothing given twice, nothing lost, and a settlement that is whole.

use std::time::Duration;

use receiver::{HandlerStart, Subject};
use store::{
    HandlerLease, MessageContent, Prunable, RunState, RunsWanted, SettledRun, SkipReason, Store, StoreError,
    StoreResult,
};
use wire::{AccountId, NodeId};

use crate::World;
use crate::world::{LEASE, NODE, ended};

const OTHER: NodeId = NodeId::from_bytes([2; 16]);

pub async fn a_handler_begins_where_it_is_told_and_keeps_its_place<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let numbers = world.messages(&sender, 2).await?;
    for (handler, start, cursor) in [("crm", HandlerStart::Now, numbers[1]), ("mail", HandlerStart::Oldest, 0)] {
        for _ in 0..2 {
            world.store.introduce_handler(account, handler, start).await?;
        }
        let lease = world.store.claim_handler(account, handler, NODE, world.now(), LEASE).await?.expect("free");
        assert_eq!((lease.handler.as_str(), lease.cursor), (handler, cursor));
    }
    world.store.introduce_handler(account, "mail", HandlerStart::Now).await?;
    let standings = world.store.handlers(account).await?;
    assert_eq!(standings.iter().map(|one| one.cursor).collect::<Vec<_>>(), [numbers[1], 0], "a known one stays");
    let homeless = world.store.introduce_handler(AccountId::from_u32(404), "crm", HandlerStart::Now).await;
    assert!(matches!(homeless, Err(StoreError::Missing(_))), "{homeless:?}");
    Ok(())
}

pub async fn a_handler_is_one_nodes_until_its_lease_is_over<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let unknown = world.store.claim_handler(account, "crm", NODE, world.now(), LEASE).await;
    assert!(matches!(unknown, Err(StoreError::Missing(_))), "{unknown:?}");
    let first = world.handler(account, "crm").await?;
    assert_eq!(world.store.claim_handler(account, "crm", OTHER, world.now(), LEASE).await?, None);

    let again = world.store.claim_handler(account, "crm", NODE, world.now(), LEASE).await?.expect("its own");
    assert!(again.epoch > first.epoch);
    let halfway = world.pass(LEASE / 2);
    world.store.renew_handler(&again, halfway, Some(LEASE)).await?;
    world.pass(LEASE / 2);
    assert_eq!(world.store.claim_handler(account, "crm", OTHER, world.now(), LEASE).await?, None, "renewed");
    world.pass(LEASE / 2);
    world.store.renew_handler(&again, world.now(), Some(LEASE / 4)).await?;
    let end = world.pass(LEASE / 4);
    let other = world.store.claim_handler(account, "crm", OTHER, end, LEASE).await?.expect("over");
    world.store.renew_handler(&other, world.now(), None).await?;
    assert!(world.store.claim_handler(account, "crm", NODE, world.now(), LEASE).await?.is_some(), "given back");
    Ok(())
}

pub async fn a_stale_owner_of_a_handler_changes_nothing<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let numbers = world.messages(&sender, 2).await?;
    let stale = world.handler(account, "crm").await?;
    let lease = world.handler(account, "crm").await?;
    let nobodys = HandlerLease { handler: "none".to_owned(), ..lease.clone() };
    for stale in [stale, nobodys] {
        let runs = [ended(numbers[0], RunState::Done)];
        assert!(matches!(world.end_runs(&stale, numbers[1], &runs).await, Err(StoreError::Fenced)));
        assert!(matches!(world.due_runs(&stale, 0).await, Err(StoreError::Fenced)));
        let renewed = world.store.renew_handler(&stale, world.now(), Some(LEASE)).await;
        assert!(matches!(renewed, Err(StoreError::Fenced)));
        let asked = world.store.newest_handled(&stale, vec![Subject(1)]).await;
        assert!(matches!(asked, Err(StoreError::Fenced)));
    }
    assert_eq!(world.store.handlers(account).await?[0].cursor, 0);
    world.store.renew_handler(&lease, world.now(), None).await?;
    assert!(matches!(world.end_runs(&lease, numbers[1], &[]).await, Err(StoreError::Fenced)), "given back");
    assert_eq!(world.store.handlers(account).await?[0].cursor, 0);
    Ok(())
}

pub async fn new_messages_come_in_order_and_those_with_a_row_do_not<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let (sender, others) = (world.sender(ours).await?, world.sender(theirs).await?);
    let lease = world.handler(ours, "crm").await?;
    world.messages(&others, 1).await?;
    let numbers = world.messages(&sender, 5).await?;
    let due = world.due_runs(&lease, 0).await?;
    assert_eq!(due.iter().map(|run| run.message.number).collect::<Vec<_>>(), numbers);
    assert!(due.iter().all(|run| (run.attempts, run.generation, &run.message.body[..]) == (0, 0, b"{}")));
    assert_eq!(world.due_numbers(&lease, numbers[1]).await?, numbers[2..]);
    assert_eq!(world.store.due_runs(&lease, world.now(), wanted(2, 1_000)).await?.len(), 2);

    let runs = [ended(numbers[1], RunState::Done), ended(numbers[3], RunState::Skipped(SkipReason::Outdated))];
    world.end_runs(&lease, numbers[0], &runs).await?;
    assert_eq!(world.due_numbers(&lease, 0).await?, [numbers[2], numbers[4]], "the first was passed over");
    Ok(())
}

pub async fn what_waits_comes_first_when_it_is_due_oldest_first<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let lease = world.handler(account, "crm").await?;
    let numbers = world.messages(&sender, 4).await?;
    let waits = [30, 10, 20].map(Duration::from_secs);
    let run = |(number, wait): (&u64, Duration)| SettledRun { attempts: 3, ..ended(*number, world.waiting(wait)) };
    let runs: Vec<_> = numbers.iter().zip(waits).map(run).collect();
    world.end_runs(&lease, numbers[2], &runs).await?;
    assert_eq!(world.due_numbers(&lease, numbers[2]).await?, [numbers[3]]);
    world.pass(waits[2]);
    let due = world.due_runs(&lease, numbers[2]).await?;
    assert_eq!(due.iter().map(|run| run.message.number).collect::<Vec<_>>(), [numbers[1], numbers[2], numbers[3]]);
    assert_eq!(due.iter().map(|run| run.attempts).collect::<Vec<_>>(), [3, 3, 0]);

    let again = [SettledRun { attempts: 4, ..ended(numbers[1], RunState::Parked { reason: "no".to_owned() }) }];
    world.end_runs(&lease, numbers[3], &again).await?;
    world.pass(waits[0]);
    assert_eq!(world.due_numbers(&lease, numbers[3]).await?, [numbers[2], numbers[0]]);
    Ok(())
}

pub async fn what_is_busy_is_not_given_again<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let lease = world.handler(account, "crm").await?;
    let numbers = world.messages(&sender, 4).await?;
    world.end_runs(&lease, numbers[0], &[ended(numbers[0], world.waiting(Duration::ZERO))]).await?;
    let busy = vec![numbers[0], numbers[2]];
    let due = world.store.due_runs(&lease, world.now(), RunsWanted { busy, ..wanted(2, 1_000) }).await?;
    assert_eq!(due.iter().map(|run| run.message.number).collect::<Vec<_>>(), [numbers[1], numbers[3]]);
    Ok(())
}

pub async fn bodies_are_bounded_but_for_the_first<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let lease = world.handler(account, "crm").await?;
    for (nth, length) in [50, 30, 20, 1].into_iter().enumerate() {
        world.accept(&sender, &format!("msg_{nth}"), &"x".repeat(length)).await?;
    }
    for (bytes_max, count) in [(0, 1), (49, 1), (79, 1), (80, 2), (100, 3), (101, 4)] {
        let due = world.store.due_runs(&lease, world.now(), wanted(10, bytes_max)).await?;
        assert_eq!(due.len(), count, "in {bytes_max} bytes");
    }
    Ok(())
}

pub async fn a_message_that_was_emptied_is_due_too<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let lease = world.handler(account, "crm").await?;
    let numbers = world.messages(&sender, 1).await?;
    world.pass(Duration::from_secs(1));
    world.prune(account, Prunable::Bodies).await?;
    let due = world.due_runs(&lease, 0).await?;
    assert_eq!((due[0].message.number, due[0].message.content), (numbers[0], MessageContent::Expired));
    Ok(())
}

pub async fn a_cursor_never_falls<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let lease = world.handler(account, "crm").await?;
    let numbers = world.messages(&sender, 3).await?;
    world.end_runs(&lease, numbers[1], &[]).await?;
    world.end_runs(&lease, numbers[0], &[]).await?;
    let anew = world.handler(account, "crm").await?;
    assert_eq!((anew.cursor, world.due_numbers(&anew, 0).await?), (numbers[1], vec![numbers[2]]));
    Ok(())
}

pub async fn the_newest_version_handled_stays<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let lease = world.handler(account, "crm").await?;
    let other = world.handler(account, "mail").await?;
    let numbers = world.messages(&sender, 3).await?;
    let done = |number, subject, version| SettledRun {
        handled: Some((Subject(subject), version)),
        ..ended(number, RunState::Done)
    };
    let (ada, bob) = (u64::MAX, 7);
    world.end_runs(&lease, 0, &[done(numbers[1], ada, 2), done(numbers[0], bob, 0)]).await?;
    world.end_runs(&lease, 0, &[done(numbers[0], ada, 1), done(numbers[2], bob, 0)]).await?;
    let asked = vec![Subject(bob), Subject(1), Subject(ada)];
    let newest = world.store.newest_handled(&lease, asked.clone()).await?;
    assert_eq!(newest, [Some((0, numbers[2])), None, Some((2, numbers[1]))]);
    assert_eq!(world.store.newest_handled(&other, asked).await?, [None; 3]);
    Ok(())
}

pub async fn runs_go_with_their_messages<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let lease = world.handler(account, "crm").await?;
    let numbers = world.messages(&sender, 2).await?;
    let done = SettledRun { handled: Some((Subject(1), 1)), ..ended(numbers[0], RunState::Done) };
    world.end_runs(&lease, numbers[0], std::slice::from_ref(&done)).await?;
    world.pass(Duration::from_secs(1));
    let kept = world.accept(&sender, "msg_later", "{}").await?;
    world.prune(account, Prunable::Messages).await?;
    let standing = world.store.handlers(account).await?.remove(0);
    assert_eq!((standing.done, standing.ahead, standing.cursor), (0, 1, numbers[0]), "only {kept:?} is left");
    world.end_runs(&lease, numbers[1], &[done, ended(numbers[1], RunState::Done)]).await?;
    assert_eq!(world.store.handlers(account).await?[0].done, 0, "one whose message is gone leaves no trace");
    assert_eq!(world.store.newest_handled(&lease, vec![Subject(1)]).await?, [None]);
    assert_eq!(world.store.runs(account, Default::default(), None, 10).await?.items, []);
    Ok(())
}

pub async fn the_handlers_of_another_account_are_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let sender = world.sender(theirs).await?;
    let (our_lease, their_lease) = (world.handler(ours, "crm").await?, world.handler(theirs, "crm").await?);
    let numbers = world.messages(&sender, 1).await?;
    assert_eq!(world.due_runs(&our_lease, 0).await?, []);
    world.end_runs(&our_lease, 0, &[ended(numbers[0], RunState::Done)]).await?;
    assert_eq!(world.store.handlers(ours).await?[0].done, 0, "a message of theirs");
    world.end_runs(&their_lease, 0, &[ended(numbers[0], RunState::Done)]).await?;
    assert_eq!(world.store.runs(ours, Default::default(), None, 10).await?.items, []);
    assert_eq!(world.store.runs(theirs, Default::default(), None, 10).await?.items.len(), 1);
    Ok(())
}

fn wanted(limit: usize, bytes_max: usize) -> RunsWanted {
    RunsWanted { limit, bytes_max, ..RunsWanted::default() }
}
