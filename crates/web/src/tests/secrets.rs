//! Signing secrets: exchanged with an overlap, and shown once.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use wire::{AsymmetricSecret, SigningSecret};

use super::strangers::belongings;
use super::world::World;
use crate::routes::table;

const HOUR: Duration = Duration::from_secs(3_600);

/// A world with an endpoint: its path and its first secret.
async fn with_endpoint() -> (World, String, String) {
    let world = World::new().await;
    let registered = world.receiver().await;
    let path = format!("/api/v1/endpoints/{}", text(&registered["endpoint"]["id"]));
    (world, path, text(&registered["signingSecret"]))
}

async fn rotate(world: &World, path: &str, body: Value) -> Value {
    world.post(&format!("{path}/rotate-secret"), body).await.is(200)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

#[tokio::test]
async fn a_new_secret_is_shown_once_and_the_old_one_ends_a_day_later() {
    let (world, path, first) = with_endpoint().await;
    world.advance(HOUR);
    // Without a body, as most will call it.
    let rotated = world.call("POST", &format!("{path}/rotate-secret")).await.is(200);
    let second = text(&rotated["signingSecret"]);
    assert!(second.starts_with("whsec_") && second != first);
    let secrets = json!([
        {"scheme": "v1", "createdAt": "2024-03-01T11:00:00.000Z"},
        {"scheme": "v1", "createdAt": "2024-03-01T10:00:00.000Z", "validUntil": "2024-03-02T11:00:00.000Z"},
    ]);
    assert_eq!((&rotated["secrets"], path.ends_with(&text(&rotated["id"]))), (&secrets, true));

    let shown = world.get(&path).await.is(200);
    assert_eq!((&shown["secrets"], shown.get("signingSecret")), (&secrets, None));
    world.advance(24 * HOUR);
    assert_eq!(world.get(&path).await.is(200)["secrets"], json!([secrets[0]]));
}

#[tokio::test]
async fn the_overlap_is_what_was_asked_for_up_to_a_week() {
    let (world, path, _) = with_endpoint().await;
    let longest = rotate(&world, &path, json!({"overlapHours": 168})).await;
    assert_eq!(longest["secrets"][1]["validUntil"], "2024-03-08T10:00:00.000Z");
    let none = rotate(&world, &path, json!({"overlapHours": 0})).await;
    assert_eq!(none["secrets"].as_array().unwrap().len(), 1, "the old ones end at once");
    for wrong in [json!(169), json!(-1), json!(1.5), json!("24")] {
        let rotation = world.post(&format!("{path}/rotate-secret"), json!({"overlapHours": wrong})).await;
        rotation.refuses(400, &["/overlapHours"]);
    }
}

#[tokio::test]
async fn a_key_pair_shows_its_public_key_as_long_as_it_signs() {
    let (world, path, _) = with_endpoint().await;
    let rotated = rotate(&world, &path, json!({"kind": "v1a"})).await;
    let pair: AsymmetricSecret = text(&rotated["signingSecret"]).parse().unwrap();
    let public_key = pair.public_key().to_string();
    assert_eq!(
        (&rotated["secrets"][0]["scheme"], &rotated["secrets"][0]["publicKey"]),
        (&json!("v1a"), &json!(public_key))
    );
    assert_eq!(world.get(&path).await.is(200)["secrets"], rotated["secrets"]);

    let again = rotate(&world, &path, json!({})).await;
    assert!(text(&again["signingSecret"]).starts_with("whsk_"), "the kind stays where none is asked for");
    let back = rotate(&world, &path, json!({"kind": "v1", "overlapHours": 0})).await;
    assert!(text(&back["signingSecret"]).starts_with("whsec_"));
}

#[tokio::test]
async fn an_owner_may_bring_a_secret() {
    let (world, path, _) = with_endpoint().await;
    let shared = SigningSecret::from_random([0xe1; 32]).reveal();
    let pair = AsymmetricSecret::from_seed([0xe2; 32]).reveal();
    for own in [&shared, &pair] {
        assert_eq!(rotate(&world, &path, json!({"secret": **own})).await["signingSecret"], **own);
    }
    let wrong = [
        (json!({"secret": "whsec_c2hvcnQ="}), "/secret"),
        (json!({"secret": "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}), "/secret"),
        (json!({"secret": *pair}), "/secret"),
        (json!({"secret": *shared, "kind": "v1a"}), "/kind"),
        (json!({"kind": "v2"}), "/kind"),
        (json!({"overlap": 1}), "/overlap"),
    ];
    for (body, pointer) in wrong {
        let told = world.post(&format!("{path}/rotate-secret"), body).await.refuses(400, &[pointer]);
        assert!(!told.contains("c2hvcnQ") && !told.contains(&pair[5..]), "{told}");
    }
}

#[tokio::test]
async fn only_a_few_secrets_are_valid_at_once_and_the_way_out_is_told() {
    let (world, path, _) = with_endpoint().await;
    for _ in 0..3 {
        rotate(&world, &path, json!({})).await;
    }
    let refused = world.post(&format!("{path}/rotate-secret"), json!({})).await.refuses(409, &[]);
    assert!(refused.contains("\"overlapHours\": 0"), "{refused}");
    assert_eq!(rotate(&world, &path, json!({"overlapHours": 0})).await["secrets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn no_route_that_reads_shows_a_secret() {
    let (world, path, first) = with_endpoint().await;
    let ids: BTreeMap<&str, String> = belongings(&world).await;
    let mut secrets = vec![first, super::strangers::KEY.to_owned()];
    for kind in ["v1", "v1a"] {
        secrets.push(text(&rotate(&world, &path, json!({"kind": kind})).await["signingSecret"]));
    }
    // A calendar's address is its own key; tests/calendars.rs reads it.
    let reading = table().into_iter().filter(|route| route.method == Method::GET && !route.path.contains("{token}"));
    let mut read = 0;
    for route in reading {
        let resource = route.path.split('/').rev().skip_while(|part| *part != "{id}").nth(1);
        let path = resource.map_or(route.path.to_owned(), |resource| route.path.replace("{id}", &ids[resource]));
        let request = Request::get(&path).header("host", "127.0.0.1").header("x-api-key", &world.key);
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        for secret in &secrets {
            assert!(!answer.text.contains(secret) && !answer.text.contains(&secret[8..28]), "{path}");
        }
        read += 1;
    }
    assert!(read > 15, "the table is read");
}

#[tokio::test]
async fn a_rotation_without_wishes_needs_no_body_whatever_its_type_is_said_to_be() {
    let (world, path, _) = with_endpoint().await;
    for media in [None, Some("application/json")] {
        let mut request = Request::post(format!("{path}/rotate-secret")).header("x-api-key", &world.key);
        if let Some(media) = media {
            request = request.header("content-type", media);
        }
        world.send(request.body(Body::empty()).unwrap()).await.is(200);
    }
}
