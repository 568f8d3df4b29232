//! The frontier of a fan-out: which participants are on their way, and up to whom everything is finished.
//! The low-water cursor it gives is what a crashed lane resumes from.

use std::collections::VecDeque;

/// A place in a frozen audience: the participant's number and its rank, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The participant's number within the account; 0 before the first.
    pub participant: u64,
    /// Its rank in the audience, 1 for the first; 0 before the first.
    pub index: u64,
}

/// Participants given out in order and not yet all finished.
#[derive(Debug)]
pub struct Frontier {
    cursor: Place,
    given_out: VecDeque<(Place, Progress)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    OnItsWay,
    Finished,
}

/// Without a bound one slow receiver call of 30 s would leave a tail of a million finished participants beyond
/// the cursor, all to be read again after a crash. Whoever holds it up longer than this becomes a row instead.
const SPAN_MAX: usize = 16_384;

impl Frontier {
    /// Starts behind `cursor`: everyone up to it is finished.
    pub fn new(cursor: Place) -> Frontier {
        Frontier { cursor, given_out: VecDeque::new() }
    }

    /// The low-water mark: everyone up to here has a recorded outcome or a row.
    pub fn cursor(&self) -> Place {
        self.cursor
    }

    /// True where nobody is on the way.
    pub fn is_clear(&self) -> bool {
        self.given_out.is_empty()
    }

    /// Notes that `place` is on its way. Places come in rising order.
    pub fn give_out(&mut self, place: Place) {
        debug_assert!(self.given_out.back().map_or(self.cursor, |(last, _)| *last).participant < place.participant);
        self.given_out.push_back((place, Progress::OnItsWay));
    }

    /// Whether this participant was given out, and neither has finished nor was passed.
    pub fn is_on_its_way(&self, participant: u64) -> bool {
        let found = self.given_out.binary_search_by_key(&participant, |(place, _)| place.participant);
        found.is_ok_and(|at| self.given_out[at].1 == Progress::OnItsWay)
    }

    /// Notes that a participant is finished (delivered, or kept in a row of its own).
    pub fn finish(&mut self, participant: u64) {
        let found = self.given_out.binary_search_by_key(&participant, |(place, _)| place.participant);
        if let Ok(at) = found {
            self.given_out[at].1 = Progress::Finished;
        }
        self.advance();
    }

    /// Those who hold the cursor back too far: they must get a row in the next commit, and the cursor passes them.
    pub fn pass_stragglers(&mut self) -> Vec<Place> {
        let mut passed = Vec::new();
        while self.given_out.len() > SPAN_MAX {
            if let Some((place, Progress::OnItsWay)) = self.given_out.front_mut().map(|front| {
                let was = *front;
                front.1 = Progress::Finished;
                was
            }) {
                passed.push(place);
            }
            self.advance();
        }
        passed
    }

    fn advance(&mut self) {
        while let Some((place, Progress::Finished)) = self.given_out.front() {
            self.cursor = *place;
            self.given_out.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(number: u64) -> Place {
        Place { participant: number * 10, index: number }
    }

    fn frontier_of(count: u64) -> Frontier {
        let mut frontier = Frontier::new(Place::default());
        (1..=count).for_each(|number| frontier.give_out(place(number)));
        frontier
    }

    #[test]
    fn the_cursor_stays_behind_the_slowest() {
        let mut frontier = frontier_of(3);
        frontier.finish(20);
        assert_eq!(frontier.cursor(), Place::default());
        frontier.finish(10);
        assert_eq!(frontier.cursor(), place(2));
        frontier.finish(30);
        assert_eq!(frontier.cursor(), place(3));
        assert!(frontier.is_clear());
    }

    #[test]
    fn whoever_holds_it_up_too_long_is_passed_once() {
        let mut frontier = frontier_of(SPAN_MAX as u64 + 5);
        (2..=SPAN_MAX as u64 + 5).for_each(|number| frontier.finish(number * 10));
        assert_eq!(frontier.pass_stragglers(), vec![place(1)]);
        assert!(frontier.is_clear());
        assert_eq!(frontier.pass_stragglers(), Vec::new());
        frontier.finish(10);
        assert_eq!(frontier.cursor(), place(SPAN_MAX as u64 + 5));
    }
}
