//! Moving house, by the real binary: there and back, killed on the way, and refused.

mod house;
mod server;

use house::{lived_in, payload, rows, stop};
use server::TestDatabase;

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
    let (Some(first), Some(second)) = (TestDatabase::new(), TestDatabase::new()) else { return };
    let world = lived_in();
    copied(&world, OLD, &first.url);
    copied(&world, &first.url, &second.url);
    let ran = copied(&world, &second.url, "sqlite:back.db");
    assert!(!ran.stderr.contains("password"), "{ran:?}");
    same(&world, "fanfare.db", "back.db");
}

#[test]
fn killed_after_each_chunk_and_before_each_commit_the_same_command_ends_with_the_same() {
    let Some(database) = TestDatabase::new() else { return };
    let world = lived_in();
    let there = copied_dying_at(&world, OLD, &database.url, "BatchAfterCommit:0");
    // The first transaction passes, the second is taken back.
    let back = copied_dying_at(&world, &database.url, "sqlite:back.db", "BatchBeforeCommit:1");
    assert!(there > 34 && back > 34, "{there} runs there, {back} back");
    same(&world, "fanfare.db", "back.db");
}
