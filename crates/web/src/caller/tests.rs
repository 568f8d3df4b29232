//! Keys at the door: good, changed, guessed.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use provider::api_key::ApiKey;
use store::Accounts;

use super::known_keys::REMEMBERED_FOR;
use super::wrong_keys::{BURST, EVERY};
use super::*;
use crate::tests::world::{Answer, World};

struct Door {
    world: World,
    router: Router,
}

const HOME: &str = "192.0.2.7";

impl Door {
    async fn new() -> Door {
        let world = World::new().await;
        let router = crate::router(world.context.clone());
        Door { world, router }
    }

    async fn knock(&self, key: &str, from: &str) -> Answer {
        let mut request = Request::get("/api/v1/mangoes").header("x-api-key", key).body(Body::empty()).unwrap();
        request.extensions_mut().insert(ClientAddress(from.parse::<IpAddr>().unwrap()));
        World::send_to(self.router.clone(), request).await
    }

    async fn status(&self, key: &str, from: &str) -> u16 {
        self.knock(key, from).await.status.as_u16()
    }

    /// Wrong keys until one is told to wait.
    async fn guess_until_told_to_wait(&self, from: &str) {
        for nth in 0..BURST {
            assert_eq!(self.status(&guess(nth as u8, nth as u8), from).await, 401, "{nth}");
        }
        assert_eq!(self.status(&guess(99, 99), from).await, 429);
    }

    fn public_id(&self) -> &str {
        &self.world.key[KEY_MARK.len()..][..12]
    }

    /// A key with the public id of the account's own and another secret.
    fn forged(&self, secret: u8) -> String {
        // The id of the world's first key is made of its first eight bytes of chance.
        let public = (1_u64.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes();
        let key = ApiKey::from_chance(public, [secret; 32]);
        assert_eq!(key.public_id(), self.public_id());
        key.reveal().to_owned()
    }
}

fn guess(public: u8, secret: u8) -> String {
    ApiKey::from_chance([public.wrapping_add(100); 8], [secret; 32]).reveal().to_owned()
}

#[tokio::test]
async fn unknown_and_wrong_keys_get_the_same_answer() {
    let door = Door::new().await;
    let (unknown, wrong) = (door.knock(&guess(1, 1), HOME).await, door.knock(&door.forged(1), HOME).await);
    assert_eq!((unknown.status, &unknown.text), (wrong.status, &wrong.text));
    assert_eq!(unknown.headers, wrong.headers);
    unknown.refuses(401, &[]);
}

#[tokio::test]
async fn guesses_from_one_network_are_slowed_down_and_others_are_not() {
    let door = Door::new().await;
    door.guess_until_told_to_wait("2001:db8:1:2::1").await;
    let neighbour = door.knock(&guess(7, 7), "2001:db8:1:2:ffff::9").await;
    assert_eq!((neighbour.status.as_u16(), neighbour.header("retry-after")), (429, "3"));
    neighbour.refuses(429, &[]);
    assert_eq!(door.status("nonsense", "2001:db8:1:2::1").await, 429);
    assert_eq!(door.status(&guess(7, 7), "2001:db8:1:3::1").await, 401);
    assert_eq!(door.status(&door.world.key, HOME).await, 200);
}

#[tokio::test(start_paused = true)]
async fn who_waits_may_try_again() {
    let door = Door::new().await;
    door.guess_until_told_to_wait(HOME).await;
    tokio::time::advance(EVERY).await;
    assert_eq!(door.status(&door.world.key, HOME).await, 200);
}

#[tokio::test]
async fn a_key_that_has_opened_before_opens_although_its_address_guesses() {
    let door = Door::new().await;
    let other = door.world.another_account().await;
    assert_eq!(door.status(&door.world.key, HOME).await, 200);
    door.guess_until_told_to_wait(HOME).await;
    assert_eq!(door.status(&door.world.key, HOME).await, 200);
    assert_eq!(door.status(&other, HOME).await, 429, "one that is new here waits with its network");
    assert_eq!(door.status(&other, "192.0.2.8").await, 200);
}

#[tokio::test]
async fn guessing_at_one_key_from_many_networks_is_told_to_wait_and_never_keeps_its_owner_out() {
    let door = Door::new().await;
    for nth in 0..BURST {
        assert_eq!(door.status(&door.forged(nth as u8), &format!("198.51.100.{nth}")).await, 401);
    }
    assert_eq!(door.status(&door.forged(99), "203.0.113.1").await, 429);
    assert_eq!(door.status(&door.world.key, "203.0.113.2").await, 200);
}

#[tokio::test]
async fn a_remembered_key_costs_no_read_and_a_changed_one_is_read_again_in_time() {
    let door = Door::new().await;
    assert_eq!(door.status(&door.world.key, HOME).await, 200);
    // By somebody else: this process hears nothing of it.
    let now = door.world.context.clock.now();
    door.world.store.revoke_key(door.world.account, door.public_id(), now).await.unwrap();
    let started = tokio::time::Instant::now();
    let mut statuses = Vec::new();
    while statuses.last() != Some(&401) {
        statuses.push(door.status(&door.world.key, HOME).await);
        assert!(started.elapsed() < REMEMBERED_FOR * 20, "it holds for ever");
    }
    assert_eq!(statuses[0], 200, "it was not read again at once");
    assert!(started.elapsed() + Duration::from_millis(100) >= REMEMBERED_FOR, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_key_revoked_here_stops_at_once() {
    let door = Door::new().await;
    let other = door.world.post("/api/v1/keys", serde_json::json!({"scopes": ["manage"]})).await.is(201);
    let (id, key) = (other["id"].as_str().unwrap(), other["apiKey"].as_str().unwrap());
    assert_eq!(door.status(key, HOME).await, 200);
    let path = format!("/api/v1/keys/{id}");
    let request = Request::delete(path).header("x-api-key", &door.world.key).body(Body::empty()).unwrap();
    World::send_to(door.router.clone(), request).await.is(204);
    assert_eq!(door.status(key, HOME).await, 401);
}

#[tokio::test]
async fn the_last_use_is_kept_once_an_hour() {
    let door = Door::new().await;
    let mut writes = Vec::new();
    for minutes in [0, 1, 58, 2, 0] {
        door.world.advance(Duration::from_secs(minutes * 60));
        assert_eq!(door.status(&door.world.key, HOME).await, 200);
        writes.push(door.world.store.commit_stats().writes);
    }
    let new: Vec<u64> = writes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(new, [0, 0, 1, 0]);
}

#[tokio::test]
async fn a_key_in_a_url_is_refused_with_the_reason_and_not_repeated() {
    let door = Door::new().await;
    let key = &door.world.key;
    let escaped = key.replace('_', "%5f");
    for query in [format!("x={key}"), format!("limit=1&X-API-Key={key}"), format!("token={escaped}"), "apikey=x".into()]
    {
        for with_header in [true, false] {
            let mut request = Request::get(format!("/api/v1/mangoes?{query}"));
            if with_header {
                request = request.header("x-api-key", key);
            }
            let answer = World::send_to(door.router.clone(), request.body(Body::empty()).unwrap()).await;
            assert!(!answer.text.contains(key) && !answer.text.contains(&escaped), "{}", answer.text);
            assert!(answer.refuses(401, &[]).contains("does not belong into a URL"), "{query}");
        }
    }
}
