//! Collects what was not as it should be. One mistake of a sender stands in every session of a body, so equal ones are
//! one repair with a count, and the list is as short as the list of mistakes there are.

use super::Repair;

/// Where an object of the payload stands in the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    /// The pointer to it, or to the list it is in.
    pub(super) base: &'p str,
    /// Its place in that list.
    pub(super) index: Option<usize>,
}

impl<'p> Place<'p> {
    pub(super) const fn at(base: &'p str) -> Place<'p> {
        Place { base, index: None }
    }

    fn pointer(self, member: &str) -> String {
        let index = self.index.map(|index| format!("/{index}")).unwrap_or_default();
        let slash = if member.is_empty() { "" } else { "/" };
        format!("{}{index}{slash}{member}", self.base)
    }
}

/// Repairs on their way.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    found: Vec<Found>,
    /// Whether something with a meaning could not be read, so that two bodies may differ in more than was read.
    is_something_lost: bool,
}

#[derive(Debug)]
struct Found {
    first: String,
    member: &'static str,
    what: &'static str,
    further: usize,
}

impl Repairs {
    /// Notes what was wrong and what was made of it, with nothing lost.
    pub(super) fn mended(&mut self, place: Place<'_>, member: &'static str, what: &'static str) {
        match self.found.iter_mut().find(|found| found.what == what && found.member == member) {
            Some(found) => found.further += 1,
            None => self.found.push(Found { first: place.pointer(member), member, what, further: 0 }),
        }
    }

    /// Notes something with a meaning that could not be read.
    pub(super) fn lost(&mut self, place: Place<'_>, member: &'static str, what: &'static str) {
        self.is_something_lost = true;
        self.mended(place, member, what);
    }

    /// Whether everything with a meaning was read.
    pub(super) const fn is_whole(&self) -> bool {
        !self.is_something_lost
    }

    /// The repairs in the order they were found.
    pub(super) fn finish(self) -> Vec<Repair> {
        self.found.into_iter().map(Found::finish).collect()
    }
}

impl Found {
    fn finish(self) -> Repair {
        let what = match self.further {
            0 => self.what.to_owned(),
            1 => format!("{} (so in 1 further place)", self.what),
            further => format!("{} (so in {further} further places)", self.what),
        };
        Repair { pointer: self.first, what }
    }
}
