//! The lane worker against the real store and real sockets: time is stepped, never waited for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod backlog;
mod delivery;
mod details;
mod erasure;
mod failure;
mod janitor;
mod leases;
mod log;
mod notices;
mod receiver;
mod replays;
mod rules;
mod secrets;
mod test_send;
mod world;
