//! The demo's participants as CSV lists, made while they are sent, so that a million take no memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};

use crate::progress::Progress;

/// Mangoes of the demo.
pub(super) const MANGOES: [&str; 3] = ["Marketing basics", "Marketing plus", "Community"];

/// One in so many has bought a second mango, and must be told once all the same.
const IN_TWO_MANGOES: u64 = 10;
/// Bytes of one piece of the body.
const PIECE_BYTES: usize = 32 * 1024;
const HEADER: &str = "name,email,phone,timezone,city\n";
const FIRST_NAMES: [&str; 7] = ["Asha", "José", "Mei", "Олена", "Fatima", "Noah", "Zoë"];
const LAST_NAMES: [&str; 5] = ["Iyer", "García", "Chen", "Haddad", "O'Neill"];
/// Zones as people give them: names, an offset, nothing.
const PLACES: [(&str, &str); 5] = [
    ("Asia/Kolkata", "Bengaluru"),
    ("Europe/London", "Leeds"),
    ("America/New_York", "Boston"),
    ("+04:00", "Dubai"),
    ("", ""),
];

/// The list of one mango.
pub(super) struct MemberList {
    mango: u64,
    next: u64,
    participants: u64,
    header: Option<&'static str>,
    progress: Arc<Progress>,
    told_before: u64,
    own: u64,
}

impl MemberList {
    /// The members of the mango with this index, of `participants` in all; `told_before` of them are in earlier lists.
    pub(super) fn new(mango: usize, participants: u64, told_before: u64, progress: Arc<Progress>) -> MemberList {
        MemberList { mango: mango as u64, next: 1, participants, header: Some(HEADER), progress, told_before, own: 0 }
    }

    /// How many people of `participants` have this mango first.
    pub(super) fn own_members(mango: usize, participants: u64) -> u64 {
        let mangoes = MANGOES.len() as u64;
        let first = if mango == 0 { mangoes } else { mango as u64 };
        if participants < first { 0 } else { (participants - first) / mangoes + 1 }
    }

    fn piece(&mut self) -> Option<String> {
        let mut piece = self.header.take().map(str::to_owned).unwrap_or_default();
        while self.next <= self.participants && piece.len() < PIECE_BYTES {
            let number = self.next;
            self.next += 1;
            let (own, second) = mangoes_of(number);
            if own == self.mango {
                self.own += 1;
            }
            if own == self.mango || second == Some(self.mango) {
                piece.push_str(&line(number));
            }
        }
        self.progress.set(self.told_before + self.own);
        (!piece.is_empty()).then_some(piece)
    }
}

/// The mango a person has, and the second one some have.
fn mangoes_of(number: u64) -> (u64, Option<u64>) {
    let mangoes = MANGOES.len() as u64;
    let second = number.is_multiple_of(IN_TWO_MANGOES).then_some((number + 1) % mangoes);
    (number % mangoes, second)
}

fn line(number: u64) -> String {
    let pick = |count: usize, step: u64| (number / step % count as u64) as usize;
    let (first, last) = (FIRST_NAMES[pick(FIRST_NAMES.len(), 1)], LAST_NAMES[pick(LAST_NAMES.len(), 7)]);
    let (zone, city) = PLACES[pick(PLACES.len(), 1)];
    format!("{first} {last},participant{number}@example.com,+9198{number:08},{zone},{city}\n")
}

impl Body for MemberList {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.get_mut().piece();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn lists(participants: u64) -> Vec<String> {
        let progress = Arc::new(Progress::start("participants", participants));
        (0..MANGOES.len())
            .map(|mango| {
                let mut list = MemberList::new(mango, participants, 0, progress.clone());
                let text = std::iter::from_fn(|| list.piece()).collect();
                assert_eq!(list.own, MemberList::own_members(mango, participants));
                text
            })
            .collect()
    }

    #[test]
    fn everyone_is_in_one_list_and_one_in_ten_in_two() {
        for participants in [1, 2, 3, 50, 2_000] {
            let mut times: BTreeMap<String, usize> = BTreeMap::new();
            for list in lists(participants) {
                assert!(list.starts_with(HEADER));
                for line in list.lines().skip(1) {
                    *times.entry(line.to_owned()).or_default() += 1;
                }
            }
            assert_eq!(times.len() as u64, participants);
            assert_eq!(times.values().filter(|times| **times == 2).count() as u64, participants / IN_TWO_MANGOES);
            assert!(times.values().all(|times| *times <= 2));
        }
    }

    #[test]
    fn every_line_has_as_many_fields_as_the_header() {
        for line in lists(1_000).concat().lines() {
            assert_eq!(line.split(',').count(), HEADER.split(',').count(), "{line}");
        }
    }
}
