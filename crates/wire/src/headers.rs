//! The names of the headers of a delivery, in lower case as HTTP/2 and most servers hand them over.
//!
//! The `webhook-*` three are those of Standard Webhooks and are what the signature covers (with the body); the
//! `fanfare-*` ones say what the compatible body has no field for. They are not signed: use them to show and to
//! count, never to decide who may do something.

/// Identity of the message, the same on every attempt: the key to recognise duplicates by.
pub const WEBHOOK_ID: &str = "webhook-id";
/// When this attempt was signed, in whole unix seconds; fresh on every attempt.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// One or more signatures, `version,base64`, separated by spaces.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";

/// Type of the event, for example `webinar.created.recurring`.
pub const FANFARE_EVENT: &str = "fanfare-event";
/// What happened to the series: `created` or `updated`.
pub const FANFARE_TRIGGER: &str = "fanfare-trigger";
/// The series' id.
pub const FANFARE_SERIES: &str = "fanfare-series";
/// The version of the series this delivery announces, counted from 1.
pub const FANFARE_SERIES_VERSION: &str = "fanfare-series-version";
/// The fan-out this delivery belongs to, for example `fan_01jw…`.
pub const FANFARE_FANOUT: &str = "fanfare-fanout";
/// Place of this delivery within its fan-out, counted from 1.
pub const FANFARE_INDEX: &str = "fanfare-index";
/// How many deliveries the fan-out has.
pub const FANFARE_TOTAL: &str = "fanfare-total";
/// The replay this delivery was sent again by, for example `rpl_01jw…`; only where it was. The message id is that of the
/// first time.
pub const FANFARE_REPLAY: &str = "fanfare-replay";
/// Which attempt of this delivery it is, counted from 1.
pub const FANFARE_ATTEMPT: &str = "fanfare-attempt";
/// `true` on a webhook that only tries whether the receiver works: it is about nobody. Absent otherwise.
pub const FANFARE_TEST: &str = "fanfare-test";
/// Which source of the inbox that forwards it the webhook came in by.
pub const FANFARE_FORWARDED_SOURCE: &str = "fanfare-forwarded-source";
/// How many inboxes have forwarded the webhook so far, so that a circle is noticed.
pub const FANFARE_HOPS: &str = "fanfare-hops";
