//! The page, and who may see it.

use axum::http::Request;
use serde_json::json;
use store::RunState;

use super::*;
use crate::tests::runs::Inbox;
use crate::tests::world::{Answer, World};
use crate::{Halves, WebSettings};

async fn page_as(world: &World, password: Option<&str>) -> Answer {
    let mut request = Request::get("/").header("host", "127.0.0.1:8080");
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
    assert!(page.contains("receiver.example&#x2f;hook<"));
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
async fn an_open_page_is_shown_under_an_address_or_localhost_only() {
    let world = World::new().await;
    let asked = async |host: &str| {
        let request = Request::get("/").header("host", host).body(Body::empty()).unwrap();
        world.send(request).await
    };
    for host in ["127.0.0.1", "127.0.0.1:8080", "10.1.2.3:80", "[::1]", "[::1]:8080", "localhost", "LocalHost:8080"] {
        assert_eq!(asked(host).await.status, 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "x[::1]", ""]
    {
        let told = asked(host).await;
        assert!(told.status == 403 && told.text.contains("http://127.0.0.1"), "{host}: {told:?}");
    }
    let request = Request::get("/").body(Body::empty()).unwrap();
    assert_eq!(world.send(request).await.status, 403);
}

#[tokio::test]
async fn a_page_behind_a_key_is_shown_under_any_name_and_says_how_to_sign_in() {
    let world = World::with(WebSettings::default()).await;
    let sign_in = format!("Basic {}", STANDARD.encode(format!("any:{}", world.key)));
    for (host, is_repeated) in [("fanfare.example", true), ("'$(reboot)'", false)] {
        let request = Request::get("/").header("host", host).header("authorization", &sign_in);
        let page = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((page.status.as_u16(), page.text.contains(host)), (200, is_repeated), "{host}");
    }
    let refused = page_as(&world, None).await;
    let words = "any user name, an API key as the password";
    assert!(refused.text.contains(words) && refused.header("www-authenticate").contains(words), "{refused:?}");
}

#[tokio::test]
async fn the_style_is_served_by_us() {
    let world = World::new().await;
    let style = world.get("/assets/style.css").await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert!(style.text.contains("color-scheme: light dark"));
}

#[tokio::test]
async fn a_long_path_is_cut() {
    let world = World::new().await;
    let url = format!("https://crm.example/{}", "a".repeat(100));
    world.post("/api/v1/subscriptions", json!({"url": url, "event": "webinar.created.recurring"})).await.is(201);
    let mango = world.mango_of(1).await;
    world.weekly_series(&mango).await;
    let page = page_as(&world, None).await.text;
    assert!(page.contains(&format!("crm.example&#x2f;{}…<", "a".repeat(35))), "{page}");
}

#[test]
fn numbers_are_grouped_by_three() {
    for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), text);
    }
}

#[tokio::test]
async fn the_newest_unread_notice_is_told_until_it_is_read() {
    let world = World::new().await;
    let endpoint = world.receiver().await["endpoint"]["id"].as_str().unwrap().to_owned();
    let first = world.notice_of(&endpoint).await;
    world.advance(std::time::Duration::from_secs(1));
    let second = world.notice_of(&endpoint).await;
    let page = page_as(&world, None).await.text;
    assert!(page.contains("An endpoint was disabled") && page.contains("2 unread") && page.contains(&second));
    world.call("POST", &format!("/api/v1/notices/{second}/read")).await.is(204);
    let page = page_as(&world, None).await.text;
    assert!(page.contains("1 unread") && page.contains(&first) && !page.contains(&second));
    world.call("POST", &format!("/api/v1/notices/{first}/read")).await.is(204);
    assert!(!page_as(&world, None).await.text.contains("unread"));
}

#[tokio::test]
async fn handlers_dead_letters_and_what_became_of_each_message_are_shown_and_escaped() {
    let inbox = Inbox::with(3).await;
    let parked = RunState::Parked { reason: "<b>no such table</b>".to_owned() };
    inbox.handler("crm", vec![RunState::Done, parked]).await;
    let page = page_as(&inbox.world, None).await.text;
    for shown in ["Dead letters", "crm <span", "run-done", "run-parked", "run-ahead", "order.paid", "handling"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    assert!(page.contains("&lt;b&gt;no such table") && !page.contains("<b>no such"));
    assert!(page.contains("fanfare inbox rerun --handler crm --state parked"));
    assert!(page.contains("aria-label=\"1 done, 0 skipped, 0 retrying, 1 dead letters, 1 to come\""));
    // What waits for ever is no reason to load the page again and again.
    inbox.world.advance(std::time::Duration::from_secs(601));
    assert!(!page_as(&inbox.world, None).await.text.contains("http-equiv"));
}

#[tokio::test]
async fn an_inbox_without_handlers_says_nothing_of_them() {
    let inbox = Inbox::with(1).await;
    let page = page_as(&inbox.world, None).await.text;
    assert!(page.contains("Shop") && !page.contains("Handlers") && !page.contains("Handled"), "{page}");
}
