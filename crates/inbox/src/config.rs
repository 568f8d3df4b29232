//! The settings of the receiving half: `[inbox]`, `[[source]]` and `[[handler]]` of a TOML file. Everything wrong is told
//! at once, each with its line and its mend.

mod section;
#[cfg_attr(not(test), expect(dead_code, reason = "read once handlers are made of the file"))]
mod sql;

pub use section::{Mistake, Secrets, Section};
