//! What our own provider writes is read back exactly.

use proptest::prelude::*;
use webinar::{LateJoiners, Participant, Series, SeriesDraft, SeriesId, SeriesPart, Session, Zones, write_body};

use super::*;

fn series(timezone: &str, start: &str, recurrence: Option<&str>, duration_minutes: u16) -> Series {
    let draft = SeriesDraft {
        title: "Design \"clinic\", 🥭".to_owned(),
        link: "https://meet.example/abc".to_owned(),
        timezone: timezone.to_owned(),
        start: start.to_owned(),
        duration_minutes: duration_minutes.into(),
        recurrence: recurrence.map(str::to_owned),
        except: Vec::new(),
        overrides: Vec::new(),
        mangoes: Vec::new(),
        exclude_mangoes: Vec::new(),
        late_joiners: LateJoiners::Wait,
    };
    Series::parse(SeriesId::from_bytes([1; 12]), draft, &Zones::bundled()).unwrap()
}

fn as_read(session: &Session) -> SessionRead {
    let moment = |told: webinar::Moment| ReadMoment { instant: told.instant, offset: told.offset, wall: told.wall() };
    SessionRead {
        id: session.id.to_string(),
        title: session.title.to_string(),
        link: session.link.to_string(),
        begin: Some(moment(session.begin)),
        end: Some(moment(session.end)),
    }
}

fn comes_back(series: &Series, phone: &str, zone: &str) {
    let zones = Zones::bundled();
    let person = Participant::parse("Asha \u{202e}Rao", "asha@example.com", phone, zone, &zones).unwrap();
    let part = SeriesPart::render(series.sessions(), &["Gold", "Silver & more"]);
    let offset = person.timezone.as_ref().zip(part.attendee_instant()).map(|(zone, at)| zone.offset_at(at));
    let mut body = Vec::new();
    write_body(&mut body, &person, offset, part.as_bytes());

    let read = webinar_of(read(&KeptHeaders::default(), &body, Some("webinar.created.recurring")));
    let expected: Vec<_> = series.sessions().iter().map(as_read).collect();
    assert_eq!(read.sessions, expected);
    assert_eq!((read.person.name.as_str(), read.person.email.as_deref()), (&*person.name, Some(&*person.email)));
    assert_eq!(read.person.phone_digits(), person.phone.as_ref().map(webinar::Phone::digits));
    assert_eq!((read.person.offset, read.person.zone), (offset, None));
    assert_eq!(read.mangoes, ["Gold", "Silver & more"]);
    let others: Vec<_> = read.repairs.iter().filter(|repair| !repair.pointer.contains("InCreatorTimezone")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn every_zone_comes_back_also_across_changes_of_the_clocks() {
    for (zone, start) in [
        ("Asia/Kolkata", "2024-03-15T15:30"),
        ("Asia/Kathmandu", "2026-01-01T09:00"),
        ("America/St_Johns", "2026-10-25T20:00"),
        ("Europe/London", "2026-03-25T18:00"),
        ("Australia/Lord_Howe", "2026-03-30T18:00"),
        ("Pacific/Kiritimati", "2026-03-30T18:00"),
        ("UTC", "2026-03-30T18:00"),
    ] {
        let weekly = series(zone, start, Some("FREQ=DAILY;COUNT=12"), 60);
        comes_back(&weekly, "+91 98765 43210", "Europe/Lisbon");
        comes_back(&weekly, "98765432109876543210", "");
    }
}

#[test]
fn a_session_during_which_the_clocks_change_comes_back() {
    for (zone, start) in [
        ("Europe/London", "2026-03-29T00:30"),
        ("Europe/London", "2026-10-25T00:30"),
        ("Europe/Berlin", "2026-10-25T01:30"),
        ("America/New_York", "2026-03-08T01:30"),
        ("America/New_York", "2026-11-01T00:30"),
        ("Australia/Lord_Howe", "2026-04-05T00:30"),
        ("Atlantic/Azores", "2026-10-25T00:00"),
    ] {
        comes_back(&series(zone, start, None, 180), "+919876543210", "+05:30");
    }
}

proptest! {
    #[test]
    fn any_series_comes_back(
        zone in prop_oneof!["Asia/Kolkata|Europe/London|America/New_York|Australia/Lord_Howe|America/Sao_Paulo|Africa/Casablanca"],
        day in 1..=28, month in 1..=12, hour in 0..24, minute in 0..60, minutes in 30_u16..=300,
    ) {
        let start = format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}");
        comes_back(&series(&zone, &start, Some("FREQ=WEEKLY;COUNT=5"), minutes), "+919876543210", "Asia/Tokyo");
    }
}
