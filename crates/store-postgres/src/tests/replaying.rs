//! Replays on several nodes: each delivery is put into the queue once, whoever has the turn.

use std::time::Duration;

use futures_util::future::join_all;
use provider::frontier::Place;
use provider::replay::Turn;
use store::{
    Backlog, DueReplay, Lanes, NewReplay, OutdatedReplay, ReplayScope, ReplayState, ReplayWay, Replays, Revived,
    Started, StoreResult,
};
use store_spec::World;
use store_spec::world::Report;
use wire::{AccountId, EndpointId, ReplayId};

use super::TestDatabase;
use crate::PostgresStore;

/// People of each endpoint; all of their deliveries have failed.
const PEOPLE: u64 = 40;

/// An account with two endpoints, each of which has failed everybody, and a second node.
struct Failed {
    world: World<PostgresStore>,
    account: AccountId,
    endpoints: Vec<EndpointId>,
    database: TestDatabase,
}

impl Failed {
    async fn new() -> StoreResult<Option<Failed>> {
        let Some(database) = TestDatabase::new() else { return Ok(None) };
        let mut world = World::new(database.store());
        let account = world.account().await?;
        let names: Vec<String> = (1..=PEOPLE).map(|nth| format!("p{nth}")).collect();
        let mango = world.mango_of(account, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        for _ in 0..2 {
            world.endpoint(account).await?;
        }
        let plan = world.plan(&[mango]);
        let saved = world.save(account, &plan).await?;
        let now = world.now();
        for lease in world.claim().await? {
            let (fan_out, _) = saved.fan_outs.iter().find(|(_, to)| *to == lease.endpoint).unwrap();
            let report = (1..=PEOPLE).fold(Report::of(*fan_out, now), |report, nth| report.abandoned(place(nth), 9));
            world.settle(lease, report.up_to(place(PEOPLE)).swept()).await?;
            world.store.release(lease, now).await?;
        }
        let endpoints = saved.fan_outs.iter().map(|(_, endpoint)| *endpoint).collect();
        world.pass(Duration::from_secs(1));
        Ok(Some(Failed { world, account, endpoints, database }))
    }

    /// Starts a replay of all that has failed.
    async fn start(&mut self) -> StoreResult<ReplayId> {
        let (id, now) = (ReplayId::from_bytes(self.world.id()), self.world.now());
        let scope = ReplayScope::Failed { event: None, endpoint: None, since: None };
        let foreseen = self.world.store.foresee(self.account, scope, now).await?.expect("of everything");
        assert_eq!((foreseen.deliveries, foreseen.way), (2 * PEOPLE, ReplayWay::Revive));
        let (way, deliveries) = (foreseen.way, foreseen.deliveries);
        let new = NewReplay { id, scope, way, deliveries, rate: None, outdated: OutdatedReplay::Refused, now };
        let started = self.world.store.start_replay(self.account, new).await?;
        assert!(matches!(started, Started::Replay(_)), "{started:?}");
        Ok(id)
    }

    async fn due(&self) -> StoreResult<Option<DueReplay>> {
        Ok(self.world.store.due_replays(self.world.now(), 10).await?.first().copied())
    }

    fn turn(&self, deliveries: u64) -> Turn {
        Turn { deliveries, next_at: self.world.now() }
    }
}

fn place(number: u64) -> Place {
    Place { participant: number, index: number }
}

#[tokio::test]
async fn of_nodes_that_have_the_same_turn_one_has_it() -> StoreResult<()> {
    let Some(mut failed) = Failed::new().await? else { return Ok(()) };
    failed.start().await?;
    let nodes: Vec<_> = (0..3).map(|_| failed.database.store()).collect();
    let now = failed.world.now();
    let mut revived = 0;
    while let Some(due) = failed.due().await? {
        let turns = nodes.iter().map(|node| node.revive(due, failed.turn(7), now));
        let turns: Vec<Revived> = join_all(turns).await.into_iter().collect::<StoreResult<_>>()?;
        let had: Vec<u64> = turns.iter().map(|turn| turn.deliveries).filter(|count| *count > 0).collect();
        assert!(had.len() <= 1, "{turns:?}");
        revived += had.iter().sum::<u64>();
        assert!(revived <= 2 * PEOPLE);
    }
    assert_eq!(revived, 2 * PEOPLE);
    let replay = &failed.world.store.replays(failed.account, None, 1).await?.items[0];
    assert_eq!((replay.state, replay.begun, replay.waiting), (ReplayState::Done, 2 * PEOPLE, 2 * PEOPLE));
    Ok(())
}

#[tokio::test]
async fn turns_beside_lanes_at_work_lose_nothing_and_repeat_nothing() -> StoreResult<()> {
    let Some(mut failed) = Failed::new().await? else { return Ok(()) };
    let id = failed.start().await?;
    let other = failed.database.store();
    let mut delivered = 0;
    let mut leases = Vec::new();
    loop {
        let now = failed.world.now();
        let due = failed.due().await?;
        leases.extend(failed.world.claim().await?);
        let turn = async {
            match due {
                Some(due) => other.revive(due, failed.turn(11), now).await.map(drop),
                None => Ok(()),
            }
        };
        let work = async {
            let mut told = 0;
            for lease in &leases {
                let retries = failed.world.store.due_retries(*lease, now, 5).await?.retries;
                let report = retries.iter().fold(None::<Report>, |report, retry| {
                    let report = report.unwrap_or_else(|| Report::of(retry.fan_out, now));
                    let participant = retry.recipient.place.participant;
                    Some(report.delivered_at(participant, retry.attempt).recovered(participant))
                });
                if let Some(report) = report {
                    failed.world.settle(*lease, report).await?;
                    told += retries.len() as u64;
                }
            }
            Ok(told)
        };
        let (turned, told) = futures_util::future::join(turn, work).await;
        turned?;
        let told: u64 = told?;
        delivered += told;
        if due.is_none() && told == 0 {
            break;
        }
        failed.world.pass(Duration::from_millis(100));
        for lease in &leases {
            failed.world.store.renew(*lease, failed.world.now(), store_spec::world::LEASE).await?;
        }
    }
    assert_eq!(delivered, 2 * PEOPLE);
    let replay = failed.world.store.replay(failed.account, id).await?.expect("it was started");
    assert_eq!((replay.begun, replay.delivered, replay.waiting), (2 * PEOPLE, 2 * PEOPLE, 0));
    Ok(())
}

#[tokio::test]
async fn what_a_turn_has_put_into_the_queue_its_owner_may_still_drop() -> StoreResult<()> {
    let Some(mut failed) = Failed::new().await? else { return Ok(()) };
    failed.start().await?;
    let (due, now) = (failed.due().await?.expect("it is due"), failed.world.now());
    assert_eq!(failed.world.store.revive(due, failed.turn(1_000), now).await?.deliveries, 2 * PEOPLE);
    failed.world.store.drop_backlog(failed.account, failed.endpoints[0], now).await?;
    let replay = &failed.world.store.replays(failed.account, None, 1).await?.items[0];
    assert_eq!((replay.waiting, replay.called_off), (PEOPLE, PEOPLE));
    assert_eq!(failed.world.store.revive(due, failed.turn(1_000), now).await?.deliveries, 0, "its turn is over");
    Ok(())
}
