//! The real binary from outside: arguments, exit codes, signals, files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod accounts;
mod copying;
mod databases;
mod deliveries;
mod demo;
mod inbox;
mod members;
mod operating;
mod people;
mod postgres;
mod replays;
#[path = "../shared/secrecy.rs"]
mod secrecy;
mod secrets;
mod stopping;
mod test_database;
mod usage;
mod world;
