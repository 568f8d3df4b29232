//! The settings of the receiving half: `[inbox]`, `[[source]]` and `[[handler]]` of a TOML file. Everything wrong is told
//! at once, each with its line and its mend.

mod exec;
mod forward;
mod http;
mod section;
mod source;
#[cfg(test)]
mod tests;

pub use section::{Mistake, Secrets, Section};
