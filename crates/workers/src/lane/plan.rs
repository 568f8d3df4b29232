//! What a lane is to send next: retries that are due, then its fan-outs in order, read ahead page by page.

mod in_hand;
mod retries;
mod sweep;

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use provider::frontier::Place;
use provider::pace::Rate;
use store::{
    Exception, ExceptionState, FanOut, FanOutWork, LaneWork, Lanes, Lease, Member, OPEN_FAN_OUTS_MAX,
    PACED_FAN_OUTS_MAX, Recipient, Retry, Settlement, StoreResult,
};
use webinar::SeriesId;
use wire::FanOutId;

use super::sender::{Errand, Letter};
use in_hand::InHand;
use retries::read_retries;
use sweep::{Straggler, Sweep};

/// Participants read in one query at most: a few milliseconds of sending, a few hundred kilobytes.
const PAGE_SIZE_MAX: usize = 512;
/// An endpoint with a rate has this many pages read in a minute, or more.
const PAGES_A_MINUTE: usize = 6;
/// As many windows are read at once: an endpoint that takes little should not hold much.
const WINDOWS_IN_A_PAGE: usize = 8;
/// Retries fetched in one query.
const RETRIES_AT_ONCE: usize = 256;
/// Letters of swept fan-outs kept for their retries; each may hold 400 KB.
const LETTERS_KEPT_MAX: usize = 16;
/// A straggler's row is due after any attempt must have ended.
const STRAGGLER_DUE_AFTER: Duration = Duration::from_secs(60);

pub(crate) type Fetching = Pin<Box<dyn Future<Output = StoreResult<Fetched>> + Send>>;
type Letters = HashMap<FanOutId, Arc<Letter>>;

/// What a query of the plan brought.
pub(crate) enum Fetched {
    Work(LaneWork),
    /// One shorter than asked for is the last.
    Page {
        fan_out: FanOutId,
        members: Vec<Member>,
        asked_for: usize,
        reading: u64,
    },
    Retries {
        signal: u64,
        reading: u64,
        found: Vec<(Arc<Letter>, Retry)>,
        /// Where there were more than one query brings, the time they were due by.
        more_from: Option<Timestamp>,
    },
}

/// Whether a delivery that has come back has a row in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Exists,
    None,
}

/// The order of work of one lane.
pub(crate) struct Plan {
    lanes: Arc<dyn Lanes>,
    lease: Lease,
    sweeps: VecDeque<Sweep>,
    retries: VecDeque<(Arc<Letter>, Retry)>,
    rows: InHand<(FanOutId, u64)>,
    /// Whom a retry is on its way to: no other version of the series may overtake it, or be overtaken.
    retried: InHand<(SeriesId, u64)>,
    /// Deliveries that end without another attempt, until they are in a settlement.
    ended: Vec<Exception>,
    letters: Letters,
    fetching: Option<Fetching>,
    page_size: usize,
    /// When retries were last asked for, until they are being read.
    retries_wanted: Option<Timestamp>,
    /// The last query brought as many retries as it could.
    more_retries: Option<Timestamp>,
    /// Of those it brought some wait for what is on its way: until that is back, another would bring the same.
    has_waiting: bool,
    /// Fan-outs that came later are wanted, or the owner has given an order.
    work_wanted: bool,
    /// Rises when all that was read before is to be read again.
    reading: u64,
    /// A commit has ended that no query knows of yet.
    has_committed: bool,
    /// Fan-outs in hand: a query may still show one as it was before its last commit.
    taken_up: HashSet<FanOutId>,
}

impl Plan {
    pub(crate) fn new(lanes: Arc<dyn Lanes>, lease: Lease) -> Plan {
        Plan {
            lanes,
            lease,
            sweeps: VecDeque::new(),
            retries: VecDeque::new(),
            rows: InHand::nothing(),
            retried: InHand::nothing(),
            ended: Vec::new(),
            letters: Letters::new(),
            fetching: None,
            page_size: PAGE_SIZE_MAX,
            retries_wanted: None,
            more_retries: None,
            has_waiting: false,
            work_wanted: false,
            reading: 0,
            has_committed: false,
            taken_up: HashSet::new(),
        }
    }

    /// Takes up fan-outs where they stand, as far as they are new and there is room; holds those no longer to be worked
    /// on.
    pub(crate) fn open(&mut self, fan_outs: Vec<FanOutWork>, now: Duration) {
        for sweep in &mut self.sweeps {
            sweep.go_on_if(fan_outs.iter().any(|work| work.fan_out.id == sweep.id()));
        }
        for work in fan_outs {
            // One with a pace of its own may take days: it keeps no place from the others.
            let places = if work.fan_out.rate.is_some() { PACED_FAN_OUTS_MAX } else { OPEN_FAN_OUTS_MAX };
            let taken = self.open_sweeps().filter(|sweep| sweep.is_paced() == work.fan_out.rate.is_some()).count();
            if taken < places && self.taken_up.insert(work.fan_out.id) {
                self.sweeps.push_back(Sweep::new(work, now));
            }
        }
    }

    fn open_sweeps(&self) -> impl Iterator<Item = &Sweep> {
        self.sweeps.iter().filter(|sweep| !sweep.is_swept() && !sweep.is_held())
    }

    fn unpaced_sweeps(&self) -> impl Iterator<Item = &Sweep> {
        self.open_sweeps().filter(|sweep| !sweep.is_paced())
    }

    /// The next delivery to attempt, if one is at hand that may leave at `now` on the clock of the paces.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Errand> {
        while let Some((letter, retry)) = self.retries.pop_front() {
            let Recipient { place, participant } = retry.recipient;
            if self.must_wait(&letter, place.participant) {
                // It comes again with the next query.
                self.rows.put_back((retry.fan_out, place.participant));
                self.has_waiting = true;
                continue;
            }
            self.retried.take((letter.fan_out.series, place.participant));
            return Some(Errand { letter, place, participant, attempt: retry.attempt, charged: retry.charged });
        }
        (0..self.sweeps.len()).find_map(|index| {
            if self.sweeps[index].wait(now).is_some() {
                return None;
            }
            let errand = self.next_of(index)?;
            self.sweeps[index].note_pace(now);
            Some(errand)
        })
    }

    /// How long until the next of a fan-out that waits for its own pace.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        self.open_sweeps().filter_map(|sweep| sweep.wait(now)).min()
    }

    fn next_of(&mut self, index: usize) -> Option<Errand> {
        let series = self.sweeps[index].letter().fan_out.series;
        let is_alone = self.sweeps.iter().filter(|other| other.letter().fan_out.series == series).count() == 1;
        if is_alone && self.retried.is_empty() {
            return self.sweeps[index].next(|_| true);
        }
        let mut sweep = self.sweeps.remove(index)?;
        let (others, retried) = (&self.sweeps, &self.retried);
        let next = sweep.next(|participant| {
            let is_busy =
                |other: &Sweep| other.letter().fan_out.series == series && other.may_be_busy_with(participant);
            !retried.contains((series, participant)) && !others.iter().any(is_busy)
        });
        self.sweeps.insert(index, sweep);
        next
    }

    /// Another version of the series is on its way to this person: which arrives first would be chance.
    fn must_wait(&self, letter: &Letter, participant: u64) -> bool {
        let FanOut { id, series, .. } = letter.fan_out;
        let is_other = |sweep: &&Sweep| sweep.id() != id && sweep.letter().fan_out.series == series;
        self.retried.contains((series, participant))
            || self.sweeps.iter().filter(is_other).any(|sweep| sweep.may_be_busy_with(participant))
    }

    /// Places passed since it was last asked for, because the person was erased before their turn.
    pub(crate) fn take_erased(&mut self) -> Vec<(FanOutId, Place)> {
        let of_sweep = |sweep: &mut Sweep| {
            let id = sweep.id();
            sweep.take_erased().into_iter().map(move |place| (id, place))
        };
        self.sweeps.iter_mut().flat_map(of_sweep).collect()
    }

    /// Notes that an errand has come back.
    pub(crate) fn finish(&mut self, errand: &Errand) -> Row {
        let (id, participant) = (errand.letter.fan_out.id, errand.place.participant);
        self.has_waiting = false;
        if let Some(sweep) = self.sweeps.iter_mut().find(|sweep| sweep.id() == id) {
            sweep.finish(participant);
        }
        self.retried.finish((errand.letter.fan_out.series, participant));
        self.rows.finish((id, participant))
    }

    /// Deliveries have ended that no settlement holds yet.
    pub(crate) fn has_ended_some(&self) -> bool {
        !self.ended.is_empty()
    }

    /// Adds to a settlement how far the fan-outs have got.
    pub(crate) fn note_progress(&mut self, settlement: &mut Settlement, now: Timestamp) {
        settlement.exceptions.append(&mut self.ended);
        for sweep in &mut self.sweeps {
            for (place, straggler) in sweep.pass_stragglers() {
                if straggler == Straggler::OnItsWay {
                    self.rows.take((sweep.id(), place.participant));
                }
                let state = ExceptionState::Retrying { due: now + STRAGGLER_DUE_AFTER, attempt: 1, charged: 0 };
                settlement.exceptions.push(Exception { fan_out: sweep.id(), place, state, last: None });
            }
            settlement.cursors.extend(sweep.moved_cursor().map(|cursor| (sweep.id(), cursor)));
            if sweep.becomes_swept() {
                settlement.swept.push(sweep.id());
            }
            sweep.begin_commit();
        }
        self.rows.begin_commit();
        self.retried.begin_commit();
    }

    /// Notes that the last settlement is on disk.
    pub(crate) fn note_committed(&mut self) {
        self.sweeps.iter_mut().for_each(Sweep::end_commit);
        self.rows.end_commit();
        self.retried.end_commit();
        self.has_committed = true;
    }

    /// Nothing at hand, nothing being read and nothing more to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.fetching.is_none()
            && self.retries_wanted.is_none()
            && self.retries.is_empty()
            && self.open_sweeps().next().is_none()
    }

    /// Asks for the retries that are due at `now`.
    pub(crate) fn want_retries(&mut self, now: Timestamp) {
        if self.retries.is_empty() {
            self.retries_wanted = Some(now);
        }
    }

    /// Asks for fan-outs that came later, where there is room and no more to read: a straggler must not hold them up.
    pub(crate) fn want_work(&mut self) {
        let is_read = self.unpaced_sweeps().all(|sweep| !sweep.has_more_pages() && sweep.waiting() == 0);
        self.work_wanted |= is_read && self.unpaced_sweeps().count() < OPEN_FAN_OUTS_MAX;
    }

    /// The owner has given an order: asks for everything anew, and keeps back what has not begun.
    pub(crate) fn look_again(&mut self, now: Timestamp) {
        self.work_wanted = true;
        self.reading += 1;
        self.sweeps.iter_mut().for_each(Sweep::read_anew);
        for (_, retry) in std::mem::take(&mut self.retries) {
            self.rows.put_back((retry.fan_out, retry.recipient.place.participant));
        }
        self.retries_wanted = Some(now);
    }

    /// As many requests may be in flight: reads ahead accordingly.
    pub(crate) fn read_for(&mut self, window: usize, rate: Option<Rate>) {
        // Contact data are those of the sending: at a slow pace not much is read long before.
        let paced = rate.map_or(PAGE_SIZE_MAX, |rate| rate.per_minute() as usize / PAGES_A_MINUTE);
        self.page_size = (window * WINDOWS_IN_A_PAGE).min(paced).clamp(WINDOWS_IN_A_PAGE, PAGE_SIZE_MAX);
    }

    /// Nothing that was read before a commit is still to come.
    pub(crate) fn knows_all_commits(&self) -> bool {
        !self.has_committed
    }

    /// While nothing is being read, whatever is read next knows all that is committed.
    pub(crate) fn note_quiet(&mut self) {
        if self.fetching.is_none() {
            self.begin_query();
        }
    }

    /// Ends the query under way: the store cannot answer.
    pub(crate) fn stop_reading(&mut self) {
        self.fetching = None;
    }

    /// The query under way, if there is one.
    pub(crate) fn fetching(&mut self) -> Option<&mut Fetching> {
        self.fetching.as_mut()
    }

    /// Starts the next query where one is wanted and none is under way.
    pub(crate) fn fetch_ahead(&mut self) {
        if self.fetching.is_some() {
            return;
        }
        self.begin_query();
        let may_be_new = self.retries.len() < RETRIES_AT_ONCE / 4 && !self.has_waiting;
        let more_retries = self.more_retries.filter(|_| may_be_new);
        // Orders come first: everything else is read as they wish.
        self.fetching = self.read_work().or_else(|| match self.retries_wanted.take().or(more_retries) {
            Some(now) => Some(self.read_retries(now)),
            None => self.read_page(),
        });
    }

    /// From here on what is read knows all that is committed.
    fn begin_query(&mut self) {
        if std::mem::take(&mut self.has_committed) {
            self.put_back_overtaken();
        }
        self.rows.begin_query();
        self.retried.begin_query();
        self.sweeps.iter_mut().for_each(Sweep::begin_query);
        let taken_up = &mut self.taken_up;
        self.sweeps.retain(|sweep| {
            let is_over = sweep.is_over();
            if is_over {
                taken_up.remove(&sweep.id());
            }
            !is_over
        });
    }

    /// A retry that waits for another version's end was read before that end, which may have outdated it.
    fn put_back_overtaken(&mut self) {
        for (letter, retry) in std::mem::take(&mut self.retries) {
            let participant = retry.recipient.place.participant;
            if self.must_wait(&letter, participant) {
                self.rows.put_back((retry.fan_out, participant));
            } else {
                self.retries.push_back((letter, retry));
            }
        }
    }

    fn read_work(&mut self) -> Option<Fetching> {
        if !std::mem::take(&mut self.work_wanted) {
            return None;
        }
        let (lanes, lease) = (self.lanes.clone(), self.lease);
        Some(Box::pin(async move { Ok(Fetched::Work(lanes.work(lease).await?)) }))
    }

    fn read_page(&self) -> Option<Fetching> {
        // Sending never waits for reading, nor for what waits for its own pace.
        let waiting: usize = self.unpaced_sweeps().map(Sweep::waiting).sum();
        let is_wanted = |sweep: &&Sweep| {
            let waiting = if sweep.is_paced() { sweep.waiting() } else { waiting };
            sweep.has_more_pages() && waiting < self.page_size / 2
        };
        let sweep = self.sweeps.iter().find(is_wanted)?;
        let (lanes, account, asked_for) = (self.lanes.clone(), self.lease.account, self.page_size);
        let (fan_out, read_to, reading) = (sweep.id(), sweep.read_to(), self.reading);
        Some(Box::pin(async move {
            let members = lanes.audience_page(account, fan_out, read_to, asked_for).await?;
            Ok(Fetched::Page { fan_out, members, asked_for, reading })
        }))
    }

    fn read_retries(&mut self, now: Timestamp) -> Fetching {
        // Those on their way are still due for the store; they must not crowd out the others.
        let limit = RETRIES_AT_ONCE + self.rows.len();
        let mut letters = self.letters.clone();
        letters.extend(self.sweeps.iter().map(|sweep| (sweep.id(), sweep.letter().clone())));
        Box::pin(read_retries(self.lanes.clone(), self.lease, (now, limit), letters, self.reading))
    }

    /// Takes in what a query brought.
    pub(crate) fn take_in(&mut self, fetched: Fetched, now: Duration) {
        self.fetching = None;
        match fetched {
            Fetched::Work(work) => self.open(work.fan_outs, now),
            // Somebody may have been erased since it was read, or an order given: it is read again.
            Fetched::Page { reading, .. } | Fetched::Retries { reading, .. } if reading != self.reading => {}
            Fetched::Page { fan_out, members, asked_for, .. } => {
                if let Some(sweep) = self.sweeps.iter_mut().find(|sweep| sweep.id() == fan_out) {
                    sweep.take_in(members, asked_for);
                }
            }
            Fetched::Retries { found: retries, more_from, .. } => {
                let mut is_any_new = false;
                for (letter, retry) in retries {
                    is_any_new |= self.take_in_retry(letter, retry);
                }
                // What is in hand already may fill a whole query; asking again before it is done would bring it again.
                self.more_retries = more_from.filter(|_| is_any_new);
            }
        }
    }

    /// Whether it was not in hand already.
    fn take_in_retry(&mut self, letter: Arc<Letter>, retry: Retry) -> bool {
        let place = retry.recipient.place;
        let row = (retry.fan_out, place.participant);
        if self.rows.take(row) == Row::Exists {
            return false;
        }
        if retry.is_outdated {
            self.rows.finish(row);
            let state = ExceptionState::Superseded { attempts: retry.attempt.saturating_sub(1) };
            self.ended.push(Exception { fan_out: retry.fan_out, place, state, last: None });
        } else {
            self.remember(&letter);
            self.retries.push_back((letter, retry));
        }
        true
    }

    fn remember(&mut self, letter: &Arc<Letter>) {
        if self.letters.len() >= LETTERS_KEPT_MAX && !self.letters.contains_key(&letter.fan_out.id) {
            self.letters.clear();
        }
        self.letters.insert(letter.fan_out.id, letter.clone());
    }
}

#[cfg(test)]
mod tests;
