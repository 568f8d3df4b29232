//! What a lane reports of one fan-out, in the few words a sentence needs.

use std::time::Duration;

use jiff::Timestamp;
use provider::attempt::{FailureDetail, Outcome, Phases, Reason};
use provider::frontier::Place;
use provider::lane::LaneState;
use provider::segment::{Entry, Segment};
use store::{Exception, ExceptionState, FailedAttempt, Settlement};
use wire::FanOutId;

/// A settlement in the making.
#[derive(Clone, Debug)]
pub struct Report {
    fan_out: FanOutId,
    at: Timestamp,
    entries: Vec<Entry>,
    settlement: Settlement,
}

/// The receiver did not want this one.
pub fn refused() -> Outcome {
    Outcome::Answered(422)
}

/// What is kept of a refusal: some phases that happened and some that did not.
pub fn refusal() -> FailureDetail {
    let phases = Phases {
        dns: Some(Duration::from_micros(301)),
        first_byte: Some(Duration::from_micros(1_700)),
        total: Duration::from_micros(2_500),
        ..Phases::default()
    };
    FailureDetail { phases, reason: Reason::of_status(422, None) }
}

impl Report {
    /// Nothing yet of this fan-out, at this time.
    pub fn of(fan_out: FanOutId, at: Timestamp) -> Report {
        Report { fan_out, at, entries: Vec::new(), settlement: Settlement::default() }
    }

    /// These were delivered at the first attempt.
    pub fn delivered(self, participants: impl IntoIterator<Item = u64>) -> Report {
        participants.into_iter().fold(self, |report, participant| report.delivered_at(participant, 1))
    }

    /// This one was delivered at this attempt.
    pub fn delivered_at(mut self, participant: u64, attempt: u16) -> Report {
        self.entries.push(self.entry(participant, attempt, Outcome::Answered(200)));
        match self.settlement.delivered.first_mut() {
            Some((_, count)) => *count += 1,
            None => self.settlement.delivered.push((self.fan_out, 1)),
        }
        self
    }

    /// The row of this one goes, since it was delivered.
    pub fn recovered(mut self, participant: u64) -> Report {
        self.settlement.recovered.push((self.fan_out, participant));
        self
    }

    /// Attempt `attempt` failed; the next is due then.
    pub fn retrying(mut self, place: Place, attempt: u16, due: Timestamp) -> Report {
        self.refuse(place.participant, attempt);
        self.row(place, ExceptionState::Retrying { due, attempt: attempt + 1, charged: attempt }, Some(refused()))
    }

    /// Attempt `attempt` failed and was the last.
    pub fn abandoned(mut self, place: Place, attempt: u16) -> Report {
        self.refuse(place.participant, attempt);
        self.row(place, ExceptionState::Abandoned { attempts: attempt }, Some(refused()))
    }

    /// This one was erased before their turn.
    pub fn erased(self, place: Place) -> Report {
        self.row(place, ExceptionState::Erased { attempts: 0 }, None)
    }

    /// The first attempt is still on its way, and the cursor passes.
    pub fn straggling(self, place: Place, due: Timestamp) -> Report {
        self.row(place, ExceptionState::Retrying { due, attempt: 1, charged: 0 }, None)
    }

    /// Everyone up to here is finished.
    pub fn up_to(mut self, place: Place) -> Report {
        self.settlement.cursors.push((self.fan_out, place));
        self
    }

    /// Everyone has been tried.
    pub fn swept(mut self) -> Report {
        self.settlement.swept.push(self.fan_out);
        self
    }

    /// How the endpoint is doing.
    pub fn health(mut self, health: LaneState) -> Report {
        self.settlement.health = Some(health);
        self
    }

    /// Nothing is kept of the failures so far beside their outcomes.
    pub fn without_details(mut self) -> Report {
        self.settlement.failures.clear();
        self
    }

    fn refuse(&mut self, participant: u64, attempt: u16) {
        self.entries.push(self.entry(participant, attempt, refused()));
        let (fan_out, finished_at) = (self.fan_out, self.at);
        self.settlement.failures.push(FailedAttempt { fan_out, participant, attempt, finished_at, detail: refusal() });
    }

    fn row(mut self, place: Place, state: ExceptionState, last: Option<Outcome>) -> Report {
        let last = last.map(|outcome| (outcome, self.at));
        self.settlement.exceptions.push(Exception { fan_out: self.fan_out, place, state, last });
        self
    }

    fn entry(&self, participant: u64, attempt: u16, outcome: Outcome) -> Entry {
        let finished_ms = self.at.as_millisecond();
        Entry { participant, attempt, outcome, finished_ms, latency_tenth_ms: 25 }
    }
}

impl From<Report> for Settlement {
    fn from(report: Report) -> Settlement {
        let segments = Segment::pack(report.entries).map(|segment| (report.fan_out, segment));
        Settlement { segments: segments.into_iter().collect(), ..report.settlement }
    }
}
