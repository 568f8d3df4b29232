//! What a store owes of orders to what waits: they hold at once, lose nothing that was not called off, and may be repeated.

use provider::frontier::Place;
use provider::pace::Rate;
use provider::settings::{EndpointSettings, OlderVersions};
use store::{
    DeliveryStatus, EndpointChange, FanOutProgress, FanOutState, Lease, Room, Steer, Steered, Store, StoreError,
    StoreResult,
};
use wire::{AccountId, EndpointId, EventId, FanOutId};

use crate::World;
use crate::world::{LEASE, NODE, Plan, Report};

pub async fn a_paused_fan_out_keeps_everything_and_goes_on_where_it_stood<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    let now = world.now();
    let report = Report::of(lane.fan_out, now).delivered([1]).retrying(place(2), 1, now).up_to(place(2));
    let before = world.settle(lane.lease, report).await?.signal;
    assert_eq!(lane.steer(&world, Steer::Pause).await?, Steered { fan_outs: 1, is_more: false });

    let progress = lane.progress(&world).await?;
    assert_eq!((progress.state, progress.delivered, progress.retrying, progress.held), (FanOutState::Paused, 1, 0, 1));
    let due = world.store.due_retries(lane.lease, now, 10).await?;
    assert!(due.retries.is_empty());
    assert!(due.signal > before, "a lane at work hears of it");
    assert!(world.work(lane.lease).await?.fan_outs.is_empty());
    world.store.release(lane.lease, now).await?;
    world.pass(LEASE);
    assert_eq!(world.claim().await?, []);

    assert_eq!(lane.steer(&world, Steer::Resume).await?.fan_outs, 1);
    let lease = world.lease().await?;
    assert_eq!(world.work(lease).await?.fan_outs[0].cursor, place(2));
    let retry = &world.store.due_retries(lease, world.now(), 10).await?.retries[0];
    assert_eq!((retry.recipient.place, retry.attempt, retry.charged), (place(2), 2, 1));
    Ok(())
}

pub async fn what_comes_back_to_a_paused_fan_out_is_held_too<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    lane.steer(&world, Steer::Pause).await?;
    let now = world.now();
    world.settle(lane.lease, Report::of(lane.fan_out, now).delivered([1]).retrying(place(2), 1, now).swept()).await?;
    let progress = lane.progress(&world).await?;
    assert_eq!((progress.state, progress.delivered, progress.held), (FanOutState::Paused, 1, 1));
    assert_eq!(lane.statuses(&world).await?, [DeliveryStatus::Held, DeliveryStatus::Delivered]);
    Ok(())
}

pub async fn a_cancelled_fan_out_skips_what_has_not_arrived<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    let now = world.now();
    let report = Report::of(lane.fan_out, now).delivered([1]).retrying(place(2), 1, now).abandoned(place(3), 4);
    world.settle(lane.lease, report).await?;
    assert_eq!(lane.steer(&world, Steer::Cancel).await?, Steered { fan_outs: 1, is_more: false });
    assert_eq!(lane.steer(&world, Steer::Cancel).await?, Steered { fan_outs: 0, is_more: false }, "once is enough");
    assert_eq!(lane.steer(&world, Steer::Resume).await?.fan_outs, 0, "and for good");

    let progress = lane.progress(&world).await?;
    assert_eq!((progress.state, progress.delivered, progress.abandoned), (FanOutState::Skipped, 1, 1));
    assert_eq!((progress.retrying, progress.called_off), (0, 1));
    let statuses = [DeliveryStatus::Abandoned, DeliveryStatus::Skipped, DeliveryStatus::Delivered];
    assert_eq!(lane.statuses(&world).await?, statuses);
    world.store.release(lane.lease, now).await?;
    world.pass(LEASE);
    assert_eq!(world.claim().await?, []);
    Ok(())
}

pub async fn what_arrives_after_the_cancelling_counts_as_delivered<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    let now = world.now();
    world.settle(lane.lease, Report::of(lane.fan_out, now).retrying(place(2), 1, now)).await?;
    lane.steer(&world, Steer::Cancel).await?;
    world.settle(lane.lease, Report::of(lane.fan_out, now).delivered_at(2, 2).recovered(2)).await?;
    let progress = lane.progress(&world).await?;
    assert_eq!((progress.state, progress.delivered, progress.called_off), (FanOutState::Skipped, 1, 0));
    Ok(())
}

pub async fn one_endpoint_of_an_event_is_steered_alone<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let (first, _) = (world.endpoint(account).await?, world.endpoint(account).await?);
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let event = world.store.events(account, None, 1).await?.items[0].id;
    let steered = world.store.steer(account, event, Some(first), Steer::Pause, world.now()).await?;
    assert_eq!(steered.map(|steered| steered.fan_outs), Some(1));
    let claimed = world.claim().await?;
    assert!(claimed.len() == 1 && claimed[0].endpoint != first);
    Ok(())
}

pub async fn a_dropped_backlog_is_skipped_and_later_events_are_not<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    let now = world.now();
    let report = Report::of(lane.fan_out, now).delivered([1, 3, 4]).retrying(place(2), 1, now).swept();
    world.settle(lane.lease, report).await?;
    world.store.release(lane.lease, now).await?;
    let waiting = world.plan(&[]);
    world.save(lane.account, &waiting).await?;
    let dropped = world.store.drop_backlog(lane.account, lane.endpoint, now).await?;
    assert_eq!(dropped, Some(Steered { fan_outs: 2, is_more: false }));
    world.pass(LEASE);
    assert_eq!(world.claim().await?, []);
    let states: Vec<_> = lane.events(&world).await?.into_iter().map(|progress| progress.state).collect();
    assert_eq!(states, [FanOutState::Skipped, FanOutState::Skipped]);

    let plan = world.plan(&[]);
    let later = world.fan_out(lane.account, &plan).await?;
    let lease = world.lease().await?;
    assert_eq!(world.work(lease).await?.fan_outs[0].fan_out.id, later);
    Ok(())
}

pub async fn a_newer_version_supersedes_older_ones_where_that_is_wished<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    for (wish, expected) in
        [(OlderVersions::Deliver, FanOutState::Running), (OlderVersions::Supersede, FanOutState::Superseded)]
    {
        let lane = Lane::of_four(&mut world).await?;
        let settings = EndpointSettings { older_versions: wish, ..EndpointSettings::default() };
        lane.serve(&world, settings).await?;
        let now = world.now();
        let report = Report::of(lane.fan_out, now).delivered([1]).retrying(place(2), 1, now);
        world.settle(lane.lease, report).await?;
        world.save(lane.account, &lane.plan.next()).await?;
        let [newer, older] = &lane.events(&world).await?[..] else { panic!("two versions") };
        assert_eq!((newer.state, older.state), (FanOutState::Running, expected));
        let (retrying, called_off) = if wish == OlderVersions::Deliver { (1, 0) } else { (0, 1) };
        assert_eq!((older.delivered, older.retrying, older.called_off), (1, retrying, called_off));
    }
    Ok(())
}

pub async fn a_word_to_newcomers_supersedes_nothing<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    let settings = EndpointSettings { older_versions: OlderVersions::Supersede, ..EndpointSettings::default() };
    lane.serve(&world, settings).await?;
    world.register_late(lane.account, &lane.plan, 1, &["late"]).await?;
    let states: Vec<_> = lane.events(&world).await?.into_iter().map(|progress| progress.state).collect();
    assert_eq!(states, [FanOutState::Running, FanOutState::Running]);
    Ok(())
}

pub async fn a_retry_knows_that_its_person_has_a_newer_version<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    let now = world.now();
    let report = Report::of(lane.fan_out, now).retrying(place(1), 1, now).retrying(place(2), 1, now).swept();
    world.settle(lane.lease, report).await?;
    let newer = world.fan_out(lane.account, &lane.plan.next()).await?;
    let outdated = async |world: &World<S>| {
        let due = world.store.due_retries(lane.lease, now, 10).await?;
        Ok::<_, StoreError>(due.retries.iter().map(|retry| retry.is_outdated).collect::<Vec<_>>())
    };
    assert_eq!(outdated(&world).await?, [false, false]);
    let report = Report::of(newer, now).delivered([1]).retrying(place(2), 1, now + LEASE);
    world.settle(lane.lease, report).await?;
    assert_eq!(outdated(&world).await?, [true, false]);
    Ok(())
}

pub async fn the_settings_of_an_endpoint_read_back<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    let settings =
        EndpointSettings { rate: Rate::new(90, 5).ok(), concurrency_max: 3, older_versions: OlderVersions::Supersede };
    for settings in [settings, EndpointSettings::default()] {
        lane.serve(&world, settings).await?;
        assert_eq!(world.endpoint_now(lane.account, lane.endpoint).await?.settings, settings);
        assert_eq!(world.work(lane.lease).await?.endpoint.settings, settings);
    }
    Ok(())
}

pub async fn progress_tells_what_an_endpoint_gets_first_and_how_fast<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    world.save(lane.account, &lane.plan.next()).await?;
    world.work(lane.lease).await?;
    let mut settlement: store::Settlement = Report::of(lane.fan_out, world.now()).delivered([1]).up_to(place(1)).into();
    settlement.per_minute = Some(120);
    world.settle(lane.lease, settlement).await?;
    world.settle(lane.lease, Report::of(lane.fan_out, world.now())).await?;
    let told: Vec<_> =
        lane.events(&world).await?.into_iter().map(|progress| (progress.ahead, progress.per_minute)).collect();
    assert_eq!(told, [(3, Some(120)), (0, Some(120))]);
    Ok(())
}

pub async fn accounts_that_have_their_share_are_passed_over<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (first, second) = (Lane::waiting(&mut world).await?, Lane::waiting(&mut world).await?);
    let room = Room { full_accounts: vec![first], ..Room::of(10) };
    let claimed = world.store.claim(NODE, world.now(), LEASE, room).await?;
    assert_eq!(claimed.iter().map(|lease| lease.account).collect::<Vec<_>>(), [second]);
    assert_eq!(world.lease().await?.account, first, "it was not lost");
    Ok(())
}

pub async fn orders_of_another_account_find_nothing<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::of_four(&mut world).await?;
    let other = world.account().await?;
    let (event, now) = (lane.event(&world).await?, world.now());
    assert_eq!(world.store.steer(other, event, None, Steer::Cancel, now).await?, None);
    assert_eq!(world.store.drop_backlog(other, lane.endpoint, now).await?, None);
    assert_eq!(lane.progress(&world).await?.state, FanOutState::Running);
    Ok(())
}

fn place(number: u64) -> Place {
    Place { participant: number, index: number }
}

/// A lane with one fan-out to four people, leased.
struct Lane {
    account: AccountId,
    endpoint: EndpointId,
    plan: Plan,
    fan_out: FanOutId,
    lease: Lease,
}

impl Lane {
    async fn of_four<S: Store>(world: &mut World<S>) -> StoreResult<Lane> {
        let account = world.account().await?;
        let endpoint = world.endpoint(account).await?;
        let mango = world.mango_of(account, &["p1", "p2", "p3", "p4"]).await?;
        let plan = world.plan(&[mango]);
        let fan_out = world.fan_out(account, &plan).await?;
        Ok(Lane { account, endpoint, plan, fan_out, lease: world.lease().await? })
    }

    /// An account with a lane that is due.
    async fn waiting<S: Store>(world: &mut World<S>) -> StoreResult<AccountId> {
        let account = world.account().await?;
        world.endpoint(account).await?;
        let plan = world.plan(&[]);
        world.save(account, &plan).await?;
        Ok(account)
    }

    async fn serve<S: Store>(&self, world: &World<S>, settings: EndpointSettings) -> StoreResult<()> {
        let change = EndpointChange::Serve(settings);
        let changed = world.store.change_endpoint(self.account, self.endpoint, change, world.now()).await?;
        assert_eq!(changed.map(|endpoint| endpoint.settings), Some(settings));
        Ok(())
    }

    async fn steer<S: Store>(&self, world: &World<S>, steer: Steer) -> StoreResult<Steered> {
        let event = self.event(world).await?;
        let steered = world.store.steer(self.account, event, None, steer, world.now()).await?;
        Ok(steered.expect("the event is there"))
    }

    async fn event<S: Store>(&self, world: &World<S>) -> StoreResult<EventId> {
        let events = world.store.events(self.account, None, 10).await?.items;
        Ok(events.into_iter().find(|event| event.fan_outs[0].id == self.fan_out).expect("its event").id)
    }

    async fn progress<S: Store>(&self, world: &World<S>) -> StoreResult<FanOutProgress> {
        let found = self.events(world).await?.into_iter().find(|progress| progress.id == self.fan_out);
        Ok(found.expect("its fan-out"))
    }

    /// The fan-outs of the account, newest first.
    async fn events<S: Store>(&self, world: &World<S>) -> StoreResult<Vec<FanOutProgress>> {
        let events = world.store.events(self.account, None, 10).await?.items;
        Ok(events.into_iter().map(|event| event.fan_outs[0].clone()).collect())
    }

    async fn statuses<S: Store>(&self, world: &World<S>) -> StoreResult<Vec<DeliveryStatus>> {
        let log = world.store.deliveries(self.account, store::DeliveryFilter::default(), None, 10).await?;
        Ok(log.items.iter().map(|delivery| delivery.status).collect())
    }
}
