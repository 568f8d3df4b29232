//! What a handler has in hand: runs that were read and not begun, which messages are under way, how far it has read, and
//! what is the newest it has handled for each person and series. Only bookkeeping: it asks and does nothing.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use handlers::Job;
use jiff::Timestamp;
use receiver::Subject;
use receiver::handling::is_outdated;
use store::MessageNumber;
use tokio::time::Instant;

/// Runs read ahead that could begin now.
pub(super) const AHEAD_MAX: usize = 256;
/// Their bodies.
const AHEAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Runs in hand at all, begun or waiting for another about the same person and series: what a query has to leave out.
const IN_HAND_MAX: usize = 1_024;
/// Runs that wait longer than this are read anew: a person may have been erased meanwhile.
const FRESH_FOR: Duration = Duration::from_secs(10);

/// A run that the handler takes.
pub(super) struct Run {
    pub(super) job: Job,
    pub(super) number: MessageNumber,
    /// Before this one.
    pub(super) attempts: u32,
    pub(super) subject: Option<Subject>,
    pub(super) version: u64,
    pub(super) origin: Origin,
    /// A batch with it broke, or it has failed before: it must not take others with it.
    pub(super) is_alone: bool,
}

/// Where a run comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It has no row: the cursor must not pass it.
    Inbox,
    /// It has a row.
    Row,
}

/// Which run is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The next.
    Next,
    /// The next that may share an attempt with others.
    Companion,
    /// One to see whether the target is back: the one that has failed least, for those that failed may be the reason.
    Probe,
}

/// What is next.
pub(super) enum Next {
    Run(Run),
    /// A newer version was handled.
    Outdated(Run),
}

#[derive(Default)]
pub(super) struct Hand {
    read_to: MessageNumber,
    ready: VecDeque<Run>,
    ready_bytes: usize,
    ready_since: Option<Instant>,
    /// All that is ready waits for something under way.
    is_stuck: bool,
    /// Messages without a row that are not settled; the cursor stays below.
    open: BTreeSet<MessageNumber>,
    /// Read, under way, or not yet on disk.
    busy: BTreeSet<MessageNumber>,
    subjects: HashSet<Subject>,
    newest: HashMap<Subject, (u64, MessageNumber)>,
}

impl Run {
    /// The job of the attempt that begins now.
    pub(super) fn begin(&mut self, now: Timestamp) -> Job {
        self.job.attempt = self.attempts.saturating_add(1);
        self.job.now = now;
        self.job.clone()
    }

    fn bytes(&self) -> usize {
        self.job.message.body.len()
    }
}

impl Hand {
    pub(super) fn new(cursor: MessageNumber) -> Hand {
        Hand { read_to: cursor, ..Hand::default() }
    }

    /// Everything up to here is settled, has a row, or is not the handler's.
    pub(super) fn low_water(&self) -> MessageNumber {
        self.open.first().map_or(self.read_to, |first| self.read_to.min(first - 1))
    }

    pub(super) fn read_to(&self) -> MessageNumber {
        self.read_to
    }

    pub(super) fn busy(&self) -> Vec<MessageNumber> {
        self.busy.iter().copied().collect()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many runs and bytes to read next; `None` where it is not worth a query. Where all that was read waits for
    /// others about the same person and series, there may be something for others behind it.
    pub(super) fn room(&self) -> Option<(usize, usize)> {
        let in_hand = IN_HAND_MAX.saturating_sub(self.busy.len());
        let (runs, bytes) = match self.is_stuck {
            true => (AHEAD_MAX / 2, (2 * AHEAD_BYTES_MAX).saturating_sub(self.ready_bytes)),
            false => (AHEAD_MAX.saturating_sub(self.ready.len()), AHEAD_BYTES_MAX.saturating_sub(self.ready_bytes)),
        };
        let room = (runs.min(in_hand), bytes.min(AHEAD_BYTES_MAX));
        (room.0 >= AHEAD_MAX / 4 && room.1 >= AHEAD_BYTES_MAX / 4).then_some(room)
    }

    /// Notes that a message was read that is not the handler's, or whose outcome is known already.
    pub(super) fn pass(&mut self, number: MessageNumber, origin: Origin) {
        if origin == Origin::Inbox {
            self.read_to = self.read_to.max(number);
        }
    }

    /// Notes that the outcome of a message waits for the disk.
    pub(super) fn note_unsettled(&mut self, number: MessageNumber) {
        self.busy.insert(number);
    }

    pub(super) fn add(&mut self, run: Run) {
        self.busy.insert(run.number);
        if run.origin == Origin::Inbox {
            self.open.insert(run.number);
            self.read_to = self.read_to.max(run.number);
        }
        self.ready_since.get_or_insert_with(Instant::now);
        self.ready_bytes += run.bytes();
        self.is_stuck = false;
        self.ready.push_back(run);
    }

    /// Notes the newest that was handled for a subject.
    pub(super) fn note_newest(&mut self, subject: Subject, newest: (u64, MessageNumber)) {
        let known = self.newest.entry(subject).or_insert(newest);
        *known = newest.max(*known);
    }

    /// Forgets what is the newest where the store knows it and nobody here asks.
    pub(super) fn forget_newest(&mut self) {
        let ready: HashSet<Subject> = self.ready.iter().filter_map(|run| run.subject).collect();
        let (busy, subjects) = (&self.busy, &self.subjects);
        self.newest.retain(|subject, (_, number)| {
            ready.contains(subject) || subjects.contains(subject) || busy.contains(number)
        });
    }

    /// Takes out what is to be begun; its subject is taken with it until [`finish`](Hand::finish).
    pub(super) fn next(&mut self, wanted: Wanted) -> Option<Next> {
        let mut able = self.ready.iter().enumerate().filter(|(_, run)| self.may_begin(run));
        let place = match wanted {
            Wanted::Next => able.next(),
            Wanted::Companion => able.find(|(_, run)| !run.is_alone),
            Wanted::Probe => able.min_by_key(|(_, run)| run.attempts),
        };
        let place = place.map(|(place, _)| place);
        self.is_stuck = place.is_none() && wanted != Wanted::Companion && !self.ready.is_empty();
        let run = self.ready.remove(place?)?;
        self.ready_bytes -= run.bytes();
        if self.ready.is_empty() {
            self.ready_since = None;
        }
        let newest = run.subject.and_then(|subject| self.newest.get(&subject).copied());
        if is_outdated(newest, run.version, run.number) {
            self.open.remove(&run.number);
            return Some(Next::Outdated(run));
        }
        self.subjects.extend(run.subject);
        Some(Next::Run(run))
    }

    fn may_begin(&self, run: &Run) -> bool {
        run.subject.is_none_or(|subject| !self.subjects.contains(&subject))
    }

    /// Notes that the attempt has ended and its outcome waits for the disk.
    pub(super) fn finish(&mut self, run: &Run) {
        self.open.remove(&run.number);
        self.free(run);
    }

    fn free(&mut self, run: &Run) {
        if let Some(subject) = run.subject {
            self.subjects.remove(&subject);
            self.is_stuck = false;
        }
    }

    /// Takes a run back that is to be tried again at once, alone.
    pub(super) fn put_back_alone(&mut self, run: Run) {
        self.put_back(Run { is_alone: true, ..run });
    }

    /// Takes a run back of which nobody knows what came of it.
    pub(super) fn put_back(&mut self, run: Run) {
        self.free(&run);
        self.ready_since.get_or_insert_with(Instant::now);
        self.ready_bytes += run.bytes();
        self.ready.push_front(run);
    }

    /// Notes that these outcomes are on disk.
    pub(super) fn note_settled(&mut self, numbers: &[MessageNumber]) {
        for number in numbers {
            self.busy.remove(number);
        }
    }

    /// When what was read is to be read anew.
    pub(super) fn stale_at(&self) -> Option<Instant> {
        self.ready_since.map(|since| since + FRESH_FOR)
    }

    /// Lets go of all that was not begun: it is read again. Broken batches stay, or they would break again.
    pub(super) fn let_go(&mut self) {
        self.read_to = self.low_water();
        let was_broken = |run: &Run| run.is_alone && run.attempts == 0;
        let (kept, gone): (VecDeque<Run>, VecDeque<Run>) = self.ready.drain(..).partition(was_broken);
        for run in &gone {
            self.busy.remove(&run.number);
            self.open.remove(&run.number);
        }
        self.ready_since = (!kept.is_empty()).then(Instant::now);
        self.ready_bytes = kept.iter().map(Run::bytes).sum();
        self.is_stuck = false;
        self.ready = kept;
    }
}
