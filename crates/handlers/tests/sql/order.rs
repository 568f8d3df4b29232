//! What the built-in tables hold after messages in any order, one by one or in one transaction.

use std::sync::Arc;

use handlers::{Handler, Job};

use crate::events::jobs;
use crate::world::{Database, one_by_one};

struct Story {
    says: &'static str,
    /// Whether the messages tell the same in any order. They do not where one person's newer version cancels what
    /// another's older one lists, and where nothing but the order says that two series are one.
    is_for_any_order: bool,
    messages: &'static [&'static str],
    /// Attendance that is on.
    on: &'static str,
    /// All attendance, after the messages in this order.
    attendance: &'static str,
    /// All sessions, after the messages in this order.
    sessions: &'static str,
}

const STORIES: &[Story] = &[
    Story {
        says: "a session that a newer version does not list is cancelled",
        is_for_any_order: true,
        messages: &["v1 #1 ann: a b c", "v2 #2 ann: a b"],
        on: "ann a invited, ann b invited",
        attendance: "ann a invited, ann b invited, ann c cancelled",
        sessions: "a 10:00 scheduled, b 10:00 scheduled, c 10:00 cancelled",
    },
    Story {
        says: "an older version changes nothing, even if the inbox got it later",
        is_for_any_order: true,
        messages: &["v2 #1 ann: a+2 b", "v1 #2 ann: a b c"],
        on: "ann a invited, ann b invited",
        attendance: "ann a invited, ann b invited",
        sessions: "a 12:00 scheduled, b 10:00 scheduled",
    },
    Story {
        says: "the newest of three versions holds",
        is_for_any_order: true,
        messages: &["v3 #3 ann: b+1 d", "v1 #1 ann: a b c", "v2 #2 ann: a b+2"],
        on: "ann b invited, ann d invited",
        attendance: "ann b invited, ann d invited",
        sessions: "b 11:00 scheduled, d 10:00 scheduled",
    },
    Story {
        says: "a session that comes back is on again",
        is_for_any_order: true,
        messages: &["v1 #1 ann: a b", "v2 #2 ann: a", "v3 #3 ann: a b"],
        on: "ann a invited, ann b invited",
        attendance: "ann a invited, ann b invited",
        sessions: "a 10:00 scheduled, b 10:00 scheduled",
    },
    Story {
        says: "without versions the order of arrival counts, and the sessions themselves are not cancelled",
        is_for_any_order: true,
        messages: &["v0 #1 ann: a b c", "v0 #2 ann: a b+3"],
        on: "ann a invited, ann b invited",
        attendance: "ann a invited, ann b invited, ann c cancelled",
        sessions: "a 10:00 scheduled, b 13:00 scheduled, c 10:00 scheduled",
    },
    Story {
        says: "what one person was told last says nothing of another",
        is_for_any_order: false,
        messages: &["v1 #1 ann: a b", "v1 #2 bob: a b", "v2 #3 ann: a", "v0 #4 cia: x"],
        on: "ann a invited, bob a invited, bob b invited, cia x invited",
        attendance: "ann a invited, ann b cancelled, bob a invited, bob b invited, cia x invited",
        sessions: "a 10:00 scheduled, b 10:00 cancelled, x 10:00 scheduled",
    },
    Story {
        says: "a reminder neither cancels nor counts as a version",
        is_for_any_order: true,
        messages: &["v1 #1 ann: a b", "remind #2 ann: a", "v2 #3 ann: a b+1"],
        on: "ann a reminded, ann b invited",
        attendance: "ann a reminded, ann b invited",
        sessions: "a 10:00 scheduled, b 11:00 scheduled",
    },
    Story {
        says: "a reminder may come first, and alone",
        is_for_any_order: true,
        messages: &["remind #5 ann: a", "v0 #6 ann: a b"],
        on: "ann a reminded, ann b invited",
        attendance: "ann a reminded, ann b invited",
        sessions: "a 10:00 scheduled, b 10:00 scheduled",
    },
    Story {
        says: "who was there stays so, whatever else comes",
        is_for_any_order: true,
        messages: &["v1 #1 ann: a b", "completed #2 ann: a", "remind #3 ann: a", "v2 #4 ann: b"],
        on: "ann a attended, ann b invited",
        attendance: "ann a attended, ann b invited",
        sessions: "a 10:00 cancelled, b 10:00 scheduled",
    },
    Story {
        says: "a series without an id is known by a session it shares, and others are left alone",
        is_for_any_order: false,
        messages: &["v0 #1 ann: b c", "v0 #2 ann: x y", "v0 #3 ann: c d"],
        on: "ann c invited, ann d invited, ann x invited, ann y invited",
        attendance: "ann b cancelled, ann c invited, ann d invited, ann x invited, ann y invited",
        sessions: "b 10:00 scheduled, c 10:00 scheduled, d 10:00 scheduled, x 10:00 scheduled, y 10:00 scheduled",
    },
    Story {
        says: "what has begun is not cancelled by no longer being listed",
        is_for_any_order: false,
        messages: &["v1 #1 ann: a b f", "v2 #2 @17 ann: g"],
        on: "ann a invited, ann b invited, ann g invited",
        attendance: "ann a invited, ann b invited, ann f cancelled, ann g invited",
        sessions: "a 10:00 scheduled, b 10:00 scheduled, f 10:00 cancelled, g 10:00 scheduled",
    },
    Story {
        says: "sessions that all have one id are told apart by their beginning",
        is_for_any_order: false,
        messages: &["v0 #1 ann: s=a s=b s=c", "v0 #2 ann: s=a s=b+2", "completed #3 @15 ann: s=a"],
        on: "ann s@2024-03-15T10:00:00.000Z attended, ann s@2024-03-16T12:00:00.000Z invited",
        attendance: "ann s@2024-03-15T10:00:00.000Z attended, ann s@2024-03-16T10:00:00.000Z cancelled, \
                     ann s@2024-03-16T12:00:00.000Z invited, ann s@2024-03-17T10:00:00.000Z cancelled",
        sessions: "s@2024-03-15T10:00:00.000Z 10:00 scheduled, s@2024-03-16T10:00:00.000Z 10:00 scheduled, \
                   s@2024-03-16T12:00:00.000Z 12:00 scheduled, s@2024-03-17T10:00:00.000Z 10:00 scheduled",
    },
];

const ATTENDANCE: &str = "select replace(person, '@example.com', ''), session, status from webinar_attendance";

async fn sessions(database: &Database) -> String {
    let time = match database.dialect() {
        handlers::sql::Dialect::Postgres => "to_char(begins_at at time zone 'UTC', 'HH24:MI')",
        handlers::sql::Dialect::Sqlite => "substr(begins_at, 12, 5)",
    };
    database.one(&format!("select id, {time}, status from webinar_sessions order by id")).await
}

async fn attendance(database: &Database) -> String {
    database.one(&format!("{ATTENDANCE} order by person, session")).await
}

async fn on(database: &Database) -> String {
    database.one(&format!("{ATTENDANCE} where status <> 'cancelled' order by person, session")).await
}

async fn forget(database: &Database) {
    for table in ["attendance", "agendas", "people", "sessions", "series"] {
        database.run(&format!("delete from webinar_{table}")).await;
    }
    database.run("delete from fanfare_run").await;
}

#[tokio::test]
async fn the_tables_tell_each_story_one_by_one_and_in_one_transaction() {
    for database in Database::each().await {
        let handler = database.keeper();
        for story in STORIES {
            let jobs = jobs(story.messages);
            one_by_one(&handler, &jobs).await;
            assert_eq!(attendance(&database).await, story.attendance, "{}, one by one", story.says);
            assert_eq!(sessions(&database).await, story.sessions, "{}, one by one", story.says);
            forget(&database).await;
            handler.handle_batch(&jobs).await.into_iter().for_each(|result| drop(result.unwrap()));
            assert_eq!(on(&database).await, story.on, "{}, in one transaction", story.says);
            forget(&database).await;
        }
    }
}

#[tokio::test]
async fn the_order_in_which_messages_are_handled_makes_no_difference() {
    for database in Database::each().await {
        let handler = database.keeper();
        for story in STORIES.iter().filter(|story| story.is_for_any_order) {
            for order in orders(jobs(story.messages)) {
                one_by_one(&handler, &order).await;
                let numbers: Vec<u64> = order.iter().map(|job| job.message.id.as_u64()).collect();
                assert_eq!(on(&database).await, story.on, "{}, in the order {numbers:?}", story.says);
                forget(&database).await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_done_is_said_and_an_outdated_message_says_so() {
    for database in Database::each().await {
        let handler = database.keeper();
        let words = one_by_one(&handler, &jobs(&["v2 #2 ann: a b", "v1 #1 ann: a b c", "remind #3 ann: a"])).await;
        assert_eq!(words, ["kept 2 sessions", "what is kept is newer: nothing changed", "noted a reminder"]);
        let again = one_by_one(&handler, &jobs(&["v2 #2 ann: a b"])).await;
        assert_eq!(again, ["already done"]);
        let batch = handler.handle_batch(&jobs(&["v4 #5 ann: a", "v3 #4 ann: a b", "v2 #2 ann: a b"])).await;
        let batch: Vec<String> = batch.into_iter().map(Result::unwrap).collect();
        assert_eq!(batch, ["kept 1 session", "what is kept is newer: nothing changed", "already done"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn transactions_at_the_same_time_come_to_the_newest_version_of_everybody() {
    const PEOPLE: u64 = 12;
    let told = |version: u64, person: u64| {
        let sessions = ["a b c", "c+2 b a", "b d+1"][usize::try_from(version).unwrap() - 1];
        format!("v{version} #{} p{person:02}: {sessions}", version * 100 + person)
    };
    let lines: Vec<String> =
        (1..=3).flat_map(|version| (1..=PEOPLE).map(move |person| told(version, person))).collect();
    for database in Database::each().await {
        let handler = Arc::new(database.keeper());
        let tasks: Vec<_> = (0..4)
            .map(|task| {
                // Each its own share, in an order of its own.
                let mut share: Vec<&str> = lines.iter().skip(task).step_by(4).map(String::as_str).collect();
                let middle = task * share.len() / 4;
                share.rotate_left(middle);
                let (handler, share) = (handler.clone(), jobs(&share));
                tokio::spawn(async move { handler.handle_batch(&share).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().into_iter().for_each(|result| drop(result.unwrap()));
        }
        let each: Vec<String> =
            (1..=PEOPLE).map(|person| format!("p{person:02} b invited, p{person:02} d invited")).collect();
        assert_eq!(on(&database).await, each.join(", "));
        assert!(
            sessions(&database).await.contains("b 10:00 scheduled")
                && sessions(&database).await.contains("d 11:00 scheduled")
        );
    }
}

/// All orders of a few things.
fn orders(jobs: Vec<Job>) -> Vec<Vec<Job>> {
    if jobs.len() < 2 {
        return vec![jobs];
    }
    let mut all = Vec::new();
    for place in 0..jobs.len() {
        let mut rest = jobs.clone();
        let first = rest.remove(place);
        all.extend(orders(rest).into_iter().map(|order| [vec![first.clone()], order].concat()));
    }
    all
}
