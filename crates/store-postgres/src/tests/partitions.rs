//! Partitions by day: there before they are needed, gone when nobody needs them, and nobody waits for either.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use provider::frontier::Place;
use store::{
    Backlog, Catalog, DeliveryFilter, DeliveryStatus, Journal, Lanes, Lease, Prunable, Retention, Steer, StoreResult,
    Upkeep,
};
use store_spec::World;
use store_spec::world::Report;
use tokio::time::Instant;
use tokio_postgres::Client;
use wire::{AccountId, FanOutId};

use super::TestDatabase;
use crate::PostgresStore;

/// Two tables, today and a week.
const MADE: usize = 2 * 8;
const A_DAY: SignedDuration = SignedDuration::from_hours(24);
/// Longer than anybody keeps a log who has not said otherwise.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(24 * 100);

/// A lane with a fan-out to four people, of which it has told two and failed to tell one.
struct Told {
    world: World<PostgresStore>,
    account: AccountId,
    fan_out: FanOutId,
    lease: Lease,
    client: Client,
    database: TestDatabase,
}

impl Told {
    async fn new() -> StoreResult<Option<Told>> {
        let Some(database) = TestDatabase::new() else { return Ok(None) };
        let mut world = World::new(database.store());
        let account = world.account().await?;
        world.endpoint(account).await?;
        let mango = world.mango_of(account, &["ada", "bob", "cy", "dan"]).await?;
        let plan = world.plan(&[mango]);
        let fan_out = world.fan_out(account, &plan).await?;
        let lease = world.lease().await?;
        let report = Report::of(fan_out, world.now()).delivered([2]);
        world.settle(lease, report).await?;
        let report = Report::of(fan_out, world.now()).delivered([4]).abandoned(place(3), 2);
        world.settle(lease, report).await?;
        let client = database.client().await;
        Ok(Some(Told { world, account, fan_out, lease, client, database }))
    }

    /// The database's clock.
    async fn today(&self) -> Timestamp {
        let sql = "select (extract(epoch from now()) * 1000)::bigint";
        Timestamp::from_millisecond(self.client.query_one(sql, &[]).await.unwrap().get(0)).unwrap()
    }

    /// Moves all of the log that is there to the partitions of a day.
    async fn move_log_to(&self, at: Timestamp) -> StoreResult<()> {
        self.world.store.keep_partitions(at).await?;
        for table in ["segment", "attempt_failure"] {
            let sql = format!("update {table} set day = (to_timestamp({}) at time zone 'utc')::date", at.as_second());
            self.client.batch_execute(&sql).await.unwrap();
        }
        assert_eq!(self.count("segment_other").await, 0, "they are where they should be");
        Ok(())
    }

    async fn count(&self, table: &str) -> i64 {
        self.client.query_one(&format!("select count(*) from {table}"), &[]).await.unwrap().get(0)
    }

    async fn logged(&self) -> StoreResult<Vec<(u64, DeliveryStatus)>> {
        let log = self.world.store.deliveries(self.account, DeliveryFilter::default(), None, 10).await?.items;
        Ok(log.into_iter().map(|delivery| (delivery.participant, delivery.status)).collect())
    }

    /// Ends the fan-out, and lets go of its log.
    async fn end_and_forget(&mut self) -> StoreResult<()> {
        let report = Report::of(self.fan_out, self.world.now()).delivered([1]).swept();
        self.world.settle(self.lease, report).await?;
        self.world.pass(Duration::from_secs(3_600));
        self.world.prune(self.account, Prunable::Log).await?;
        Ok(())
    }
}

fn place(number: u64) -> Place {
    Place { participant: number, index: number }
}

#[tokio::test]
async fn days_are_made_ahead_once_however_many_nodes_do() -> StoreResult<()> {
    let Some(told) = Told::new().await? else { return Ok(()) };
    let tomorrow = told.today().await + A_DAY;
    let nodes: Vec<_> = (0..4).map(|_| told.database.store()).collect();
    let mut made = 0;
    // Who finds another at it leaves it to the next turn.
    for turn in 0.. {
        let kept = join_all(nodes.iter().map(|node| node.keep_partitions(tomorrow))).await;
        let kept: Vec<_> = kept.into_iter().collect::<StoreResult<_>>()?;
        made += kept.iter().map(|kept| kept.made).sum::<usize>();
        if kept.iter().all(|kept| kept.postponed == 0) {
            break;
        }
        assert!(turn < 100, "it comes to an end: {kept:?}");
    }
    assert_eq!(made, MADE);
    let sql = "select count(*) from pg_attribute as a join pg_inherits as i on i.inhrelid = a.attrelid
        where i.inhparent = 'segment'::regclass and a.attname = 'outcomes' and a.attstorage = 'e'";
    assert_eq!(told.client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 9, "stored as their parent says");
    Ok(())
}

#[tokio::test]
async fn outcomes_go_to_their_day_and_a_day_that_began_without_one_stays_where_it_is() -> StoreResult<()> {
    let Some(mut told) = Told::new().await? else { return Ok(()) };
    assert_eq!(told.count("segment_other").await, 2);
    let today = told.today().await;
    assert_eq!(told.world.store.keep_partitions(today).await?.made, MADE - 2, "all but today's");
    told.move_log_to(today + A_DAY).await?;
    assert_eq!(told.world.store.keep_partitions(today).await?.made, 2, "today's too, once nothing is in its place");
    let report = Report::of(told.fan_out, told.world.now()).delivered([1]).swept();
    told.world.settle(told.lease, report).await?;
    assert_eq!(told.count("segment_other").await, 0);
    told.world.pass(Duration::from_secs(1));
    assert_eq!(told.logged().await?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn a_log_is_hidden_by_one_change_and_its_rows_go_with_their_day() -> StoreResult<()> {
    let Some(mut told) = Told::new().await? else { return Ok(()) };
    told.move_log_to(told.today().await - LONG_AGO).await?;
    told.end_and_forget().await?;
    assert_eq!(told.logged().await?, []);
    assert_eq!((told.count("segment").await, told.count("attempt_failure").await), (3, 1), "nothing is deleted");
    let progress = told.world.store.events(told.account, None, 1).await?.items[0].fan_outs.clone();
    assert_eq!((progress[0].delivered, progress[0].abandoned), (3, 1), "counts stay");

    let kept = told.world.store.keep_partitions(told.today().await).await?;
    assert_eq!((kept.dropped, kept.postponed), (2 * 8, 0));
    assert_eq!((told.count("segment").await, told.count("attempt_failure").await), (1, 0), "the one of today is left");
    Ok(())
}

#[tokio::test]
async fn what_comes_after_a_log_was_let_go_is_shown_alone() -> StoreResult<()> {
    let Some(mut told) = Told::new().await? else { return Ok(()) };
    told.end_and_forget().await?;
    let late = Report::of(told.fan_out, told.world.now()).delivered([3]);
    told.world.settle(told.world.lease().await.unwrap_or(told.lease), late).await?;
    assert_eq!(told.logged().await?, [(3, DeliveryStatus::Delivered)], "not what was let go before");
    Ok(())
}

#[tokio::test]
async fn a_day_stays_while_any_account_keeps_its_log_as_long() -> StoreResult<()> {
    let Some(mut told) = Told::new().await? else { return Ok(()) };
    let (other, long) = (told.world.account().await?, Retention::new(1, 100, 100).unwrap());
    told.world.store.set_retention(other, long).await?;
    told.move_log_to(told.today().await - LONG_AGO).await?;
    told.end_and_forget().await?;
    assert_eq!(told.world.store.keep_partitions(told.today().await).await?.dropped, 0);
    for account in [other, told.account] {
        told.world.store.set_retention(account, Retention::new(1, 99, 99).unwrap()).await?;
    }
    assert_eq!(told.world.store.keep_partitions(told.today().await).await?.dropped, 2, "the first of the days");
    Ok(())
}

#[tokio::test]
async fn a_fan_out_paused_for_months_keeps_its_rows_and_holds_nobody_elses_day() -> StoreResult<()> {
    let Some(told) = Told::new().await? else { return Ok(()) };
    told.move_log_to(told.today().await - LONG_AGO).await?;
    let (store, now) = (&told.world.store, told.world.now());
    let event = store.events(told.account, None, 1).await?.items[0].id;
    store.steer(told.account, event, None, Steer::Pause, now).await?;
    let before = (told.logged().await?, told.count("segment").await);
    assert_eq!(store.keep_partitions(told.today().await).await?.dropped, 2 * 8);
    assert_eq!((told.logged().await?, told.count("segment").await), before);
    assert_eq!((told.count("segment_other").await, told.count("attempt_failure_other").await), (2, 1));

    store.steer(told.account, event, None, Steer::Resume, now).await?;
    let beyond = store.work(told.lease).await?.fan_outs[0].finished_beyond.clone();
    assert_eq!(beyond, [2, 3, 4], "nobody is told twice");
    let report = Report::of(told.fan_out, now).delivered([1]).up_to(place(4)).swept();
    told.world.settle(told.lease, report).await?;
    store.keep_partitions(told.today().await).await?;
    assert_eq!((told.count("segment_other").await, told.count("attempt_failure_other").await), (0, 0));
    assert_eq!(told.count("segment").await, 1, "once it has ended, only today is left of it");
    Ok(())
}

#[tokio::test]
async fn who_reads_for_long_postpones_a_drop_and_nobody_waits_behind_it() -> StoreResult<()> {
    let Some(mut told) = Told::new().await? else { return Ok(()) };
    told.move_log_to(told.today().await - LONG_AGO).await?;
    told.end_and_forget().await?;
    let dump = told.database.client().await;
    dump.batch_execute("begin; select count(*) from segment").await.unwrap();
    let before = Instant::now();
    let kept = told.world.store.keep_partitions(told.today().await).await?;
    assert!(kept.postponed >= 8 && kept.dropped == 8, "{kept:?}");
    assert!(before.elapsed() < Duration::from_secs(20), "each is given up soon");

    dump.batch_execute("commit").await.unwrap();
    let kept = told.world.store.keep_partitions(told.today().await).await?;
    assert_eq!((kept.postponed, kept.dropped), (0, 8));
    Ok(())
}
