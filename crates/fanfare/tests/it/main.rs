//! The real binary from outside: arguments, exit codes, signals, files.

mod accounts;
mod databases;
mod demo;
mod inbox;
mod members;
mod stopping;
mod usage;
mod world;
