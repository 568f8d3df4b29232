//! A series to be saved, in the few words a sentence needs.

use jiff::Timestamp;
use store::{Ending, NewEvent, SaveSeries};
use webinar::{EventType, LateJoiners, MangoId, Series, SeriesDraft, SeriesId, SeriesPart, SessionId, Trigger, Zones};
use wire::EventId;

/// A version of a series: weekly on Fridays from 2024-03-15 15:30 on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The series.
    pub id: SeriesId,
    /// The version it was made from; 0 for a new one.
    pub from_version: u32,
    /// What participants see.
    pub title: String,
    /// Number of sessions.
    pub sessions: u32,
    /// Whose members are invited.
    pub mangoes: Vec<MangoId>,
    /// Whose members are not invited on that account.
    pub excluded: Vec<MangoId>,
    /// Whether it goes on.
    pub ending: Ending,
}

impl Plan {
    pub(crate) fn new(id: [u8; 12], mangoes: &[MangoId]) -> Plan {
        Plan {
            id: SeriesId::from_bytes(id),
            from_version: 0,
            title: "Design clinic".to_owned(),
            sessions: 2,
            mangoes: mangoes.to_vec(),
            excluded: Vec::new(),
            ending: Ending::GoesOn,
        }
    }

    /// Without those who are in none but these mangoes.
    pub fn without(mut self, excluded: &[MangoId]) -> Plan {
        self.excluded = excluded.to_vec();
        self
    }

    /// The version after this one.
    pub fn next(&self) -> Plan {
        Plan { from_version: self.from_version + 1, ..self.clone() }
    }

    /// The same with another number of sessions.
    pub fn with_sessions(mut self, sessions: u32) -> Plan {
        self.sessions = sessions;
        self
    }

    /// What people write of it.
    pub fn draft(&self) -> SeriesDraft {
        let text = |ids: &[MangoId]| ids.iter().map(ToString::to_string).collect();
        SeriesDraft {
            title: self.title.clone(),
            link: "https://meet.example/room".to_owned(),
            timezone: "Asia/Kolkata".to_owned(),
            start: "2024-03-15T15:30".to_owned(),
            duration_minutes: 60,
            recurrence: Some(format!("FREQ=WEEKLY;BYDAY=FR;COUNT={}", self.sessions)),
            except: Vec::new(),
            overrides: Vec::new(),
            mangoes: text(&self.mangoes),
            exclude_mangoes: text(&self.excluded),
            late_joiners: LateJoiners::default(),
        }
    }

    /// As the domain sees it.
    pub fn series(&self, zones: &Zones) -> Series {
        Series::parse(self.id, self.draft(), zones).expect("a series")
    }

    /// The ids of its sessions.
    pub fn session_ids(&self, zones: &Zones) -> Vec<SessionId> {
        self.series(zones).sessions().iter().map(|session| session.id).collect()
    }

    /// The save of this version, announced by an event with this id.
    pub fn to_save(&self, event: [u8; 16], zones: &Zones, now: Timestamp) -> SaveSeries {
        let series = self.series(zones);
        let part = SeriesPart::render(series.sessions(), &["Gold", "Silver, \"plus\""]);
        let trigger = if self.from_version == 0 { Trigger::Created } else { Trigger::Updated };
        let event = NewEvent {
            id: EventId::from_bytes(event),
            event: EventType::announcing(&series),
            trigger,
            attendee_instant: series.sessions().first().map(|session| session.begin.instant),
            series_part: part.as_bytes().to_vec().into(),
            tzdb_version: zones.version().to_owned(),
        };
        SaveSeries { series, from_version: self.from_version, ending: self.ending, event, now }
    }
}
