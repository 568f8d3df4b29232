//! Messages, told in short: `v2 #5 ann: a b+2` is message 5, in which version 2 of a series invites Ann to session a, on
//! the first day, and b, on the second, two hours later than usual. `v0` tells no series. `s=a` gives the session of a
//! the id s. `remind #6 ann: a` and `completed #7 ann: a` are what they say, and `@10` is the day a message came.

use std::sync::Arc;

use handlers::{Job, JobMessage};
use jiff::civil::date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use receiver::reading::{Person, ReadMoment, SeriesMark, SessionRead};
use receiver::{KeptHeaders, Reading, WebinarEvent};
use wire::{AccountId, InboxMessageId, SourceId};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The first day of the month in which everything happens.
fn day(number: i64) -> Timestamp {
    Offset::UTC.to_timestamp(date(2024, 3, 1).at(10, 0, 0, 0)).unwrap() + SignedDuration::from_hours(24 * (number - 1))
}

/// The messages of a story.
pub(crate) fn jobs(story: &[&str]) -> Vec<Job> {
    story.iter().map(|line| job(line)).collect()
}

/// One message.
pub(crate) fn job(line: &str) -> Job {
    let (head, sessions) = line.split_once(':').unwrap_or_else(|| panic!("{line}: no colon"));
    let mut words = head.split_whitespace().peekable();
    let kind = words.next().unwrap();
    let number: u64 = words.next().unwrap().trim_start_matches('#').parse().unwrap();
    let came_on = words.next_if(|word| word.starts_with('@')).map_or(2, |word| word[1..].parse().unwrap());
    let name = words.next().unwrap();
    let (event, version) = match kind {
        "remind" => ("webinar.reminder.15min", 0),
        "completed" => ("webinar.completed.all", 0),
        version => ("webinar.created.recurring", version.trim_start_matches('v').parse().unwrap()),
    };
    let series = (version > 0).then(|| SeriesMark { id: "ser_1".to_owned(), version, trigger: None });
    let sessions = sessions.split_whitespace().map(|word| session(word, event)).collect();
    let reading = Reading::Webinar(Box::new(webinar(event, person(name), sessions, series)));
    of_reading(number, day(came_on) + SignedDuration::from_secs(i64::try_from(number).unwrap()), reading)
}

/// A message that says this.
pub(crate) fn of_reading(number: u64, received_at: Timestamp, reading: Reading) -> Job {
    let message = JobMessage {
        id: InboxMessageId::from_u64(number),
        source: SourceId::from_bytes([7; 16]),
        source_name: "tagmango".into(),
        message_id: None,
        received_at,
        headers: KeptHeaders::default(),
        body: "{}".into(),
        reading,
    };
    Job {
        account: AccountId::from_u32(1),
        handler: "crm".into(),
        message: Arc::new(message),
        attempt: 1,
        generation: 0,
        now: received_at,
    }
}

pub(crate) fn webinar(
    event: &str,
    person: Person,
    sessions: Vec<SessionRead>,
    series: Option<SeriesMark>,
) -> WebinarEvent {
    WebinarEvent {
        event: event.to_owned(),
        person,
        sessions,
        mangoes: vec!["Gold".to_owned(), "it's \"100%\"".to_owned()],
        series,
        is_test: false,
        repairs: vec![],
    }
}

pub(crate) fn person(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        email: Some(format!("{name}@example.com")),
        phone: Some("+911234567890".to_owned()),
        offset: Some(Offset::from_seconds(19_800).unwrap()),
        zone: None,
    }
}

/// `b+2`, or `s=b+2`.
fn session(word: &str, event: &str) -> SessionRead {
    let (id, time) = word.split_once('=').map_or((None, word), |(id, time)| (Some(id), time));
    let (letter, later) = time.split_once('+').map_or((time, 0), |(letter, later)| (letter, later.parse().unwrap()));
    let number = i64::from(letter.as_bytes()[0] - b'a');
    let begin = day(15 + number) + HOUR * later;
    let offset = Offset::from_seconds(19_800).unwrap();
    let moment = |instant| ReadMoment { instant, offset, wall: offset.to_datetime(instant) };
    let is_over = event.starts_with("webinar.completed");
    SessionRead {
        id: id.unwrap_or(letter).to_owned(),
        title: "Introduction".to_owned(),
        link: if is_over { format!("https://rec.example/{letter}") } else { "https://meet.example/a".to_owned() },
        begin: (!is_over).then(|| moment(begin)),
        end: (!is_over).then(|| moment(begin + HOUR)),
    }
}
