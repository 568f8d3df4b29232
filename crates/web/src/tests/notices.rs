//! Notices, and who is told of them.

use serde_json::json;

use super::world::World;

#[tokio::test]
async fn a_notice_is_listed_shown_with_its_deliveries_and_read() {
    let world = World::new().await;
    let endpoint = world.receiver().await["endpoint"]["id"].as_str().unwrap().to_owned();
    let wish = json!({"url": "https://owner.example/", "event": "endpoint.disabled"});
    let told = world.post("/api/v1/subscriptions", wish).await.is(201)["endpoint"]["id"].clone();
    let id = world.notice_of(&endpoint).await;

    let listed = world.get("/api/v1/notices").await.is(200)["data"][0].clone();
    assert_eq!((&listed["id"], &listed["type"]), (&json!(id), &json!("endpoint.disabled")));
    assert_eq!((&listed["subject"], &listed["readAt"]), (&json!(endpoint), &json!(null)));
    assert_eq!(listed["data"], json!({"endpoint": endpoint, "reason": "gone", "since": "2024-03-01T10:00:00.000Z"}));
    let path = format!("/api/v1/notices/{id}");
    world.call("POST", &format!("{path}/read")).await.is(204);
    let shown = world.get(&path).await.is(200);
    assert_eq!(shown["readAt"], "2024-03-01T10:00:00.000Z");
    let owed = json!([{"endpoint": told, "status": "waiting", "attempts": 0, "lastOutcome": null,
                       "lastAttemptAt": null, "nextAttemptAt": "2024-03-01T10:00:00.000Z"}]);
    assert_eq!(shown["deliveries"], owed);
}

#[tokio::test]
async fn a_wish_for_notices_takes_no_webinar() {
    let world = World::new().await;
    let mango = world.mango_of(1).await;
    let webinar = world.weekly_series(&mango).await["id"].clone();
    let wish = json!({"url": "https://owner.example/", "event": "rules.changed", "webinar": webinar});
    world.post("/api/v1/subscriptions", wish).await.refuses(400, &["/webinar"]);
}
