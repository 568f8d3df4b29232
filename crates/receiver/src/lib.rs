//! Pure decisions of the receiving half: which webhooks are believed, what they say, which were there before, and which
//! name a person.
//! No async, no clock, no randomness, no I/O: the caller brings the request and the time.

pub mod agenda;
mod calendar_token;
mod challenge;
mod dedupe;
pub mod handling;
mod kept_headers;
mod naming;
pub mod reading;
mod scheme;
mod source;
mod verify;

pub use calendar_token::{CalendarToken, ParseCalendarTokenError};
pub use challenge::{Challenge, ChallengeAnswer, VerifyToken, challenge_in_body, challenge_in_query};
pub use dedupe::{ContentDigest, DedupeKey, Identity, identify};
pub use handling::{HandlerRate, HandlerRules, HandlerStart, RunFailure, RunFailureKind};
pub use kept_headers::KeptHeaders;
pub use naming::PersonMarks;
pub use reading::{Reading, Subject, WebinarEvent};
pub use scheme::{
    Algorithm, Declaration, IdPlace, KeyEncoding, ParsePresetError, Preset, Rejection, Scheme, SignatureEncoding,
    TimePlace, TimeRule, TimeUnit,
};
pub use source::{ParseRateError, Source, SourceError, SourcePath, SourceRate};
pub use verify::{RawRequest, Verified, verify};
