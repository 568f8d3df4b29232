//! Handlers and their runs by the API: shown, run again, dropped. What workers make of orders is tested with the workers.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use store::{Act, RunState, SkipReason};
use wire::{Signer, SigningSecret, WebhookId};

use super::world::World;
use crate::{Limits, WebSettings};

/// An inbox with one source, `Shop`, and messages from it.
pub(crate) struct Inbox {
    pub(crate) world: World,
    path: String,
    pub(crate) messages: Vec<String>,
}

impl Inbox {
    pub(crate) async fn with(messages: usize) -> Inbox {
        Inbox::of(World::new().await, messages).await
    }

    pub(crate) async fn of(world: World, messages: usize) -> Inbox {
        let keys = json!([secret().reveal().as_str()]);
        let made = world.post("/api/v1/sources", json!({"name": "Shop", "keys": keys})).await.is(201);
        let path = made["path"].as_str().unwrap().to_owned();
        let mut inbox = Inbox { world, path, messages: Vec::new() };
        for number in 1..=messages {
            inbox.receive(&format!("m{number}"), &[], r#"{"type":"order.paid"}"#).await;
            inbox.world.advance(Duration::from_secs(1));
        }
        let listed = inbox.world.get("/api/v1/inbox/messages?limit=1000").await.is(200);
        let ids = listed["data"].as_array().unwrap().iter().rev();
        inbox.messages = ids.map(|message| message["id"].as_str().unwrap().to_owned()).collect();
        inbox
    }

    pub(crate) async fn receive(&self, id: &str, headers: &[(&str, &str)], body: &str) {
        let now = self.world.context.clock.now().as_second();
        let signature = Signer::new([secret()]).unwrap().sign(WebhookId::new(id).unwrap(), now, body.as_bytes());
        let request = Request::post(&self.path).header("webhook-id", id).header("webhook-timestamp", now);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.header("webhook-signature", signature).body(Body::from(body.to_owned())).unwrap();
        self.world.receive(request).await;
    }

    pub(crate) async fn handler(&self, name: &str, ends: Vec<RunState>) {
        self.world.handled(name, &self.messages, ends).await;
    }

    async fn rerun(&self, body: Value) -> Value {
        self.world.post("/api/v1/inbox/runs/rerun", body).await.is(200)
    }

    async fn states(&self, handler: &str) -> Vec<String> {
        let listed = self.world.get(&format!("/api/v1/inbox/runs?handler={handler}")).await.is(200);
        let runs = listed["data"].as_array().unwrap().iter().rev();
        runs.map(|run| run["state"].as_str().unwrap().to_owned()).collect()
    }
}

fn secret() -> SigningSecret {
    SigningSecret::from_random([7; 32])
}

fn parked(reason: &str) -> RunState {
    RunState::Parked { reason: reason.to_owned() }
}

fn waiting() -> RunState {
    RunState::Waiting { due: "2024-03-01T11:00:00Z".parse().unwrap(), reason: "HTTP 503".to_owned() }
}

#[tokio::test]
async fn each_handler_is_told_with_what_it_has_done_and_what_waits() {
    let inbox = Inbox::with(5).await;
    inbox.handler("crm", vec![RunState::Done, parked("no such table"), waiting()]).await;
    let listed = inbox.world.get("/api/v1/inbox/handlers").await.is(200);
    let expected = json!([{
        "handler": "crm", "ahead": 2, "oldestAheadAt": "2024-03-01T10:00:03.000Z",
        "waiting": 1, "parked": 1, "done": 1, "skipped": 0,
    }]);
    assert_eq!(listed["data"], expected);
}

#[tokio::test]
async fn runs_are_listed_newest_message_first_and_by_their_state() {
    let inbox = Inbox::with(4).await;
    let ends = vec![RunState::Done, parked("no such table"), waiting(), RunState::Skipped(SkipReason::Outdated)];
    inbox.handler("crm", ends.clone()).await;
    inbox.handler("mail", vec![RunState::Done]).await;
    let dead = inbox.world.get("/api/v1/inbox/runs?state=parked").await.is(200);
    let expected = json!([{
        "message": inbox.messages[1], "handler": "crm", "state": "parked", "attempts": 1, "reruns": 0,
        "reason": "no such table", "nextAttemptAt": null, "changedAt": "2024-03-01T10:00:04.000Z",
    }]);
    assert_eq!(dead["data"], expected);
    let waits = inbox.world.get("/api/v1/inbox/runs?state=waiting&handler=crm").await.is(200);
    assert_eq!(waits["data"][0]["nextAttemptAt"], "2024-03-01T11:00:00.000Z");
    let of_one = inbox.world.get(&format!("/api/v1/inbox/runs?message={}", inbox.messages[0])).await.is(200);
    assert_eq!(of_one["data"].as_array().unwrap().len(), 2);

    let mut found = Vec::new();
    let mut next = "/api/v1/inbox/runs?limit=2".to_owned();
    while !next.is_empty() {
        let page = inbox.world.get(&next).await;
        let link = page.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        found.extend(page.is(200)["data"].as_array().unwrap().clone());
        next = link;
    }
    assert_eq!(found.len(), ends.len() + 1);
    assert!(found[0]["reason"].as_str().unwrap().contains("newer version"), "{}", found[0]);
}

#[tokio::test]
async fn a_list_or_an_order_of_an_unknown_handler_names_those_there_are() {
    let inbox = Inbox::with(1).await;
    let told = inbox.world.get("/api/v1/inbox/runs?handler=crm").await.refuses(404, &[]);
    assert!(told.contains("none at all yet"), "{told}");
    inbox.handler("crm", vec![]).await;
    inbox.handler("mail", vec![]).await;
    for order in ["rerun", "drop"] {
        let path = format!("/api/v1/inbox/runs/{order}");
        let told = inbox.world.post(&path, json!({"handler": "cmr", "all": true})).await.refuses(404, &[]);
        assert!(told.contains("there is crm, mail"), "{told}");
    }
    let told = inbox.world.get("/api/v1/inbox/runs?state=lost").await.refuses(400, &[]);
    assert!(told.contains("waiting, done, skipped, parked"), "{told}");
}

#[tokio::test]
async fn what_is_run_again_is_counted_first_then_due_at_its_pace_and_the_worker_is_poked() {
    let inbox = Inbox::with(4).await;
    inbox.handler("crm", vec![RunState::Done, parked("a"), RunState::Done, parked("b")]).await;
    inbox.world.context.runs_hint.notified().await;
    let body = json!({"handler": "crm", "state": "parked", "perSecond": 0.5});
    let told = inbox.world.post("/api/v1/inbox/runs/rerun?dryRun=true", body.clone()).await.is(200);
    assert_eq!(told, json!({"dryRun": true, "runs": 2, "next": null}));
    assert_eq!(inbox.states("crm").await, ["done", "parked", "done", "parked"]);

    assert_eq!(inbox.rerun(body).await, json!({"dryRun": false, "runs": 2, "next": null}));
    inbox.world.context.runs_hint.notified().await;
    let listed = inbox.world.get("/api/v1/inbox/runs?state=waiting").await.is(200);
    let runs = listed["data"].as_array().unwrap().iter().rev();
    let due: Vec<_> = runs.map(|run| (run["nextAttemptAt"].as_str().unwrap(), run["reruns"].as_u64())).collect();
    assert_eq!(due, [("2024-03-01T10:00:04.000Z", Some(1)), ("2024-03-01T10:00:06.000Z", Some(1))]);
}

#[tokio::test]
async fn a_large_order_is_worked_off_in_requests_that_keep_its_pace() {
    let limits = Limits { order_messages: 2, ..Limits::default() };
    let inbox = Inbox::of(World::with(WebSettings { limits, ..WebSettings::default() }).await, 5).await;
    inbox.handler("crm", vec![RunState::Done; 5]).await;
    let mut body = json!({"handler": "crm", "all": true, "perSecond": 1});
    let mut requests = 0;
    loop {
        let told = inbox.rerun(body.clone()).await;
        requests += 1;
        assert_eq!(told["next"].is_null(), told["startAt"].is_null(), "{told}");
        if told["next"].is_null() {
            break;
        }
        (body["after"], body["startAt"]) = (told["next"].clone(), told["startAt"].clone());
    }
    let listed = inbox.world.get("/api/v1/inbox/runs").await.is(200);
    let due = listed["data"].as_array().unwrap().iter().rev().map(|run| run["nextAttemptAt"].as_str().unwrap());
    let expected = [5, 6, 7, 8, 9].map(|second| format!("2024-03-01T10:00:0{second}.000Z"));
    assert_eq!((due.collect::<Vec<_>>(), requests), (expected.each_ref().map(String::as_str).to_vec(), 3));
}

#[tokio::test]
async fn an_order_is_narrowed_by_message_source_and_time() {
    let inbox = Inbox::with(4).await;
    inbox.handler("crm", vec![RunState::Done; 4]).await;
    let count = async |narrow: Value| {
        let mut body = json!({"handler": "crm"});
        body.as_object_mut().unwrap().extend(narrow.as_object().unwrap().clone());
        inbox.world.post("/api/v1/inbox/runs/rerun?dryRun=true", body).await.is(200)["runs"].clone()
    };
    assert_eq!(count(json!({"all": true})).await, 4);
    assert_eq!(count(json!({"message": inbox.messages[2]})).await, 1);
    assert_eq!(count(json!({"source": "Shop"})).await, 4);
    assert_eq!(count(json!({"source": "src_01jw3zqk8n7v2t0d5h9rxbmc4e"})).await, 0);
    assert_eq!(count(json!({"from": "2024-03-01T10:00:01Z", "to": "2024-03-01T10:00:03Z"})).await, 2);
    assert_eq!(count(json!({"state": "done", "after": inbox.messages[0]})).await, 3);
}

#[tokio::test]
async fn what_could_mean_too_much_or_nothing_is_refused() {
    let inbox = Inbox::with(1).await;
    inbox.handler("crm", vec![]).await;
    for (order, body, pointer) in [
        ("rerun", json!({"handler": "crm"}), ""),
        ("drop", json!({"handler": "crm"}), ""),
        ("rerun", json!({"handler": "crm", "perSecond": 5}), ""),
        ("rerun", json!({"handler": "crm", "all": true, "state": "parked"}), "/all"),
        ("rerun", json!({"handler": "crm", "all": true, "perSecond": 0}), "/perSecond"),
        ("rerun", json!({"handler": "crm", "state": "dead"}), "/state"),
        ("rerun", json!({"handler": "crm", "source": "shop"}), "/source"),
        ("rerun", json!({"handler": "crm", "from": "yesterday"}), "/from"),
        ("rerun", json!({"handler": "crm", "message": "m1"}), "/message"),
        ("rerun", json!({"state": "parked"}), "/handler"),
        ("drop", json!({"handler": "crm", "state": "done"}), "/state"),
        ("drop", json!({"handler": "crm", "all": true, "perSecond": 1}), "/perSecond"),
    ] {
        inbox.world.post(&format!("/api/v1/inbox/runs/{order}"), body.clone()).await.refuses(400, &[pointer]);
    }
    let unknown = json!({"handler": "crm", "message": "inm_0000000000zzz"});
    inbox.world.post("/api/v1/inbox/runs/rerun", unknown).await.refuses(404, &[]);
}

#[tokio::test]
async fn what_waits_is_given_up_or_has_not_begun_is_dropped_and_what_is_done_stays() {
    let inbox = Inbox::with(5).await;
    inbox.handler("crm", vec![RunState::Done, parked("a"), waiting()]).await;
    let path = "/api/v1/inbox/runs/drop";
    let all = json!({"handler": "crm", "all": true});
    let told = inbox.world.post(&format!("{path}?dryRun=true"), all.clone()).await.is(200);
    assert_eq!(told["runs"], 4);
    let parked = json!({"handler": "crm", "state": "parked"});
    assert_eq!(inbox.world.post(path, parked).await.is(200)["runs"], 1);
    assert_eq!(inbox.states("crm").await, ["done", "skipped", "waiting"]);
    assert_eq!(inbox.world.post(path, all.clone()).await.is(200)["runs"], 3);
    assert_eq!(inbox.states("crm").await, ["done", "skipped", "skipped"]);
    assert_eq!(inbox.world.get("/api/v1/inbox/handlers").await.is(200)["data"][0]["ahead"], 0);
    assert_eq!(inbox.world.post(path, all).await.is(200)["runs"], 0);
}

#[tokio::test]
async fn an_order_is_noted_once_with_its_handler_and_one_that_changes_nothing_is_not() {
    let inbox = Inbox::with(3).await;
    inbox.handler("crm", vec![RunState::Done, parked("a"), parked("b")]).await;
    let before = inbox.world.get("/api/v1/audit").await.is(200)["data"].as_array().unwrap().len();
    inbox.rerun(json!({"handler": "crm", "message": inbox.messages[0]})).await;
    inbox.rerun(json!({"handler": "crm", "state": "skipped"})).await;
    inbox.world.post("/api/v1/inbox/runs/drop", json!({"handler": "crm", "state": "parked"})).await.is(200);
    let log = inbox.world.get("/api/v1/audit").await.is(200)["data"].as_array().unwrap().clone();
    let told = log[..log.len() - before].iter().map(|note| (note["act"].clone(), note["object"].clone()));
    let of_one = format!("crm {}", inbox.messages[0]);
    let expected = [(Act::RunsDrop, "crm"), (Act::RunsRerun, of_one.as_str())];
    assert_eq!(told.collect::<Vec<_>>(), expected.map(|(act, object)| (json!(act.as_str()), json!(object))));
}

#[tokio::test]
async fn another_account_has_no_handlers_and_no_runs() {
    let mut inbox = Inbox::with(1).await;
    inbox.handler("crm", vec![parked("a")]).await;
    inbox.world.key = inbox.world.another_account().await;
    for path in ["/api/v1/inbox/handlers", "/api/v1/inbox/runs"] {
        assert_eq!(inbox.world.get(path).await.is(200)["data"], json!([]));
    }
    let all = json!({"handler": "crm", "all": true});
    inbox.world.post("/api/v1/inbox/runs/drop", all).await.refuses(404, &[]);
}

#[tokio::test]
async fn a_message_tells_what_it_says_and_what_became_of_it() {
    let inbox = Inbox::with(2).await;
    inbox.handler("crm", vec![parked("no such table")]).await;
    let path = format!("/api/v1/inbox/messages/{}", inbox.messages[0]);
    let shown = inbox.world.get(&path).await.is(200);
    assert_eq!((&shown["reading"]["body"], shown["body"].is_string()), (&Value::Null, true));
    assert_eq!(shown["runs"][0]["reason"], "no such table");
    let body = r#"{"name":"Asha","email":"ASHA@example.com","phone":"919876543210","timezone":"+05:30","callList":[
        {"webinarId":"65f3c0ffee0000000000b001","webinar":"Clinic","link":"https://meet.example/c",
         "startTimeInUtc":"2024-03-15T10:00:00.000Z","endTimeInUtc":"2024-03-15T11:00:00.000Z"}]}"#;
    inbox.receive("m3", &[("fanfare-event", "webinar.created.recurring")], body).await;
    let newest = inbox.world.get("/api/v1/inbox/messages?limit=1").await.is(200)["data"][0]["id"].clone();
    let shown = inbox.world.get(&format!("/api/v1/inbox/messages/{}", newest.as_str().unwrap())).await.is(200);
    let reading = &shown["reading"];
    assert_eq!((&reading["event"], &reading["person"]["name"]), (&json!("webinar.created.recurring"), &json!("Asha")));
    assert!(!reading["repairs"].as_array().unwrap().is_empty() && reading.get("body").is_none(), "{reading}");
    assert_eq!(shown["runs"], json!([]));
    let listed = async |query: &str| {
        let page = inbox.world.get(&format!("/api/v1/inbox/messages?{query}")).await.is(200);
        page["data"].as_array().unwrap().len()
    };
    assert_eq!(listed("from=2024-03-01T10:00:01Z").await, 2);
    assert_eq!(listed("to=2024-03-01T10:00:01Z&source=Shop").await, 1);
    assert_eq!(listed("from=2024-03-01T10:00:05Z").await, 0);
    inbox.world.get("/api/v1/inbox/messages?from=today").await.refuses(400, &[]);
    inbox.world.get("/api/v1/inbox/messages?source=shop").await.refuses(400, &[]);
}

#[tokio::test]
async fn a_fan_out_tells_which_of_its_webhooks_have_not_come() {
    let inbox = Inbox::with(0).await;
    let id = "fan_01jw3zqk8n7v2t0d5h9rxbmc4e";
    let path = format!("/api/v1/inbox/fan-outs/{id}");
    inbox.world.get(&path).await.refuses(404, &[]);
    for index in ["2", "3", "6"] {
        let place = [("fanfare-fanout", id), ("fanfare-index", index), ("fanfare-total", "6")];
        inbox.receive(&format!("m{index}"), &place, "{}").await;
    }
    let shown = inbox.world.get(&path).await.is(200);
    let missing = json!([{"from": 1, "to": 1}, {"from": 4, "to": 5}]);
    assert_eq!(shown, json!({"fanOut": id, "total": 6, "arrived": 3, "missing": missing, "more": false}));
    assert_eq!(inbox.world.get("/api/v1/inbox/fan-outs").await.is(200)["data"], json!([shown]));
    inbox.world.get("/api/v1/inbox/fan-outs?limit=101").await.refuses(400, &[]);
}
