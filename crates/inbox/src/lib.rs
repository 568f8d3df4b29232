//! The receiving half, wired: one TOML file read and checked, sources and handlers made of it, and started beside a
//! server or within another program.

mod clock;
pub mod config;
pub mod half;
pub mod key_file;
mod library;
pub mod trial;

pub use clock::{SystemChance, SystemClock};
pub use handlers::{Job, RunFailure};
pub use library::{Inbox, RunningInbox};
pub use receiver::Reading;
