//! What the load says: filling, or what a fan-out of a webinar says, to somebody else in each message.

use clap::ValueEnum;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use webinar::{EventType, SeriesPart, Trigger, Zones, write_body};
use wire::headers;

use super::super::stage::{self, MANGO_NAME};
use super::FAN_OUT;

/// What messages say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::commands::bench) enum ContentKind {
    /// Nothing a handler could use.
    #[default]
    Filling,
    /// A series of webinars, each message to another person.
    Webinar,
}

/// The same, ready to be written.
pub(super) enum Content {
    Filling,
    Webinar(Box<Announcement>),
}

/// One version of a series on its way to many.
pub(super) struct Announcement {
    zones: Zones,
    part: SeriesPart,
    headers: Vec<(HeaderName, HeaderValue)>,
}

const BODY_BYTES: usize = 900;

impl ContentKind {
    /// As `--content` has it.
    pub(in crate::commands::bench) fn name(self) -> &'static str {
        match self {
            ContentKind::Filling => "filling",
            ContentKind::Webinar => "webinar",
        }
    }
}

impl Content {
    pub(super) fn new(kind: ContentKind, messages: u64) -> anyhow::Result<Content> {
        match kind {
            ContentKind::Filling => Ok(Content::Filling),
            ContentKind::Webinar => Ok(Content::Webinar(Box::new(Announcement::new(messages)?))),
        }
    }

    pub(super) fn body(&self, number: u64) -> anyhow::Result<Vec<u8>> {
        match self {
            Content::Filling => Ok(filling(number)),
            Content::Webinar(announcement) => announcement.body(number),
        }
    }

    /// Adds what a webhook of Fanfare says beside its body.
    pub(super) fn add_headers(&self, number: u64, headers: &mut HeaderMap) {
        if let Content::Webinar(announcement) = self {
            headers.extend(announcement.headers.iter().cloned());
            headers.insert(headers::FANFARE_INDEX, number.into());
        }
    }
}

fn filling(number: u64) -> Vec<u8> {
    let mut body =
        format!("{{\"name\":\"Participant {number}\",\"email\":\"participant{number}@example.com\",\"fill\":\"");
    body.extend(std::iter::repeat_n('x', BODY_BYTES.saturating_sub(body.len() + 2)));
    body.push_str("\"}");
    body.into_bytes()
}

impl Announcement {
    fn new(messages: u64) -> anyhow::Result<Announcement> {
        let zones = Zones::bundled();
        let series = stage::series(&zones)?;
        let part = SeriesPart::render(series.sessions(), &[MANGO_NAME]);
        let header = |name, text: &str| Ok((HeaderName::from_static(name), HeaderValue::from_str(text)?));
        let headers = [
            header(headers::FANFARE_EVENT, &EventType::WebinarCreatedRecurring.to_string()),
            header(headers::FANFARE_TRIGGER, Trigger::Created.as_str()),
            header(headers::FANFARE_SERIES, &series.id().to_string()),
            header(headers::FANFARE_SERIES_VERSION, "1"),
            header(headers::FANFARE_FANOUT, &FAN_OUT.to_string()),
            header(headers::FANFARE_TOTAL, &messages.to_string()),
            header(headers::FANFARE_ATTEMPT, "1"),
        ];
        Ok(Announcement { zones, part, headers: headers.into_iter().collect::<anyhow::Result<_>>()? })
    }

    fn body(&self, number: u64) -> anyhow::Result<Vec<u8>> {
        let person = stage::participant(number, &self.zones)?;
        let zone = person.timezone.as_ref();
        let offset = zone.zip(self.part.attendee_instant()).map(|(zone, at)| zone.offset_at(at));
        let mut body = Vec::new();
        write_body(&mut body, &person, offset, self.part.as_bytes());
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_body_are_of_about_900_bytes() {
        for kind in [ContentKind::Filling, ContentKind::Webinar] {
            let body = Content::new(kind, 100_000).unwrap().body(100_000).unwrap();
            assert!((850..=950).contains(&body.len()), "{kind:?}: {} bytes", body.len());
        }
    }
}
