//! The settings of the receiving half: `[inbox]`, `[[source]]` and `[[handler]]` of a TOML file. Everything wrong is told
//! at once, each with its line and its mend.

mod calendar;
mod email;
mod section;

pub use section::{Mistake, Secrets, Section};
