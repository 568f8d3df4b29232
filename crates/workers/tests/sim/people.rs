//! Who exists and who belongs to what, kept apart from the store, so that the two can be compared.

use std::collections::{BTreeMap, BTreeSet};

use store::{Group, NewMember};
use webinar::{MangoId, Participant, SeriesId, Zones};

/// Somebody, under every name they ever had.
pub(crate) struct Person {
    number: u64,
    names: Vec<String>,
}

/// Zones without summer time, so that their offsets can be written down here.
const ZONES: [(&str, &str); 3] = [("", "null"), ("Asia/Kolkata", "\"+05:30\""), ("America/Bogota", "\"-05:00\"")];
const PHONES: [&str; 2] = ["", "919876543210"];

impl Person {
    fn new(number: u64) -> Person {
        Person { number, names: vec![format!("Person {number}")] }
    }

    fn zone(&self) -> (&'static str, &'static str) {
        ZONES[(self.number % 3) as usize]
    }

    fn phone(&self) -> &'static str {
        PHONES[(self.number % 2) as usize]
    }

    /// As a member list brings them.
    fn as_member(&self, zones: &Zones) -> NewMember {
        let name = self.names.last().expect("everybody has a name");
        let email = format!("p{}@example.com", self.number);
        let participant =
            Participant::parse(name, &email, self.phone(), self.zone().0, zones).expect("a person of ours is valid");
        NewMember { participant, attributes: None }
    }

    /// Whether a body begins with this person, under one of their names.
    fn begins(&self, head: &str) -> bool {
        let phone = if self.phone().is_empty() { "null" } else { self.phone() };
        let (number, offset) = (self.number, self.zone().1);
        self.names.iter().any(|name| {
            head == format!(r#"{{"name":"{name}","email":"p{number}@example.com","phone":{phone},"timezone":{offset}"#)
        })
    }
}

/// All people and their groups.
#[derive(Default)]
pub(crate) struct People {
    /// By number, from 1.
    all: Vec<Person>,
    mangoes: BTreeMap<MangoId, BTreeSet<u64>>,
    series: BTreeMap<SeriesId, BTreeSet<u64>>,
}

impl People {
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Somebody new, enrolled in a group.
    pub(crate) fn join(&mut self, group: Group, zones: &Zones) -> NewMember {
        let number = self.all.len() as u64 + 1;
        self.all.push(Person::new(number));
        self.enrol(group, number, zones)
    }

    /// Somebody known, enrolled in a group.
    pub(crate) fn enrol(&mut self, group: Group, number: u64, zones: &Zones) -> NewMember {
        self.members(group).insert(number);
        self.all[number as usize - 1].as_member(zones)
    }

    /// Gives somebody another name.
    pub(crate) fn rename(&mut self, number: u64, zones: &Zones) -> NewMember {
        let person = &mut self.all[number as usize - 1];
        person.names.push(format!("Person {number} {}", person.names.len()));
        person.as_member(zones)
    }

    pub(crate) fn leave(&mut self, group: Group, number: u64) {
        self.members(group).remove(&number);
    }

    pub(crate) fn members(&mut self, group: Group) -> &mut BTreeSet<u64> {
        match group {
            Group::Mango(mango) => self.mangoes.entry(mango).or_default(),
            Group::Series(series) => self.series.entry(series).or_default(),
        }
    }

    /// Whom a series concerns now.
    pub(crate) fn audience(&self, mangoes: &[MangoId], series: SeriesId) -> BTreeSet<u64> {
        let of_mangoes = mangoes.iter().filter_map(|mango| self.mangoes.get(mango));
        of_mangoes.chain(self.series.get(&series)).flatten().copied().collect()
    }

    /// Whether a body is this person's, followed by the series.
    pub(crate) fn is_body_of(&self, number: u64, body: &[u8], series_part: &[u8]) -> bool {
        let head = body.strip_suffix(series_part).and_then(|head| std::str::from_utf8(head).ok());
        let person = (number as usize).checked_sub(1).and_then(|index| self.all.get(index));
        person.zip(head).is_some_and(|(person, head)| person.begins(head))
    }
}
