//! The catalogue: which events are announced, which the seed's platform names but nobody sends yet, and
//! what sets one off.

use std::fmt;
use std::str::FromStr;

use crate::mistake::{Mistake, quoted};
use crate::series::Series;

/// An event that is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventType {
    /// A series with a rule was created or its details were updated.
    WebinarCreatedRecurring,
    /// A webinar of one session was created or its details were updated.
    WebinarCreatedSingle,
    /// Not about people: the account's owner is told of something.
    Notice(NoticeKind),
}

/// What an account's owner is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// An endpoint gets nothing more until its owner sees to it: it failed for days, or answered 410.
    EndpointDisabled,
    /// A newer tz database moves sessions that were announced.
    RulesChanged,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [NoticeKind; 2] = [NoticeKind::EndpointDisabled, NoticeKind::RulesChanged];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            NoticeKind::EndpointDisabled => "endpoint.disabled",
            NoticeKind::RulesChanged => "rules.changed",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NoticeKind {
    type Err = Mistake;

    fn from_str(name: &str) -> Result<NoticeKind, Mistake> {
        NoticeKind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            let known = NoticeKind::ALL.map(NoticeKind::as_str).join(" or ");
            Mistake::new(format!("notice {} is unknown; use {known}", quoted(name)))
        })
    }
}

/// Events of the wire contract that are not sent, so that nobody subscribes to one in vain.
const NOT_SENT_YET: [&str; 5] = [
    "webinar.reminder.15min",
    "webinar.reminder.30min",
    "webinar.reminder.1day",
    "webinar.reminder.all",
    "webinar.completed.all",
];

impl EventType {
    /// Every event that is announced.
    pub const ALL: [EventType; 4] = [
        EventType::WebinarCreatedRecurring,
        EventType::WebinarCreatedSingle,
        EventType::Notice(NoticeKind::EndpointDisabled),
        EventType::Notice(NoticeKind::RulesChanged),
    ];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            EventType::WebinarCreatedRecurring => "webinar.created.recurring",
            EventType::WebinarCreatedSingle => "webinar.created.single",
            EventType::Notice(kind) => kind.as_str(),
        }
    }

    /// The event that announces a version of this series.
    pub fn announcing(series: &Series) -> EventType {
        match series.draft().recurrence {
            Some(_) => EventType::WebinarCreatedRecurring,
            None => EventType::WebinarCreatedSingle,
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a name is not one of an event that is announced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedEvent {
    /// Subscribing to it is right, but too early.
    #[error("event \"{0}\" is known to the wire contract but not sent yet; sent are {sent}", sent = sent())]
    NotSentYet(&'static str),
    /// There is no such event.
    #[error("event {0} is unknown; sent are {sent}", sent = sent())]
    Unknown(String),
}

fn sent() -> String {
    EventType::ALL.map(EventType::as_str).join(", ")
}

impl FromStr for EventType {
    type Err = UnsupportedEvent;

    fn from_str(name: &str) -> Result<EventType, UnsupportedEvent> {
        if let Some(event) = EventType::ALL.into_iter().find(|event| event.as_str() == name) {
            return Ok(event);
        }
        match NOT_SENT_YET.into_iter().find(|known| *known == name) {
            Some(known) => Err(UnsupportedEvent::NotSentYet(known)),
            None => Err(UnsupportedEvent::Unknown(quoted(name))),
        }
    }
}

/// What set an event off; the seed's body does not tell, so a header does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// The first version of a series.
    Created,
    /// A later one.
    Updated,
}

impl Trigger {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Trigger::Created => "created",
            Trigger::Updated => "updated",
        }
    }
}

impl FromStr for Trigger {
    type Err = Mistake;

    fn from_str(name: &str) -> Result<Trigger, Mistake> {
        [Trigger::Created, Trigger::Updated]
            .into_iter()
            .find(|trigger| trigger.as_str() == name)
            .ok_or_else(|| Mistake::new(format!("trigger {} is unknown; use created or updated", quoted(name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_and_trigger_reads_back_from_its_name() {
        for event in EventType::ALL {
            assert_eq!(event.as_str().parse(), Ok(event));
        }
        for kind in NoticeKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.as_str().parse(), Ok(EventType::Notice(kind)));
        }
        for trigger in [Trigger::Created, Trigger::Updated] {
            assert_eq!(trigger.as_str().parse(), Ok(trigger));
        }
    }

    #[test]
    fn a_reminder_is_refused_as_too_early_and_a_typo_as_unknown() {
        let early = "webinar.reminder.15min".parse::<EventType>().unwrap_err();
        assert_eq!(early, UnsupportedEvent::NotSentYet("webinar.reminder.15min"));
        let typo = "webinar.created.recuring".parse::<EventType>().unwrap_err();
        assert!(matches!(typo, UnsupportedEvent::Unknown(_)));
        assert!(typo.to_string().contains("sent are webinar.created.recurring, webinar.created.single"), "{typo}");
    }
}
