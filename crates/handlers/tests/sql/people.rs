//! What is kept of people, and which messages are passed over.

use handlers::sql::Dialect;
use handlers::{Handler, Job, RunFailureKind};
use jiff::Timestamp;
use jiff::tz::Offset;
use receiver::reading::{OtherEvent, Person};
use receiver::{Reading, WebinarEvent};

use crate::events::{job, jobs, of_reading, person, webinar};
use crate::world::{Database, failure, one_by_one};

const PEOPLE: &str = "select email, name, phone, utc_offset from webinar_people order by email";

/// The message `line` from somebody else.
fn from(line: &str, person: Person) -> Job {
    let told = job(line);
    let Reading::Webinar(read) = told.message.reading.clone() else { panic!("a webinar") };
    of_reading(
        told.message.id.as_u64(),
        told.message.received_at,
        Reading::Webinar(Box::new(WebinarEvent { person, ..*read })),
    )
}

#[tokio::test]
async fn of_a_person_the_newest_holds_and_what_it_does_not_say_is_kept() {
    let with = |name: &str, phone: Option<&str>, offset: Option<i32>| Person {
        name: name.to_owned(),
        phone: phone.map(str::to_owned),
        offset: offset.map(|seconds| Offset::from_seconds(seconds).unwrap()),
        ..person("ann")
    };
    for database in Database::each().await {
        let handler = database.keeper();
        let steps = [
            (from("v1 #5 ann: a", with("", Some("+911234567890"), None)), "ann@example.com  +911234567890 -"),
            (
                from("v1 #6 ann: a", with("Ann", Some("1234567890"), Some(-12_600))),
                "ann@example.com Ann +911234567890 -03:30",
            ),
            (
                from("v1 #4 ann: a", with("Old", Some("+4930000000"), Some(0))),
                "ann@example.com Ann +911234567890 -03:30",
            ),
            (from("v1 #7 ann: a", with("", None, None)), "ann@example.com Ann +911234567890 -03:30"),
            (
                from("v1 #8 ann: a", with("Ann B.", Some("+4930000000"), Some(0))),
                "ann@example.com Ann B. +4930000000 +00:00",
            ),
        ];
        for (job, expected) in steps {
            handler.handle(&job).await.unwrap();
            assert_eq!(database.one(PEOPLE).await, expected, "message {}", job.message.id.as_u64());
        }
        let seen = "select first_seen_at < last_seen_at, message from webinar_people";
        assert!(database.one(seen).await.ends_with(" 8"));
    }
}

#[tokio::test]
async fn texts_with_anything_in_them_are_kept_as_data() {
    for database in Database::each().await {
        let handler = database.keeper();
        let name = "Robert'); drop table webinar_people; -- \\\" $1 :name \u{0} ü 🎉 {\"a\"}";
        handler.handle(&from("v1 #1 bob: a", Person { name: name.to_owned(), ..person("bob") })).await.unwrap();
        assert_eq!(database.one("select name from webinar_people").await, name.replace('\0', ""));
    }
}

#[tokio::test]
async fn the_recording_is_kept_beside_the_link_to_the_session() {
    for database in Database::each().await {
        let handler = database.keeper();
        one_by_one(&handler, &jobs(&["v1 #1 ann: a", "completed #2 ann: a", "v2 #3 ann: a+1", "completed #4 bob: a"]))
            .await;
        let links = database.one("select link, recording_link from webinar_sessions").await;
        assert_eq!(links, "https://meet.example/a https://rec.example/a");
    }
}

#[tokio::test]
async fn what_the_tables_have_no_place_for_is_passed_over_and_who_has_no_address_is_parked() {
    let nobody = Person { email: None, ..person("ann") };
    for database in Database::each().await {
        let handler = database.keeper();
        let test = WebinarEvent { is_test: true, ..webinar("webinar.created.single", person("ann"), vec![], None) };
        let strange = webinar("webinar.postponed", person("ann"), vec![], None);
        let mut batch: Vec<Job> = [
            Reading::Other(OtherEvent { event: Some("order.created".to_owned()) }),
            Reading::Webinar(Box::new(test)),
            Reading::Webinar(Box::new(strange)),
        ]
        .into_iter()
        .map(|reading| of_reading(9, Timestamp::UNIX_EPOCH, reading))
        .collect();
        batch.extend([from("v1 #1 ann: a", nobody.clone()), job("v1 #2 bob: a")]);
        let results = handler.handle_batch(&batch).await;
        assert!(results[..3].iter().all(|result| result.as_ref().unwrap().ends_with("nothing to keep")), "{results:?}");
        assert_eq!(results[3].as_ref().unwrap_err().kind, RunFailureKind::Hopeless);
        assert_eq!(results[4].as_ref().unwrap(), "kept 1 session");
        let failure = failure(&handler, &batch[3]).await;
        assert!(failure.reason.contains("no e-mail address"), "{failure:?}");
        assert_eq!(database.one("select count(*) from fanfare_run").await, "1");
    }
}

#[tokio::test]
async fn forgetting_a_person_takes_along_what_they_were_told() {
    for database in Database::each().await {
        one_by_one(&database.keeper(), &jobs(&["v1 #1 ann: a b", "v1 #2 bob: a"])).await;
        let switch = match database.dialect() {
            Dialect::Postgres => "",
            Dialect::Sqlite => "pragma foreign_keys = on; ",
        };
        database.run(&format!("{switch}delete from webinar_people where email = 'ann@example.com'")).await;
        assert_eq!(database.one("select person, session from webinar_attendance").await, "bob@example.com a");
        assert_eq!(database.one("select person from webinar_agendas").await, "bob@example.com");
    }
}

#[tokio::test]
async fn a_preview_shows_the_rows_and_writes_nothing() {
    for database in Database::each().await {
        let handler = database.keeper();
        handler.check().await.unwrap();
        let preview = handler.foresee(&job("v1 #1 ann: a b")).await.unwrap();
        for words in ["ann@example.com", "\"2024-03-15T10:00:00.000Z\"", "\"+05:30\"", "tables webinar_*"] {
            assert!(preview.contains(words), "{words} in {preview}");
        }
        assert_eq!(database.one("select count(*) from webinar_people").await, "0");
    }
}
