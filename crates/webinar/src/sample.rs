//! A series and a person that are plainly not real, for a webhook that only tries whether a receiver works.

use jiff::tz::Offset;
use jiff::{Span, Timestamp};

use crate::draft::{LateJoiners, SeriesDraft};
use crate::identity::SeriesId;
use crate::mistake::{Invalid, Mistake, Mistakes};
use crate::participant::Participant;
use crate::series::Series;
use crate::zones::Zones;

/// The plan that the person is a member of.
pub const SAMPLE_MANGO: &str = "Test plan";
/// The creator's zone and the person's: neither UTC nor whole hours from it, where mistakes show.
const ZONE: &str = "Asia/Kolkata";
const SESSIONS: u32 = 3;

/// A weekly series of three sessions, the first a week after `now`.
pub fn sample_series(id: SeriesId, zones: &Zones, now: Timestamp) -> Result<Series, Invalid> {
    let first = Offset::UTC.to_datetime(now).date().checked_add(Span::new().weeks(1));
    let mut mistakes = Mistakes::default();
    let first = mistakes.keep("/start", first.map_err(|error| Mistake::new(error.to_string())));
    let draft = SeriesDraft {
        title: "Fanfare test webinar".to_owned(),
        link: "https://example.com/fanfare-test".to_owned(),
        timezone: ZONE.to_owned(),
        start: format!("{}T15:30", mistakes.finish(first)?),
        duration_minutes: 60,
        recurrence: Some(format!("FREQ=WEEKLY;COUNT={SESSIONS}")),
        except: Vec::new(),
        overrides: Vec::new(),
        mangoes: Vec::new(),
        exclude_mangoes: Vec::new(),
        late_joiners: LateJoiners::Wait,
    };
    Series::parse(id, draft, zones)
}

/// Somebody whom no mail and no call can reach: a reserved domain and a number kept for stories.
pub fn sample_participant(zones: &Zones) -> Result<Participant, Invalid> {
    Participant::parse("Fanfare Test", "fanfare-test@example.com", "+12025550123", ZONE, zones)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{SeriesPart, write_body};

    #[test]
    fn the_sample_is_a_whole_body_about_nobody() {
        let (zones, now) = (Zones::bundled(), "2026-02-25T23:59:00Z".parse().unwrap());
        let series = sample_series(SeriesId::from_bytes([7; 12]), &zones, now).unwrap();
        let part = SeriesPart::render(series.sessions(), &[SAMPLE_MANGO]);
        let person = sample_participant(&zones).unwrap();
        let offset = person.timezone.as_ref().zip(part.attendee_instant()).map(|(zone, at)| zone.offset_at(at));
        let mut body = Vec::new();
        write_body(&mut body, &person, offset, part.as_bytes());

        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["name"], &body["phone"]), (&"Fanfare Test".into(), &12_025_550_123_u64.into()));
        assert_eq!((&body["timezone"], &body["mangoes"]), (&"+05:30".into(), &"Test plan".into()));
        let starts: Vec<_> = body["callList"].as_array().unwrap().iter().map(|call| &call["webinarFromTime"]).collect();
        assert_eq!(starts, ["2026-03-04T10:00:00.000Z", "2026-03-11T10:00:00.000Z", "2026-03-18T10:00:00.000Z"]);
    }
}
