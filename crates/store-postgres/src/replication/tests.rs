use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::tests::TestDatabase;

/// A server with a synchronous standby, and nothing to say of it.
fn sound() -> Facts {
    Facts {
        synchronous_commit: "on".to_owned(),
        synchronous_standby_names: "FIRST 1 (second)".to_owned(),
        followers: 1,
        has_fsync: true,
        has_full_page_writes: true,
        version_number: 150_004,
        connections_max: 97,
        connections_wanted: 18,
        locks_max: 256,
        clocks: Clocks::ServerAhead { by_ms: 2_000 },
    }
}

fn told(facts: &Facts) -> Vec<(Severity, String)> {
    findings(facts).into_iter().map(|finding| (finding.severity, finding.text)).collect()
}

#[test]
fn of_a_sound_server_there_is_nothing_to_say() {
    assert_eq!(told(&sound()), []);
    assert_eq!(told(&Facts { version_number: 140_000, connections_wanted: 97, ..sound() }), []);
    for waits in ["remote_apply", "remote_write"] {
        assert_eq!(told(&Facts { synchronous_commit: waits.to_owned(), ..sound() }), [], "{waits}");
    }
}

#[test]
fn each_thing_that_may_lose_what_was_acknowledged_is_a_warning_with_its_mend() {
    let text = |text: &str| text.to_owned();
    for (facts, means, mend) in [
        (Facts { synchronous_standby_names: text(""), ..sound() }, "lost at a failover", "synchronous_standby_names"),
        (Facts { synchronous_commit: text("off"), ..sound() }, "when the server crashes", "set it to on"),
        (Facts { synchronous_commit: text("local"), ..sound() }, "no standby is waited for", "set it to on"),
        (Facts { has_fsync: false, ..sound() }, "a power failure loses", "postgresql.conf"),
        (Facts { has_full_page_writes: false, ..sound() }, "full_page_writes is off", "postgresql.conf"),
        (Facts { followers: 0, ..sound() }, "nothing is acknowledged", "start one"),
        (Facts { version_number: 130_014, ..sound() }, "PostgreSQL 13", "use 14 or newer"),
        (Facts { connections_max: 17, ..sound() }, "may open 18 connections", "lower connections="),
        (Facts { locks_max: 64, ..sound() }, "max_locks_per_transaction is 64", "set it to 256"),
        (Facts { clocks: Clocks::ServerBehind { by_ms: 2_100 }, ..sound() }, "2.1 s behind this node's", "NTP"),
        (Facts { clocks: Clocks::ServerAhead { by_ms: 61_000 }, ..sound() }, "61.0 s ahead of this", "NTP"),
    ] {
        let told = told(&facts);
        let [(Severity::Warning, said)] = told.as_slice() else { panic!("{told:?}") };
        assert!(said.contains(means) && said.contains(mend) && !said.contains('\n'), "{said}");
    }
}

#[test]
fn a_server_alone_is_remarked_on_and_no_warning() {
    let alone = Facts { synchronous_standby_names: String::new(), followers: 0, ..sound() };
    let said = told(&alone);
    let [(Severity::Remark, said)] = said.as_slice() else { panic!("{said:?}") };
    assert!(said.contains("no standby"), "{said}");
    // With no standby to wait for, `local` is the same as `on`.
    assert_eq!(told(&Facts { synchronous_commit: "local".to_owned(), ..alone }).len(), 1);
}

#[test]
fn how_long_the_question_took_is_no_difference_of_clocks() {
    assert_eq!(Clocks::compare(1_000, 5_000, 9_000), Clocks::ServerAhead { by_ms: 0 });
    assert_eq!(Clocks::compare(1_000, 9_500, 9_000), Clocks::ServerAhead { by_ms: 500 });
    assert_eq!(Clocks::compare(1_000, 400, 9_000), Clocks::ServerBehind { by_ms: 600 });
}

/// A clock that is wrong by an hour, or right.
struct NodeClock(SignedDuration);

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        Timestamp::UNIX_EPOCH + SignedDuration::try_from(since).unwrap() + self.0
    }
}

#[tokio::test]
async fn a_server_is_asked_for_what_is_said_of_it() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store();
    let told = store.examine_server(&NodeClock(SignedDuration::ZERO)).await.unwrap();
    let is_remark = |said: &&Finding| said.severity == Severity::Remark;
    let remarks: Vec<_> = told.iter().filter(is_remark).map(|said| &said.text).collect();
    assert!(matches!(remarks.as_slice(), [said] if said.contains("has no standby")), "{told:?}");
    let warnings: Vec<_> = told.iter().filter(|said| !is_remark(said)).collect();
    assert!(warnings.iter().all(|said| said.text.starts_with("max_locks_per_transaction")), "{warnings:?}");
    let told = store.examine_server(&NodeClock(SignedDuration::from_hours(1))).await.unwrap();
    assert!(told.iter().any(|said| said.text.contains("s behind this node's")), "{told:?}");

    let session = store.session().await.unwrap();
    session.execute_all("set synchronous_commit = off").await.unwrap();
    drop(session);
    let told = store.examine_server(&NodeClock(SignedDuration::ZERO)).await.unwrap();
    assert!(told.iter().any(|said| said.text.starts_with("synchronous_commit is off")), "{told:?}");
}

#[tokio::test]
async fn a_store_that_keeps_nothing_now_says_why() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store();
    store.check_writable().await.unwrap();
    let session = store.session().await.unwrap();
    session.execute_all("set default_transaction_read_only = on").await.unwrap();
    drop(session);
    let refused = store.check_writable().await.unwrap_err();
    assert!(matches!(&refused, StoreError::Unwritable(why) if why.contains("read-only")), "{refused}");
}
