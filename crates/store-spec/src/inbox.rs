//! What a store owes of the inbox: a message is on disk once, however often and however many at once it comes.

use std::time::Duration;

use futures_util::future::join_all;
use store::{
    Acceptance, Arrivals, DuplicateContent, MessageCounts, MessageFilter, MessageNumber, Store, StoreError, StoreResult,
};
use wire::{AccountId, FanOutId, SourceId};

use crate::World;
use crate::world::Sender;

const A_DAY: Duration = Duration::from_secs(24 * 3_600);
const ALL: MessageFilter = MessageFilter { source: None, from: None, to: None };

pub async fn a_source_reads_back_and_its_id_is_given_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let mut made = Vec::new();
    for _ in 0..3 {
        let (_, mut record) = Sender::new(SourceId::from_bytes(world.id()), ours);
        record.created_at = world.pass(Duration::from_secs(1));
        record.keys.push("whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned().into());
        world.store.create_source(record.clone()).await?;
        made.push(record);
    }
    assert!(world.store.sources(ours).await? == made, "oldest first, keys and all");
    assert!(world.store.source(made[1].id).await?.as_ref() == Some(&made[1]));
    assert!(world.store.source(SourceId::from_bytes([9; 16])).await?.is_none());
    assert!(world.store.sources(theirs).await?.is_empty());

    let (_, taken) = Sender::new(made[0].id, theirs);
    assert!(matches!(world.store.create_source(taken).await, Err(StoreError::Exists(_))));
    let (_, homeless) = Sender::new(SourceId::from_bytes(world.id()), AccountId::from_u32(404));
    assert!(matches!(world.store.create_source(homeless).await, Err(StoreError::Missing(_))));
    Ok(())
}

pub async fn the_keys_of_a_source_are_replaced_for_its_owner_alone<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let (_, mut record) = Sender::new(SourceId::from_bytes(world.id()), ours);
    let keys = std::mem::take(&mut record.keys);
    world.store.create_source(record.clone()).await?;
    assert!(world.store.source(record.id).await?.as_ref() == Some(&record), "a source may wait for its keys");

    assert!(!world.store.set_source_keys(theirs, record.id, keys.clone()).await?);
    assert!(world.store.source(record.id).await?.as_ref() == Some(&record), "another account changes nothing");
    assert!(!world.store.set_source_keys(ours, SourceId::from_bytes([9; 16]), keys.clone()).await?);

    record.keys = keys;
    assert!(world.store.set_source_keys(ours, record.id, record.keys.clone()).await?);
    assert!(world.store.set_source_keys(ours, record.id, record.keys.clone()).await?, "the same keys again");
    assert!(world.store.source(record.id).await?.as_ref() == Some(&record));
    Ok(())
}

pub async fn a_message_is_stored_as_it_came<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let body = "{\"name\": \"🎺\",\u{0}\r\n \"n\": 1.0}";
    let number = stored(world.accept(&sender, "msg_1", body).await?);

    let message = world.store.message(account, number).await?.expect("stored");
    assert_eq!((message.number, message.source), (number, sender.source()));
    assert_eq!((message.message_id.as_deref(), message.received_at), (Some("msg_1"), world.now()));
    assert_eq!(
        (message.headers.as_str(), message.body),
        ("content-type: application/json\nwebhook-id: msg_1\n", body.as_bytes().to_vec())
    );
    assert_eq!((message.duplicates, message.conflicts, message.body_length), (0, 0, body.len() as u64));
    assert_eq!(world.store.message(account, number + 1).await?, None);
    assert_eq!(world.store.message(account, u64::MAX).await?, None);
    Ok(())
}

pub async fn an_empty_and_a_large_body_are_stored_too<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    for (id, body) in [("empty", String::new()), ("large", "x".repeat(1 << 20))] {
        let number = stored(world.accept(&sender, id, &body).await?);
        let message = world.store.message(account, number).await?.expect("stored");
        assert_eq!((message.body_length, message.body.len()), (body.len() as u64, body.len()));
    }
    Ok(())
}

pub async fn a_copy_is_recognised_and_counted<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let received_at = world.now();
    let of = stored(world.accept(&sender, "msg_1", "{}").await?);
    for _ in 0..2 {
        world.pass(Duration::from_secs(60));
        let again = world.accept(&sender, "msg_1", "{}").await?;
        assert_eq!(again, Acceptance::Duplicate { of, content: DuplicateContent::Same });
    }
    let message = world.store.message(account, of).await?.expect("stored");
    assert_eq!((message.duplicates, message.conflicts, message.received_at), (2, 0, received_at));
    Ok(())
}

pub async fn other_content_under_the_same_id_is_a_conflict_and_not_kept<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let of = stored(world.accept(&sender, "msg_1", "{}").await?);
    let again = world.accept(&sender, "msg_1", "{ }").await?;
    assert_eq!(again, Acceptance::Duplicate { of, content: DuplicateContent::Different });
    world.accept(&sender, "msg_1", "{}").await?;
    let message = world.store.message(account, of).await?.expect("stored");
    assert_eq!((message.duplicates, message.conflicts, message.body), (2, 1, b"{}".to_vec()));
    Ok(())
}

pub async fn two_sources_may_use_the_same_id<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let senders = [world.sender(ours).await?, world.sender(ours).await?, world.sender(theirs).await?];
    let mut numbers = Vec::new();
    for sender in &senders {
        numbers.push(stored(world.accept(sender, "msg_1", "{}").await?));
    }
    assert!(numbers[0] < numbers[1], "{numbers:?} rises with acceptance within an account");
    Ok(())
}

pub async fn a_hundred_copies_at_once_are_one_message<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let copies = (0..100).map(|_| world.accept(&sender, "msg_1", "{}"));
    let accepted: Vec<Acceptance> = join_all(copies).await.into_iter().collect::<StoreResult<_>>()?;
    let stored: Vec<_> = accepted.iter().filter(|acceptance| matches!(acceptance, Acceptance::Stored(_))).collect();
    let [Acceptance::Stored(of)] = stored[..] else { panic!("one is stored, not {stored:?}") };
    let duplicate = Acceptance::Duplicate { of: *of, content: DuplicateContent::Same };
    assert_eq!(accepted.iter().filter(|acceptance| **acceptance == duplicate).count(), 99);
    let counts = world.store.message_counts(account).await?;
    assert_eq!(counts, MessageCounts { stored: 1, duplicates: 99 });
    Ok(())
}

pub async fn messages_come_newest_first_in_pages_without_bodies<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let senders = [world.sender(account).await?, world.sender(account).await?];
    let mut sent = Vec::new();
    for number in 0..6 {
        let sender = &senders[number % 2];
        sent.insert(0, (stored(world.accept(sender, &format!("msg_{number}"), "{}").await?), sender.source()));
    }
    for source in [None, Some(senders[0].source()), Some(senders[1].source())] {
        let wanted: Vec<_> = sent.iter().filter(|(_, from)| source.is_none_or(|only| only == *from)).collect();
        for size in 1..=7 {
            let (mut listed, mut after) = (Vec::new(), None);
            while listed.is_empty() || after.is_some() {
                let page = world.store.messages(account, MessageFilter { source, ..ALL }, after, size).await?;
                assert!(page.items.len() <= size);
                assert!(page.items.iter().all(|message| message.body.is_empty() && message.body_length == 2));
                listed.extend(page.items.into_iter().map(|message| (message.number, message.source)));
                after = page.next;
            }
            assert_eq!(listed.iter().collect::<Vec<_>>(), wanted);
        }
    }
    Ok(())
}

pub async fn the_inbox_of_another_account_is_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let sender = world.sender(theirs).await?;
    let number = stored(world.accept(&sender, "msg_1", "{}").await?);
    world.accept(&sender, "msg_1", "{}").await?;
    assert_eq!(world.store.message(ours, number).await?, None);
    assert_eq!(world.store.messages(ours, ALL, None, 10).await?.items, []);
    let filter = MessageFilter { source: Some(sender.source()), ..ALL };
    assert_eq!(world.store.messages(ours, filter, None, 10).await?.items, []);
    assert_eq!(world.store.message_counts(ours).await?, MessageCounts::default());
    assert_eq!(world.store.message_counts(theirs).await?, MessageCounts { stored: 1, duplicates: 1 });
    Ok(())
}

pub async fn what_came_before_the_window_is_no_longer_repeated<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let window = A_DAY * u32::from(world.store.dedupe_window().days());
    let first = stored(world.accept(&sender, "msg_1", "{}").await?);
    world.pass(window);
    let last_copy = world.accept(&sender, "msg_1", "{}").await?;
    assert_eq!(last_copy, Acceptance::Duplicate { of: first, content: DuplicateContent::Same }, "to the end");
    world.pass(Duration::from_millis(1));
    let second = stored(world.accept(&sender, "msg_1", "{}").await?);
    let copy = world.accept(&sender, "msg_1", "{ }").await?;
    assert_eq!(copy, Acceptance::Duplicate { of: second, content: DuplicateContent::Different });
    let counts = world.store.message_counts(account).await?;
    assert_eq!(counts, MessageCounts { stored: 2, duplicates: 2 });
    Ok(())
}

pub async fn messages_are_listed_by_when_they_came<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let sender = world.sender(account).await?;
    let begin = world.now();
    let mut sent = Vec::new();
    for number in 0..4 {
        sent.push(stored(world.accept(&sender, &format!("msg_{number}"), "{}").await?));
        world.pass(Duration::from_secs(1));
    }
    let at = |seconds| Some(begin + Duration::from_secs(seconds));
    for (from, to, places) in [(None, at(2), 0..2), (at(1), None, 1..4), (at(1), at(3), 1..3), (at(2), at(2), 2..2)] {
        let filter = MessageFilter { from, to, ..ALL };
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = world.store.messages(account, filter, after, 1).await?;
            listed.extend(page.items.iter().map(|message| message.number));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        listed.reverse();
        assert_eq!(listed, sent[places], "{filter:?}");
    }
    Ok(())
}

pub async fn what_is_missing_of_a_fan_out_shows<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (account, other) = (world.account().await?, world.account().await?);
    let sender = world.sender(account).await?;
    let fan_outs = [FanOutId::from_bytes(world.id()), FanOutId::from_bytes(world.id())];
    for (fan_out, index, total) in [(0, 2, 7), (0, 5, 7), (0, 4, 7), (1, 1, 1), (0, 0, 7), (0, 9, 7)] {
        let headers = [
            ("fanfare-fanout", fan_outs[fan_out].to_string()),
            ("fanfare-index", index.to_string()),
            ("fanfare-total", total.to_string()),
        ];
        let message = sender.message_with(&format!("msg_{fan_out}_{index}"), "{}", &headers, world.now());
        stored(world.store.accept(message).await?);
    }
    stored(world.accept(&sender, "msg_of_no_fan_out", "{}").await?);
    let complete = Arrivals { total: 1, arrived: 1, missing: vec![], more: false };
    let missing = Arrivals { total: 7, arrived: 3, missing: vec![1..=1, 3..=3, 6..=7], more: false };
    assert_eq!(world.store.arrivals(account, fan_outs[0]).await?.as_ref(), Some(&missing), "nonsense does not count");
    assert_eq!(world.store.arrivals(account, FanOutId::from_bytes([9; 16])).await?, None);
    assert_eq!(world.store.arrivals(other, fan_outs[0]).await?, None);
    let newest = world.store.fan_outs_seen(account, 10).await?;
    assert_eq!(newest, [(fan_outs[1], complete.clone()), (fan_outs[0], missing)]);
    assert_eq!(world.store.fan_outs_seen(account, 1).await?, [(fan_outs[1], complete)]);
    assert_eq!(world.store.fan_outs_seen(other, 10).await?, []);
    Ok(())
}

fn stored(acceptance: Acceptance) -> MessageNumber {
    match acceptance {
        Acceptance::Stored(number) => number,
        Acceptance::Duplicate { .. } => panic!("a new message, not {acceptance:?}"),
    }
}
