//! The `sql` handler on a real PostgreSQL and on SQLite: what it keeps, in whatever order messages come, and that what it
//! does stands exactly once, wherever a process or a connection ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what is skipped is said aloud; processes talk by it")]

mod cut;
mod events;
mod failures;
mod kill;
mod order;
mod people;
mod statements;
mod world;

/// Says aloud what this machine cannot test; `scripts/test` has seen to everything, so there it is a failure.
fn skip(what: &str) {
    assert!(std::env::var_os("FANFARE_TEST_ALL").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
}
