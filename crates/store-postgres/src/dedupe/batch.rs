//! What becomes of the messages of one transaction: which is new, which a copy of an earlier one or of one before it in the
//! same batch. No SQL here.

use std::collections::{BTreeMap, HashMap};

use receiver::Verified;
use store::{Acceptance, DedupeWindow, DuplicateContent, FanOutPlace, KnownMessage, fingerprint};
use wire::SourceId;

use crate::columns::{Id, List, millis, number};

/// Where a message's repetition is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot {
    pub(super) account: i64,
    pub(super) fingerprint: i64,
}

impl Slot {
    pub(super) fn of(message: &Verified) -> Slot {
        Slot { account: number(message.account()), fingerprint: fingerprint(message) }
    }
}

/// The newest message of a slot, as far as others are compared with it.
pub(super) struct Newest {
    pub(super) number: i64,
    pub(super) source: SourceId,
    pub(super) key: Vec<u8>,
    pub(super) received_at: i64,
    pub(super) digest: Vec<u8>,
}

impl Newest {
    /// Whether a message repeats it, and how it compares with it.
    fn compare(&self, message: &Verified, window: DedupeWindow) -> Option<DuplicateContent> {
        let known = KnownMessage {
            // Slots are each of one account.
            account: message.account(),
            source: self.source.bytes(),
            key: &self.key,
            received_ms: self.received_at,
            digest: &self.digest,
        };
        window.compare(message, &known)
    }
}

/// The messages of one transaction, as they are taken one after the other.
pub(super) struct Batch<'m> {
    counters: BTreeMap<i64, i64>,
    newest: HashMap<Slot, Newest>,
    /// New ones, with their numbers.
    pub(super) kept: Vec<(i64, &'m Verified)>,
    taken: BTreeMap<Slot, i64>,
    /// Copies of each message, by account and number.
    pub(super) duplicates: BTreeMap<(i64, i64), Copies>,
}

/// Copies of one message.
#[derive(Clone, Copy, Default)]
pub(super) struct Copies {
    count: i64,
    conflicts: i64,
    last_at: i64,
}

/// The new messages, column by column.
pub(super) struct KeptColumns<'m> {
    pub(super) accounts: List<i64>,
    pub(super) numbers: List<i64>,
    pub(super) sources: List<Vec<u8>>,
    pub(super) keys: List<&'m [u8]>,
    pub(super) digests: List<Vec<u8>>,
    pub(super) message_ids: List<Option<&'m str>>,
    pub(super) headers: List<&'m str>,
    pub(super) received_at: List<i64>,
    pub(super) fan_outs: List<Option<Vec<u8>>>,
    pub(super) indexes: List<Option<i64>>,
    pub(super) totals: List<Option<i64>>,
    pub(super) bodies: List<&'m [u8]>,
}

impl<'m> Batch<'m> {
    /// An empty one that goes on counting from here.
    pub(super) fn new(counters: Vec<(i64, i64)>, known: Vec<(Slot, Newest)>) -> Batch<'m> {
        Batch {
            counters: counters.into_iter().collect(),
            newest: known.into_iter().collect(),
            kept: Vec::new(),
            taken: BTreeMap::new(),
            duplicates: BTreeMap::new(),
        }
    }

    /// Takes the next message.
    pub(super) fn take(&mut self, message: &'m Verified, slot: Slot, window: DedupeWindow) -> Acceptance {
        let repeated =
            self.newest.get(&slot).and_then(|newest| Some((newest.number, newest.compare(message, window)?)));
        if let Some((of, content)) = repeated {
            let copies = self.duplicates.entry((slot.account, of)).or_default();
            copies.count += 1;
            copies.conflicts += i64::from(content == DuplicateContent::Different);
            copies.last_at = millis(message.received_at());
            return Acceptance::Duplicate { of: of.unsigned_abs(), content };
        }
        let counter = self.counters.entry(slot.account).or_default();
        *counter += 1;
        let number = *counter;
        self.kept.push((number, message));
        self.taken.insert(slot, number);
        let newest = Newest {
            number,
            source: message.source(),
            key: message.dedupe_key().as_bytes().to_vec(),
            received_at: millis(message.received_at()),
            digest: message.content_digest().as_bytes().to_vec(),
        };
        self.newest.insert(slot, newest);
        Acceptance::Stored(number.unsigned_abs())
    }

    pub(super) fn columns(&self) -> KeptColumns<'m> {
        let places: Vec<_> =
            self.kept.iter().map(|(_, message)| FanOutPlace::from_headers(message.headers())).collect();
        let of = || self.kept.iter().map(|(_, message)| *message);
        KeptColumns {
            accounts: List(of().map(|message| number(message.account())).collect()),
            numbers: List(self.kept.iter().map(|(number, _)| *number).collect()),
            sources: List(of().map(|message| message.source().as_bytes().to_vec()).collect()),
            keys: List(of().map(|message| message.dedupe_key().as_bytes()).collect()),
            digests: List(of().map(|message| message.content_digest().as_bytes().to_vec()).collect()),
            message_ids: List(of().map(Verified::message_id).collect()),
            headers: List(of().map(|message| message.headers().as_text()).collect()),
            received_at: List(of().map(|message| millis(message.received_at())).collect()),
            fan_outs: List(places.iter().map(|place| Some(place.as_ref()?.fan_out.bytes().to_vec())).collect()),
            indexes: List(places.iter().map(|place| Some(place.as_ref()?.index.cast_signed())).collect()),
            totals: List(places.iter().map(|place| Some(place.as_ref()?.total.cast_signed())).collect()),
            bodies: List(of().map(|message| message.body().as_ref()).collect()),
        }
    }

    /// The slots whose newest message is one of these, in the order of their keys.
    pub(super) fn slots_taken(&self) -> (List<i64>, List<i64>, List<i64>) {
        let slots = self.taken.keys();
        let accounts = slots.clone().map(|slot| slot.account).collect();
        let fingerprints = slots.map(|slot| slot.fingerprint).collect();
        (List(accounts), List(fingerprints), List(self.taken.values().copied().collect()))
    }

    /// How far the counters have come.
    pub(super) fn counted(&self) -> (List<i64>, List<i64>) {
        (List(self.counters.keys().copied().collect()), List(self.counters.values().copied().collect()))
    }

    /// Account, number, copies, conflicts and the time of the last of each message that was repeated.
    pub(super) fn duplicates_noted(&self) -> [List<i64>; 5] {
        let keys = self.duplicates.keys();
        let copies = self.duplicates.values();
        [
            List(keys.clone().map(|(account, _)| *account).collect()),
            List(keys.map(|(_, number)| *number).collect()),
            List(copies.clone().map(|copies| copies.count).collect()),
            List(copies.clone().map(|copies| copies.conflicts).collect()),
            List(copies.map(|copies| copies.last_at).collect()),
        ]
    }
}
