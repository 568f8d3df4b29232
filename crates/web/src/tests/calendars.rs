use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use receiver::CalendarToken;

use super::world::{Answer, World};

const FEED: &str = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n";

/// A server with one calendar.
async fn world() -> World {
    let mut world = World::new().await;
    world.context.calendar_feed = Some(Arc::new(|token| {
        let known = token == CalendarToken::from_bytes([7; 20]);
        Box::pin(async move { Ok(known.then(|| FEED.to_owned())) })
    }));
    world
}

async fn get(world: &World, path: &str, known: &str) -> Answer {
    let request = Request::get(path).header("if-none-match", known);
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn whoever_has_the_address_reads_the_calendar_without_a_key() {
    let world = world().await;
    let answer = get(&world, &CalendarToken::from_bytes([7; 20]).path(), "").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, FEED));
    assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "private, max-age=60");
}

#[tokio::test]
async fn a_program_that_has_the_calendar_is_told_so() {
    let world = world().await;
    let path = CalendarToken::from_bytes([7; 20]).path();
    let tag = get(&world, &path, "").await.header("etag").to_owned();
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let answer = get(&world, &path, &known).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str(), answer.header("etag")), (304, "", tag.as_str()));
    }
    assert_eq!(get(&world, &path, "\"other\"").await.status, 200);
}

#[tokio::test]
async fn every_other_address_is_answered_alike() {
    let with = world().await;
    let without = World::new().await;
    let unknown = get(&with, &CalendarToken::from_bytes([8; 20]).path(), "").await;
    assert_eq!(unknown.status, 404);
    for (world, path) in [
        (&with, "/calendars/nonsense".to_owned()),
        (&with, format!("/calendars/{}", "07".repeat(19))),
        (&without, CalendarToken::from_bytes([7; 20]).path()),
    ] {
        let answer = get(world, &path, "*").await;
        assert_eq!((answer.status, &answer.text, &answer.headers), (unknown.status, &unknown.text, &unknown.headers));
    }
}
