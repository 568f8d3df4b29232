use serde_json::{Value, json};

use crate::world::{Serving, World};

const LIST: &str = "email,city,name,phone,timezone\n\
    asha@example.com,Pune,Asha Rao,+91 98765 43210,Asia/Kolkata\n\
    nobody,Pune,No Address,,\n\
    noah@example.com,Leeds,\"Noah, the second\",,+01:00\n\
    mei@example.com,,Mei,,Mars/Olympus\n\
    zoe@example.com,Lyon,Zoë,,\n";

fn world_with_mango() -> (World, Serving, String, String) {
    let world = World::new();
    let (_, key) = world.create_account();
    let serving = world.serve();
    let mango = serving.create_mango(&key);
    (world, serving, key, mango)
}

fn participant(serving: &Serving, key: &str, number: u32) -> Value {
    let (status, body) = serving.request(&format!("GET /api/v1/participants/{number}"), &[("x-api-key", key)], b"");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[test]
fn bad_lines_are_told_by_number_and_good_ones_kept_beside_a_running_server() {
    let (world, serving, key, mango) = world_with_mango();
    let file = world.write("members.csv", LIST);
    let ran = world.run(&["import", "--mango", &mango, &file]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.stdout, "5 lines: 3 added, 0 updated, 0 unchanged, 2 left out\n");
    assert!(ran.stderr.contains("line 3: email") && ran.stderr.contains("line 5: timezone"), "{ran:?}");
    let names: Vec<Value> = (1..=3).map(|number| participant(&serving, &key, number)["name"].clone()).collect();
    assert_eq!(names, [json!("Asha Rao"), json!("Noah, the second"), json!("Zoë")]);
}

#[test]
fn the_same_list_again_changes_nothing_and_a_corrected_one_corrects() {
    let (world, serving, _, mango) = world_with_mango();
    drop(serving);
    let good: String = LIST
        .lines()
        .filter(|line| !line.contains("nobody") && !line.contains("Mars"))
        .fold(String::new(), |list, line| list + line + "\r\n");
    let counts = |list: &str| {
        let file = world.write("members.csv", list);
        let ran = world.run(&["import", "--mango", &mango, &file, "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let json = ran.json();
        ["lines", "added", "updated", "unchanged", "rejected"].map(|name| json[name].as_u64().unwrap())
    };
    assert_eq!(counts(&good), [3, 3, 0, 0, 0]);
    assert_eq!(counts(&good), [3, 0, 0, 3, 0]);
    assert_eq!(counts(&good.replace("Asha Rao", "Asha Iyer")), [3, 0, 1, 2, 0]);
}

#[test]
fn a_list_without_columns_a_file_that_is_not_there_and_an_unknown_mango_are_told_apart() {
    let (world, _serving, _, mango) = world_with_mango();
    let file = world.write("members.csv", "Asha,asha@example.com\n");
    world.run(&["import", "--mango", &mango, &file]).failed_with(1, &["cannot import", "name,email,phone,timezone"]);
    world.run(&["import", "--mango", &mango, "missing.csv"]).failed_with(1, &["cannot read missing.csv"]);
    let other = "65f0c0ffee0000000000a001";
    world.run(&["import", "--mango", other, &file]).failed_with(1, &[other, "POST /api/v1/mangoes"]);
}

#[test]
fn a_list_longer_than_a_batch_comes_in_whole() {
    let (world, _serving, _, mango) = world_with_mango();
    let lines: String = (1..=2_345).map(|number| format!("Person {number},p{number}@example.com\n")).collect();
    let file = world.write("members.csv", format!("name,email\n{lines}"));
    let json = world.run(&["import", "--mango", &mango, &file, "--json"]).json();
    assert_eq!((&json["added"], &json["rejected"]), (&json!(2_345), &json!(0)));
}
