use crate::world::World;

fn status_with(serving: &crate::world::Serving, key: &str) -> u16 {
    serving.request("GET /api/v1/mangoes", &[("x-api-key", key)], b"").0
}

#[test]
fn an_account_made_beside_a_running_server_is_known_to_it_at_once() {
    let world = World::new();
    let serving = world.serve();
    let (account, key) = world.create_account();
    assert!(account.starts_with("acc_") && key.starts_with("wh_live_"), "{account} {key}");
    assert_eq!(status_with(&serving, &key), 200);
}

#[test]
fn create_prints_exactly_the_account_and_its_key() {
    let world = World::new();
    let ran = world.run(&["account", "create", "--name", "Acme", "--timezone", "Asia/Kolkata", "--json"]);
    let keys: Vec<String> = ran.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!((ran.code, keys), (Some(0), vec!["account".to_owned(), "apiKey".to_owned()]));
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn a_revoked_key_opens_nothing_and_a_further_one_does() {
    let world = World::new();
    let serving = world.serve();
    let (_, first) = world.create_account();
    let second = world.run(&["account", "key", "create", "--json"]).json()["apiKey"].as_str().unwrap().to_owned();
    let listed = world.run(&["account", "key", "list", "-o", "csv"]).stdout;
    let titles = "key,scopes,state,created,expires,last used,revoked\n";
    assert!(listed.starts_with(titles) && listed.lines().count() == 3, "{listed}");

    // The whole key may be given, and is not repeated.
    let revoked = world.run(&["account", "key", "revoke", &first]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    assert!(!revoked.stdout.contains(&first) && first.contains(revoked.stdout.trim_start_matches("revoked ").trim()));
    assert_eq!((status_with(&serving, &first), status_with(&serving, &second)), (401, 200));
    world.run(&["account", "key", "revoke", &first]).failed_with(1, &["no valid key"]);
}

#[test]
fn with_several_accounts_a_command_asks_which() {
    let world = World::new();
    let (first, _) = world.create_account();
    let (second, _) = world.create_account();
    world.run(&["account", "key", "list"]).failed_with(1, &["--account", &first, &second]);
    assert_eq!(world.run(&["account", "key", "list", "--account", &first]).code, Some(0));
    world.run(&["account", "key", "list", "--account", "acc_0000000"]).failed_with(1, &["no account acc_0000000"]);
    let listed = world.run(&["account", "list", "--json"]).stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

#[test]
fn a_key_does_what_its_scopes_say_and_lists_its_end_and_last_use() {
    let world = World::new();
    let serving = world.serve();
    world.create_account();
    let made = world.run(&["account", "key", "create", "--scope", "read,audience", "--expires", "90d", "--json"]);
    let key = made.json()["apiKey"].as_str().unwrap().to_owned();
    assert_eq!(status_with(&serving, &key), 200);
    let json = ("content-type", "application/json");
    let (status, told) = serving.request("POST /api/v1/mangoes", &[("x-api-key", &key), json], b"{\"name\":\"Gold\"}");
    assert!(status == 403 && told.contains("\\\"manage\\\""), "{status} {told}");

    let listed = world.run(&["account", "key", "list", "--json"]).stdout;
    let line = listed.lines().find(|line| key.contains(&line[8..20])).unwrap();
    let row: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&row["scopes"], &row["state"]), (&serde_json::json!(["read", "audience"]), &"good".into()));
    assert!(row["expiresAt"].is_string() && row["lastUsedAt"].is_string(), "{row}");
    world.run(&["account", "key", "create", "--scope", "all"]).failed_with(2, &["no scope \"all\"", "\"audience\""]);
}

#[test]
fn a_rotated_key_goes_on_beside_the_new_one_and_the_log_says_who_did_it() {
    let world = World::new();
    let serving = world.serve();
    let (_, first) = world.create_account();
    let rotated = world.run(&["account", "key", "rotate", &first, "--overlap", "2h", "--json"]);
    let second = rotated.json()["apiKey"].as_str().unwrap().to_owned();
    assert!(rotated.stderr.contains("is good until") && !rotated.stderr.contains(&first), "{rotated:?}");
    assert_eq!((status_with(&serving, &first), status_with(&serving, &second)), (200, 200));
    let third = world.run(&["account", "key", "rotate", &second, "--overlap", "0h", "--json"]).json();
    assert_eq!(status_with(&serving, third["apiKey"].as_str().unwrap()), 200);

    let log = world.run(&["audit", "list", "-o", "csv"]).stdout;
    let acts: Vec<&str> = log.lines().skip(1).map(|line| line.split(',').nth(3).unwrap()).collect();
    assert_eq!(acts, ["key.rotate", "key.rotate", "account.create"], "{log}");
    assert!(log.lines().skip(1).all(|line| line.contains(",command line,,")), "{log}");
    assert!(!log.contains(&first) && !log.contains(&second), "{log}");
}
