//! What a store owes of series, their versions and sessions, and events.

use std::time::Duration;

use futures_util::future::join_all;
use provider::fan_out::fan_out_id;
use store::{Ending, FanOutProgress, FanOutState, SeriesRecord, Store, StoreError, StoreResult};
use webinar::{EventType, SeriesId, SessionId, Trigger};
use wire::{AccountId, EventId};

use crate::World;

pub async fn a_series_reads_back_as_it_was_saved<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mango = world.mango(account).await?;
    let mut plan = world.plan(&[mango]);
    plan.title = "Quotes \" and 🎺".to_owned();
    let saved = world.save(account, &plan).await?;
    assert_eq!((saved.version, saved.fan_outs), (1, Vec::new()), "nobody has subscribed");

    let record = SeriesRecord {
        id: plan.id,
        version: 1,
        draft: plan.draft(),
        cancelled_at: None,
        created_at: world.now(),
        saved_at: world.now(),
    };
    assert_eq!(world.store.series(account, plan.id).await?, Some(record));
    assert_eq!(world.store.series(account, SeriesId::from_bytes([9; 12])).await?, None);
    Ok(())
}

pub async fn each_save_is_a_version<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let created_at = world.now();
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let saved_at = world.pass(Duration::from_secs(60));
    let mut second = plan.next();
    second.title = "Renamed".to_owned();
    assert_eq!(world.save(account, &second).await?.version, 2);

    let record = world.store.series(account, plan.id).await?.expect("saved");
    assert_eq!((record.version, &record.draft), (2, &second.draft()));
    assert_eq!((record.created_at, record.saved_at), (created_at, saved_at));
    Ok(())
}

pub async fn a_cancelled_series_says_since_when<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mut plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let cancelled_at = world.pass(Duration::from_secs(60));
    plan = plan.next();
    plan.ending = Ending::Cancelled;
    world.save(account, &plan).await?;
    world.pass(Duration::from_secs(60));
    world.save(account, &plan.next()).await?;
    assert_eq!(world.store.series(account, plan.id).await?.expect("saved").cancelled_at, Some(cancelled_at));

    plan = plan.next().next();
    plan.ending = Ending::GoesOn;
    world.save(account, &plan).await?;
    assert_eq!(world.store.series(account, plan.id).await?.expect("saved").cancelled_at, None);
    Ok(())
}

pub async fn a_save_from_an_old_version_leaves_no_trace<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    world.endpoint(account).await?;
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let lease = world.lease().await?;
    world.store.release(lease, world.now()).await?;
    let before = traces(&world, account).await?;

    let mut stale = plan.clone().with_sessions(5);
    for (from_version, found) in [(0, 1), (2, 1)] {
        stale.from_version = from_version;
        match world.save(account, &stale).await {
            Err(StoreError::VersionConflict { expected, found: told }) => {
                assert_eq!((expected, told), (from_version, found));
            }
            other => panic!("a conflict, not {other:?}"),
        }
    }
    assert_eq!(traces(&world, account).await?, before);
    let fifth = stale.session_ids(&world.zones)[4];
    assert_eq!(world.store.series_of_session(account, fifth).await?, None);
    Ok(())
}

pub async fn an_event_id_is_used_once_and_a_refused_save_leaves_no_trace<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    world.endpoint(account).await?;
    let plan = world.plan(&[]);
    let event = world.id();
    world.store.save_series(account, plan.to_save(event, &world.zones, world.now())).await?;
    let before = traces(&world, account).await?;

    let update = plan.next().with_sessions(5);
    let refused = world.store.save_series(account, update.to_save(event, &world.zones, world.now())).await;
    assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");
    assert_eq!(traces(&world, account).await?, before);
    assert_eq!(world.store.series_of_session(account, update.session_ids(&world.zones)[4]).await?, None);
    assert_eq!(world.save(account, &update).await?.version, 2, "with another id it is saved");
    Ok(())
}

pub async fn a_failing_write_does_not_hurt_those_beside_it<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let (first, spoiled, last) = (world.plan(&[]), world.plan(&[]), world.plan(&[]));
    let event = world.id();
    world.store.save_series(account, spoiled.to_save(event, &world.zones, world.now())).await?;
    let saves = [
        first.to_save(world.id(), &world.zones, world.now()),
        spoiled.next().to_save(event, &world.zones, world.now()),
        spoiled.to_save(world.id(), &world.zones, world.now()),
        last.to_save(world.id(), &world.zones, world.now()),
    ];
    let results = join_all(saves.map(|save| world.store.save_series(account, save))).await;
    let went_well: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(went_well, [true, false, false, true], "{results:?}");
    let listed = world.store.series_list(account, None, 10).await?.items;
    let versions: Vec<_> = listed.iter().map(|record| (record.id, record.version)).collect();
    assert_eq!(versions, [(last.id, 1), (spoiled.id, 1), (first.id, 1)]);
    Ok(())
}

pub async fn each_endpoint_that_subscribes_is_told_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let (one, two) = (world.endpoint(account).await?, world.endpoint(account).await?);
    let plan = world.plan(&[]);
    let url = world.endpoint_now(account, one).await?.url;
    let mut again = world.new_subscription(&url);
    again.webinar = Some(plan.id.into());
    world.store.subscribe(account, again).await?;
    let mut single = world.new_subscription("https://single.example/");
    single.event = EventType::WebinarCreatedSingle;
    world.store.subscribe(account, single).await?;

    let event = world.id();
    let saved = world.store.save_series(account, plan.to_save(event, &world.zones, world.now())).await?;
    let event = EventId::from_bytes(event);
    let mut fan_outs = saved.fan_outs;
    fan_outs.sort_by_key(|(_, endpoint)| *endpoint);
    assert_eq!(fan_outs, [one, two].map(|endpoint| (fan_out_id(event, endpoint), endpoint)));
    Ok(())
}

pub async fn a_filter_takes_a_series_or_one_of_its_sessions_even_a_removed_one<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let plan = world.plan(&[]).with_sessions(3);
    let sessions = plan.session_ids(&world.zones);
    for filter in [plan.id.into(), sessions[0].into(), sessions[2].into()] {
        let mut new = world.new_subscription(&format!("https://one.example/{filter}"));
        new.webinar = Some(filter);
        world.store.subscribe(account, new).await?;
    }
    let told =
        async |world: &mut World<S>, plan: &_| Ok::<_, StoreError>(world.save(account, plan).await?.fan_outs.len());
    assert_eq!(told(&mut world, &plan).await?, 3);
    let shorter = plan.next().with_sessions(2);
    assert_eq!(told(&mut world, &shorter).await?, 3, "the removed session's subscriber must know");
    assert_eq!(told(&mut world, &shorter.next()).await?, 2, "but need not hear of it again");
    let other = world.plan(&[]);
    assert_eq!(told(&mut world, &other).await?, 0);
    Ok(())
}

pub async fn a_session_leads_to_its_series_even_after_it_was_removed<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (account, other) = (world.account().await?, world.account().await?);
    let plan = world.plan(&[]).with_sessions(3);
    let sessions = plan.session_ids(&world.zones);
    world.save(account, &plan).await?;
    world.save(account, &plan.next().with_sessions(1)).await?;
    for session in sessions {
        assert_eq!(world.store.series_of_session(account, session).await?, Some(plan.id));
        assert_eq!(world.store.series_of_session(other, session).await?, None);
    }
    assert_eq!(world.store.series_of_session(account, SessionId::from_bytes([9; 12])).await?, None);
    Ok(())
}

pub async fn series_and_events_come_newest_first_in_pages<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mut saved = Vec::new();
    for _ in 0..5 {
        let plan = world.plan(&[]);
        world.save(account, &plan).await?;
        saved.insert(0, plan.id);
    }
    for size in 1..=6 {
        let (mut after, mut series) = (None, Vec::new());
        while series.is_empty() || after.is_some() {
            let page = world.store.series_list(account, after, size).await?;
            assert!(page.items.len() <= size);
            series.extend(page.items.iter().map(|record| record.id));
            after = page.next;
        }
        assert_eq!(series, saved);
        let (mut after, mut events) = (None, Vec::new());
        while events.is_empty() || after.is_some() {
            let page = world.store.events(account, after, size).await?;
            assert!(page.items.len() <= size);
            events.extend(page.items.iter().map(|event| event.series));
            after = page.next;
        }
        assert_eq!(events, saved);
    }
    Ok(())
}

pub async fn an_event_keeps_the_snapshot_it_announces<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let endpoint = world.endpoint(account).await?;
    let plan = world.plan(&[]);
    let save = plan.to_save(world.id(), &world.zones, world.now());
    let saved = world.store.save_series(account, save.clone()).await?;
    let mut update = plan.next();
    update.title = "Renamed".to_owned();
    world.save(account, &update).await?;

    let event = world.store.event(account, save.event.id).await?.expect("saved");
    assert_eq!((event.series_part, event.attendee_instant), (save.event.series_part, save.event.attendee_instant));
    let summary = event.summary;
    assert_eq!((summary.id, summary.series, summary.version), (save.event.id, plan.id, 1));
    assert_eq!((summary.event, summary.trigger), (EventType::WebinarCreatedRecurring, Trigger::Created));
    assert_eq!((summary.title.as_str(), summary.tzdb_version.as_str()), (plan.title.as_str(), world.zones.version()));
    assert_eq!((summary.created_at, summary.audience), (world.now(), None));
    let progress = FanOutProgress {
        replay: None,
        id: saved.fan_outs[0].0,
        endpoint,
        state: FanOutState::Running,
        delivered: 0,
        retrying: 0,
        held: 0,
        abandoned: 0,
        called_off: 0,
        ahead: 0,
        per_minute: None,
        erased: 0,
    };
    assert_eq!(summary.fan_outs, [progress]);
    let newest = world.store.events(account, None, 1).await?.items[0].clone();
    assert_eq!((newest.trigger, newest.version, newest.title.as_str()), (Trigger::Updated, 2, "Renamed"));
    Ok(())
}

pub async fn the_catalog_of_another_account_is_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    world.endpoint(ours).await?;
    let plan = world.plan(&[]);
    let event = world.id();
    let saved = world.store.save_series(theirs, plan.to_save(event, &world.zones, world.now())).await?;
    assert_eq!(saved.fan_outs, [], "our endpoint is not told of their series");
    assert_eq!(world.store.series(ours, plan.id).await?, None);
    assert_eq!(world.store.series_list(ours, None, 10).await?.items, []);
    assert_eq!(world.store.events(ours, None, 10).await?.items, []);
    assert_eq!(world.store.event(ours, EventId::from_bytes(event)).await?, None);
    assert_eq!(world.save(ours, &plan).await?.version, 1, "their id is free with us");
    Ok(())
}

pub async fn a_series_needs_an_account<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let plan = world.plan(&[]);
    let refused = world.save(AccountId::from_u32(404), &plan).await;
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    Ok(())
}

/// All that a refused save might have left.
async fn traces<S: Store>(world: &World<S>, account: AccountId) -> StoreResult<String> {
    let series = world.store.series_list(account, None, 100).await?;
    let events = world.store.events(account, None, 100).await?;
    let later = world.now() + Duration::from_secs(3_600);
    let due = world.store.claim(crate::world::NODE, later, Duration::ZERO, store::Room::of(100)).await?.len();
    Ok(format!("{series:?} {events:?} {due} lanes due"))
}
