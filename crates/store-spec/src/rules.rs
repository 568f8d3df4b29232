//! What a store owes of announced instants and the rules they came from.

use std::time::Duration;

use store::{Compared, Page, SaveSeries, Store, StoreResult, ToCompare};
use webinar::{AnnouncedSession, Series, SeriesDraft, Zones};
use wire::AccountId;

use crate::World;
use crate::world::Plan;

/// The tz database of a later time.
const NEWER: &str = "2999a";
const DAY: Duration = Duration::from_secs(86_400);

async fn to_compare<S: Store>(world: &World<S>, tzdb_version: &str) -> StoreResult<Vec<ToCompare>> {
    let Page { items, next } = world.store.series_to_compare(tzdb_version, world.now(), None, 100).await?;
    assert_eq!(next, None);
    Ok(items)
}

async fn compared<S: Store>(world: &World<S>, account: AccountId, plan: &Plan, version: u32) -> StoreResult<()> {
    world.store.note_compared(NEWER, vec![Compared { account, series: plan.id, version }]).await
}

pub async fn what_was_announced_reads_back<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let plan = world.plan(&[]).with_sessions(3);
    world.save(account, &plan).await?;
    let announced = world.store.announced(account, plan.id).await?.expect("saved");
    assert_eq!((announced.version, announced.tzdb_version.as_str()), (1, Zones::bundled().version()));
    let mut expected: Vec<_> = plan.series(&world.zones).sessions().to_vec();
    expected.sort_by_key(|session| session.id);
    let expected: Vec<_> =
        expected.iter().map(|session| AnnouncedSession { id: session.id, begin: session.begin }).collect();
    assert_eq!(announced.sessions, expected);

    let elsewhere = plan.next().with_sessions(2);
    let draft = SeriesDraft { timezone: "America/Havana".to_owned(), ..elsewhere.draft() };
    let series = Series::parse(plan.id, draft, &world.zones).expect("a series");
    let save = SaveSeries { series: series.clone(), ..elsewhere.to_save(world.id(), &world.zones, world.now()) };
    world.store.save_series(account, save).await?;
    let announced = world.store.announced(account, plan.id).await?.expect("saved");
    assert_eq!((announced.version, announced.sessions.len()), (2, 2), "the third is no session any more");
    for session in series.sessions() {
        let told = announced.sessions.iter().find(|told| told.id == session.id).expect("announced");
        assert_eq!(told.begin, session.begin, "at another instant by now");
    }
    Ok(())
}

pub async fn series_to_come_are_compared_once_with_each_tz_database<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    assert_eq!(to_compare(&world, Zones::bundled().version()).await?, [], "it was announced by this one");
    let listed = to_compare(&world, NEWER).await?;
    assert_eq!(listed.iter().map(|one| (one.account, one.series)).collect::<Vec<_>>(), [(account, plan.id)]);

    compared(&world, account, &plan, 1).await?;
    assert_eq!(to_compare(&world, NEWER).await?, []);
    assert_eq!(to_compare(&world, "2999b").await?, listed);
    world.save(account, &plan.next()).await?;
    compared(&world, account, &plan, 1).await?;
    assert_eq!(to_compare(&world, NEWER).await?, listed, "another version was saved meanwhile");
    Ok(())
}

pub async fn a_series_that_is_over_is_not_compared<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let [listed] = to_compare(&world, NEWER).await?[..] else { panic!("one is to come") };
    let last_end = plan.series(&world.zones).sessions()[1].end.instant;
    assert_eq!(listed.ends_at, last_end);
    world.pass(last_end.duration_since(world.now()).unsigned_abs() - DAY);
    assert_eq!(to_compare(&world, NEWER).await?.len(), 1);
    world.pass(DAY);
    assert_eq!(to_compare(&world, NEWER).await?, []);
    Ok(())
}

pub async fn series_to_compare_come_in_pages_those_that_end_soonest_first<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let (first, second) = (world.account().await?, world.account().await?);
    let mut expected = Vec::new();
    for (account, sessions) in [(second, 4), (first, 4), (second, 2), (first, 3), (first, 2)] {
        let plan = world.plan(&[]).with_sessions(sessions);
        world.save(account, &plan).await?;
        expected.push((sessions, account, plan.id));
    }
    expected.sort();
    for size in 1..=6 {
        let (mut after, mut listed) = (None, Vec::new());
        while listed.is_empty() || after.is_some() {
            let page = world.store.series_to_compare(NEWER, world.now(), after, size).await?;
            listed.extend(page.items.iter().map(|one| (one.account, one.series)));
            after = page.next;
        }
        assert_eq!(listed, expected.iter().map(|(_, account, id)| (*account, *id)).collect::<Vec<_>>());
    }
    Ok(())
}

pub async fn the_announcements_of_another_account_are_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let plan = world.plan(&[]);
    world.save(theirs, &plan).await?;
    assert_eq!(world.store.announced(ours, plan.id).await?, None);
    compared(&world, ours, &plan, 1).await?;
    assert_eq!(to_compare(&world, NEWER).await?.len(), 1);
    Ok(())
}
