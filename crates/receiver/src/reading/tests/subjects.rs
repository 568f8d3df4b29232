//! Which events are about the same, so that the newer of them holds.

use super::*;

fn subject(body: &str, event: &str) -> Option<Subject> {
    read(&KeptHeaders::default(), body.as_bytes(), Some(event)).subject()
}

const EVENT: &str = "webinar.created.recurring";

#[test]
fn a_stored_subject_never_changes() {
    // Independently: the first 8 bytes of the SHA-256 of
    // `fanfare subject 1␀webinar.created.␀ejohn@example.com␀c634fc35ddaf58580e2418c40`, each ␀ a NUL.
    assert_eq!(subject(CREATED, EVENT), Some(Subject(0x7254_3685_047d_d319)));
}

#[test]
fn every_version_of_one_story_has_one_subject() {
    let told = subject(CREATED, EVENT);
    for (from, to) in [
        ("2024-03-15T10:00:00.000Z", "2024-03-15T12:00:00.000Z"),
        ("Introduction to", "Introduction into"),
        ("https://meet", "https://other"),
        ("John Doe", "Johnny"),
        ("john@example.com", "John@Example.com"),
        ("1234567890", "\"+441234567890\""),
        ("mango1, ", ""),
    ] {
        assert_eq!(subject(&CREATED.replace(from, to), EVENT), told, "{to}");
    }
    assert_eq!(subject(CREATED, "webinar.created.single"), told);
}

#[test]
fn other_people_sessions_and_families_are_other_subjects() {
    let told = [
        subject(CREATED, EVENT),
        subject(&CREATED.replace("john@", "joan@"), EVENT),
        subject(&CREATED.replace("634fc3", "634fc4"), EVENT),
        subject(CREATED, "webinar.reminder.15min"),
        subject(CREATED, "webinar.reminder.1day"),
        subject(CREATED, "webinar.completed.all"),
        subject(&CREATED.replace("john@example.com", ""), EVENT),
    ];
    for (index, one) in told.iter().enumerate() {
        assert!(one.is_some() && !told[..index].contains(one), "{index}");
    }
}

#[test]
fn a_phone_stands_for_a_missing_address_however_it_is_written() {
    let nobody = CREATED.replace("\"john@example.com\"", "null");
    let spelled = |phone: &str| subject(&nobody.replace("1234567890", phone), EVENT);
    assert_eq!(spelled("1234567890"), spelled("\"+1234567890\""));
    assert_eq!(spelled("1234567890"), spelled("\"01234567890\""));
    assert_ne!(spelled("1234567890"), spelled("1234567891"));
}

#[test]
fn without_a_person_or_an_id_there_is_no_subject() {
    assert_eq!(subject(&CREATED.replace("\"john@example.com\"", "null").replace("1234567890", "null"), EVENT), None);
    assert_eq!(subject(&CREATED.replace("634fc35ddaf58580e2418c40", ""), EVENT), None);
}

#[test]
fn a_series_that_is_told_counts_before_its_sessions() {
    let of_series = headers(&[("fanfare-series", "65f0c0ffee0000000000a001")]);
    let told = |body: &str| read(&of_series, body.as_bytes(), Some(EVENT)).subject();
    assert_eq!(told(CREATED), told(&CREATED.replace("634fc3", "734fc3")));
    assert_ne!(told(CREATED), subject(CREATED, EVENT));
}
