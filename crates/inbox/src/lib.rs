//! The receiving half, wired: one TOML file read and checked, sources and handlers made of it, and started beside a
//! server or within another program.

pub mod config;
