//! One fan-out being worked through: from a page of its audience to the cursor that may be stored.

use std::collections::VecDeque;
use std::sync::Arc;

use provider::frontier::{Frontier, Place};
use store::{FanOutWork, Recipient};
use wire::FanOutId;

use crate::lane::sender::{Errand, Letter};

/// A fan-out under way.
pub(crate) struct Sweep {
    letter: Arc<Letter>,
    frontier: Frontier,
    waiting: VecDeque<Waiting>,
    /// Where the next page starts.
    read_to: Place,
    /// Finished before a crash although the cursor had not passed them; rising.
    finished_beyond: VecDeque<u64>,
    /// The cursor that the store knows.
    stored_cursor: Place,
    pages: Pages,
}

/// A member of the audience whose turn will come.
enum Waiting {
    ToTell(Recipient),
    /// Finished before a crash: the cursor passes, nothing is sent.
    Finished(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pages {
    More,
    ReadToTheEnd,
}

impl Sweep {
    pub(crate) fn new(work: FanOutWork) -> Sweep {
        Sweep {
            letter: Arc::new(Letter::new(work.fan_out)),
            frontier: Frontier::new(work.cursor),
            waiting: VecDeque::new(),
            read_to: work.cursor,
            finished_beyond: work.finished_beyond.into(),
            stored_cursor: work.cursor,
            pages: Pages::More,
        }
    }

    pub(crate) fn id(&self) -> FanOutId {
        self.letter.fan_out.id
    }

    pub(crate) fn letter(&self) -> &Arc<Letter> {
        &self.letter
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn read_to(&self) -> Place {
        self.read_to
    }

    pub(crate) fn has_more_pages(&self) -> bool {
        self.pages == Pages::More
    }

    /// The next participant not yet told.
    pub(crate) fn next(&mut self) -> Option<Errand> {
        loop {
            match self.waiting.pop_front()? {
                Waiting::ToTell(Recipient { place, participant }) => {
                    self.frontier.give_out(place);
                    return Some(Errand { letter: self.letter.clone(), place, participant, attempt: 1, charged: 0 });
                }
                Waiting::Finished(place) => {
                    self.frontier.give_out(place);
                    self.frontier.finish(place.participant);
                }
            }
        }
    }

    pub(crate) fn finish(&mut self, participant: u64) {
        self.frontier.finish(participant);
    }

    /// Takes in a page; one shorter than `page_size` is the last.
    pub(crate) fn take_in(&mut self, recipients: Vec<Recipient>, page_size: usize) {
        if recipients.len() < page_size {
            self.pages = Pages::ReadToTheEnd;
        }
        self.read_to = recipients.last().map_or(self.read_to, |last| last.place);
        for recipient in recipients {
            let number = recipient.place.participant;
            while self.finished_beyond.front().is_some_and(|finished| *finished < number) {
                self.finished_beyond.pop_front();
            }
            self.waiting.push_back(match self.finished_beyond.front() {
                Some(finished) if *finished == number => Waiting::Finished(recipient.place),
                _ => Waiting::ToTell(recipient),
            });
        }
    }

    pub(crate) fn pass_stragglers(&mut self) -> Vec<Place> {
        self.frontier.pass_stragglers()
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
        self.pages == Pages::ReadToTheEnd && self.waiting.is_empty() && self.frontier.is_clear()
    }
}
