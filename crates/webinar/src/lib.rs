//! The domain: a webinar series, its sessions, who takes part, and the payload that announces it.
//! Pure: no clock, no chance, no input or output. Whoever calls brings the time zone database.

mod diff;
mod draft;
mod event;
mod fields;
mod identity;
mod mistake;
mod participant;
mod payload;
mod recurrence;
mod rules;
mod sample;
mod series;
mod session;
mod zones;

pub use diff::{Change, DiffCounts, SeriesDiff, diff};
pub use draft::{LateJoiners, OverrideDraft, SeriesDraft};
pub use event::{EventType, NoticeKind, Trigger, UnsupportedEvent};
pub use fields::{DURATION_MINUTES, LINK_CHARS_MAX, START_YEARS, TITLE_CHARS_MAX};
pub use identity::{MangoId, SeriesId, SessionId};
pub use mistake::{FieldError, Invalid, MISTAKES_MAX, Mistake};
pub use participant::{EMAIL_BYTES_MAX, NAME_CHARS_MAX, PHONE_DIGITS, Participant, Phone, parse_email};
pub use payload::{SeriesPart, write_body};
pub use recurrence::{HORIZON_YEARS, RULE_CHARS_MAX, Rule, SESSIONS_MAX};
pub use rules::{Announced, AnnouncedSession, MovedSession, RuleChange, RuleUpdate, ShownMoment};
pub use sample::{SAMPLE_MANGO, sample_participant, sample_series};
pub use series::{MANGOES_MAX, Series};
pub use session::{Session, SessionStatus};
pub use zones::{AttendeeZone, Moment, Resolved, Zone, Zones, is_newer_tzdb};
