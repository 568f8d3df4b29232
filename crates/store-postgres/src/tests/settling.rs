//! Commits of many lanes in one transaction: few statements, each lane's own answer, and never the same thing twice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use provider::frontier::Place;
use store::{Backlog, Catalog, FanOutState, Lanes, Lease, Settled, Settlement, Steer, StoreError, StoreResult};
use store_spec::World;
use store_spec::world::{LEASE, Report};
use tokio::time::Instant;
use tokio_postgres::Client;
use wire::{AccountId, EventId, FanOutId};

use super::lossy::{Loss, LossyWay};
use super::{TestDatabase, vault};
use crate::PostgresStore;

/// As many lanes as a busy node works on.
const LANES: usize = 64;
/// Outcomes that a lane finds worth a commit.
const OUTCOMES: u64 = 64;
/// What the issue asks for.
const STATEMENTS_FOR_1000_MAX: u64 = 20;

/// Lanes of one account, all leased, each with a fan-out of the same event to nine people.
struct Busy {
    world: World<PostgresStore>,
    account: AccountId,
    event: EventId,
    lanes: Vec<(Lease, FanOutId)>,
    database: TestDatabase,
}

impl Busy {
    async fn with(lanes: usize) -> StoreResult<Option<Busy>> {
        let Some(database) = TestDatabase::new() else { return Ok(None) };
        let mut world = World::new(database.store());
        let account = world.account().await?;
        for _ in 0..lanes {
            world.endpoint(account).await?;
        }
        let mango = world.mango_of(account, &["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"]).await?;
        let plan = world.plan(&[mango]);
        let saved = world.save(account, &plan).await?;
        let leases = world.claim().await?;
        let fan_out = |lease: &Lease| saved.fan_outs.iter().find(|(_, to)| *to == lease.endpoint).unwrap().0;
        let lanes = leases.iter().map(|lease| (*lease, fan_out(lease))).collect();
        let event = world.store.events(account, None, 1).await?.items[0].id;
        Ok(Some(Busy { world, account, event, lanes, database }))
    }

    fn report(&self, fan_out: FanOutId) -> Report {
        Report::of(fan_out, self.world.now())
    }

    /// How many each fan-out has delivered, by its own count and by its segments.
    async fn delivered(&self, client: &Client) -> Vec<(i64, i64)> {
        let sql = "select f.delivered, coalesce((select sum(s.entries)::bigint from segment as s
                       where s.account = f.account and s.fan_out = f.fan_out), 0)
                   from fan_out as f order by f.fan_out";
        client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

async fn settle(store: &PostgresStore, lease: Lease, report: Report) -> StoreResult<Settled> {
    store.settle(lease, Arc::new(Settlement::from(report))).await
}

fn place(number: u64) -> Place {
    Place { participant: number, index: number }
}

#[tokio::test]
async fn many_lanes_at_once_cost_few_statements() -> StoreResult<()> {
    let Some(busy) = Busy::with(LANES).await? else { return Ok(()) };
    let before = busy.world.store.statements();
    for round in 0..8 {
        let everyone = (1..=OUTCOMES).map(|nth| round * OUTCOMES + nth);
        let settling = busy.lanes.iter().map(|(lease, fan_out)| {
            settle(&busy.world.store, *lease, busy.report(*fan_out).delivered(everyone.clone()))
        });
        for settled in join_all(settling).await {
            settled?;
        }
    }
    let outcomes = 8 * LANES as u64 * OUTCOMES;
    let statements = (busy.world.store.statements() - before) * 1_000;
    assert!(statements <= STATEMENTS_FOR_1000_MAX * outcomes, "{statements} / {outcomes}");
    let delivered = busy.delivered(&busy.database.client().await).await;
    assert_eq!(delivered, vec![(8 * OUTCOMES as i64, 8 * OUTCOMES as i64); LANES]);
    Ok(())
}

#[tokio::test]
async fn one_lane_alone_costs_few_statements_too() -> StoreResult<()> {
    // A second of a receiver that is not among the fastest: what has been answered meanwhile is committed together.
    const OUTCOMES_IN_A_MS: u64 = 10;
    const OUTCOMES_MAX: u64 = 10_000;
    let Some(busy) = Busy::with(1).await? else { return Ok(()) };
    let [(lease, fan_out)] = busy.lanes[..] else { panic!("one lane") };
    let (before, began) = (busy.world.store.statements(), Instant::now());
    let mut settled = 0;
    while settled < OUTCOMES_MAX {
        let answered = (began.elapsed().as_millis() as u64 * OUTCOMES_IN_A_MS).clamp(settled + 1, OUTCOMES_MAX);
        settle(&busy.world.store, lease, busy.report(fan_out).delivered(settled + 1..=answered)).await?;
        settled = answered;
    }
    let statements = (busy.world.store.statements() - before) * 1_000;
    assert!(statements <= STATEMENTS_FOR_1000_MAX * OUTCOMES_MAX, "{statements} / {OUTCOMES_MAX}");
    Ok(())
}

#[tokio::test]
async fn each_lane_of_a_transaction_gets_its_own_answer() -> StoreResult<()> {
    let Some(busy) = Busy::with(3).await? else { return Ok(()) };
    let [(first, one), (second, two), (third, three)] = busy.lanes[..] else { panic!("three lanes") };
    let stale = Lease { epoch: second.epoch - 1, ..second };
    let mut of_nobody = Settlement::from(busy.report(three).delivered([1]));
    of_nobody.segments[0].1.count = 0;
    let (fine, over, misfit) = tokio::join!(
        settle(&busy.world.store, first, busy.report(one).delivered([1, 2])),
        settle(&busy.world.store, stale, busy.report(two).delivered([1, 2])),
        busy.world.store.settle(third, Arc::new(of_nobody)),
    );
    fine?;
    assert!(matches!(over, Err(StoreError::Fenced)), "{over:?}");
    assert!(misfit.is_err(), "a segment of nobody");
    settle(&busy.world.store, third, busy.report(three).delivered([1])).await?;
    let mut delivered = busy.delivered(&busy.database.client().await).await;
    delivered.sort_unstable();
    assert_eq!(delivered, [(0, 0), (1, 1), (2, 2)]);
    Ok(())
}

#[tokio::test]
async fn a_lane_in_other_hands_holds_up_no_other() -> StoreResult<()> {
    let Some(busy) = Busy::with(2).await? else { return Ok(()) };
    let [(free, one), (taken, two)] = busy.lanes[..] else { panic!("two lanes") };
    let client = busy.database.client().await;
    let endpoint = taken.endpoint.as_bytes().as_slice();
    client.batch_execute("begin").await.unwrap();
    client.execute("select from lane where endpoint = $1 for update", &[&endpoint]).await.unwrap();

    let mut waiting = Box::pin(settle(&busy.world.store, taken, busy.report(two).delivered([1])));
    let others = async {
        for nth in 1..=3 {
            settle(&busy.world.store, free, busy.report(one).delivered([nth])).await?;
        }
        busy.world.store.renew(free, busy.world.now(), LEASE).await?;
        busy.world.store.release(free, busy.world.now()).await
    };
    tokio::select! {
        biased;
        settled = &mut waiting => panic!("the lane is not to be had: {settled:?}"),
        done = others => done?,
    }
    client.batch_execute("rollback").await.unwrap();
    waiting.await?;
    let mut delivered = busy.delivered(&client).await;
    delivered.sort_unstable();
    assert_eq!(delivered, [(1, 1), (3, 3)]);
    Ok(())
}

#[tokio::test]
async fn commits_and_orders_at_once_wait_for_each_other_and_never_in_a_circle() -> StoreResult<()> {
    const ROUNDS: u64 = 12;
    let Some(busy) = Busy::with(16).await? else { return Ok(()) };
    let (store, other, now) = (&busy.world.store, busy.database.store(), busy.world.now());
    let committing = busy.lanes.iter().map(async |(lease, fan_out)| {
        for round in 1..=ROUNDS {
            let at = place(1 + round % 9);
            let report = busy.report(*fan_out).delivered([round]).retrying(at, 1, now + LEASE).up_to(at);
            settle(store, *lease, report).await?;
        }
        Ok::<(), StoreError>(())
    });
    let ordering = async {
        for _ in 0..ROUNDS {
            other.steer(busy.account, busy.event, None, Steer::Pause, now).await?;
            other.steer(busy.account, busy.event, None, Steer::Resume, now).await?;
        }
        other.steer(busy.account, busy.event, None, Steer::Pause, now).await
    };
    let (committed, ordered) = join(join_all(committing), ordering).await;
    committed.into_iter().collect::<StoreResult<Vec<_>>>()?;
    ordered?;
    let event = busy.world.store.event(busy.account, busy.event).await?.unwrap();
    for fan_out in event.summary.fan_outs {
        let counts = (fan_out.state, fan_out.delivered, fan_out.retrying);
        assert_eq!(counts, (FanOutState::Paused, ROUNDS, 0), "what failed is held");
    }
    Ok(())
}

/// Settles by a way that loses the commit, and says what was answered, how long it took, and what was kept.
async fn settle_by_lossy_way(loss: Loss) -> StoreResult<Option<(StoreResult<Settled>, Duration, Vec<(i64, i64)>)>> {
    let Some(busy) = Busy::with(1).await? else { return Ok(None) };
    let [(lease, fan_out)] = busy.lanes[..] else { panic!("one lane") };
    let way = LossyWay::to(&busy.database.address()).await;
    let by_way = PostgresStore::on(&way.address(&busy.database.address()), busy.world.zones.clone(), vault(&[1]));
    let by_way = by_way.unwrap();
    // The first ones are prepared, so that what follows is a commit as any other.
    settle(&by_way, lease, busy.report(fan_out).delivered([1])).await?;
    way.lose(loss);
    let began = Instant::now();
    let settled = settle(&by_way, lease, busy.report(fan_out).delivered([2, 3]).up_to(place(3))).await;
    let took = began.elapsed();
    assert_eq!(way.lost(), 1);
    if settled.is_err() {
        settle(&by_way, lease, busy.report(fan_out).delivered([2, 3]).up_to(place(3))).await?;
    }
    let kept = busy.delivered(&busy.database.client().await).await;
    Ok(Some((settled, took, kept)))
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_known_to_be_kept() -> StoreResult<()> {
    let Some((settled, _, kept)) = settle_by_lossy_way(Loss::Answer).await? else { return Ok(()) };
    settled?;
    assert_eq!(kept, [(3, 3)]);
    Ok(())
}

#[tokio::test]
async fn a_commit_that_never_arrived_is_known_to_be_lost_and_is_made_again() -> StoreResult<()> {
    for loss in [Loss::Commit, Loss::CommitUnseen] {
        let Some((settled, took, kept)) = settle_by_lossy_way(loss).await? else { return Ok(()) };
        assert!(matches!(settled, Err(StoreError::Unwritable(_))), "{settled:?}");
        assert_eq!(kept, [(3, 3)]);
        assert!(took < Duration::from_secs(10), "a database that waits for the commit is told: {took:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_attempt_that_ends_after_its_fan_out_was_let_go_of_fails_no_settlement() -> StoreResult<()> {
    let Some(busy) = Busy::with(2).await? else { return Ok(()) };
    let client = busy.database.client().await;
    let [(of_gone, gone), (of_kept, kept)] = busy.lanes[..] else { panic!("two lanes") };
    client.execute("delete from fan_out where fan_out = $1", &[&gone.as_bytes().as_slice()]).await.unwrap();
    let due = busy.world.now() + LEASE;
    let (late, other) = join(
        settle(&busy.world.store, of_gone, busy.report(gone).retrying(place(1), 1, due)),
        settle(&busy.world.store, of_kept, busy.report(kept).retrying(place(1), 1, due)),
    )
    .await;
    late?;
    other?;
    let rows = client.query("select fan_out from exception", &[]).await.unwrap();
    let rows: Vec<&[u8]> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(rows, [kept.as_bytes().as_slice()]);

    let sql = "insert into exception (account, fan_out, participant, place, endpoint, state, attempt)
        select account, $1, 9, 9, endpoint, 'held', 1 from exception";
    let refused = client.execute(sql, &[&gone.as_bytes().as_slice()]).await.unwrap_err();
    let refused = crate::columns::broken(&refused);
    assert!(matches!(refused, StoreError::Broken(_)), "the account is there: {refused}");
    Ok(())
}
