use std::fs;

use serde_json::{Value, json};
use wire::SigningSecret;

use crate::inbox::send_body;
use crate::world::{Serving, World};

const LIST: &str = "name,email,phone,timezone\n\
    Asha Rao,asha@example.com,+91 98765 43210,Asia/Kolkata\n\
    Noah Reed,noah@example.com,,\n";

/// Two members, and one message about each of them in the inbox.
fn world_with_people() -> (World, Serving, String) {
    let world = World::new();
    let (_, key) = world.create_account();
    let serving = world.serve();
    let mango = serving.create_mango(&key);
    let file = world.write("members.csv", LIST);
    assert_eq!(world.run(&["import", "--mango", &mango, &file]).code, Some(0));
    fs::remove_file(world.path("members.csv")).unwrap();
    let secret = SigningSecret::from_random([7; 32]);
    let source = world.run(&["inbox", "source", "create", "--name", "T", "--key", &secret.reveal(), "--json"]).json();
    let path = source["path"].as_str().unwrap().to_owned();
    for (id, phone) in [("msg_1", "919876543210"), ("msg_2", "null")] {
        let body = format!("{{\"name\":\"somebody\",\"phone\":{phone}}}");
        assert_eq!(send_body(&serving, &path, &secret, id, body.as_bytes()), 200);
    }
    (world, serving, key)
}

/// Which of these are in any file of the world.
fn found(world: &World, marks: &[&'static str]) -> Vec<&'static str> {
    let files = fs::read_dir(world.path("")).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap_or_default());
    let bytes: Vec<u8> = files.flatten().collect();
    let is_in = |mark: &&&str| bytes.windows(mark.len()).any(|window| window == mark.as_bytes());
    marks.iter().filter(is_in).copied().collect()
}

const MARKS: [&str; 3] = ["Asha Rao", "asha@example.com", "9876543210"];

#[test]
fn who_is_erased_beside_a_running_server_is_gone_from_its_answers_and_its_files() {
    let (world, serving, key) = world_with_people();
    let shown = world.run(&["participants", "show", "--email", "ASHA@example.com", "--json"]).json();
    assert_eq!((&shown["number"], &shown["phone"]), (&json!(1), &json!("+919876543210")));
    assert_eq!(found(&world, &MARKS), MARKS);

    let ran = world.run(&["participants", "erase", "--email", "asha@example.com"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("erased participant 1: 1 membership ended, 0 retries called off, 1 of 2 messages"));
    assert!(ran.stdout.trim_end().ends_with("done"), "{ran:?}");
    assert!(ran.stderr.contains("Backups"), "{ran:?}");
    assert_eq!(found(&world, &MARKS), [""; 0]);

    let (status, _) = serving.request("GET /api/v1/participants/1", &[("x-api-key", &key)], b"");
    assert_eq!(status, 404);
    world.run(&["participants", "show", "--number", "1"]).failed_with(1, &["nobody on the roster"]);
    world.run(&["participants", "erase", "--number", "1"]).failed_with(1, &["nobody on the roster"]);
    assert_eq!(world.run(&["participants", "show", "--number", "2"]).code, Some(0));
    let contents: Vec<Value> = world
        .run(&["inbox", "list", "--json"])
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let contents: Vec<_> = contents.iter().map(|message| (&message["messageId"], &message["content"])).collect();
    assert_eq!(contents, [(&json!("msg_2"), &json!("kept")), (&json!("msg_1"), &json!("erased"))]);
}

#[test]
fn an_erasure_asked_of_the_server_is_ended_by_its_janitor() {
    let (world, serving, key) = world_with_people();
    let erasure = serving.call(&key, "/api/v1/participants/erase", &json!({"email": "asha@example.com"}));
    let path = format!("GET /api/v1/erasures/{}", erasure["id"].as_str().unwrap());
    let mut state = erasure["state"].clone();
    while state != "done" {
        let (status, answer) = serving.request(&path, &[("x-api-key", &key)], b"");
        assert_eq!(status, 200, "{answer}");
        state = serde_json::from_str::<Value>(&answer).unwrap()["state"].clone();
    }
    assert_eq!(found(&world, &MARKS), [""; 0]);
}

#[test]
fn whom_to_erase_is_said_in_one_way() {
    let world = World::new();
    world.create_account();
    world.run(&["participants", "erase"]).failed_with(2, &["--email", "--number"]);
    world.run(&["participants", "erase", "--email", "a@b", "--number", "1"]).failed_with(2, &["cannot be used with"]);
    world.run(&["participants", "erase", "--email", "nobody"]).failed_with(2, &["not an e-mail address"]);
    let ran = world.run(&["participants", "erase", "--email", "nobody@example.com", "--json"]).json();
    assert_eq!((&ran["participant"], &ran["state"]), (&Value::Null, &json!("done")));
}

#[test]
fn a_retention_is_shown_set_and_kept_within_limits() {
    let world = World::new();
    world.create_account();
    let shown = world.run(&["account", "retention"]);
    assert_eq!(shown.stdout, "bodies    90 days\nlog       90 days\nmetadata  400 days\n");
    let set = world.run(&["account", "retention", "--bodies", "7", "--log", "30", "--json"]).json();
    assert_eq!(set, json!({"bodiesDays": 7, "logDays": 30, "metadataDays": 400}));
    world.run(&["account", "retention", "--metadata", "29"]).failed_with(2, &["at least 30"]);
    world.run(&["account", "retention", "--bodies", "0"]).failed_with(2, &["bodies is 0 days"]);
    assert_eq!(world.run(&["account", "retention", "--json"]).json(), set);
}
