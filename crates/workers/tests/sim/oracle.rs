//! The oracle: what was promised, what has left, what is on disk; and at each step whether that is as it must be. It
//! knows nothing of how lanes work, only what they ask of the store and of the network.

mod leases;
mod sending;
mod settling;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use jiff::Timestamp;
use provider::attempt::Outcome;
use store::Lease;
use tokio::time::Instant;
use webinar::{SeriesId, Trigger};
use wire::{EndpointId, FanOutId};

use crate::options::Options;
use crate::people::People;

pub(crate) use sending::Request;

/// What holds, or in words what does not.
pub(crate) type Held = Result<(), String>;
/// One delivery.
pub(crate) type Key = (FanOutId, u64);

pub(crate) struct Oracle {
    pub(crate) people: People,
    window: u32,
    /// Nothing goes wrong but with receivers.
    is_calm: bool,
    /// The store answers, and at once.
    is_store_sound: bool,
    fan_outs: BTreeMap<FanOutId, FanOutLedger>,
    sessions: Vec<Session>,
    newest: HashMap<EndpointId, SessionNumber>,
    /// Deliveries promised and not yet finished on disk.
    owed: usize,
}

/// What was promised of one fan-out, and how far it has got.
pub(crate) struct FanOutLedger {
    pub(crate) endpoint: EndpointId,
    pub(crate) series: SeriesId,
    pub(crate) version: u32,
    pub(crate) trigger: Trigger,
    pub(crate) series_part: Bytes,
    pub(crate) deliveries: BTreeMap<u64, Delivery>,
    pub(crate) is_swept: bool,
    cursor: u64,
}

/// One person's webhook within a fan-out.
#[derive(Default)]
pub(crate) struct Delivery {
    /// Rank in the audience, from 1.
    index: u64,
    /// As the disk says.
    pub(crate) finished: Option<End>,
    /// Attempts on disk.
    pub(crate) attempts: u16,
    /// When the disk says it is due again.
    due: Option<Timestamp>,
    /// Times the receiver took it for delivered.
    pub(crate) acted: u32,
}

/// How a delivery has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Delivered,
    Abandoned,
    /// A newer version of the series arrived before it.
    Superseded,
}

/// One owner's time with a lane.
struct Session {
    lease: Lease,
    /// The run of a process that has it.
    owner: u64,
    /// By the clock of the machine that asked last.
    until: Timestamp,
    /// It has read what there is to do.
    is_open: bool,
    released: bool,
    /// Why it may end without giving the lane back.
    excuse: Option<&'static str>,
    /// Since when another has the lane, while this owner may not know it yet.
    superseded_at: Option<Instant>,
    /// Deliveries on their way, with the numbers of their attempts.
    in_flight: Vec<(Key, u16)>,
    /// Attempts that have ended and are not on disk.
    unsettled: HashMap<Key, (u16, Outcome)>,
    told_paused: bool,
    failures_in_row: u32,
    /// On its machine's clock.
    closed_at: Option<Timestamp>,
    /// The first failure of a row, or the last of a probe.
    rests_from: Timestamp,
    /// The one request that may find out whether the endpoint is back.
    probe: Option<Key>,
    /// Its owner has said that the endpoint is well.
    is_trusted: bool,
    /// Of the last order that the lane has read.
    signal: u64,
    not_before: Option<Timestamp>,
    is_gone: bool,
}

/// Which owner's time with a lane: an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionNumber(pub(crate) usize);

impl Oracle {
    pub(crate) fn new(options: &Options) -> Oracle {
        Oracle {
            people: People::default(),
            window: options.window,
            is_calm: options.is_calm,
            is_store_sound: options.is_store_sound(),
            fan_outs: BTreeMap::new(),
            sessions: Vec::new(),
            newest: HashMap::new(),
            owed: 0,
        }
    }

    /// Notes what a save has promised: everyone in `audience` is told once by this fan-out.
    pub(crate) fn promise(&mut self, id: FanOutId, mut ledger: FanOutLedger, audience: impl IntoIterator<Item = u64>) {
        let ranked = audience.into_iter().zip(1..);
        ledger.deliveries = ranked.map(|(number, index)| (number, Delivery { index, ..Delivery::default() })).collect();
        self.owed += ledger.deliveries.len();
        self.fan_outs.insert(id, ledger);
    }

    pub(crate) fn owed(&self) -> usize {
        self.owed
    }

    /// Whether a person has not been told of something.
    pub(crate) fn owes_person(&self, number: u64) -> bool {
        self.unfinished().any(|(_, _, owed)| owed == number)
    }

    pub(crate) fn owes_endpoint(&self, endpoint: EndpointId) -> bool {
        self.unfinished().any(|(_, ledger, _)| ledger.endpoint == endpoint)
    }

    pub(crate) fn owes_series(&self, series: SeriesId) -> bool {
        self.unfinished().any(|(_, ledger, _)| ledger.series == series)
    }

    /// Fan-outs to an endpoint of which somebody has not been told.
    pub(crate) fn fan_outs_owed(&self, endpoint: EndpointId) -> usize {
        let open = self.fan_outs.values().filter(|ledger| ledger.endpoint == endpoint && !ledger.is_swept);
        open.count()
    }

    /// Every delivery not yet finished on disk.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = (FanOutId, &FanOutLedger, u64)> {
        self.fan_outs.iter().flat_map(|(id, ledger)| {
            let open = ledger.deliveries.iter().filter(|(_, delivery)| delivery.finished.is_none());
            open.map(move |(number, _)| (*id, ledger, *number))
        })
    }

    pub(crate) fn fan_outs(&self) -> &BTreeMap<FanOutId, FanOutLedger> {
        &self.fan_outs
    }

    fn session(&mut self, number: SessionNumber) -> &mut Session {
        &mut self.sessions[number.0]
    }
}

impl FanOutLedger {
    pub(crate) fn new(endpoint: EndpointId, series: SeriesId, version: u32, trigger: Trigger, part: Bytes) -> Self {
        FanOutLedger {
            endpoint,
            series,
            version,
            trigger,
            series_part: part,
            deliveries: BTreeMap::new(),
            is_swept: false,
            cursor: 0,
        }
    }
}

/// Fails in these words unless something holds.
fn require(holds: bool, words: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(words()) }
}
