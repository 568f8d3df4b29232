//! What a store owes of a lane's commits: what is settled is settled, and a new owner goes on exactly behind it.

use std::time::Duration;

use provider::frontier::Place;
use store::{FanOutProgress, FanOutState, Lease, OPEN_FAN_OUTS_MAX, Store, StoreError, StoreResult};
use wire::{AccountId, FanOutId};

use crate::World;
use crate::world::{LEASE, Report};

pub async fn work_says_what_to_send_where<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let endpoint = world.endpoint(account).await?;
    let mango = world.mango_of(account, &["ada"]).await?;
    let plan = world.plan(&[mango]);
    let save = plan.to_save(world.id(), &world.zones, world.now());
    let saved = world.store.save_series(account, save.clone()).await?;

    let lease = world.lease().await?;
    let work = world.work(lease).await?;
    let kept = world.endpoint_now(account, endpoint).await?;
    assert_eq!((work.endpoint.id, &work.endpoint.url), (endpoint, &kept.url));
    assert_eq!(work.endpoint.secrets[0].secret.reveal(), kept.secrets[0].secret.reveal());
    let [sweep] = &work.fan_outs[..] else { panic!("one fan-out") };
    assert_eq!((sweep.cursor, &sweep.finished_beyond), (Place::default(), &Vec::new()));
    let fan_out = &sweep.fan_out;
    assert_eq!((fan_out.id, fan_out.event, fan_out.audience), (saved.fan_outs[0].0, save.event.id, 1));
    assert_eq!((fan_out.event_type, fan_out.trigger), (save.event.event, save.event.trigger));
    assert_eq!((fan_out.series, fan_out.version), (plan.id, 1));
    assert_eq!(
        (&fan_out.series_part, fan_out.attendee_instant),
        (&save.event.series_part, save.event.attendee_instant)
    );
    let same = world.store.fan_out(account, fan_out.id).await?;
    assert_eq!(format!("{same:?}"), format!("Some({fan_out:?})"));
    Ok(())
}

pub async fn fan_outs_are_worked_in_the_order_of_their_events<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mut saved = Vec::new();
    // All within one millisecond, where ids alone would not tell which came first.
    for _ in 0..OPEN_FAN_OUTS_MAX + 3 {
        let plan = world.plan(&[]);
        saved.push(world.fan_out(account, &plan).await?);
    }
    let lease = world.lease().await?;
    while !saved.is_empty() {
        let open: Vec<_> = world.work(lease).await?.fan_outs.iter().map(|work| work.fan_out.id).collect();
        assert_eq!(open, saved[..saved.len().min(OPEN_FAN_OUTS_MAX)]);
        let swept = saved.remove(0);
        world.settle(lease, Report::of(swept, world.now()).swept()).await?;
    }
    assert!(world.work(lease).await?.fan_outs.is_empty());
    Ok(())
}

pub async fn a_new_owner_goes_on_behind_the_cursor<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let mut lane = Lane::of_nine(&mut world).await?;
    let report = Report::of(lane.fan_out, world.now()).delivered(1..=4).up_to(lane.place(4));
    world.settle(lane.lease, report).await?;
    lane.lease = lane.next_owner(&mut world).await?;

    let work = world.work(lane.lease).await?;
    assert_eq!((work.fan_outs[0].cursor, &work.fan_outs[0].finished_beyond), (lane.place(4), &Vec::new()));
    let next = world.store.audience_page(lane.account, lane.fan_out, work.fan_outs[0].cursor, 1).await?;
    assert_eq!(next[0].place(), lane.place(5));
    Ok(())
}

pub async fn who_is_finished_beyond_the_cursor_is_known_to_a_new_owner<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let mut lane = Lane::of_nine(&mut world).await?;
    let due = world.now() + LEASE;
    let first = Report::of(lane.fan_out, world.now()).delivered([1, 7, 3]).up_to(lane.place(1));
    world.settle(lane.lease, first).await?;
    let second = Report::of(lane.fan_out, world.now())
        .delivered([2, 9])
        .retrying(lane.place(6), 1, due)
        .abandoned(lane.place(5), 1)
        .up_to(lane.place(3));
    world.settle(lane.lease, second).await?;
    lane.lease = lane.next_owner(&mut world).await?;

    let work = world.work(lane.lease).await?;
    assert_eq!((work.fan_outs[0].cursor, &work.fan_outs[0].finished_beyond), (lane.place(3), &vec![5, 6, 7, 9]));
    Ok(())
}

pub async fn a_straggler_counts_as_finished_and_comes_as_a_retry<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_nine(&mut world).await?;
    let due = world.now() + LEASE;
    world.settle(lane.lease, Report::of(lane.fan_out, world.now()).straggling(lane.place(2), due)).await?;
    assert_eq!(world.work(lane.lease).await?.fan_outs[0].finished_beyond, [2]);
    let retries = world.store.due_retries(lane.lease, due, 10).await?.retries;
    assert_eq!((retries.len(), retries[0].recipient.place, retries[0].attempt), (1, lane.place(2), 1));
    Ok(())
}

pub async fn retries_come_longest_due_first_and_not_before<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_nine(&mut world).await?;
    let now = world.now();
    let in_seconds = |seconds| now + Duration::from_secs(seconds);
    let report = Report::of(lane.fan_out, now)
        .retrying(lane.place(3), 1, in_seconds(30))
        .retrying(lane.place(4), 2, in_seconds(10))
        .retrying(lane.place(5), 3, in_seconds(20))
        .abandoned(lane.place(6), 4);
    world.settle(lane.lease, report).await?;

    let due = async |seconds, limit| {
        let retries = world.store.due_retries(lane.lease, in_seconds(seconds), limit).await?.retries;
        Ok::<_, StoreError>(retries.iter().map(|retry| (retry.recipient.place, retry.attempt)).collect::<Vec<_>>())
    };
    assert_eq!(due(9, 10).await?, []);
    assert_eq!(due(10, 10).await?, [(lane.place(4), 3)]);
    assert_eq!(due(30, 10).await?, [(lane.place(4), 3), (lane.place(5), 4), (lane.place(3), 2)]);
    assert_eq!(due(30, 2).await?, [(lane.place(4), 3), (lane.place(5), 4)]);
    let retry = &world.store.due_retries(lane.lease, in_seconds(10), 1).await?.retries[0];
    assert_eq!((retry.fan_out, retry.recipient.participant.name.as_str()), (lane.fan_out, "p4"));
    Ok(())
}

pub async fn retries_stay_in_their_own_lane<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let first = Lane::of_nine(&mut world).await?;
    let second = Lane::of_nine(&mut world).await?;
    let due = world.now();
    world.settle(first.lease, Report::of(first.fan_out, due).retrying(first.place(1), 1, due)).await?;
    assert_eq!(world.store.due_retries(first.lease, due, 10).await?.retries.len(), 1);
    assert_eq!(world.store.due_retries(second.lease, due, 10).await?.retries.len(), 0);
    let foreign = Lease { endpoint: first.lease.endpoint, ..second.lease };
    assert!(matches!(world.store.due_retries(foreign, due, 10).await, Err(StoreError::Fenced)));
    Ok(())
}

pub async fn counts_follow_each_delivery_to_its_end<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_nine(&mut world).await?;
    let due = world.now();
    let report = || Report::of(lane.fan_out, due);
    let steps = [
        (report().delivered([1, 2, 3]), (3, 0, 0)),
        (report().retrying(lane.place(4), 1, due).retrying(lane.place(5), 1, due), (3, 2, 0)),
        (report().abandoned(lane.place(6), 1), (3, 2, 1)),
        (report().retrying(lane.place(4), 2, due), (3, 2, 1)),
        (report().abandoned(lane.place(4), 3), (3, 1, 2)),
        (report().delivered_at(5, 2).recovered(5), (4, 0, 2)),
        (report().retrying(lane.place(4), 3, due), (4, 1, 1)),
        (report().recovered(1), (4, 1, 1)),
    ];
    for (step, (report, expected)) in steps.into_iter().enumerate() {
        world.settle(lane.lease, report).await?;
        let progress = lane.progress(&world).await?;
        assert_eq!((progress.delivered, progress.retrying, progress.abandoned), expected, "after step {step}");
    }
    let retries = world.store.due_retries(lane.lease, due, 10).await?.retries;
    assert_eq!(retries.iter().map(|retry| retry.recipient.place).collect::<Vec<_>>(), [lane.place(4)]);
    Ok(())
}

pub async fn a_swept_fan_out_is_told_as_such_and_is_no_more_work<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_nine(&mut world).await?;
    assert_eq!(lane.progress(&world).await?.state, FanOutState::Running);
    let report = Report::of(lane.fan_out, world.now()).delivered(1..=9).up_to(lane.place(9)).swept();
    world.settle(lane.lease, report).await?;
    let progress = lane.progress(&world).await?;
    assert_eq!((progress.state, progress.delivered), (FanOutState::Swept, 9));
    assert!(world.work(lane.lease).await?.fan_outs.is_empty());
    assert!(world.store.fan_out(lane.account, lane.fan_out).await?.is_some(), "its retries still need it");
    Ok(())
}

/// A leased lane with one fan-out to nine people, p1 to p9.
struct Lane {
    account: AccountId,
    fan_out: FanOutId,
    lease: Lease,
}

impl Lane {
    async fn of_nine<S: Store>(world: &mut World<S>) -> StoreResult<Lane> {
        let account = world.account().await?;
        world.endpoint(account).await?;
        let mango = world.mango_of(account, &["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"]).await?;
        let plan = world.plan(&[mango]);
        let fan_out = world.fan_out(account, &plan).await?;
        Ok(Lane { account, fan_out, lease: world.lease().await? })
    }

    fn place(&self, number: u64) -> Place {
        Place { participant: number, index: number }
    }

    async fn next_owner<S: Store>(&self, world: &mut World<S>) -> StoreResult<Lease> {
        world.pass(LEASE);
        world.lease().await
    }

    async fn progress<S: Store>(&self, world: &World<S>) -> StoreResult<FanOutProgress> {
        Ok(world.store.events(self.account, None, 1).await?.items[0].fan_outs[0].clone())
    }
}
