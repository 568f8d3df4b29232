//! One fan-out being worked through: from a page of its audience to the cursor that may be stored.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use provider::frontier::{Frontier, Place};
use provider::pace::{Pace, Rate};
use store::{FanOutWork, Member, Recipient};
use wire::FanOutId;

use crate::lane::sender::{Errand, Letter};

/// A fan-out under way.
pub(crate) struct Sweep {
    letter: Arc<Letter>,
    frontier: Frontier,
    waiting: VecDeque<Waiting>,
    /// Whose turn has come, but who must wait for another version's end.
    aside: VecDeque<Recipient>,
    /// Who waited so when everything was to be read again.
    left_aside: Vec<Place>,
    /// Where the next page starts.
    read_to: Place,
    /// Finished before a crash although the cursor had not passed them; rising.
    finished_beyond: Vec<u64>,
    /// Who was erased before their turn, not yet noted.
    erased: Vec<Place>,
    /// The cursor that the store knows.
    stored_cursor: Place,
    pages: Pages,
    hold: Hold,
    is_told_swept: bool,
    last_given: Place,
    known: Known,
    ended: Ended,
    /// Whom the cursor has passed while a request to them was on its way.
    stragglers: Vec<u64>,
    /// Of a replay that is to be slower than its endpoint may be.
    pace: Option<(Rate, Pace)>,
}

/// Whether its owner lets it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    GoesOn,
    Held,
}

/// Somebody whom the cursor passes before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Straggler {
    OnItsWay,
    NotBegun,
}

/// Up to whom the store knows what became of everyone.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Once the commit under way has ended.
    committing: Place,
    committed: Place,
    /// And whatever is being read now was read after that commit.
    to_queries: Place,
}

/// Participants whose end a query may not know yet. Lists, because each delivery adds to them, and they are searched only
/// where versions of one series meet.
#[derive(Debug, Default)]
struct Ended {
    since_commit: Vec<u64>,
    committing: Vec<u64>,
    committed: Vec<u64>,
}

impl Ended {
    fn contains(&self, participant: u64) -> bool {
        [&self.since_commit, &self.committing, &self.committed].iter().any(|ended| ended.contains(&participant))
    }
}

/// More than any lane has in flight, so that those who must wait do not hold up the others.
const ASIDE_MAX: usize = 1_024;

/// A member of the audience whose turn will come.
enum Waiting {
    ToTell(Recipient),
    /// Finished before a crash: the cursor passes, nothing is sent.
    Finished(Place),
    /// Nobody any more: the cursor passes, and the log says why.
    Erased(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    More,
    ReadToTheEnd,
}

impl Sweep {
    /// Begins where the work stands, at `now` on the clock of the paces.
    pub(crate) fn new(work: FanOutWork, now: Duration) -> Sweep {
        let rate = work.fan_out.rate;
        Sweep {
            letter: Arc::new(Letter::new(work.fan_out)),
            frontier: Frontier::new(work.cursor),
            waiting: VecDeque::new(),
            aside: VecDeque::new(),
            left_aside: Vec::new(),
            read_to: work.cursor,
            finished_beyond: work.finished_beyond,
            erased: Vec::new(),
            stored_cursor: work.cursor,
            pages: Pages::More,
            hold: Hold::GoesOn,
            is_told_swept: false,
            last_given: work.cursor,
            known: Known { committing: work.cursor, committed: work.cursor, to_queries: work.cursor },
            ended: Ended::default(),
            stragglers: Vec::new(),
            pace: rate.map(|rate| (rate, Pace::rested(now))),
        }
    }

    pub(crate) fn id(&self) -> FanOutId {
        self.letter.fan_out.id
    }

    pub(crate) fn letter(&self) -> &Arc<Letter> {
        &self.letter
    }

    /// It has a pace of its own.
    pub(crate) fn is_paced(&self) -> bool {
        self.pace.is_some()
    }

    /// How long its own pace holds up the next of those that wait.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        let (rate, pace) = self.pace.filter(|_| !self.waiting.is_empty() || !self.aside.is_empty())?;
        Some(pace.wait(rate, now)).filter(|wait| !wait.is_zero())
    }

    /// Notes that one of them leaves.
    pub(crate) fn note_pace(&mut self, now: Duration) {
        if let Some((rate, pace)) = &mut self.pace {
            pace.note(*rate, now);
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn read_to(&self) -> Place {
        self.read_to
    }

    pub(crate) fn has_more_pages(&self) -> bool {
        self.pages == Pages::More && !self.is_held()
    }

    pub(crate) fn is_held(&self) -> bool {
        self.hold == Hold::Held
    }

    /// Stops or goes on, as its owner wishes.
    pub(crate) fn go_on_if(&mut self, may_go_on: bool) {
        self.hold = if may_go_on { Hold::GoesOn } else { Hold::Held };
    }

    /// Notes that a commit begins with everything that has ended so far.
    pub(crate) fn begin_commit(&mut self) {
        self.known.committing = self.frontier.cursor();
        let ended = &mut self.ended;
        ended.committing.append(&mut ended.since_commit);
    }

    pub(crate) fn end_commit(&mut self) {
        self.known.committed = self.known.committing;
        let ended = &mut self.ended;
        ended.committed.append(&mut ended.committing);
    }

    pub(crate) fn begin_query(&mut self) {
        self.known.to_queries = self.known.committed;
        self.ended.committed.clear();
    }

    /// A request to this participant is on its way, or a query may not know its end yet.
    pub(crate) fn may_be_busy_with(&self, participant: u64) -> bool {
        let is_aside = || self.aside.iter().any(|recipient| recipient.place.participant == participant);
        let is_out = self.frontier.is_on_its_way(participant) || self.stragglers.contains(&participant);
        (is_out && !is_aside()) || self.ended.contains(participant)
    }

    /// Nothing is left to do here now, and every query knows that.
    pub(crate) fn is_over(&self) -> bool {
        let has_stopped = self.is_told_swept || self.is_held();
        has_stopped
            && self.stragglers.is_empty()
            && self.frontier.is_clear()
            && self.known.to_queries == self.last_given
    }

    /// True once: everyone has been tried.
    pub(crate) fn becomes_swept(&mut self) -> bool {
        let is_new = !self.is_told_swept && self.is_swept();
        self.is_told_swept |= is_new;
        is_new
    }

    /// The next participant not yet told. Whom `may_tell` refuses now waits aside, and holds up nobody else.
    pub(crate) fn next(&mut self, may_tell: impl Fn(u64) -> bool) -> Option<Errand> {
        if self.is_held() {
            return None;
        }
        if let Some(index) = self.aside.iter().position(|recipient| may_tell(recipient.place.participant)) {
            return self.aside.remove(index).map(|recipient| self.errand(recipient));
        }
        while self.aside.len() < ASIDE_MAX {
            match self.waiting.pop_front()? {
                Waiting::ToTell(recipient) => {
                    self.give_out(recipient.place);
                    if may_tell(recipient.place.participant) {
                        return Some(self.errand(recipient));
                    }
                    self.aside.push_back(recipient);
                }
                Waiting::Finished(place) => {
                    self.give_out(place);
                    self.frontier.finish(place.participant);
                }
                Waiting::Erased(place) => {
                    self.give_out(place);
                    self.frontier.finish(place.participant);
                    self.erased.push(place);
                }
            }
        }
        None
    }

    /// Who was passed because they were erased, since it was last asked for.
    pub(crate) fn take_erased(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.erased)
    }

    /// Lets go of everyone read ahead, who may have been erased meanwhile: they are read again. Whose turn has come
    /// already gets a row, which the store ends where the person is no more.
    pub(crate) fn read_anew(&mut self) {
        if !self.waiting.is_empty() {
            self.waiting.clear();
            self.read_to = self.last_given;
            self.pages = Pages::More;
        }
        for Recipient { place, .. } in self.aside.drain(..) {
            self.frontier.finish(place.participant);
            self.left_aside.push(place);
        }
    }

    fn give_out(&mut self, place: Place) {
        self.frontier.give_out(place);
        self.last_given = place;
    }

    fn errand(&self, Recipient { place, participant }: Recipient) -> Errand {
        Errand { letter: self.letter.clone(), place, participant, attempt: 1, charged: 0 }
    }

    pub(crate) fn finish(&mut self, participant: u64) {
        self.frontier.finish(participant);
        self.stragglers.retain(|straggler| *straggler != participant);
        self.ended.since_commit.push(participant);
    }

    /// Takes in a page; one shorter than `page_size` is the last.
    pub(crate) fn take_in(&mut self, members: Vec<Member>, page_size: usize) {
        if members.len() < page_size {
            self.pages = Pages::ReadToTheEnd;
        }
        self.read_to = members.last().map_or(self.read_to, Member::place);
        for member in members {
            let place = member.place();
            let is_finished = self.finished_beyond.binary_search(&place.participant).is_ok();
            self.waiting.push_back(match member {
                _ if is_finished => Waiting::Finished(place),
                Member::ToTell(recipient) => Waiting::ToTell(recipient),
                Member::Erased(place) => Waiting::Erased(place),
            });
        }
    }

    /// Those who hold the cursor back too far, and whether a request to them is on its way.
    pub(crate) fn pass_stragglers(&mut self) -> Vec<(Place, Straggler)> {
        let passed = self.frontier.pass_stragglers();
        let (aside, stragglers) = (&mut self.aside, &mut self.stragglers);
        let tell = passed.into_iter().map(|place| match aside.iter().position(|recipient| recipient.place == place) {
            Some(index) => {
                aside.remove(index);
                (place, Straggler::NotBegun)
            }
            None => {
                stragglers.push(place.participant);
                (place, Straggler::OnItsWay)
            }
        });
        let left = std::mem::take(&mut self.left_aside).into_iter().map(|place| (place, Straggler::NotBegun));
        left.chain(tell).collect()
    }

    /// The cursor, where it has moved since it was last asked for.
    pub(crate) fn moved_cursor(&mut self) -> Option<Place> {
        let cursor = self.frontier.cursor();
        let moved = (cursor != self.stored_cursor).then_some(cursor);
        self.stored_cursor = cursor;
        moved
    }

    /// Everyone has been tried.
    pub(crate) fn is_swept(&self) -> bool {
        !self.is_held() && self.pages == Pages::ReadToTheEnd && self.waiting.is_empty() && self.frontier.is_clear()
    }
}
