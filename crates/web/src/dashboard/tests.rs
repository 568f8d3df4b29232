//! The page, and who may see it.

use axum::http::Request;
use serde_json::json;

use super::*;
use crate::tests::world::{Answer, World};
use crate::{Halves, WebSettings};

async fn page_as(world: &World, password: Option<&str>) -> Answer {
    let mut request = Request::get("/");
    if let Some(password) = password {
        request = request.header("authorization", format!("Basic {}", STANDARD.encode(format!("any:{password}"))));
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_empty_account_is_shown_the_next_step_of_each_part() {
    let world = World::new().await;
    let page = page_as(&world, None).await;
    assert_eq!(page.status, 200);
    for next in ["/api/v1/webinars", "/api/v1/integration/webhook/webhook", "/api/v1/sources", "Asha&#x27;s school"] {
        assert!(page.text.contains(next), "{next}");
    }
    assert!(!page.text.contains("http-equiv"));
}

#[tokio::test]
async fn progress_deliveries_and_masked_people_are_shown() {
    let world = World::new().await;
    let signing_secret = world.receiver().await["signingSecret"].as_str().unwrap().to_owned();
    let mango = world.mango_of(4).await;
    world.weekly_series(&mango).await;
    world.deliver_to_three().await;
    let page = page_as(&world, None).await.text;
    for shown in ["Introduction to Digital Marketing", "<b>1</b> of 4", "1 retrying", "1 abandoned", "p•••@example.com"]
    {
        assert!(page.contains(shown), "{shown}");
    }
    for hidden in ["p1@example.com", "Person 1", "secret=s", &signing_secret] {
        assert!(!page.contains(hidden), "{hidden}");
    }
    // Somebody is not reached yet, so the page loads itself again.
    assert!(page.contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn text_of_strangers_is_escaped() {
    let world = World::new().await;
    let series = json!({"title": "<script>alert(1)</script>", "link": "https://x.example", "timezone": "UTC",
                        "start": "2024-03-15T15:30", "durationMinutes": 30});
    world.post("/api/v1/webinars", series).await.is(201);
    let page = page_as(&world, None).await;
    assert!(page.text.contains("&lt;script&gt;") && !page.text.contains("<script"));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!((page.header("referrer-policy"), page.header("cache-control")), ("no-referrer", "no-store"));
    // The policy forbids what is written into the page.
    assert!(!page.text.contains("style=") && !page.text.contains("<style"));
}

#[tokio::test]
async fn a_key_opens_its_own_account_only() {
    let world = World::with(WebSettings::default()).await;
    let other = world.another_account().await;
    let refused = page_as(&world, None).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").starts_with("Basic realm=\"Fanfare"));
    assert_eq!(page_as(&world, Some("wrong")).await.status, 401);
    let page = page_as(&world, Some(&other)).await;
    assert!(page.text.contains("Bo&#x27;s school") && !page.text.contains("Asha"));
}

#[tokio::test]
async fn an_open_page_shows_all_accounts_and_only_the_halves_served() {
    let settings = WebSettings { dashboard: Dashboard::Open, halves: Halves::Receiver, ..WebSettings::default() };
    let world = World::with(settings).await;
    world.another_account().await;
    let page = page_as(&world, None).await.text;
    assert!(page.contains("Asha&#x27;s school") && page.contains("Bo&#x27;s school"));
    assert!(page.contains("Inbox") && !page.contains("Newest deliveries"));
}

#[tokio::test]
async fn a_host_that_is_no_host_is_not_repeated() {
    let world = World::new().await;
    let request = Request::get("/").header("host", "'$(reboot)'").body(Body::empty()).unwrap();
    assert!(!world.send(request).await.text.contains("reboot"));
}

#[tokio::test]
async fn the_style_is_served_by_us() {
    let world = World::new().await;
    let style = world.get("/assets/style.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(style.text.contains("color-scheme: light dark"));
}

#[test]
fn numbers_are_grouped_by_three() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), text);
    }
}
