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
    let Some((mut world, other, kept)) = two_nodes() else { return Ok(()) };
    let account = world.account().await?;
    world.endpoint(account).await?;
    let mango = world.mango(account).await?;
    let third = kept.store();
    let enrol = async |node: &PostgresStore, list: &str| {
        for batch in 0..2 * ROUNDS {
            let members = (0..BATCH).map(|nth| member(&format!("{list}{batch}x{nth}"))).collect();
            assert_eq!(node.enrol(account, Group::Mango(mango), members).await?.added, BATCH as u64);
        }
        Ok::<(), StoreError>(())
    };
    let saving = async {
        let mut frozen = Vec::new();
        for _ in 0..2 * ROUNDS {
            let plan = world.plan(&[mango]);
            let fan_out = world.fan_out(account, &plan).await?;
            frozen.push((fan_out, world.names(account, fan_out).await?));
        }
        Ok::<_, StoreError>(frozen)
    };
    let (_, _, frozen) = tokio::try_join!(enrol(&other, "a"), enrol(&third, "b"), saving)?;
    for (fan_out, names) in frozen {
        assert_eq!(names.len() % BATCH, 0, "{names:?}");
        assert_eq!(world.names(account, fan_out).await?, names, "who came later is not told");
    }
    let plan = world.plan(&[mango]);
    let last = world.fan_out(account, &plan).await?;
    assert_eq!(world.names(account, last).await?.len(), 4 * ROUNDS * BATCH);
    Ok(())
}

#[tokio::test]
async fn people_who_come_by_two_lists_at_once_are_known_once() -> StoreResult<()> {
    let Some((mut world, other, _kept)) = two_nodes() else { return Ok(()) };
    let account = world.account().await?;
    let (one, two) = (world.mango(account).await?, world.mango(account).await?);
    let mut names = Vec::new();
    for round in 0..ROUNDS {
        let list: Vec<String> = (0..BATCH).map(|nth| format!("p{round}x{nth}")).collect();
        let members = |names: &mut dyn Iterator<Item = &String>| names.map(|name| member(name)).collect();
        let (forth, back) = (members(&mut list.iter()), members(&mut list.iter().rev()));
        let both =
            join(world.store.enrol(account, Group::Mango(one), forth), other.enrol(account, Group::Mango(two), back));
        let (first, second) = both.await;
        assert_eq!((first?.added, second?.added), (BATCH as u64, BATCH as u64));
        names.extend(list);
    }
    let mut numbers = Vec::new();
    for name in &names {
        let number = world.number_of(account, name).await?;
        let found = world.store.participant(account, number).await?.expect("known");
        assert_eq!(&found.participant.name, name);
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=names.len() as u64).collect::<Vec<_>>(), "each has a number, and there are no gaps");
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
