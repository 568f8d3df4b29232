use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use wire::SigningSecret;

use crate::world::{BINARY, Ran, Serving, World};

const KEY_FILE: &str = "fanfare.db.key";

impl World {
    /// Runs the binary with these keys in the environment.
    fn run_with_keys(&self, arguments: &[&str], keys: &str) -> Ran {
        self.run_with(BINARY, arguments, |command| command.env("FANFARE_SECRET_KEY", keys))
    }

    fn new_key(&self) -> String {
        let ran = self.run(&["secrets", "new-key"]);
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{ran:?}");
        ran.stdout.trim_end().to_owned()
    }

    /// Makes a source with a key, which is the first secret in the database; the key.
    fn create_source(&self) -> String {
        let secret = SigningSecret::from_random([0xe7; 32]).reveal();
        let ran = self.run(&["inbox", "source", "create", "--name", "Shop", "--key", &secret]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        secret.to_string()
    }

    /// The ids of the keys that secrets are sealed with.
    fn key_ids(&self) -> Vec<String> {
        let database = rusqlite::Connection::open(self.path("fanfare.db")).unwrap();
        let mut statement = database.prepare("select key_id from sealing_key").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Whether these bytes stand in the database, its log, or any other file beside it.
    fn holds(&self, wanted: &str) -> bool {
        let files = fs::read_dir(self.path(".")).unwrap().map(|entry| entry.unwrap().path());
        let mut contents = files.map(|file| fs::read(file).unwrap());
        contents.any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted.as_bytes()))
    }
}

/// Stops a server; all it has said.
fn stop(serving: Serving) -> String {
    serving.signal(nix::sys::signal::Signal::SIGTERM);
    let (code, told) = serving.wait();
    assert_eq!(code, Some(0), "{told}");
    told
}

#[test]
fn a_key_file_is_made_beside_the_database_and_told_of_once() {
    let world = World::new();
    let mut serving = world.serve();
    serving.read_until("made the key that seals signing secrets");
    let told = stop(serving);
    assert!(told.contains(KEY_FILE), "{told}");
    let file = world.path(KEY_FILE);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read_to_string(&file).unwrap();
    assert!(before.contains("fkey_") && !told.contains("fkey_"));
    let told = stop(world.serve());
    assert!(!told.contains("made the key"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), before, "it is never written again");
}

#[test]
fn a_command_that_makes_the_key_file_tells_of_it_too() {
    let world = World::new();
    let create = ["account", "create", "--name", "A", "--timezone", "UTC"];
    let told = [world.run(&create).stderr, world.run(&create).stderr];
    assert_eq!(told.each_ref().map(|told| told.contains(KEY_FILE)), [true, false], "{told:?}");
}

#[test]
fn a_missing_key_file_is_told_at_the_start_and_no_other_is_made() {
    let world = World::new();
    world.create_account();
    world.create_source();
    fs::rename(world.path(KEY_FILE), world.path("elsewhere.key")).unwrap();
    let id = world.key_ids().remove(0);
    for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["account", "key", "create"]] {
        world.run(command).failed_with(1, &["sealed with key", &id, KEY_FILE, "bring it back"]);
    }
    world
        .run(&["inbox", "source", "list"])
        .failed_with(1, &[&format!("error: a stored secret is sealed with key {id}")]);
    assert_eq!(world.run(&["account", "list"]).code, Some(0), "what is no secret is shown");
    assert!(!world.path(KEY_FILE).exists());
    let moved = world.path("elsewhere.key").display().to_string();
    let ran = world.run(&["inbox", "source", "list", "--secret-key-file", &moved]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn another_key_is_refused_at_the_start_by_name() {
    let world = World::new();
    world.create_account();
    world.create_source();
    let id = world.key_ids().remove(0);
    let refused = world.run_with_keys(&["serve", "--listen", "127.0.0.1:0"], &world.new_key());
    refused.failed_with(1, &[&format!("sealed with key {id}"), "not among those given", "FANFARE_SECRET_KEY"]);
}

#[test]
fn the_key_is_exchanged_by_resealing_everything() {
    let world = World::new();
    world.create_account();
    world.create_source();
    let old = fs::read_to_string(world.path(KEY_FILE)).unwrap();
    let old = old.lines().last().unwrap();
    let (new, list) = (world.new_key(), ["inbox", "source", "list"]);
    let both = format!("{new},{old}");
    assert_eq!(world.run_with_keys(&list, &both).code, Some(0));

    let resealed = world.run_with_keys(&["secrets", "reseal", "--json"], &both).json();
    assert_eq!((&resealed["resealed"], &resealed["key"]), (&json!(1), &json!(world.key_ids()[0])));
    assert_eq!(world.key_ids().len(), 1);
    assert_eq!(world.run_with_keys(&list, &new).code, Some(0), "the old one is not needed any more");
    world.run(&list).failed_with(1, &["which was not given"]);
}

#[test]
fn beside_a_server_that_does_not_know_the_new_key_nothing_is_resealed() {
    let world = World::new();
    world.create_account();
    world.create_source();
    let _serving = world.serve();
    let old = fs::read_to_string(world.path(KEY_FILE)).unwrap();
    let both = format!("{},{}", world.new_key(), old.lines().last().unwrap());
    world.run_with_keys(&["secrets", "reseal"], &both).failed_with(1, &["restart it"]);
    let ran = world.run(&["secrets", "reseal"]);
    assert_eq!((ran.code, ran.stdout.starts_with("0 secrets")), (Some(0), true), "{ran:?}");
}

#[test]
fn keys_from_two_places_and_keys_that_are_none_are_wrong_usage() {
    let world = World::new();
    let file = ["account", "create", "--name", "A", "--timezone", "UTC", "--secret-key-file", "a.key"];
    world.run_with_keys(&file, &world.new_key()).failed_with(2, &["leave one of them out"]);
    world.run(&file).failed_with(1, &["cannot read the key file a.key"]);
    world.run_with_keys(&file[..6], "fkey_c2hvcnQ=").failed_with(1, &["FANFARE_SECRET_KEY: key 1: a sealing key is"]);
    assert!(!world.path("fanfare.db").exists());
}

#[test]
fn what_a_running_server_was_given_stands_nowhere_on_its_disk() {
    let world = World::new();
    let (_, key) = world.create_account();
    let serving = world.serve();
    let hook = json!({"url": "https://receiver.example/hook", "event": "webinar.created.recurring"});
    let made = serving.call(&key, "/api/v1/subscriptions", &hook);
    let path = format!("/api/v1/endpoints/{}/rotate-secret", made["endpoint"]["id"].as_str().unwrap());
    let mut secrets = vec![made["signingSecret"].clone(), json!(world.create_source())];
    for kind in ["v1", "v1a"] {
        secrets.push(serving.call(&key, &path, &json!({"kind": kind}))["signingSecret"].clone());
    }
    let search = |when: &str| {
        assert!(world.holds("https://receiver.example/hook"), "the search finds what is there");
        for secret in secrets.iter().map(|secret| secret.as_str().unwrap()) {
            assert!(!world.holds(secret) && !world.holds(&secret[8..28]), "{when}");
        }
    };
    search("while it runs");
    let told = stop(serving);
    search("after its end");
    assert!(secrets.iter().all(|secret| !told.contains(&secret.as_str().unwrap()[8..28])), "nor in its log");
}
