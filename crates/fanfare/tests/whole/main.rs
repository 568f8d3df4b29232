//! The real binary as a whole: killed at every bad moment, and spoken to by other languages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "what is skipped is said aloud; processes talk by it")]

mod backup;
mod canary;
mod client;
mod crash;
mod disk;
mod endless;
mod examples;
mod faults;
mod interop;
mod leaks;
mod ledger;
mod nodes;
mod power;
mod receiver;
mod receiving;
mod recipes;
mod rules;
#[path = "../shared/secrecy.rs"]
mod secrecy;
mod server;
mod world;

/// Says aloud what this machine cannot test; `scripts/test` has seen to everything, so there it is a failure.
fn skip(what: &str) {
    assert!(std::env::var_os("FANFARE_TEST_ALL").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
}
