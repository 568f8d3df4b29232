//! What only several connections can put to the test: writes of one account that meet.

use futures_util::future::{join, join_all};
use store::{Catalog, Group, Roster, StoreError, StoreResult, Subscribed, Subscriptions};
use store_spec::World;
use store_spec::world::member;

use super::TestDatabase;
use crate::PostgresStore;

/// Times that writes meet in a test: they do not meet the same way each time.
const ROUNDS: usize = 8;
/// People in one call.
const BATCH: usize = 7;

/// A world, and a second node on its database.
fn two_nodes() -> Option<(World<PostgresStore>, PostgresStore, TestDatabase)> {
    let database = TestDatabase::new()?;
    Some((World::new(database.store()), database.store(), database))
}

#[tokio::test]
async fn of_two_saves_of_one_version_at_once_one_finds_that_it_was_overtaken() -> StoreResult<()> {
    let Some((mut world, other, _kept)) = two_nodes() else { return Ok(()) };
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mut plan = world.plan(&[]);
    for round in 0..ROUNDS as u32 {
        let mut save = || plan.to_save(world.id(), &world.zones.clone(), world.now());
        let (first, second) = (save(), save());
        let (first, second) = join(world.store.save_series(account, first), other.save_series(account, second)).await;
        let (saved, refused) = if first.is_ok() { (first, second) } else { (second, first) };
        assert_eq!(saved?.version, round + 1);
        let Err(StoreError::VersionConflict { expected, found }) = refused else {
            panic!("a conflict, not {refused:?}");
        };
        assert_eq!((expected, found), (round, round + 1));
        plan = plan.next();
    }
    let events = world.store.events(account, None, 100).await?.items;
    assert_eq!(events.len(), ROUNDS, "a refused save leaves no event");
    assert!(events.iter().all(|event| event.fan_outs.len() == 1));
    Ok(())
}

#[tokio::test]
async fn an_audience_has_a_batch_of_members_whole_or_not_at_all_and_keeps_so() -> StoreResult<()> {
    let Some((mut world, other, _kept)) = two_nodes() else { return Ok(()) };
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mango = world.mango(account).await?;
    let mut frozen = Vec::new();
    let enrolling = async {
        for batch in 0..3 * ROUNDS {
            let members = (0..BATCH).map(|nth| member(&format!("p{}", batch * BATCH + nth))).collect();
            assert_eq!(other.enrol(account, Group::Mango(mango), members).await?.added, BATCH as u64);
        }
        Ok::<(), StoreError>(())
    };
    let saving = async {
        for _ in 0..ROUNDS {
            let plan = world.plan(&[mango]);
            let fan_out = world.fan_out(account, &plan).await?;
            frozen.push((fan_out, world.names(account, fan_out).await?));
        }
        Ok::<(), StoreError>(())
    };
    let (enrolled, saved) = join(enrolling, saving).await;
    enrolled?;
    saved?;
    for (fan_out, names) in frozen {
        assert_eq!(names.len() % BATCH, 0, "{names:?}");
        assert_eq!(world.names(account, fan_out).await?, names, "who came later is not told");
    }
    Ok(())
}

#[tokio::test]
async fn people_who_come_by_two_lists_at_once_are_known_once() -> StoreResult<()> {
    let Some((mut world, other, _kept)) = two_nodes() else { return Ok(()) };
    let account = world.account().await?;
    let (one, two) = (world.mango(account).await?, world.mango(account).await?);
    for round in 0..ROUNDS {
        let list = || (0..BATCH).map(|nth| member(&format!("p{}", round * BATCH + nth)));
        let (forth, back) = (list().collect(), list().rev().collect());
        let both =
            join(world.store.enrol(account, Group::Mango(one), forth), other.enrol(account, Group::Mango(two), back));
        let (first, second) = both.await;
        assert_eq!((first?.added, second?.added), (BATCH as u64, BATCH as u64));
    }
    let people = (ROUNDS * BATCH) as u64;
    assert!(world.store.participant(account, people).await?.is_some(), "numbers have no gaps");
    assert_eq!(world.store.participant(account, people + 1).await?, None);
    Ok(())
}

#[tokio::test]
async fn a_url_that_is_subscribed_several_times_at_once_is_one_endpoint() -> StoreResult<()> {
    let Some((mut world, other, _kept)) = two_nodes() else { return Ok(()) };
    let account = world.account().await?;
    for round in 0..ROUNDS {
        let url = format!("https://receiver.example/{round}");
        let wishes: Vec<_> = (0..4).map(|_| world.new_subscription(&url)).collect();
        let nodes = [&world.store, &other];
        let answers =
            join_all(wishes.into_iter().enumerate().map(|(nth, wish)| nodes[nth % 2].subscribe(account, wish)));
        let answers = answers.await.into_iter().collect::<StoreResult<Vec<_>>>()?;
        let made = answers.iter().filter(|answer| matches!(answer, Subscribed::WithNewEndpoint(..))).count();
        let there = answers.iter().filter(|answer| matches!(answer, Subscribed::Already(..))).count();
        assert_eq!((made, there), (1, 3), "{answers:?}");
        assert_eq!(world.store.endpoints(account, None, 100).await?.items.len(), round + 1);
        assert_eq!(world.store.subscriptions(account, None, 100).await?.items.len(), round + 1);
    }
    Ok(())
}

#[tokio::test]
async fn whoever_has_unsubscribed_is_not_told_of_what_is_saved_afterwards() -> StoreResult<()> {
    let Some((mut world, other, _kept)) = two_nodes() else { return Ok(()) };
    let account = world.account().await?;
    for round in 0..ROUNDS {
        let wish = world.new_subscription(&format!("https://receiver.example/{round}"));
        let id = wish.id;
        world.store.subscribe(account, wish).await?;
        let plan = world.plan(&[]);
        let save = plan.to_save(world.id(), &world.zones, world.now());
        let (saved, ended) = join(world.store.save_series(account, save), async {
            let ended = other.unsubscribe(account, id).await?;
            Ok::<_, StoreError>((ended, other.events(account, None, 1).await?.items))
        })
        .await;
        let (told, (ended, seen)) = (saved?.fan_outs.len(), ended?);
        // Whatever tells them was saved before they had their answer.
        let seen = seen.iter().filter(|event| event.series == plan.id).map(|event| event.fan_outs.len()).sum::<usize>();
        assert!(ended && told == seen, "{told} fan-outs, of which {seen} were there");
    }
    Ok(())
}
