//! The receiving half, wired: one TOML file read and checked, sources and handlers made of it, and started beside a
//! server or within another program.

mod clock;
pub mod config;
pub mod key_file;

pub use clock::{SystemChance, SystemClock};
