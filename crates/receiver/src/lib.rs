//! Pure decisions of the receiving half: which webhooks are believed, what they say, which were there before, and which
//! name a person.
//! No async, no clock, no randomness, no I/O: the caller brings the request and the time.

mod dedupe;
mod handling;
mod kept_headers;
mod naming;
pub mod reading;
mod source;
mod verify;

pub use dedupe::{ContentDigest, DedupeKey, Identity, identify};
pub use handling::{HandlerRate, HandlerRules, HandlerStart, RunFailure, RunFailureKind};
pub use kept_headers::KeptHeaders;
pub use naming::PersonMarks;
pub use reading::{Reading, Subject, WebinarEvent};
pub use source::{Scheme, Source, SourceError};
pub use verify::{RawRequest, Verified, verify};
pub use wire::Rejection;
