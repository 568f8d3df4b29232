//! A series as a person writes it and the API takes it. Nothing here is proven yet: `Series::parse` does.
//! Also the snapshot a version stores, so it is written exactly as it is read.

use serde::{Deserialize, Serialize};

/// A series before it is read. Times are wall-clock times in `timezone`, such as `2024-03-15T15:30`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeriesDraft {
    /// What participants see.
    pub title: String,
    /// Where the webinar takes place, an `http` or `https` address.
    pub link: String,
    /// IANA name of the creator's time zone.
    pub timezone: String,
    /// Wall-clock start of the first session.
    pub start: String,
    /// Length of a session in minutes.
    pub duration_minutes: i64,
    /// An RFC 5545 recurrence rule; absent for a single session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<String>,
    /// Original starts of sessions that do not take place and are not mentioned.
    #[serde(default)]
    pub except: Vec<String>,
    /// What differs in single sessions.
    #[serde(default)]
    pub overrides: Vec<OverrideDraft>,
    /// Identifiers of the mangoes whose members are invited.
    #[serde(default)]
    pub mangoes: Vec<String>,
    /// Identifiers of mangoes whose members are not invited on their account.
    #[serde(default)]
    pub exclude_mangoes: Vec<String>,
    /// What happens to people who join after the announcement.
    #[serde(default)]
    pub late_joiners: LateJoiners,
}

/// What differs in one session; what is absent stays as the series says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverrideDraft {
    /// The session, by its original wall-clock start.
    pub session: String,
    /// The wall-clock start it is moved to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Its own length in minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_minutes: Option<i64>,
    /// Its own title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its own link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// It does not take place, and those invited should know.
    #[serde(default)]
    pub cancelled: bool,
}

/// Whether people who join after the announcement are told at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LateJoiners {
    /// They get the current version when they join.
    Announce,
    /// They get the next update, as with the seed.
    #[default]
    Wait,
}
