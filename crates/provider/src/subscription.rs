//! Who is told of an event: endpoints subscribe to event types, all webinars or one.

use std::fmt;
use std::str::FromStr;

use webinar::{EventType, SeriesId, SessionId};
use wire::{EndpointId, SubscriptionId};

/// One endpoint's wish to be told of one type of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Who is told.
    pub endpoint: EndpointId,
    /// Of what.
    pub event: EventType,
    /// Of which webinar only; `None` for all.
    pub webinar: Option<WebinarFilter>,
}

/// The id of a series or of one of its sessions: the field's users know one or the other, both have 24 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebinarFilter([u8; 12]);

/// A saved series as subscriptions see it.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// What is announced.
    pub event: EventType,
    /// Of which series.
    pub series: SeriesId,
    /// The sessions it has or had in the version before.
    pub sessions: &'a [SessionId],
}

impl Subscription {
    /// Whether this subscription is to be told.
    pub fn concerns(&self, announcement: &Announcement<'_>) -> bool {
        self.event == announcement.event
            && self.webinar.is_none_or(|filter| {
                filter.0 == *announcement.series.as_bytes()
                    || announcement.sessions.iter().any(|session| filter.0 == *session.as_bytes())
            })
    }
}

impl WebinarFilter {
    /// From the bytes as a store keeps them.
    pub fn from_bytes(bytes: [u8; 12]) -> WebinarFilter {
        WebinarFilter(bytes)
    }

    /// The bytes as a store keeps them.
    pub fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// Read as the id of a series.
    pub fn as_series(&self) -> SeriesId {
        SeriesId::from_bytes(self.0)
    }

    /// Read as the id of a session.
    pub fn as_session(&self) -> SessionId {
        SessionId::from_bytes(self.0)
    }
}

impl From<SeriesId> for WebinarFilter {
    fn from(series: SeriesId) -> WebinarFilter {
        WebinarFilter(*series.as_bytes())
    }
}

impl From<SessionId> for WebinarFilter {
    fn from(session: SessionId) -> WebinarFilter {
        WebinarFilter(*session.as_bytes())
    }
}

impl FromStr for WebinarFilter {
    type Err = <SeriesId as FromStr>::Err;

    fn from_str(text: &str) -> Result<WebinarFilter, Self::Err> {
        SeriesId::from_str(text).map(WebinarFilter::from)
    }
}

impl fmt::Display for WebinarFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_series().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: SeriesId = SeriesId::from_bytes([1; 12]);
    const SESSION: SessionId = SessionId::from_bytes([2; 12]);

    fn is_told(event: EventType, webinar: Option<WebinarFilter>) -> bool {
        let subscription = Subscription {
            id: SubscriptionId::from_bytes([0; 16]),
            endpoint: EndpointId::from_bytes([0; 16]),
            event,
            webinar,
        };
        subscription.concerns(&Announcement {
            event: EventType::WebinarCreatedRecurring,
            series: SERIES,
            sessions: &[SESSION],
        })
    }

    #[test]
    fn without_a_filter_every_series_concerns() {
        assert!(is_told(EventType::WebinarCreatedRecurring, None));
    }

    #[test]
    fn a_filter_may_name_the_series_or_one_of_its_sessions() {
        let event = EventType::WebinarCreatedRecurring;
        assert!(is_told(event, Some(SERIES.into())));
        assert!(is_told(event, Some(SESSION.into())));
        assert!(!is_told(event, Some(WebinarFilter::from_bytes([3; 12]))));
    }

    #[test]
    fn another_event_does_not_concern() {
        assert!(!is_told(EventType::WebinarCreatedSingle, None));
    }
}
