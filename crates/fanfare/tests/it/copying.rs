//! Moving house, by the real binary: there and back, killed on the way, and refused.

mod house;

use house::{lived_in, payload, rows, stop};

use crate::test_database::TestDatabase;
use crate::world::{BINARY, Ran, World};

const OLD: &str = "sqlite:fanfare.db";
const KEY: [&str; 2] = ["--secret-key-file", "fanfare.db.key"];
/// Each run copies one chunk at least, and there are some more than tables.
const RUNS_MAX: usize = 120;

fn copy(world: &World, from: &str, to: &str) -> Ran {
    world.run(&[&["copy", "--from", from, "--to", to], &KEY[..]].concat())
}

fn copied(world: &World, from: &str, to: &str) -> Ran {
    let ran = copy(world, from, to);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// Copies by runs that die at this place until one does not; how many there were.
fn copied_dying_at(world: &World, from: &str, to: &str, place: &str) -> usize {
    let arguments = [&["copy", "--from", from, "--to", to], &KEY[..]].concat();
    let dies = |_: &usize| {
        let ran = world.run_with(BINARY, &arguments, |command| command.env("FANFARE_FAIL_POINT", place));
        assert!(ran.code.is_none() || ran.code == Some(0), "{ran:?}");
        ran.code.is_none()
    };
    1 + (0..RUNS_MAX).take_while(dies).count()
}

/// Two files hold the same, row for row.
fn same(world: &World, one: &str, other: &str) {
    let (one, mut other) = (rows(&world.path(one)), rows(&world.path(other)));
    for (table, rows) in one {
        assert_eq!(Some(rows), other.remove(&table), "{table}");
    }
    assert!(other.is_empty(), "{other:?}");
}

#[test]
fn a_file_copied_into_another_is_the_same_row_for_row() {
    let world = lived_in();
    let ran = copied(&world, OLD, "sqlite:new.db");
    assert!(ran.stdout.contains("participant") && ran.stderr.contains("give the target the same key file"), "{ran:?}");
    same(&world, "fanfare.db", "new.db");
    let died = copied_dying_at(&world, OLD, "sqlite:killed.db", "BatchAfterCommit:0");
    assert!(died > 34, "{died} runs, one for each chunk");
    same(&world, "fanfare.db", "killed.db");
    let listed = world.run(&[&["account", "list", "--json", "--database", "new.db"], &KEY[..]].concat());
    assert_eq!(listed.stdout.lines().count(), 2, "{listed:?}");
}

#[test]
fn what_went_to_postgres_and_from_there_to_another_and_back_is_the_same_row_for_row() {
    let (Some(first), Some(second)) = (TestDatabase::make(), TestDatabase::make()) else { return };
    let world = lived_in();
    copied(&world, OLD, &first.url);
    copied(&world, &first.url, &second.url);
    let ran = copied(&world, &second.url, "sqlite:back.db");
    assert!(!ran.stderr.contains("password"), "{ran:?}");
    same(&world, "fanfare.db", "back.db");
}

#[test]
fn killed_after_each_chunk_and_before_each_commit_the_same_command_ends_with_the_same() {
    let Some(database) = TestDatabase::make() else { return };
    let world = lived_in();
    let there = copied_dying_at(&world, OLD, &database.url, "BatchAfterCommit:0");
    // The first transaction passes, the second is taken back.
    let back = copied_dying_at(&world, &database.url, "sqlite:back.db", "BatchBeforeCommit:1");
    assert!(there > 34 && back > 34, "{there} runs there, {back} back");
    same(&world, "fanfare.db", "back.db");
}

#[test]
fn a_server_on_the_copy_goes_on_where_the_old_one_stood() {
    let Some(database) = TestDatabase::make() else { return };
    let world = lived_in();
    copied(&world, OLD, &database.url);
    let list = |database: &str, command: &[&str]| {
        let account = house::account(&world);
        let options = ["--account", &account, "--json", "--database", database];
        let ran = world.run(&[command, &options, &KEY].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    };
    for command in [&["inbox", "list"][..], &["deliveries", "list"], &["audit", "list"], &["notices", "list"]] {
        assert_eq!(list(&database.url, command), list("fanfare.db", command), "{command:?}");
    }
    let before = list(&database.url, &["inbox", "list", "--limit", "999"]).lines().count();
    let settings = ["--config", "inbox.toml", "--database", &database.url];
    let serving = world.serve_with(&[&settings, &KEY[..]].concat());
    for (person, said) in [(3, "duplicate"), (4, "stored")] {
        let body = payload(person);
        let answer = serving.request(&format!("POST {}", house::PATH), &house::JSON, body.as_bytes());
        assert_eq!(answer, (200, format!("{{\"status\":\"{said}\"}}")));
    }
    stop(serving);
    let messages = list(&database.url, &["inbox", "list", "--limit", "999"]);
    assert_eq!(messages.lines().count(), before + 1);
}

#[test]
fn a_copy_is_refused_where_it_would_be_none() {
    let world = lived_in();
    copy(&world, OLD, "sqlite:./fanfare.db").failed_with(2, &["cannot be copied into itself"]);
    copy(&world, OLD, OLD).failed_with(2, &["cannot be copied into itself"]);
    copy(&world, "sqlite:nowhere.db", "sqlite:new.db").failed_with(1, &["there is no database nowhere.db"]);
    assert!(!world.path("new.db").exists());
    let other = world.run(&["secrets", "new-key"]).stdout;
    world.write("other.key", other);
    let arguments = ["copy", "--from", OLD, "--to", "sqlite:new.db", "--secret-key-file", "other.key"];
    world.run(&arguments).failed_with(1, &["sealed with key", "--secret-key-file"]);
    assert!(!world.path("new.db").exists(), "nothing is begun that nobody could use");

    copied(&world, OLD, "sqlite:new.db");
    copy(&world, OLD, "sqlite:new.db").failed_with(1, &["new.db is not empty", "empty database only"]);
    let serving = world.serve();
    copy(&world, OLD, "sqlite:third.db").failed_with(1, &["another server is using", "fanfare.db"]);
    copy(&world, "sqlite:new.db", OLD).failed_with(1, &["another server is using", "fanfare.db"]);
    stop(serving);
}

#[test]
fn half_a_copy_is_served_by_nobody_and_not_mixed_with_a_later_state() {
    let Some(database) = TestDatabase::make() else { return };
    let world = lived_in();
    for to in ["sqlite:half.db", &database.url] {
        let arguments = [&["copy", "--from", OLD, "--to", to], &KEY[..]].concat();
        world.run_with(BINARY, &arguments, |command| command.env("FANFARE_FAIL_POINT", "BatchAfterCommit:5"));
        let told = ["incomplete copy of sqlite:fanfare.db", "complete it by the fanfare copy"];
        world.run(&[&["serve", "--database", to], &KEY[..]].concat()).failed_with(1, &told);
        world.run(&[&["account", "list", "--database", to], &KEY[..]].concat()).failed_with(1, &told);
    }
    world.run(&["account", "create", "--name", "Third", "--timezone", "UTC"]);
    for to in ["sqlite:half.db", &database.url] {
        copy(&world, OLD, to).failed_with(1, &["has changed since then", "begin again with an empty target"]);
    }
}

#[test]
fn a_database_on_which_a_node_was_seen_just_now_is_left_alone() {
    let (Some(served), Some(empty)) = (TestDatabase::make(), TestDatabase::make()) else { return };
    let world = lived_in();
    copied(&world, OLD, &served.url);
    served.execute(
        "insert into node select * from json_populate_record(null::node, json_build_object('name', 'host-7', 'lanes', 0,
             'node', decode(md5(''), 'hex'), 'requests', 0, 'started_at', 0,
             'seen_at', (extract(epoch from now()) * 1000)::bigint))",
    );
    for (from, to) in [(&served.url, &empty.url), (&empty.url, &served.url)] {
        let ran = copy(&world, from, to);
        assert!(ran.code == Some(1), "{ran:?}");
    }
    copy(&world, &served.url, "sqlite:new.db").failed_with(1, &["is being served by host-7", "stop that first"]);
    copy(&world, OLD, &served.url).failed_with(1, &["is being served by host-7", "stop that first"]);
    served.execute("update node set seen_at = seen_at - 3600000");
    copied(&world, &served.url, "sqlite:new.db");
}

#[test]
fn a_database_to_which_a_server_that_is_stopping_is_still_connected_is_left_alone() {
    let Some(served) = TestDatabase::make() else { return };
    let world = lived_in();
    copied(&world, OLD, &served.url);
    served.while_connected_as("fanfare", || {
        let told = ["is being served by whoever has 1 connections to it as fanfare", "stop that first"];
        copy(&world, &served.url, "sqlite:new.db").failed_with(1, &told);
    });
    served.while_connected_as("psql", || copied(&world, &served.url, "sqlite:new.db"));
}

#[test]
fn accounts_whose_messages_share_numbers_stay_on_postgres() {
    let (Some(from), Some(to)) = (TestDatabase::make(), TestDatabase::make()) else { return };
    let world = lived_in();
    copied(&world, OLD, &from.url);
    from.execute(
        "insert into message select (select account from account where account not in (select account from message)), number, source, dedupe_key, digest, message_id,
             headers, received_at, emptied, fan_out, fan_out_index, fan_out_total, body from message where number = 1",
    );
    let told = ["several accounts under one number", "copy it to PostgreSQL"];
    copy(&world, &from.url, "sqlite:new.db").failed_with(1, &told);
    assert!(!world.path("new.db").exists());
    copied(&world, &from.url, &to.url);
}
