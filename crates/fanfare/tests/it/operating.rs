//! Operating the inbox from the terminal, beside a server whose handlers run.

use serde_json::{Value, json};

use crate::world::{Serving, World};

/// Each try runs the binary anew, so this is a minute and more.
const TRIES_MAX: usize = 3_000;
const PATH: &str = "/in/tm-5e0f6ad1c9b847239f3e2d1c0b5a";
const FAN_OUT: &str = "fan_01jw3zqk8n7v2t0d5h9rxbmc4e";

/// A server with one source and a handler `crm` that gives everything up until a file `mended` is there.
fn receiving() -> (World, Serving) {
    let world = World::new();
    let mended = world.path("mended").display().to_string();
    let settings = format!(
        "[[source]]\nname = \"tagmango\"\npreset = \"tagmango\"\npath = \"{}\"\n\n\
         [[handler]]\nname = \"crm\"\ntype = \"exec\"\ncommand = [\"sh\", \"-c\", \"test -e '{mended}' || exit 65\"]\n",
        PATH.trim_start_matches("/in/")
    );
    let file = world.write("inbox.toml", settings);
    let serving = world.serve_with(&["--config", &file]);
    (world, serving)
}

fn payload(person: usize) -> String {
    json!({
        "name": "Asha", "email": format!("Asha{person}@example.com"), "phone": 919_876_543_210_u64, "timezone": "+05:30",
        "callList": [{
            "webinar": "Clinic \u{1b}[2J", "webinarId": "634fc35ddaf58580e2418c40", "webinarLink": "https://meet.example/abc",
            "webinarFromTime": "2030-03-15T10:00:00.000Z", "webinarToTime": "2030-03-15T11:00:00.000Z",
            "webinarFromTimeInCreatorTimezone": "2030-03-15T15:30:00.000Z",
            "webinarToTimeInCreatorTimezone": "2030-03-15T16:30:00.000Z", "creatorTimezone": "+05:30",
        }],
        "mangoes": "Gold",
    })
    .to_string()
}

/// Sends so many payloads, which are one fan-out of one more than that.
fn send(serving: &Serving, people: usize) {
    for person in 1..=people {
        let (index, total) = (person.to_string(), (people + 1).to_string());
        let headers = [
            ("content-type", "application/json"),
            ("fanfare-fanout", FAN_OUT),
            ("fanfare-index", &index),
            ("fanfare-total", &total),
        ];
        let (status, answer) = serving.request(&format!("POST {PATH}"), &headers, payload(person).as_bytes());
        assert_eq!((status, answer.as_str()), (200, r#"{"status":"stored"}"#));
    }
}

fn inbox(world: &World, arguments: &[&str]) -> Vec<Value> {
    let ran = world.run(&[&["inbox"], arguments, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until the handler stands so.
fn wait_for(world: &World, column: &str, count: u64) {
    let stands = |_| inbox(world, &["handlers"]).first().is_some_and(|crm| crm[column] == count);
    assert!((0..TRIES_MAX).any(stands), "{column} {count}: {:?}", inbox(world, &["handlers"]));
}

#[test]
fn dead_letters_are_seen_mended_and_handled_again_beside_the_server() {
    let (world, serving) = receiving();
    send(&serving, 3);
    wait_for(&world, "parked", 3);
    let dead = inbox(&world, &["dead"]);
    assert_eq!((dead.len(), &dead[0]["handler"], &dead[0]["attempts"]), (3, &json!("crm"), &json!(1)));
    let table = world.run(&["inbox", "dead"]).stdout;
    assert!(table.starts_with("MESSAGE ") && table.contains("ended with 65"), "{table}");

    let parked = ["inbox", "rerun", "--handler", "crm", "--state", "parked"];
    world.run(&parked).failed_with(2, &["3 runs of crm would be asked for anew", "--yes"]);
    world.write("mended", "");
    let ran = world.run(&[&parked[..], &["--per-second", "100", "--yes", "--json"]].concat());
    assert_eq!(ran.json(), json!({"runs": 3, "handlers": ["crm"]}), "{ran:?}");
    assert!(ran.stderr.contains("3 of 3") && ran.stderr.contains("The running server works it off"), "{ran:?}");
    wait_for(&world, "done", 3);

    let one = dead[0]["message"].as_str().unwrap();
    let again = world.run(&["inbox", "rerun", one, "--yes"]);
    assert_eq!(again.stdout, "1 run of crm was asked for anew\n", "{again:?}");
    let is_done_again = |_| {
        let runs = inbox(&world, &["runs", "--message", one]);
        runs[0]["reruns"] == 2 && runs[0]["state"] == "done"
    };
    assert!((0..TRIES_MAX).any(is_done_again));
    let log = world.run(&["audit", "list", "--json"]).stdout;
    assert_eq!(log.matches("run.rerun").count(), 2, "{log}");
}

#[test]
fn what_waits_is_dropped_while_no_server_runs() {
    let (world, serving) = receiving();
    send(&serving, 2);
    wait_for(&world, "parked", 2);
    drop(serving);
    let one = inbox(&world, &["dead"])[0]["message"].as_str().unwrap().to_owned();
    let alone = world.run(&["inbox", "rerun", &one, "--handler", "crm", "--yes"]);
    assert!(alone.stderr.contains("No server is running"), "{alone:?}");
    assert_eq!(inbox(&world, &["runs", "--state", "waiting"]).len(), 1);
    let drop_all = ["inbox", "drop", "--handler", "crm", "--all"];
    world.run(&drop_all).failed_with(2, &["2 runs of crm would be dropped"]);
    assert_eq!(world.run(&[&drop_all[..], &["--yes", "--json"]].concat()).json()["runs"], 2);
    let skipped = inbox(&world, &["runs", "--state", "skipped"]);
    assert!(
        skipped.len() == 2 && skipped[0]["reason"].as_str().unwrap().starts_with("dropped by an operator"),
        "{skipped:?}"
    );
    assert_eq!(world.run(&[&drop_all[..], &["--yes", "--json"]].concat()).json()["runs"], 0);
}

#[test]
fn a_message_is_listed_by_its_event_and_shown_with_what_it_says() {
    let (world, serving) = receiving();
    send(&serving, 2);
    wait_for(&world, "parked", 2);
    let listed = inbox(&world, &["list", "--source", "tagmango"]);
    assert_eq!((listed.len(), &listed[0]["event"]), (2, &json!("webinar.created.recurring")), "{listed:?}");
    assert_eq!(listed[0]["sourceName"], "tagmango");
    assert!(inbox(&world, &["list", "--from", "2100-01-01T00:00:00Z"]).is_empty());
    assert_eq!(inbox(&world, &["list", "--to", "2100-01-01T00:00:00Z"]).len(), 2);
    world.run(&["inbox", "list", "--source", "shop"]).failed_with(1, &["\"shop\" is neither"]);

    let id = listed[0]["id"].as_str().unwrap();
    let shown = world.run(&["inbox", "show", id, "--json"]).json();
    assert_eq!(shown["reading"]["person"]["email"], "asha2@example.com");
    assert!(shown["runs"][0]["state"] == "parked" && shown["body"].is_string(), "{shown}");
    let page = world.run(&["inbox", "show", id]).stdout;
    for words in
        ["about        Asha, asha2@example.com", "UTC+05:30 (2030-03-15T10:00:00Z)", "repaired", "ended with 65"]
    {
        assert!(page.contains(words), "{words} is not in {page}");
    }
    assert!(!page.contains('\u{1b}'), "a stranger cannot move the cursor: {page}");
}

#[test]
fn messages_are_exported_as_they_came_into_a_new_file_of_their_owner() {
    use std::os::unix::fs::PermissionsExt;

    let (world, serving) = receiving();
    send(&serving, 3);
    let (status, _) = serving.request(&format!("POST {PATH}"), &[], b"\xff\x00");
    assert_eq!(status, 200);
    let exported = inbox(&world, &["export"]);
    assert_eq!((exported.len(), &exported[0]["bodyBase64"]), (4, &json!("/wA=")));
    assert_eq!(exported[1]["body"], payload(3));
    assert_eq!(exported[1]["headers"]["fanfare-index"], "3");

    let file = world.path("out.ndjson");
    let arguments = ["inbox", "export", "--source", "tagmango", "--output", file.to_str().unwrap()];
    let ran = world.run(&arguments);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>(), exported);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    world.run(&arguments).failed_with(1, &["give --output a file that is not there"]);
}

#[test]
fn what_has_not_come_of_a_fan_out_is_told() {
    let (world, serving) = receiving();
    send(&serving, 3);
    let arrivals = world.run(&["inbox", "arrivals", FAN_OUT, "--json"]).json();
    let missing = json!([{"from": 4, "to": 4}]);
    assert_eq!(arrivals, json!({"fanOut": FAN_OUT, "total": 4, "arrived": 3, "missing": missing, "more": false}));
    assert_eq!(inbox(&world, &["arrivals"]), [arrivals]);
    let unknown = "fan_01jw3zqk8n7v2t0d5h9rxbmc4f";
    world.run(&["inbox", "arrivals", unknown]).failed_with(1, &[unknown]);
}

#[test]
fn an_order_that_could_mean_too_much_or_nothing_is_refused() {
    let (world, serving) = receiving();
    drop(serving);
    world.run(&["inbox", "rerun", "--handler", "crm", "--yes"]).failed_with(2, &["--all"]);
    world.run(&["inbox", "drop", "--handler", "crm", "--yes"]).failed_with(2, &["--all"]);
    world.run(&["inbox", "rerun", "--all", "--yes"]).failed_with(2, &["--handler"]);
    world.run(&["inbox", "rerun", "--handler", "cmr", "--all", "--yes"]).failed_with(1, &["there is crm"]);
    world.run(&["inbox", "rerun", "inm_00000000000zz", "--yes"]).failed_with(1, &["there is no message"]);
    let too_fast = ["inbox", "rerun", "--handler", "crm", "--all", "--per-second", "0", "--yes"];
    world.run(&too_fast).failed_with(2, &["--per-second"]);
    let over = ["inbox", "drop", "--handler", "crm", "--state", "done", "--yes"];
    world.run(&over).failed_with(2, &["--state"]);
    let nothing = world.run(&["inbox", "rerun", "--handler", "crm", "--all", "--yes"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), "0 runs of crm were asked for anew\n"));
}
