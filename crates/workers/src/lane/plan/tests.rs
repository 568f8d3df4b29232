//! When the plan asks the store, and when it leaves it in peace; and who waits for whom.

use jiff::Timestamp;
use store::Member;
use store_spec::Model;
use webinar::{EventType, Participant, Trigger, Zones};
use wire::{AccountId, EndpointId, EventId};

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
const PAGE_SIZE: usize = 10;

fn plan() -> Plan {
    let lease = Lease { account: AccountId::from_u32(1), endpoint: EndpointId::from_bytes([1; 16]), epoch: 1 };
    Plan::new(Arc::new(Model::default()), lease)
}

impl Plan {
    /// Takes up one version of the one series, with all its people.
    fn take_up(&mut self, version: u32, people: &[u64], finished_beyond: &[u64]) {
        let fan_out = FanOut {
            id: FanOutId::from_bytes([version as u8; 16]),
            event: EventId::from_bytes([version as u8; 16]),
            origin: FanOutId::from_bytes([version as u8; 16]),
            replay: None,
            rate: None,
            event_type: EventType::WebinarCreatedRecurring,
            trigger: Trigger::Updated,
            series: SeriesId::from_bytes([9; 12]),
            version,
            series_part: "}".into(),
            attendee_instant: None,
            audience: people.len() as u64,
        };
        let id = fan_out.id;
        let finished_beyond = finished_beyond.to_vec();
        self.open(vec![FanOutWork { fan_out, cursor: Place::default(), finished_beyond }], Duration::ZERO);
        self.sweeps.iter_mut().for_each(|sweep| sweep.go_on_if(true));
        let sweep = self.sweeps.iter_mut().find(|sweep| sweep.id() == id).expect("taken up");
        sweep.take_in(people.iter().zip(1..).map(|(number, index)| member(*number, index)).collect(), PAGE_SIZE);
    }

    /// Everything that may be sent now, as version and participant.
    fn next_ones(&mut self) -> Vec<(u32, u64)> {
        let errands = std::iter::from_fn(|| self.next(Duration::ZERO));
        errands.map(|errand| (errand.letter.fan_out.version, errand.place.participant)).collect()
    }
}

fn member(participant: u64, index: u64) -> Member {
    let somebody = Participant::parse("Ada", "ada@example.com", "", "", &Zones::bundled()).expect("a person");
    Member::ToTell(Recipient { place: Place { participant, index }, participant: somebody })
}

#[tokio::test]
async fn a_query_that_brings_nothing_new_is_not_asked_again_at_once() {
    let mut plan = plan();
    plan.take_in(Fetched::Retries { signal: 0, reading: 0, found: Vec::new(), more_from: Some(NOW) }, Duration::ZERO);
    plan.fetch_ahead();
    assert!(plan.fetching().is_none());

    plan.want_retries(NOW);
    plan.fetch_ahead();
    assert!(plan.fetching().is_some(), "but when it is time again");
}

#[tokio::test]
async fn retries_that_wait_are_not_asked_for_again_before_what_is_on_its_way_is_back() {
    let mut plan = plan();
    plan.take_up(1, &[1], &[]);
    let on_its_way = plan.next(Duration::ZERO).expect("the first version");
    let FanOut { version, id, .. } = on_its_way.letter.fan_out.clone();
    let older = FanOut { id: FanOutId::from_bytes([9; 16]), version: version - 1, ..on_its_way.letter.fan_out.clone() };
    let Member::ToTell(recipient) = member(1, 1) else { panic!("somebody") };
    let retry = Retry { fan_out: older.id, recipient, attempt: 2, charged: 1, is_outdated: false };
    let found = vec![(Arc::new(Letter::new(older)), retry)];
    plan.take_in(Fetched::Retries { signal: 0, reading: 0, found, more_from: Some(NOW) }, Duration::ZERO);
    assert!(plan.next(Duration::ZERO).is_none(), "it waits for {id}");

    plan.fetch_ahead();
    assert!(plan.fetching().is_none(), "it would bring the same");
    plan.finish(&on_its_way);
    plan.fetch_ahead();
    assert!(plan.fetching().is_some());
}

#[tokio::test]
async fn somebody_who_left_between_two_versions_holds_up_neither() {
    let mut plan = plan();
    plan.take_up(1, &[1, 2, 3], &[]);
    plan.retried.take((SeriesId::from_bytes([9; 12]), 2));
    plan.take_up(2, &[1, 3, 4], &[]);
    assert_eq!(plan.next_ones(), [(1, 1), (1, 3), (2, 4)], "2 has a retry on its way");
    plan.retried.put_back((SeriesId::from_bytes([9; 12]), 2));
    assert_eq!(plan.next_ones(), [(1, 2)], "although the newer version has gone past");
}

#[tokio::test]
async fn who_was_finished_before_a_crash_holds_up_nobody() {
    let mut plan = plan();
    plan.take_up(1, &[1, 2], &[1, 2]);
    plan.take_up(2, &[1, 2], &[]);
    assert_eq!(plan.next_ones(), [(2, 1), (2, 2)]);
}

#[tokio::test]
async fn whoever_has_not_answered_is_alone_in_waiting_for_the_next_version() {
    let mut plan = plan();
    plan.take_up(1, &[1, 2, 3], &[]);
    assert_eq!(plan.next_ones(), [(1, 1), (1, 2), (1, 3)]);
    plan.take_up(2, &[1, 2, 3], &[]);
    plan.sweeps[0].finish(1);
    plan.sweeps[0].finish(3);
    assert_eq!(plan.next_ones(), [], "a query may not know yet that 1 and 3 have it");
    plan.note_progress(&mut Settlement::default(), NOW);
    plan.note_committed();
    plan.begin_query();
    assert_eq!(plan.next_ones(), [(2, 1), (2, 3)], "2 holds up nobody else");
}
