//! Decides what a batch of members comes to: who is new, who has changed, who joins. One after another, as if each came
//! alone: the same person may stand in it twice.

use std::collections::HashMap;

use store::{Enrolled, NewMember, StoreError, StoreResult};
use wire::ParticipantNumber;

/// A person as their row holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) phone: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) attributes: Option<String>,
}

impl Person {
    pub(super) fn of(member: NewMember) -> Person {
        let person = member.participant;
        Person {
            name: person.name,
            email: person.email,
            phone: person.phone.map(|phone| phone.to_string()),
            timezone: person.timezone.map(|zone| zone.to_string()),
            attributes: member.attributes,
        }
    }

    /// What makes two addresses the same: the unique index folds case as this does, in ASCII alone.
    fn address(&self) -> String {
        self.email.to_ascii_lowercase()
    }

    /// This person after `newer` has come: the address stays as it was first written, and further columns stay where a list
    /// has none.
    fn corrected_by(&self, newer: Person) -> Person {
        let attributes = newer.attributes.or_else(|| self.attributes.clone());
        Person { email: self.email.clone(), attributes, ..newer }
    }
}

/// Somebody who has a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) participant: i64,
    pub(super) person: Person,
    /// Whether they are in the group now.
    pub(super) is_member: bool,
}

/// A batch that was gone through.
#[derive(Debug)]
pub(super) struct Roll {
    pub(super) enrolled: Enrolled,
    /// The numbers of those who were not in the group, in the order in which they came.
    pub(super) added: Vec<i64>,
    /// The highest number that was given to anybody.
    pub(super) last: i64,
    people: Vec<(Known, Row)>,
}

/// How a person's row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Written,
    ToBeWritten,
}

impl Roll {
    /// Goes through a batch, of which these are known; new ones get the numbers after `last`.
    pub(super) fn call(known: Vec<Known>, last: i64, members: Vec<Person>) -> StoreResult<Roll> {
        let places = known.iter().enumerate().map(|(place, known)| (known.person.address(), place));
        let mut places: HashMap<String, usize> = places.collect();
        let people = known.into_iter().map(|known| (known, Row::Written)).collect();
        let mut roll = Roll { enrolled: Enrolled::default(), added: Vec::new(), last, people };
        for member in members {
            match places.get(&member.address()) {
                Some(place) => roll.meet(*place, member),
                None => {
                    places.insert(member.address(), roll.people.len());
                    roll.welcome(member)?;
                }
            }
        }
        Ok(roll)
    }

    /// Who is new or has changed, by number.
    pub(super) fn to_be_written(&self) -> impl Iterator<Item = &Known> {
        self.people.iter().filter(|(_, row)| *row == Row::ToBeWritten).map(|(known, _)| known)
    }

    fn meet(&mut self, place: usize, member: Person) {
        let (known, row) = &mut self.people[place];
        let corrected = known.person.corrected_by(member);
        let is_changed = corrected != known.person;
        if is_changed {
            known.person = corrected;
            *row = Row::ToBeWritten;
        }
        match (std::mem::replace(&mut known.is_member, true), is_changed) {
            (false, _) => {
                self.enrolled.added += 1;
                self.added.push(known.participant);
            }
            (true, true) => self.enrolled.updated += 1,
            (true, false) => self.enrolled.unchanged += 1,
        }
    }

    fn welcome(&mut self, person: Person) -> StoreResult<()> {
        self.last += 1;
        // Message ids have room for this many people of one account.
        ParticipantNumber::new(self.last.unsigned_abs()).map_err(StoreError::broken)?;
        self.people.push((Known { participant: self.last, person, is_member: true }, Row::ToBeWritten));
        self.enrolled.added += 1;
        self.added.push(self.last);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(email: &str, name: &str) -> Person {
        Person { name: name.into(), email: email.into(), phone: None, timezone: None, attributes: None }
    }

    fn call(members: Vec<Person>) -> Roll {
        let known = Known { participant: 3, person: person("Ada@x.example", "Ada"), is_member: false };
        Roll::call(vec![known], 7, members).unwrap()
    }

    #[test]
    fn who_stands_in_a_batch_twice_is_added_once_and_then_corrected() {
        let roll = call(vec![
            person("bob@x.example", "Bob"),
            person("BOB@x.example", "Robert"),
            person("bob@X.example", "Robert"),
        ]);
        assert_eq!(roll.enrolled, Enrolled { added: 1, updated: 1, unchanged: 1 });
        let written: Vec<_> = roll.to_be_written().map(|known| (known.participant, known.person.clone())).collect();
        assert_eq!(written, [(8, person("bob@x.example", "Robert"))]);
        assert_eq!((roll.added, roll.last), (vec![8], 8));
    }

    #[test]
    fn who_is_known_and_joins_just_so_is_not_written() {
        let roll = call(vec![person("ada@x.example", "Ada")]);
        assert_eq!((roll.to_be_written().count(), roll.added, roll.last), (0, vec![3], 7));
    }

    #[test]
    fn letters_beyond_ascii_are_told_apart_by_case() {
        let roll = call(vec![person("ä@x.example", "Ä"), person("Ä@x.example", "Ä")]);
        assert_eq!(roll.enrolled.added, 2);
    }
}
