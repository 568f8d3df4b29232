//! What a lane is to send next: retries that are due, then its fan-outs in order, read ahead page by page.

mod rows;
mod sweep;

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::{
    Exception, ExceptionState, FanOutWork, LaneWork, Lanes, Lease, OPEN_FAN_OUTS_MAX, Recipient, Retry, Settlement,
    StoreResult,
};
use wire::FanOutId;

use super::sender::{Errand, Letter};
use rows::Rows;
use sweep::Sweep;

/// Participants read in one query: a few milliseconds of sending, a few hundred kilobytes.
const PAGE_SIZE: usize = 512;
/// Below this many waiting participants the next page is fetched, so that sending never waits for reading.
const READ_AHEAD_BELOW: usize = 256;
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
    Page(FanOutId, Vec<Recipient>),
    Retries {
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
    rows: Rows,
    letters: Letters,
    fetching: Option<Fetching>,
    /// When retries were last asked for, until they are being read.
    retries_wanted: Option<Timestamp>,
    /// The last query brought as many retries as it could.
    more_retries: Option<Timestamp>,
    /// Fan-outs that came later are wanted.
    work_wanted: bool,
    /// Every fan-out that was ever taken up: a query may still show one as it was before its last commit.
    taken_up: HashSet<FanOutId>,
}

impl Plan {
    pub(crate) fn new(lanes: Arc<dyn Lanes>, lease: Lease) -> Plan {
        Plan {
            lanes,
            lease,
            sweeps: VecDeque::new(),
            retries: VecDeque::new(),
            rows: Rows::default(),
            letters: Letters::new(),
            fetching: None,
            retries_wanted: None,
            more_retries: None,
            work_wanted: false,
            taken_up: HashSet::new(),
        }
    }

    /// Takes up fan-outs where they stand, as far as they are new and there is room.
    pub(crate) fn open(&mut self, fan_outs: Vec<FanOutWork>) {
        for work in fan_outs {
            if self.sweeps.len() < OPEN_FAN_OUTS_MAX && self.taken_up.insert(work.fan_out.id) {
                self.sweeps.push_back(Sweep::new(work));
            }
        }
    }

    /// The next delivery to attempt, if one is at hand.
    pub(crate) fn next(&mut self) -> Option<Errand> {
        match self.retries.pop_front() {
            Some((letter, retry)) => {
                let Recipient { place, participant } = retry.recipient;
                Some(Errand { letter, place, participant, attempt: retry.attempt, charged: retry.charged })
            }
            None => self.sweeps.iter_mut().find_map(Sweep::next),
        }
    }

    /// Notes that an errand has come back.
    pub(crate) fn finish(&mut self, errand: &Errand) -> Row {
        let (id, participant) = (errand.letter.fan_out.id, errand.place.participant);
        if let Some(sweep) = self.sweeps.iter_mut().find(|sweep| sweep.id() == id) {
            sweep.finish(participant);
        }
        self.rows.finish((id, participant))
    }

    /// Adds to a settlement how far the fan-outs have got, and lets go of those that are swept.
    pub(crate) fn note_progress(&mut self, settlement: &mut Settlement, now: Timestamp) {
        for sweep in &mut self.sweeps {
            for place in sweep.pass_stragglers() {
                self.rows.take((sweep.id(), place.participant));
                let state = ExceptionState::Retrying { due: now + STRAGGLER_DUE_AFTER, attempt: 1, charged: 0 };
                settlement.exceptions.push(Exception { fan_out: sweep.id(), place, state, last: None });
            }
            settlement.cursors.extend(sweep.moved_cursor().map(|cursor| (sweep.id(), cursor)));
            if sweep.is_swept() {
                settlement.swept.push(sweep.id());
            }
        }
        self.sweeps.retain(|sweep| !sweep.is_swept());
        self.rows.begin_commit();
    }

    /// Notes that the last settlement is on disk.
    pub(crate) fn note_committed(&mut self) {
        self.rows.end_commit();
    }

    /// Nothing at hand, nothing being read and nothing more to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.fetching.is_none()
            && self.retries_wanted.is_none()
            && self.retries.is_empty()
            && self.sweeps.iter().all(Sweep::is_swept)
    }

    /// Asks for the retries that are due at `now`.
    pub(crate) fn want_retries(&mut self, now: Timestamp) {
        if self.retries.is_empty() {
            self.retries_wanted = Some(now);
        }
    }

    /// Asks for fan-outs that came later, where there is room and no more to read: a straggler must not hold them up.
    pub(crate) fn want_work(&mut self) {
        let is_read = self.sweeps.iter().all(|sweep| !sweep.has_more_pages() && sweep.waiting() == 0);
        self.work_wanted = is_read && !self.sweeps.is_empty() && self.sweeps.len() < OPEN_FAN_OUTS_MAX;
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
        let more_retries = self.more_retries.filter(|_| self.retries.len() < RETRIES_AT_ONCE / 4);
        self.fetching = match self.retries_wanted.take().or(more_retries) {
            Some(now) => Some(self.read_retries(now)),
            None => self.read_page().or_else(|| self.read_work()),
        };
    }

    fn read_work(&mut self) -> Option<Fetching> {
        if !std::mem::take(&mut self.work_wanted) {
            return None;
        }
        let (lanes, lease) = (self.lanes.clone(), self.lease);
        Some(Box::pin(async move { Ok(Fetched::Work(lanes.work(lease).await?)) }))
    }

    fn read_page(&self) -> Option<Fetching> {
        let waiting: usize = self.sweeps.iter().map(Sweep::waiting).sum();
        let sweep = self.sweeps.iter().find(|sweep| sweep.has_more_pages())?;
        if waiting >= READ_AHEAD_BELOW {
            return None;
        }
        let (lanes, account) = (self.lanes.clone(), self.lease.account);
        let (id, read_to) = (sweep.id(), sweep.read_to());
        Some(Box::pin(
            async move { Ok(Fetched::Page(id, lanes.audience_page(account, id, read_to, PAGE_SIZE).await?)) },
        ))
    }

    fn read_retries(&mut self, now: Timestamp) -> Fetching {
        self.rows.begin_query();
        // Those on their way are still due for the store; they must not crowd out the others.
        let limit = RETRIES_AT_ONCE + self.rows.len();
        let mut letters = self.letters.clone();
        letters.extend(self.sweeps.iter().map(|sweep| (sweep.id(), sweep.letter().clone())));
        Box::pin(read_retries(self.lanes.clone(), self.lease, now, limit, letters))
    }

    /// Takes in what a query brought.
    pub(crate) fn take_in(&mut self, fetched: Fetched) {
        self.fetching = None;
        match fetched {
            Fetched::Work(work) => self.open(work.fan_outs),
            Fetched::Page(id, recipients) => {
                if let Some(sweep) = self.sweeps.iter_mut().find(|sweep| sweep.id() == id) {
                    sweep.take_in(recipients, PAGE_SIZE);
                }
            }
            Fetched::Retries { found: retries, more_from } => {
                let mut is_any_new = false;
                for (letter, retry) in retries {
                    if self.rows.take((retry.fan_out, retry.recipient.place.participant)) == Row::None {
                        is_any_new = true;
                        self.remember(&letter);
                        self.retries.push_back((letter, retry));
                    }
                }
                // What is in hand already may fill a whole query; asking again before it is done would bring it again.
                self.more_retries = more_from.filter(|_| is_any_new);
            }
        }
    }

    fn remember(&mut self, letter: &Arc<Letter>) {
        if self.letters.len() >= LETTERS_KEPT_MAX && !self.letters.contains_key(&letter.fan_out.id) {
            self.letters.clear();
        }
        self.letters.insert(letter.fan_out.id, letter.clone());
    }
}

/// Retries that are due, each with the letter of its fan-out.
async fn read_retries(
    lanes: Arc<dyn Lanes>,
    lease: Lease,
    now: Timestamp,
    limit: usize,
    mut letters: Letters,
) -> StoreResult<Fetched> {
    let (mut found, mut loaded) = (Vec::new(), 0);
    let due = lanes.due_retries(lease, now, limit).await?;
    let mut more_from = (due.len() >= limit).then_some(now);
    for retry in due {
        let letter = match letters.get(&retry.fan_out) {
            Some(letter) => letter.clone(),
            None if loaded >= LETTERS_KEPT_MAX => {
                more_from = Some(now);
                break;
            }
            None => {
                let Some(fan_out) = lanes.fan_out(lease.account, retry.fan_out).await? else { continue };
                let letter = Arc::new(Letter::new(fan_out));
                letters.insert(retry.fan_out, letter.clone());
                loaded += 1;
                letter
            }
        };
        found.push((letter, retry));
    }
    Ok(Fetched::Retries { found, more_from })
}

#[cfg(test)]
mod tests;
