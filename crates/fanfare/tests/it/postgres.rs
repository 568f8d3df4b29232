//! The same binary on a PostgreSQL server, which `TEST_DATABASE_URL` names: scripts/with-postgres starts one.

use std::time::Duration;

use nix::sys::signal::Signal;
use wire::SigningSecret;

use crate::deliveries::{announced_in, listed};
use crate::inbox::send_body;
use crate::test_database::TestDatabase;
use crate::world::{Serving, World};

/// Each try runs the binary anew, or waits for a while, so this is a minute and more.
const TRIES_MAX: usize = 3_000;
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the server says of itself that it is ready, or that it is not; what it says.
fn wait_for_readiness(serving: &Serving, wanted: u16) -> String {
    let mut tries = (0..TRIES_MAX).map(|_| {
        std::thread::sleep(PAUSE);
        serving.request("GET /readyz", &[], b"")
    });
    tries.find(|(status, _)| *status == wanted).map(|(_, body)| body).unwrap_or_else(|| panic!("never {wanted}"))
}

#[test]
fn what_is_announced_is_delivered_and_accepted_through_one_server() {
    let Some(database) = TestDatabase::make() else { return };
    let world = database.world();
    let (serving, event) = announced_in(&world);
    let all = (0..TRIES_MAX).map(|_| listed(&world, &["--event", &event])).find(|all| all.len() == 4).unwrap();
    let delivered = listed(&world, &["--status", "delivered"]);
    assert_eq!((delivered.len(), listed(&world, &["--status", "retrying"]).len()), (2, 2), "{all:?}");
    assert_eq!(world.run(&["inbox", "list", "--json"]).stdout.lines().count(), 2);
    let replayed = world.run(&["replay", "--event", &event, "--failed", "--yes", "--json"]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    assert!(replayed.stderr.contains("The servers on this database work it off"), "{replayed:?}");
    assert_eq!(world.run(&["secrets", "reseal", "--json"]).json()["resealed"], 0);

    serving.signal(Signal::SIGTERM);
    let (code, told) = serving.wait();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("has no standby") && told.ends_with("stopped\n"), "{told}");
}

#[test]
fn what_one_node_accepts_another_recognises_and_knows() {
    let Some(database) = TestDatabase::make() else { return };
    let world = database.world();
    world.create_account();
    let nodes = [world.serve(), world.serve()];
    let secret = SigningSecret::from_random([7; 32]);
    let created =
        world.run(&["inbox", "source", "create", "--name", "Own", "--key", &secret.reveal(), "--json"]).json();
    let path = created["path"].as_str().unwrap();
    let sent = [&nodes[0], &nodes[1], &nodes[0]].map(|node| send_body(node, path, &secret, "msg_1", b"{}"));
    assert_eq!(sent, [200, 200, 200]);
    let listed = world.run(&["inbox", "list", "--json"]).json();
    assert_eq!((&listed["messageId"], &listed["duplicates"]), (&"msg_1".into(), &2.into()), "{listed}");
}

#[test]
fn a_server_outlives_its_database_and_says_meanwhile_what_is_missing() {
    let Some(database) = TestDatabase::make() else { return };
    let world = database.world();
    let (_, key) = world.create_account();
    let serving = world.serve();
    wait_for_readiness(&serving, 200);
    database.close();
    let why = wait_for_readiness(&serving, 503);
    assert!(why.contains("PostgreSQL says"), "{why}");
    let (status, answer) = serving.request("POST /api/v1/mangoes", &[("x-api-key", &key)], br#"{"name":"Gold"}"#);
    assert_eq!(status, 503, "{answer}");
    assert_eq!(serving.request("GET /livez", &[], b"").0, 200);
    database.open();
    wait_for_readiness(&serving, 200);
    serving.create_mango(&key);
}

#[test]
fn a_node_that_only_receives_is_seen_by_its_machine_and_port_and_no_copy_is_made_beside_it() {
    let Some(database) = TestDatabase::make() else { return };
    let world = database.world();
    world.create_account();
    let serving = world.serve_with(&["--only", "receiver"]);
    let list = || world.run(&["nodes", "list", "--json"]).stdout;
    let listed = (0..TRIES_MAX).map(|_| list()).find(|listed| !listed.is_empty()).expect("it is seen");
    let node: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let port = serving.address.unwrap().port();
    assert_eq!((&node["name"], &node["lanes"]), (&format!("{host}:{port}").into(), &serde_json::Value::Null), "{node}");
    assert!(node["startedAt"].is_string(), "{node}");
    let copy = ["copy", "--from", &database.url, "--to", "sqlite:new.db"];
    world.run(&copy).failed_with(1, &["is being served by", &host, "stop that first"]);
    serving.signal(Signal::SIGTERM);
    assert_eq!(serving.wait().0, Some(0));
    assert_eq!(list(), "");
    assert_eq!(world.run(&copy).code, Some(0));
}

#[test]
fn nodes_that_start_at_once_on_an_empty_database_have_one_inbox() {
    let Some(database) = TestDatabase::make() else { return };
    let world = database.world();
    let settings =
        "[inbox]\n[[source]]\nname = \"tagmango\"\npreset = \"tagmango\"\npath = \"tm-5e0f6ad1c9b847239f3e2d1c\"\n";
    world.write("inbox.toml", settings);
    let start = || world.serve_with(&["--config", "inbox.toml", "--only", "receiver"]);
    let _nodes = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..3).map(|_| scope.spawn(start)).collect();
        starting.into_iter().map(|node| node.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(world.run(&["account", "list", "--json"]).stdout.lines().count(), 1);
}

#[test]
fn what_only_a_file_has_is_told_with_what_to_do_instead() {
    let Some(database) = TestDatabase::make() else { return };
    let world = database.world();
    world.run(&["account", "list"]).failed_with(1, &["holds nothing of Fanfare yet", "fanfare serve"]);
    world.run(&["account", "key", "list"]).failed_with(1, &["holds nothing of Fanfare yet"]);
    world.run(&["backup", "--to", "copy.db"]).failed_with(2, &["is no file", "pg_dump"]);
    world.run(&["compact"]).failed_with(2, &["is no file", "autovacuum"]);
}

#[test]
fn without_a_key_nothing_is_written_and_none_is_made() {
    let Some(database) = TestDatabase::make() else { return };
    let keyless = World::new().with("FANFARE_DATABASE", &database.url);
    let create = ["account", "create", "--name", "Acme", "--timezone", "UTC"];
    for command in [&create[..], &["serve", "--listen", "127.0.0.1:0"]] {
        keyless.run(command).failed_with(2, &["every node and command needs the same one", "fanfare secrets new-key"]);
    }
    assert_eq!(std::fs::read_dir(keyless.path(".")).unwrap().count(), 0);
    database.world().create_account();
    let listed = keyless.run(&["account", "list", "--json"]);
    assert_eq!(listed.json()["name"], "Acme", "what is no secret takes none");
}

#[test]
fn a_node_with_another_key_is_refused() {
    let Some(database) = TestDatabase::make() else { return };
    let _serving = database.world().serve();
    let other = database.world();
    other
        .run(&["serve", "--listen", "127.0.0.1:0"])
        .failed_with(1, &["is not among those given", "FANFARE_SECRET_KEY"]);
}

#[test]
fn a_server_that_cannot_be_reached_ends_the_start_and_its_password_is_not_told() {
    let world = World::new().with("FANFARE_DATABASE", "postgres://ann:sesame@127.0.0.1:1/fanfare");
    let key = world.run(&["secrets", "new-key"]).stdout;
    let world = world.with("FANFARE_SECRET_KEY", key.trim_end());
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["account", "list"]] {
        let ran = world.run(command);
        ran.failed_with(1, &["postgres://ann@127.0.0.1:1/fanfare cannot be opened", "refused"]);
        assert!(!ran.stderr.contains("sesame"), "{ran:?}");
    }
    let mistyped = World::new().with("FANFARE_DATABASE", "postgres://ann:sesame@127.0.0.1:1/fanfare?sslmode=always");
    let told = mistyped.run(&["account", "list"]);
    told.failed_with(2, &["FANFARE_DATABASE", "sslmode"]);
    assert!(!told.stderr.contains("sesame"), "{told:?}");
}
