//! The run worker: what handlers do with messages, on paused time. `simulation` makes thousands of runs from seeds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod batches;
mod deeds;
mod handling;
mod memory;
mod order;
mod owners;
mod poison;
mod simulation;
mod sqlite;
mod target;
mod world;
