//! Erasing people and keeping things only so long, as callers see it.

use serde_json::{Value, json};
use store::Store;

use super::world::World;

/// Four members; one was told, one waits for a retry, one was given up, one is not reached.
async fn world_under_way() -> World {
    let world = World::new().await;
    world.receiver().await;
    let mango = world.mango_of(4).await;
    world.weekly_series(&mango).await;
    world.deliver_to_three().await;
    world
}

async fn finish(store: &impl Store) {
    while let Some(search) = store.searches(1).await.unwrap().pop() {
        let searched = store::Searched { naming: Vec::new(), count: 0, read_to: None };
        store.note_search(search, searched).await.unwrap();
    }
    store.seal("2024-03-01T10:00:01Z".parse().unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_erasure_tells_what_went_and_what_is_under_way() {
    let world = world_under_way().await;
    let answer = world.call("DELETE", "/api/v1/participants/2").await;
    let location = answer.header("location").to_owned();
    let erasure = answer.is(202);
    assert_eq!(location, format!("/api/v1/erasures/{}", erasure["id"].as_str().unwrap()));
    let told = ["participant", "state", "membershipsEnded", "retriesCalledOff", "finishedAt"];
    assert_eq!(told.map(|name| erasure[name].clone()), [json!(2), json!("searching"), json!(1), json!(1), Value::Null]);
    assert!(erasure["note"].as_str().unwrap().contains("may still arrive"));
    assert!(!erasure.to_string().contains("p2@example.com"));

    world.get("/api/v1/participants/2").await.refuses(404, &[]);
    world.call("DELETE", "/api/v1/participants/2").await.refuses(404, &[]);
    let event = world.get("/api/v1/events").await.is(200)["data"][0]["endpoints"][0].clone();
    let counts = ["delivered", "retrying", "abandoned", "erased", "pending"].map(|state| event[state].clone());
    assert_eq!(counts, [1, 0, 1, 1, 1].map(|count| json!(count)));
    let log = world.get("/api/v1/deliveries?status=erased").await.is(200)["data"].clone();
    assert_eq!((&log[0]["participant"]["email"], &log[0]["attempts"]), (&Value::Null, &json!(1)));

    finish(&world.store).await;
    let done = world.get(&location).await.is(200);
    assert_eq!((&done["state"], &done["finishedAt"]), (&json!("done"), &json!("2024-03-01T10:00:01.000Z")));
}

#[tokio::test]
async fn an_address_in_the_body_erases_whoever_has_it() {
    let world = world_under_way().await;
    let erased = world.post("/api/v1/participants/erase", json!({"email": " P3@example.com "})).await.is(202);
    assert_eq!(erased["participant"], 3);
    let nobody = world.post("/api/v1/participants/erase", json!({"email": "p3@example.com"})).await.is(202);
    assert_eq!((&nobody["participant"], &nobody["membershipsEnded"]), (&Value::Null, &json!(0)));
    world.post("/api/v1/participants/erase", json!({"email": "p3"})).await.refuses(400, &["/email"]);
    world.post("/api/v1/participants/erase", json!({})).await.refuses(400, &["/email"]);
}

#[tokio::test]
async fn an_account_says_how_long_it_keeps_what_within_limits() {
    let world = World::new().await;
    let account = world.get("/api/v1/account").await.is(200);
    assert_eq!((&account["name"], &account["timezone"]), (&json!("Asha's school"), &json!("Asia/Kolkata")));
    assert_eq!(account["retention"], json!({"bodiesDays": 90, "logDays": 90, "metadataDays": 400}));

    let amend = async |days: Value| world.call_with("PATCH", "/api/v1/account", json!({"retention": days})).await;
    assert_eq!(amend(json!({"bodiesDays": 7})).await.is(200)["retention"]["bodiesDays"], 7);
    amend(json!({"logDays": 0})).await.refuses(400, &["/retention/logDays"]);
    amend(json!({"metadataDays": 29})).await.refuses(400, &["/retention/metadataDays"]);
    amend(json!({"metadataDays": 60})).await.refuses(400, &["/retention/metadataDays"]);
    let kept = amend(json!({"logDays": 30, "metadataDays": 30})).await.is(200)["retention"].clone();
    assert_eq!(kept, json!({"bodiesDays": 7, "logDays": 30, "metadataDays": 30}));
    assert_eq!(world.get("/api/v1/account").await.is(200)["retention"], kept);
}
