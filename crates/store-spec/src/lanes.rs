//! What a store owes of leases: one owner at a time, and only where there is something to do.

use std::time::Duration;

use provider::frontier::Place;
use provider::lane::LaneState;
use store::{EndpointChange, Lease, Room, Store, StoreError, StoreResult};
use wire::{AccountId, EndpointId, FanOutId, NodeId};

use crate::World;
use crate::world::{LEASE, Report};

const OTHER_NODE: NodeId = NodeId::from_bytes([2; 16]);
const A_SECOND: Duration = Duration::from_secs(1);

pub async fn a_lane_is_claimed_when_a_series_is_saved_and_not_before<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let endpoint = world.endpoint(account).await?;
    assert_eq!(world.claim().await?, []);
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let lease = world.lease().await?;
    assert_eq!((lease.account, lease.endpoint), (account, endpoint));
    Ok(())
}

pub async fn a_claimed_lane_has_one_owner_until_its_lease_runs_out<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let first = world.lease().await?;
    world.pass(LEASE - A_SECOND);
    assert_eq!(claim_elsewhere(&world).await?, [], "it lives");
    let plan = world.plan(&[]);
    world.save(lane.account, &plan).await?;
    assert_eq!(claim_elsewhere(&world).await?, [], "new work makes no difference");
    world.pass(A_SECOND);
    let second = claim_elsewhere(&world).await?[0];
    assert_eq!((second.account, second.endpoint), (first.account, first.endpoint));
    assert!(second.epoch > first.epoch);
    Ok(())
}

pub async fn a_renewed_lease_lasts_longer<S: Store>(mut world: World<S>) -> StoreResult<()> {
    Lane::due(&mut world).await?;
    let lease = world.lease().await?;
    let now = world.pass(LEASE - A_SECOND);
    world.store.renew(lease, now, LEASE).await?;
    world.pass(LEASE - A_SECOND);
    assert_eq!(claim_elsewhere(&world).await?, []);
    world.pass(A_SECOND);
    assert_eq!(claim_elsewhere(&world).await?.len(), 1);
    Ok(())
}

pub async fn an_owner_that_was_slow_keeps_what_nobody_took<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let lease = world.lease().await?;
    let now = world.pass(LEASE * 2);
    world.settle(lease, Report::of(lane.fan_out, now).delivered([1])).await?;
    world.store.renew(lease, now, LEASE).await?;
    assert_eq!(claim_elsewhere(&world).await?, []);
    Ok(())
}

pub async fn a_stale_owner_changes_nothing<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let stale = world.lease().await?;
    let now = world.pass(LEASE);
    let owner = claim_elsewhere(&world).await?[0];
    let before = lane.traces(&world, owner).await?;

    let place = Place { participant: 1, index: 1 };
    let open = LaneState::Open { failures: 1, until: now + LEASE, since: now };
    let report = Report::of(lane.fan_out, now).delivered([2]).abandoned(place, 1).up_to(place).swept().health(open);
    let refusals = [
        world.settle(stale, report).await.map(|_| ()),
        world.store.renew(stale, now, LEASE * 100).await,
        world.store.release(stale, now).await,
        world.work(stale).await.map(|_| ()),
        world.store.due_retries(stale, now, 10).await.map(|_| ()),
    ];
    for refused in refusals {
        assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    }
    assert_eq!(lane.traces(&world, owner).await?, before);
    assert_eq!(world.claim().await?, [], "the new owner has it still");
    world.pass(LEASE);
    assert_eq!(world.claim().await?.len(), 1, "and no longer than it asked for");
    Ok(())
}

pub async fn a_released_lease_is_over<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let lease = world.lease().await?;
    world.store.release(lease, world.now()).await?;
    let refusals = [
        world.settle(lease, Report::of(lane.fan_out, world.now()).swept()).await.map(|_| ()),
        world.store.renew(lease, world.now(), LEASE).await,
        world.store.release(lease, world.now()).await,
    ];
    for refused in refusals {
        assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    }
    let next = world.lease().await?;
    assert!(next.epoch > lease.epoch);
    assert_eq!(world.work(next).await?.fan_outs.len(), 1);
    Ok(())
}

pub async fn a_lease_of_another_account_or_of_nothing_is_refused<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let other = world.account().await?;
    let lease = world.lease().await?;
    let unknown = EndpointId::from_bytes([9; 16]);
    for wrong in [Lease { account: other, ..lease }, Lease { endpoint: unknown, ..lease }] {
        let refused = world.settle(wrong, Report::of(lane.fan_out, world.now()).swept()).await;
        assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
        let refused = world.work(wrong).await;
        assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    }
    assert_eq!(world.work(lease).await?.fan_outs.len(), 1);
    Ok(())
}

pub async fn a_released_lane_is_due_again_only_with_work<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let lease = world.lease().await?;
    world.store.release(lease, world.now()).await?;
    let lease = world.lease().await?;
    world.settle(lease, Report::of(lane.fan_out, world.now()).delivered([1, 2]).swept()).await?;
    world.store.release(lease, world.now()).await?;
    world.pass(LEASE * 1_000);
    assert_eq!(world.claim().await?, []);
    Ok(())
}

pub async fn a_lane_with_retries_only_is_due_when_the_first_is<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let lease = world.lease().await?;
    let due = |seconds: u64| world.now() + Duration::from_secs(seconds);
    let report = Report::of(lane.fan_out, world.now())
        .retrying(Place { participant: 1, index: 1 }, 1, due(300))
        .retrying(Place { participant: 2, index: 2 }, 1, due(200))
        .swept();
    world.settle(lease, report).await?;
    world.store.release(lease, world.now()).await?;
    world.pass(Duration::from_secs(199));
    assert_eq!(world.claim().await?, []);
    world.pass(A_SECOND);
    assert_eq!(world.claim().await?.len(), 1);
    Ok(())
}

pub async fn lanes_are_claimed_longest_due_first_and_no_more_than_asked<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let mut accounts = Vec::new();
    for _ in 0..4 {
        accounts.push(Lane::due(&mut world).await?.account);
        world.pass(A_SECOND);
    }
    // More work does not send the oldest lane to the back of the line.
    let plan = world.plan(&[]);
    world.save(accounts[0], &plan).await?;
    let mut claimed = Vec::new();
    for expected in [1, 2, 1, 0] {
        let leases = world.store.claim(OTHER_NODE, world.now(), LEASE, Room::of(expected.max(1))).await?;
        assert_eq!(leases.len(), expected);
        claimed.extend(leases.iter().map(|lease| lease.account));
    }
    assert_eq!(claimed, accounts);
    Ok(())
}

pub async fn a_node_may_leave_what_has_just_become_due_to_others<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let wait = A_SECOND * 2;
    let patient = async |world: &World<S>| {
        let room = Room { overdue_by: wait, ..Room::of(100) };
        world.store.claim(OTHER_NODE, world.now(), LEASE, room).await
    };
    Lane::due(&mut world).await?;
    world.pass(A_SECOND);
    assert_eq!(patient(&world).await?, [], "it has been due for a second");
    world.pass(A_SECOND);
    let lease = patient(&world).await?[0];

    world.pass(LEASE + A_SECOND);
    assert_eq!(patient(&world).await?, [], "it has been free for a second");
    world.pass(A_SECOND);
    let next = patient(&world).await?[0];
    assert!(next.epoch > lease.epoch);
    world.store.release(next, world.now()).await?;
    assert_eq!(patient(&world).await?, [], "it has just been given back");
    assert_eq!(world.claim().await?.len(), 1, "and others take it at once");
    Ok(())
}

pub async fn a_paused_lane_waits_for_its_owner<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let change = async |world: &World<S>, change| {
        world.store.change_endpoint(lane.account, lane.endpoint, change, world.now()).await.map(|_| ())
    };
    change(&world, EndpointChange::Pause).await?;
    let plan = world.plan(&[]);
    world.save(lane.account, &plan).await?;
    world.pass(LEASE);
    assert_eq!(world.claim().await?, []);

    change(&world, EndpointChange::Resume).await?;
    let lease = world.lease().await?;
    let before = world.settle(lease, Report::of(lane.fan_out, world.now())).await?.signal;
    assert_eq!(world.work(lease).await?.signal, before);
    change(&world, EndpointChange::Pause).await?;
    let settled = world.settle(lease, Report::of(lane.fan_out, world.now()).delivered([1])).await?;
    assert!(settled.signal > before, "the lane's worker learns it at its next commit");
    world.store.release(lease, world.now()).await?;
    world.pass(LEASE);
    assert_eq!(world.claim().await?, []);
    Ok(())
}

pub async fn every_health_reads_back<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let lane = Lane::due(&mut world).await?;
    let lease = world.lease().await?;
    let healths = [
        LaneState::Healthy { failures: 4 },
        LaneState::Open { failures: 7, until: world.now() + LEASE, since: world.now() },
        LaneState::SlowStart { window: 2, failures: 7 },
        LaneState::Gone { since: world.now() },
        LaneState::Disabled { since: world.now() },
        LaneState::Healthy { failures: 0 },
    ];
    for health in healths {
        world.settle(lease, Report::of(lane.fan_out, world.now()).health(health)).await?;
        assert_eq!(world.work(lease).await?.endpoint.health, health);
        world.settle(lease, Report::of(lane.fan_out, world.now())).await?;
        assert_eq!(world.endpoint_now(lane.account, lane.endpoint).await?.health, health, "it stays");
    }
    Ok(())
}

pub async fn an_open_lane_waits_until_its_time_whoever_owned_it<S: Store>(mut world: World<S>) -> StoreResult<()> {
    for ending in [Ending::Released, Ending::Died] {
        let lane = Lane::due(&mut world).await?;
        let lease = world.lease().await?;
        let until = world.now() + LEASE * 3;
        world
            .settle(
                lease,
                Report::of(lane.fan_out, world.now()).health(LaneState::Open {
                    failures: 1,
                    until,
                    since: world.now(),
                }),
            )
            .await?;
        ending.of(&world, lease).await?;
        let plan = world.plan(&[]);
        world.save(lane.account, &plan).await?;
        world.pass(LEASE * 3 - A_SECOND);
        assert_eq!(world.claim().await?, [], "{ending:?}");
        world.pass(A_SECOND);
        assert_eq!(world.claim().await?.len(), 1, "{ending:?}");
        lane.rest(&world).await?;
    }
    Ok(())
}

pub async fn a_gone_or_disabled_lane_waits_for_its_owner_who_forgives<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    for ending in [Ending::Released, Ending::Died] {
        let lane = Lane::due(&mut world).await?;
        let lease = world.lease().await?;
        let gone = match ending {
            Ending::Released => LaneState::Gone { since: world.now() },
            Ending::Died => LaneState::Disabled { since: world.now() },
        };
        world.settle(lease, Report::of(lane.fan_out, world.now()).health(gone)).await?;
        ending.of(&world, lease).await?;
        let plan = world.plan(&[]);
        world.save(lane.account, &plan).await?;
        world.pass(LEASE);
        assert_eq!(world.claim().await?, [], "{ending:?}");

        let change = EndpointChange::Resume;
        let resumed = world.store.change_endpoint(lane.account, lane.endpoint, change, world.now()).await?;
        assert_eq!(resumed.expect("there").health, LaneState::default());
        let lease = world.lease().await?;
        assert_eq!(world.work(lease).await?.fan_outs.len(), 2, "its backlog is all there");
        lane.rest(&world).await?;
    }
    Ok(())
}

/// How an owner's time with a lane ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Released,
    Died,
}

impl Ending {
    async fn of<S: Store>(self, world: &World<S>, lease: Lease) -> StoreResult<()> {
        match self {
            Ending::Released => world.store.release(lease, world.now()).await,
            Ending::Died => Ok(()),
        }
    }
}

/// A lane of a new account with one fan-out to two people.
struct Lane {
    account: AccountId,
    endpoint: EndpointId,
    fan_out: FanOutId,
}

impl Lane {
    async fn due<S: Store>(world: &mut World<S>) -> StoreResult<Lane> {
        let account = world.account().await?;
        let endpoint = world.endpoint(account).await?;
        let mango = world.mango_of(account, &["ada", "bob"]).await?;
        let plan = world.plan(&[mango]);
        Ok(Lane { account, endpoint, fan_out: world.fan_out(account, &plan).await? })
    }

    /// Keeps the lane out of what follows.
    async fn rest<S: Store>(&self, world: &World<S>) -> StoreResult<()> {
        let change = EndpointChange::Pause;
        world.store.change_endpoint(self.account, self.endpoint, change, world.now()).await.map(drop)
    }

    /// All that a stale owner might have changed.
    async fn traces<S: Store>(&self, world: &World<S>, owner: Lease) -> StoreResult<String> {
        let work = world.work(owner).await?;
        let events = world.store.events(self.account, None, 10).await?;
        let retries = world.store.due_retries(owner, world.now() + LEASE, 10).await?.retries;
        let log = world.store.deliveries(self.account, store::DeliveryFilter::default(), None, 10).await?;
        Ok(format!("{work:?} {events:?} {retries:?} {log:?}"))
    }
}

async fn claim_elsewhere<S: Store>(world: &World<S>) -> StoreResult<Vec<Lease>> {
    world.store.claim(OTHER_NODE, world.now(), LEASE, Room::of(100)).await
}
