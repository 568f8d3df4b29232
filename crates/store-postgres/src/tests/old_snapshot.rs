//! A transaction that somebody has left open keeps PostgreSQL from clearing away old versions of rows. Claims must not come
//! to wade through all that lanes have been since.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use store::{Lanes, Lease, Room, Settlement, StoreResult};
use store_spec::World;
use store_spec::world::{LEASE, Report};
use tokio::time::Instant;
use wire::{FanOutId, NodeId};

use super::TestDatabase;
use crate::{LeaseClock, PostgresStore};

const NODE: NodeId = NodeId::from_bytes([7; 16]);
const LANES: usize = 200;
/// Each claims, commits to and gives back every lane.
const ROUNDS: u64 = 100;
/// Rounds of which the times are compared: the first ones and the last ones.
const COMPARED: usize = 10;
/// Finding that nothing is due may come to take so many times as long. Looking through all that was due since would take more
/// than ten times as long, and more with each round.
const NONE_SLOWER_MAX: f64 = 4.0;
/// Each lane that is claimed has its own past, which the database walks through: two hundred versions here, as many as in an
/// hour or so of ordinary work.
const ALL_SLOWER_MAX: f64 = 20.0;

/// Lanes that always have something to do.
struct Busy {
    world: World<PostgresStore>,
    fan_outs: Vec<FanOutId>,
    /// The database's clock, and ours at that moment.
    clock: (Timestamp, Instant),
    database: TestDatabase,
}

/// How long it took to claim all lanes, to find that none was left, and to commit an outcome of each.
struct Took {
    all: Duration,
    none: Duration,
    commit: Duration,
}

impl Busy {
    async fn new() -> StoreResult<Option<Busy>> {
        let Some(database) = TestDatabase::new() else { return Ok(None) };
        let mut world = World::new(database.store());
        let account = world.account().await?;
        for _ in 0..LANES {
            world.endpoint(account).await?;
        }
        let mango = world.mango_of(account, &["ada", "bob"]).await?;
        let plan = world.plan(&[mango]);
        let saved = world.save(account, &plan).await?;
        let mut fan_outs = saved.fan_outs;
        fan_outs.sort_by_key(|(_, endpoint)| *endpoint);
        let sql = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
        let now = database.client().await.query_one(sql, &[]).await.unwrap().get(0);
        let clock = (Timestamp::from_millisecond(now).unwrap(), Instant::now());
        world.store = PostgresStore { lease_clock: LeaseClock::Database, ..world.store };
        let fan_outs = fan_outs.into_iter().map(|(fan_out, _)| fan_out).collect();
        Ok(Some(Busy { world, fan_outs, clock, database }))
    }

    fn now(&self) -> Timestamp {
        self.clock.0 + self.clock.1.elapsed()
    }

    /// Every lane is claimed, commits an outcome and is given back.
    async fn round(&self, nth: u64) -> StoreResult<Took> {
        let (store, now) = (&self.world.store, self.now());
        let before = Instant::now();
        let mut leases = store.claim(NODE, now, LEASE, Room::of(LANES)).await?;
        let all = before.elapsed();
        assert_eq!(leases.len(), LANES);
        let before = Instant::now();
        assert_eq!(store.claim(NODE, now, LEASE, Room::of(LANES)).await?, []);
        let none = before.elapsed();
        leases.sort_by_key(|lease| lease.endpoint);
        let before = Instant::now();
        let settling = leases.iter().zip(&self.fan_outs).map(|(lease, fan_out)| {
            let settlement = Settlement::from(Report::of(*fan_out, now).delivered([nth + 1]));
            store.settle(*lease, Arc::new(settlement))
        });
        try_join_all(settling).await?;
        let commit = before.elapsed();
        // By a clock that is a little ahead what is due is due at once.
        let now = self.now() + Duration::from_secs(1);
        try_join_all(leases.iter().map(|lease: &Lease| store.release(*lease, now))).await?;
        Ok(Took { all, none, commit })
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

#[tokio::test]
async fn a_transaction_left_open_does_not_slow_down_claims() -> StoreResult<()> {
    let Some(busy) = Busy::new().await? else { return Ok(()) };
    for nth in 0..COMPARED as u64 {
        busy.round(nth).await?;
    }
    let idle = busy.database.client().await;
    idle.batch_execute("begin isolation level repeatable read; select 1").await.unwrap();
    let mut took = Vec::new();
    for nth in 0..ROUNDS {
        took.push(busy.round(COMPARED as u64 + nth).await?);
    }
    let (first, last) = (&took[..COMPARED], &took[took.len() - COMPARED..]);
    let times = |which: fn(&Took) -> Duration| [first, last].map(|took| median(took.iter().map(which).collect()));
    let (all, none, commit) = (times(|took| took.all), times(|took| took.none), times(|took| took.commit));
    let claims = ROUNDS * LANES as u64;
    let figures = format!(
        "beside an open transaction, at first and after {claims} claims and as many commits: claiming {LANES} lanes took \
         {all:.2?} ms, finding none {none:.2?} ms, committing to all {commit:.2?} ms\n"
    );
    let _ = std::io::Write::write_all(&mut std::io::stderr(), figures.as_bytes());
    assert!(none[1] < NONE_SLOWER_MAX * none[0], "{figures}");
    assert!(all[1] < ALL_SLOWER_MAX * all[0], "{figures}");
    assert!(commit[1] < ALL_SLOWER_MAX * commit[0], "{figures}");
    Ok(())
}
