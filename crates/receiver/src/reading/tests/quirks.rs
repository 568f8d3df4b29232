//! What senders get wrong: a member as it is written, what is read, and what is told of it.

use serde_json::Value;

use super::*;

/// The members of a good body; those of the session stand in a list.
const PERSON: [(&str, &str); 5] = [
    ("name", r#""Asha""#),
    ("email", r#""asha@example.com""#),
    ("phone", "919876543210"),
    ("timezone", r#""+05:30""#),
    ("mangoes", r#""Gold, Silver""#),
];
const SESSION: [(&str, &str); 8] = [
    ("webinar", r#""Design""#),
    ("webinarId", r#""a1""#),
    ("webinarLink", r#""https://x""#),
    ("webinarFromTime", r#""2024-03-15T10:00:00.000Z""#),
    ("webinarToTime", r#""2024-03-15T11:00:00.000Z""#),
    ("webinarFromTimeInCreatorTimezone", r#""2024-03-15T15:30:00.000Z""#),
    ("webinarToTimeInCreatorTimezone", r#""2024-03-15T16:30:00.000Z""#),
    ("creatorTimezone", r#""+05:30""#),
];

const FALSE_MARK: &str = "is the creator's clock and not UTC";

/// The members with some of them written otherwise; one without any text is left out, one that is new is added.
fn object(members: &[(&str, &str)], changes: &[(&str, &str)]) -> String {
    let written = |name: &str| changes.iter().find(|(changed, _)| *changed == name).map(|(_, raw)| *raw);
    let members = members.iter().map(|(name, raw)| (*name, written(name).unwrap_or(raw)));
    let members = members.filter(|(_, raw)| !raw.is_empty()).map(|(name, raw)| format!("\"{name}\":{raw}"));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn body(changes: &[(&str, &str)]) -> String {
    let list = changes.iter().find(|(name, _)| *name == "callList").map(|(_, raw)| (*raw).to_owned());
    let list = list.unwrap_or_else(|| format!("[{}]", object(&SESSION, changes)));
    let person = object(&PERSON, changes);
    format!("{},\"callList\":{list}}}", &person[..person.len() - 1])
}

fn read_body(body: &str) -> (Value, Vec<String>) {
    let reading = read(&KeptHeaders::default(), body.as_bytes(), Some("webinar.created.recurring"));
    let json = reading.to_json(body.as_bytes());
    let told = repairs(&webinar_of(reading));
    (json, told.into_iter().filter(|told| !told.contains(FALSE_MARK)).collect())
}

/// Each line: a member, how it is written, where it is in the event's JSON, what is there, what is told.
fn check(lines: &[(&str, &str, &str, &str, &str)]) {
    for (member, raw, pointer, expected, repair) in lines {
        let (json, told) = read_body(&body(&[(member, raw)]));
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(json.pointer(pointer), Some(&expected), "{member}: {raw}");
        let expected_told: Vec<_> = Some(*repair).filter(|repair| !repair.is_empty()).into_iter().collect();
        assert_eq!(told, expected_told, "{member}: {raw}");
    }
}

#[test]
fn names_and_addresses() {
    let (name, email) = ("/person/name", "/person/email");
    check(&[
        ("name", r#"" Asha\t""#, name, r#""Asha""#, "/name has space around it; removed"),
        ("name", "", name, r#""""#, "/name is missing or empty"),
        ("name", "null", name, r#""""#, "/name is missing or empty"),
        ("name", "7e1", name, r#""7e1""#, "/name is a number; taken as text"),
        ("name", "true", name, r#""true""#, "/name is true or false; taken as text"),
        ("name", r#""A\u0000b""#, name, r#""Ab""#, "/name holds NUL characters, which databases cannot keep; removed"),
        ("name", r#""A","name":"B""#, name, r#""B""#, "/name stands there more than once; the last was taken"),
        ("email", r#""Asha@Example.COM""#, email, r#""asha@example.com""#, "/email has capital letters; made small"),
        ("email", r#"" asha@example.com""#, email, r#""asha@example.com""#, "/email has space around it; removed"),
        ("email", r#""asha""#, email, "null", "/email is no e-mail address; left out"),
        ("email", "null", email, "null", "/email is missing or empty"),
        ("email", r#""""#, email, "null", "/email is missing or empty"),
    ]);
    let (json, told) = read_body(&body(&[("name", r#""A\ud800""#)]));
    assert!(json["person"]["name"].as_str().unwrap().starts_with("A\u{fffd}"));
    assert_eq!(told, ["/name holds half a character, which no text can; replaced by \u{fffd}"]);
}

#[test]
fn phones() {
    let (phone, digits) = ("/person/phone", "/person/phoneDigits");
    let fraction = "/phone is written as a fraction or with an exponent; read as its digits";
    let none = "/phone is no phone number; left out";
    check(&[
        ("phone", "919876543210", phone, r#""919876543210""#, ""),
        ("phone", "98765432109876543210", phone, r#""98765432109876543210""#, ""),
        ("phone", r#""919876543210""#, phone, r#""919876543210""#, ""),
        ("phone", r#""+919876543210""#, phone, r#""+919876543210""#, ""),
        ("phone", r#""+91 98765-43210""#, digits, r#""919876543210""#, ""),
        ("phone", "1.23456789e9", phone, r#""1234567890""#, fraction),
        ("phone", "1234567890.0", phone, r#""1234567890""#, fraction),
        ("phone", r#""1234567890.0""#, phone, r#""1234567890""#, fraction),
        ("phone", "null", phone, "null", ""),
        ("phone", "", phone, "null", ""),
        ("phone", r#""""#, phone, "null", ""),
        ("phone", "0", phone, "null", none),
        ("phone", "12345.5", phone, "null", none),
        ("phone", "-1234567", phone, "null", none),
        ("phone", r#""9.19877E+11""#, phone, "null", none),
        ("phone", r#""call me""#, phone, "null", none),
        ("phone", "{}", phone, "null", none),
    ]);
}

#[test]
fn zones_of_attendees() {
    let (offset, zone) = ("/person/offset", "/person/zone");
    let usual = "/timezone is not written such as +05:30; read as an offset all the same";
    let none = "/timezone is no offset; taken as unknown";
    check(&[
        ("timezone", r#""-03:30""#, offset, r#""-03:30""#, ""),
        ("timezone", "null", offset, "null", ""),
        ("timezone", "", offset, "null", ""),
        ("timezone", r#""""#, offset, "null", "/timezone is empty; taken as unknown"),
        ("timezone", r#""+0530""#, offset, r#""+05:30""#, usual),
        ("timezone", r#""+5:30""#, offset, r#""+05:30""#, usual),
        ("timezone", r#""-3""#, offset, r#""-03:00""#, usual),
        ("timezone", r#""Z""#, offset, r#""+00:00""#, usual),
        ("timezone", r#""GMT+05:30""#, offset, r#""+05:30""#, usual),
        (
            "timezone",
            r#""Asia/Kolkata""#,
            zone,
            r#""Asia/Kolkata""#,
            "/timezone is the name of a zone, not an offset; kept as `zone`",
        ),
        (
            "timezone",
            r#""Asia/Kolkata""#,
            offset,
            "null",
            "/timezone is the name of a zone, not an offset; kept as `zone`",
        ),
        ("timezone", r#""+25:00""#, offset, "null", none),
        ("timezone", r#""+05:60""#, offset, "null", none),
        ("timezone", r#""soon""#, offset, "null", none),
        ("timezone", r#""+é3""#, offset, "null", none),
    ]);
}

#[test]
fn plans() {
    let mangoes = "/mangoes";
    let list = "/mangoes is a list, not titles joined by commas; its titles were taken";
    check(&[
        ("mangoes", r#""A, B,C""#, mangoes, r#"["A", "B,C"]"#, ""),
        ("mangoes", r#""""#, mangoes, "[]", ""),
        ("mangoes", "null", mangoes, "[]", ""),
        ("mangoes", "", mangoes, "[]", ""),
        ("mangoes", r#"["A", "B, C"]"#, mangoes, r#"["A", "B, C"]"#, list),
        ("mangoes", r#"[{"_id":"1","title":"A"},{"name":"B"},7]"#, mangoes, r#"["A", "B", "7"]"#, list),
        ("mangoes", "7", mangoes, r#"["7"]"#, "/mangoes is a number; taken as text"),
        ("mangoes", "{}", mangoes, "[]", "/mangoes is no text; left out"),
    ]);
}

#[test]
fn times() {
    let (utc, wall) = ("/sessions/0/begin/utc", "/sessions/0/begin/wall");
    let (good, local) = (r#""2024-03-15T10:00:00Z""#, r#""2024-03-15T15:30:00""#);
    let (from, in_creator) = ("webinarFromTime", "webinarFromTimeInCreatorTimezone");
    let at = "/callList/0/webinarFromTime";
    let clock = "/callList/0/webinarFromTimeInCreatorTimezone";
    let minute = "has no seconds; read as a whole minute";
    let worked_out = format!("{at} is missing; worked out from the creator's clock");
    let instant = format!("{clock} is not the creator's clock but an instant, as its mark says; read as that");
    let contradiction = format!("{clock} contradicts the instant and creatorTimezone, which were believed");
    let season = format!("{clock} is up to an hour off creatorTimezone, as after a change of clocks; believed");
    check(&[
        (from, r#""2024-03-15T10:00Z""#, utc, good, &format!("{at} {minute}")),
        (from, r#""2024-03-15T15:30:00+05:30""#, utc, good, ""),
        (from, r#""2024-03-15T10:00:00""#, utc, good, &format!("{at} has no offset; taken for UTC")),
        (from, "1710496800000", utc, good, &format!("{at} is a number; read as time since 1970")),
        (from, "1710496800", utc, good, &format!("{at} is a number; read as time since 1970")),
        (from, "", utc, good, &worked_out),
        (from, "null", utc, good, &worked_out),
        (in_creator, "", wall, local, ""),
        (in_creator, "null", wall, local, ""),
        (in_creator, r#""2024-03-15T15:30""#, wall, local, &format!("{clock} {minute}")),
        (in_creator, r#""2024-03-15T15:30:00+05:30""#, wall, local, ""),
        (in_creator, r#""2024-03-15T15:30:00""#, wall, local, ""),
        (in_creator, r#""2024-03-15T10:00:00.000Z""#, wall, local, &instant),
        (in_creator, r#""2024-03-15T12:00:00+02:00""#, wall, local, &instant),
        (in_creator, r#""2024-03-15T20:00:00.000Z""#, wall, local, &contradiction),
        (in_creator, r#""2024-03-15T16:30:00.000Z""#, wall, r#""2024-03-15T16:30:00""#, &season),
        (in_creator, r#""soon""#, wall, local, &format!("{clock} is no time; left out")),
        (
            "webinarToTime",
            "",
            "/sessions/0/durationMinutes",
            "60",
            "/callList/0/webinarToTime is missing; worked out from the creator's clock",
        ),
    ]);
    let backwards = [("webinarToTime", r#""2024-03-15T09:00:00Z""#), ("webinarToTimeInCreatorTimezone", "")];
    let (json, told) = read_body(&body(&backwards));
    assert_eq!((&json["sessions"][0]["end"], &json["sessions"][0]["durationMinutes"]), (&Value::Null, &Value::Null));
    assert_eq!(told, ["/callList/0/webinarToTime is before the session begins; left out"]);
}

#[test]
fn a_time_told_nowhere_is_null_and_the_session_stays() {
    for (raw, expected) in [
        ("", "/callList/0/webinarFromTime is missing, so that the time is not known"),
        (r#""15 March""#, "/callList/0/webinarFromTime is no time; left out"),
    ] {
        let (json, told) = read_body(&body(&[("webinarFromTime", raw), ("webinarFromTimeInCreatorTimezone", "")]));
        assert_eq!((&json["sessions"][0]["begin"], &json["sessions"][0]["id"]), (&Value::Null, &"a1".into()));
        assert_eq!(told[0], expected);
    }
}

#[test]
fn zones_of_creators() {
    let offset = "/sessions/0/begin/offset";
    let worked_out = "/callList/0/creatorTimezone is missing or no offset; worked out from the session's times \
                      (so in 1 further place)";
    check(&[
        ("creatorTimezone", "", offset, r#""+05:30""#, worked_out),
        ("creatorTimezone", "null", offset, r#""+05:30""#, worked_out),
        ("creatorTimezone", r#""""#, offset, r#""+05:30""#, worked_out),
        ("creatorTimezone", r#""Asia/Kolkata""#, offset, r#""+05:30""#, worked_out),
        ("creatorTimezone", r#""soon""#, offset, r#""+05:30""#, worked_out),
    ]);
    let walls = [("webinarFromTimeInCreatorTimezone", ""), ("webinarToTimeInCreatorTimezone", "")];
    let (json, told) = read_body(&body(&[walls[0], walls[1], ("creatorTimezone", "null")]));
    assert_eq!(json["sessions"][0]["begin"]["wall"], "2024-03-15T10:00:00");
    assert_eq!(told, ["/callList/0/creatorTimezone is missing or no offset; UTC was taken (so in 1 further place)"]);
}

#[test]
fn lists_that_are_none() {
    let first = "/sessions/0/id";
    let session = object(&SESSION, &[]);
    let gaps = format!(r#"{{"0":{session},"2":null}}"#);
    let (one, twice) = (session.clone(), format!("[{session},{session}]"));
    check(&[
        ("callList", "null", "/sessions", "[]", "/callList is null; read as no sessions"),
        ("callList", "[]", "/sessions", "[]", ""),
        ("callList", "7", "/sessions", "[]", "/callList is no list; read as no sessions"),
        ("callList", &one, first, r#""a1""#, "/callList is one session, not a list; read as a list of one"),
    ]);
    let (json, told) = read_body(&body(&[("callList", &twice)]));
    assert_eq!(json["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(told, ["/callList/1 is there already; passed over"]);
    let (json, told) = read_body(&body(&[("callList", &gaps)]));
    assert_eq!(json["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(
        told,
        ["/callList is an object, not a list; its members were read as one", "/callList/1 is no session; passed over"]
    );
}

#[test]
fn sessions_with_one_id_at_two_times_are_both_kept() {
    let moved = [("webinarFromTime", r#""2024-03-22T10:00:00Z""#), ("webinarFromTimeInCreatorTimezone", "")];
    let other =
        [moved[0], moved[1], ("webinarToTime", r#""2024-03-22T11:00:00Z""#), ("webinarToTimeInCreatorTimezone", "")];
    let list = format!("[{},{}]", object(&SESSION, &[]), object(&SESSION, &other));
    let (json, told) = read_body(&body(&[("callList", &list)]));
    assert_eq!(json["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(told, ["/callList/1/webinarId is an earlier session's, which differs; both were kept"]);
}

#[test]
fn ids_titles_and_links() {
    let session = |member: &str| format!("/sessions/0/{member}");
    check(&[
        ("webinarId", "", &session("id"), r#""""#, "/callList/0/webinarId is missing or empty"),
        ("webinarId", "634", &session("id"), r#""634""#, "/callList/0/webinarId is a number; taken as text"),
        ("webinar", "2024", &session("title"), r#""2024""#, "/callList/0/webinar is a number; taken as text"),
        ("webinarLink", "null", &session("link"), r#""""#, "/callList/0/webinarLink is missing or empty"),
    ]);
}

#[test]
fn a_session_beside_the_person_is_read_where_a_list_should_be() {
    let read = webinar(REMINDER, Some("webinar.created.single"));
    assert_eq!(read.sessions, [introduction()]);
    assert!(repairs(&read)[0].starts_with("/callList is missing; the session beside the person"));
    let listed = webinar(CREATED, Some("webinar.reminder.15min"));
    assert_eq!(listed.sessions, [introduction()]);
    assert!(repairs(&listed)[0].starts_with("/callList is there, though this event has one session"));
}

#[test]
fn a_payload_that_only_its_name_tells_is_read_as_far_as_it_goes() {
    let read = webinar(r#"{"name":"Asha","email":"asha@example.com"}"#, Some("webinar.created.recurring"));
    assert_eq!((read.person.email.as_deref(), read.sessions.len()), (Some("asha@example.com"), 0));
    assert_eq!(repairs(&read), [" holds no session in a known place"]);
}

#[test]
fn a_mark_before_the_body_and_bytes_that_are_no_text_are_mended() {
    let marked = format!("\u{feff}{CREATED}");
    let read = webinar(&marked, Some("webinar.created.recurring"));
    assert_eq!(repairs(&read)[0], " has a byte order mark before it; removed");
    assert_eq!(read.sessions, [introduction()]);
    let broken = CREATED
        .replace("John", "J\u{1}")
        .into_bytes()
        .iter()
        .map(|byte| if *byte == 1 { 0xff } else { *byte })
        .collect::<Vec<_>>();
    let read = webinar_of(super::read(&KeptHeaders::default(), &broken, Some("webinar.created.recurring")));
    assert_eq!(read.person.name, "J\u{fffd} Doe");
    assert!(repairs(&read)[0].contains("is not UTF-8"));
}

#[test]
fn members_nobody_knows_are_kept_without_a_word() {
    let (json, told) = read_body(&body(&[]).replacen('{', r#"{"coupon":{"code":"X"},"#, 1));
    assert_eq!((&json["body"]["coupon"]["code"], told.len()), (&"X".into(), 0));
}
