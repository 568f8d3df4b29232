//! What a webinar payload says, as a hash that is the same for every way of writing it.

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use crate::reading::{ReadMoment, SessionRead, WebinarEvent};

/// Keeps these hashes apart from every other use of SHA-256. Stored: a change makes repetitions of what came before
/// look new.
const DOMAIN: &[u8] = b"fanfare meaning 1\0";

pub(super) fn hash(webinar: &WebinarEvent) -> [u8; SHA256_OUTPUT_LEN] {
    let mut meaning = Meaning(Context::new(&SHA256));
    meaning.0.update(DOMAIN);
    meaning.text(Some(&webinar.event));
    let person = &webinar.person;
    meaning.text(Some(&person.name));
    meaning.text(person.email.as_deref());
    // Without plus and leading zeros, which a number in JSON loses.
    meaning.text(person.phone_digits().map(|digits| digits.trim_start_matches('0')));
    meaning.number(person.offset.map(|offset| offset.seconds().into()));
    meaning.text(person.zone.as_deref());
    meaning.count(webinar.sessions.len());
    webinar.sessions.iter().for_each(|session| meaning.session(session));
    meaning.count(webinar.mangoes.len());
    webinar.mangoes.iter().for_each(|title| meaning.text(Some(title)));
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(meaning.0.finish().as_ref());
    hash
}

/// Takes parts one after the other, each with its length or a mark that it is missing, so that none runs into the next.
struct Meaning(Context);

impl Meaning {
    fn session(&mut self, session: &SessionRead) {
        self.text(Some(&session.id));
        self.text(Some(&session.title));
        self.text(Some(&session.link));
        self.moment(session.begin);
        self.moment(session.end);
    }

    fn moment(&mut self, moment: Option<ReadMoment>) {
        self.number(moment.map(|moment| moment.instant.as_nanosecond()));
        self.number(moment.map(|moment| moment.offset.seconds().into()));
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => {
                self.count(text.len());
                self.0.update(text.as_bytes());
            }
            None => self.0.update(&[u8::MAX; 8]),
        }
    }

    fn number(&mut self, number: Option<i128>) {
        self.0.update(&[u8::from(number.is_some())]);
        self.0.update(&number.unwrap_or(0).to_be_bytes());
    }

    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_be_bytes());
    }
}
