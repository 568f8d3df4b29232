//! Query plans: hot queries go through the index made for them, and the audience is merged, never sorted.

use rusqlite::{Connection, StatementStatus};
use store::RunStanding;
use webinar::{MangoId, SeriesId};
use wire::AccountId;

use super::Disk;
use crate::audience::Audience;
use crate::open::plan_once;
use crate::{
    agendas, arrivals, audit, backlog, catalog, dedupe, due, erasures, failures, inbox, journal, lanes, notices,
    replays, rules, runs, secrets, subscriptions, upkeep,
};

#[test]
fn claiming_reads_only_lanes_that_are_due() {
    let plans = Plans::new();
    plans.of(lanes::ANY_DUE).goes_by(&["lane USING INDEX lane_due"]);
    plans.of(lanes::CLAIM).goes_by(&["lane USING INDEX lane_due", "lane USING PRIMARY KEY"]);
}

#[test]
fn retries_come_from_their_index_in_order() {
    let plans = Plans::new();
    plans.of(lanes::DUE_RETRIES).goes_by(&["x USING INDEX exception_due", "p USING PRIMARY KEY"]);
    plans.of(&due::reschedule_sql()).goes_by(&["exception USING COVERING INDEX exception_due", "fan_out_running"]);
}

#[test]
fn orders_find_what_they_change_by_index() {
    let plans = Plans::new();
    plans.of(backlog::OUT_OF_LINE).goes_by(&["fan_out USING INDEX fan_out_out_of_line"]);
    plans.of(backlog::DROP).goes_by(&["fan_out USING INDEX fan_out_waiting"]);
    plans.of(lanes::NEWER_VERSIONS).goes_by(&["fan_out USING COVERING INDEX fan_out_by_series"]);
    plans.of(catalog::PROGRESS).goes_by(&["f USING INDEX fan_out_by_event", "g USING INDEX fan_out_running"]);
}

#[test]
fn replays_find_what_failed_and_how_it_stands_by_index() {
    let plans = Plans::new();
    plans.of(replays::DUE).goes_by(&["replay USING INDEX replay_due"]);
    plans.of(replays::WAITING).goes_by(&["exception USING COVERING INDEX exception_replayed"]);
    plans.of(&replays::open_sql()).goes_by(&["r USING INDEX replay_open", "f USING INDEX fan_out_by_replay"]);
    plans.of(replays::NEWER).goes_by(&["n USING INDEX fan_out_by_series"]);
    plans.of(replays::FAILED_FAN_OUTS).goes_by(&["fan_out USING INDEX fan_out_failed"]);
    plans.of(replays::FAILED_FAN_OUTS_OF_EVENT).goes_by(&["fan_out USING INDEX fan_out_by_event"]);
    plans.of(&replays::failed_sql("participant")).goes_by(&["exception USING PRIMARY KEY"]);
    plans.of(&replays::revive_sql()).goes_by(&["exception USING PRIMARY KEY", "fan_out USING PRIMARY KEY"]);
    let ways = ["r USING PRIMARY KEY", "x USING COVERING INDEX exception_replayed", "f USING INDEX fan_out_by_replay"];
    plans.of(&replays::replay_sql()).goes_by(&ways);
    plans.of(&backlog::supersede_sql("fan_out_replayed")).goes_by(&["fan_out USING INDEX fan_out_replayed"]);
}

#[test]
fn what_a_crash_left_is_found_by_range() {
    let plans = Plans::new();
    plans.of(lanes::SEGMENTS_BEYOND).goes_by(&["segment USING INDEX segment_by_range"]);
    plans.of(lanes::EXCEPTIONS_BEYOND).goes_by(&["exception USING PRIMARY KEY"]);
    for pace in ["null", "not null"] {
        let ways = ["f USING INDEX fan_out_running", "e USING INDEX sqlite_autoindex_event_1"];
        plans.of(&lanes::open_sql(pace)).goes_by(&ways);
    }
}

#[test]
fn an_audience_is_merged_from_its_groups_in_order() {
    let plans = Plans::new();
    for (mangoes, excluded) in [(0, 0), (1, 0), (2, 0), (2, 2), (100, 100)] {
        let audience = audience(mangoes, excluded);
        let plan = plans.of(&audience.page_query(0, 512).0);
        plan.goes_by(&["m USING PRIMARY KEY", "p USING PRIMARY KEY"]);
        if excluded > 0 {
            plan.goes_by(&["held USING INDEX membership_by_participant"]);
        }
        plans.of(&audience.count_query().0).goes_by(&["m USING PRIMARY KEY"]);
    }
}

#[test]
fn the_log_is_read_in_its_order() {
    let plans = Plans::new();
    plans.of(journal::FAN_OUTS).goes_by(&["fan_out USING PRIMARY KEY"]);
    plans.of(journal::FAN_OUTS_OF_EVENT).goes_by(&["fan_out USING INDEX fan_out_by_event"]);
    plans.of(journal::SEGMENTS_BELOW).goes_by(&["segment USING INDEX segment_by_range"]);
    plans.of(&journal::exceptions_sql()).goes_by(&[
        "x USING PRIMARY KEY",
        "f USING PRIMARY KEY (account=? AND fan_out=? AND participant=? AND attempt=? AND finished_at=?)",
    ]);
    plans
        .of(&failures::of_delivery_sql())
        .goes_by(&["f USING PRIMARY KEY (account=? AND fan_out=? AND participant=?)"]);
    plans.of(journal::SEGMENTS_AROUND).goes_by(&["segment USING INDEX segment_by_range"]);
}

#[test]
fn secrets_are_found_by_endpoint_and_the_expired_by_their_end() {
    let plans = Plans::new();
    plans.of(secrets::OF_ENDPOINT).goes_by(&["endpoint_secret USING PRIMARY KEY"]);
    plans.of(secrets::REMOVE_EXPIRED).goes_by(&["endpoint_secret USING INDEX endpoint_secret_expiring"]);
}

#[test]
fn the_inbox_finds_duplicates_and_lists_by_index() {
    let plans = Plans::new();
    plans.of(dedupe::SEEN).goes_by(&["message_seen USING INTEGER PRIMARY KEY"]);
    plans.of(dedupe::KNOWN).goes_by(&["message USING INTEGER PRIMARY KEY"]);
    plans.of(dedupe::KEYS).goes_by(&["message_seen USING INTEGER PRIMARY KEY (rowid>?)"]);
    plans.of(&inbox::messages_sql()).goes_by(&["m USING INDEX message_by_account", "d USING PRIMARY KEY"]);
}

#[test]
fn what_is_missing_of_a_fan_out_is_read_from_an_index_alone() {
    let plans = Plans::new();
    for sql in [arrivals::TOTAL, arrivals::INDEXES, arrivals::NEWEST] {
        plans.of(sql).goes_by(&["message USING COVERING INDEX message_by_fan_out"]);
    }
}

#[test]
fn runs_that_are_due_and_messages_that_are_new_are_found_by_index() {
    let plans = Plans::new();
    plans.of(&runs::due_sql()).goes_by(&["r USING INDEX run_due", "m USING INTEGER PRIMARY KEY"]);
    plans.of(&runs::fresh_sql()).goes_by(&["m USING INDEX message_by_account", "r USING PRIMARY KEY"]);
    plans.of(runs::HELD).goes_by(&["handler USING INDEX handler_by_name"]);
    plans.of(runs::NEWEST).goes_by(&["handled USING PRIMARY KEY"]);
    plans.of(runs::SETTLE).goes_by(&["message EXISTS USING COVERING INDEX message_by_account"]);
    plans.of(runs::NOTE_HANDLED).goes_by(&["message EXISTS USING COVERING INDEX message_by_account"]);
}

#[test]
fn runs_are_listed_and_ordered_about_in_their_order() {
    let plans = Plans::new();
    for standing in [RunStanding::Waiting, RunStanding::Skipped, RunStanding::Parked] {
        plans.of(&runs::list_sql(Some(standing))).goes_by(&["run USING INDEX run_not_done"]);
        plans.of(&runs::runs_sql(standing)).goes_by(&["r USING COVERING INDEX run_not_done"]);
    }
    for standing in [None, Some(RunStanding::Done)] {
        plans.of(&runs::list_sql(standing)).goes_by(&["run USING PRIMARY KEY"]);
    }
    plans.of(&runs::runs_sql(RunStanding::Done)).goes_by(&["r USING PRIMARY KEY"]);
    plans.of(&runs::messages_sql()).goes_by(&["m USING INDEX message_by_account", "r USING PRIMARY KEY"]);
    plans.of(runs::AHEAD).goes_by(&["message USING COVERING INDEX message_by_account"]);
}

#[test]
fn what_a_person_has_been_told_is_found_by_the_person() {
    let plans = Plans::new();
    for sql in [agendas::OF_PERSON, agendas::OF_SERIES, agendas::FORGET_AGENDAS] {
        plans.of(sql).goes_by(&["agenda USING PRIMARY KEY (account=? AND person=?"]);
    }
    for sql in [agendas::TOKEN, agendas::FORGET_CALENDARS] {
        plans.of(sql).goes_by(&["calendar USING COVERING INDEX calendar_of (account=? AND person=?"]);
    }
}

#[test]
fn the_audit_log_of_an_account_is_walked_by_its_index() {
    Plans::new().of(audit::LOG).goes_by(&["audit USING INDEX audit_by_account (account=? AND entry<?)"]);
}

#[test]
fn a_save_looks_for_whom_to_tell_in_its_own_account() {
    Plans::new().of(&subscriptions::to_event_sql()).goes_by(&["subscription USING PRIMARY KEY (account=?)"]);
}

#[test]
fn erasing_somebody_looks_at_that_person_alone() {
    let plans = Plans::new();
    plans.of(erasures::CALL_OFF).goes_by(&["exception USING INDEX exception_by_person"]);
    plans.of(erasures::END_MEMBERSHIPS).goes_by(&["membership USING INDEX membership_by_participant"]);
    plans.of(erasures::OPEN_SEARCHES).goes_by(&["erasure USING INDEX erasure_open"]);
    plans.of(erasures::TO_BE_SEALED).goes_by(&["erasure USING INDEX erasure_open"]);
    plans.of(&erasures::messages_sql()).goes_by(&["m USING INDEX message_by_account (account=? AND number>?"]);
}

#[test]
fn what_is_let_go_is_found_oldest_first() {
    let plans = Plans::new();
    plans.of(upkeep::OLD_MESSAGES).goes_by(&["message USING INDEX message_by_account (account=? AND number>?)"]);
    plans.of(upkeep::OLD_RUNS).goes_by(&["run USING PRIMARY KEY (account=? AND handler=? AND number<?)"]);
    plans.of(upkeep::OLD_HANDLED).goes_by(&["handled USING INDEX handled_by_message"]);
    plans.of(upkeep::LOGGED_FAN_OUTS).goes_by(&["fan_out USING INDEX fan_out_logged (account=? AND created_at<?)"]);
    plans.of(upkeep::OLD_FAILURES).goes_by(&["attempt_failure USING PRIMARY KEY (account=? AND fan_out=?)"]);
    plans.of(upkeep::OLD_EVENTS).goes_by(&["event USING INDEX event_by_age (account=? AND created_at<?)"]);
    plans.of(upkeep::OLD_VERSIONS).goes_by(&["PRIMARY KEY (account=?"]);
    plans.of(upkeep::OLD_MEMBERSHIPS).goes_by(&[
        "membership USING COVERING INDEX membership_ended",
        "event USING COVERING INDEX event_by_revision (account=?)",
    ]);
    plans.of(upkeep::OLD_ERASURES).goes_by(&["erasure USING PRIMARY KEY (account=?)"]);
}

#[test]
fn notices_are_found_by_when_they_are_due_and_by_what_they_are_about() {
    let plans = Plans::new();
    plans.of(notices::ANY_DUE).goes_by(&["d USING COVERING INDEX notice_delivery_due", "e USING PRIMARY KEY"]);
    plans.of(notices::LATEST).goes_by(&["notice USING INDEX notice_by_subject"]);
    plans.of(notices::UNREAD).goes_by(&["notice USING INDEX notice_unread"]);
}

#[test]
fn series_to_compare_with_a_newer_tz_database_come_from_their_index_in_order() {
    Plans::new().of(rules::TO_COMPARE).goes_by(&["series USING COVERING INDEX series_to_compare"]);
}

fn audience(mangoes: u8, excluded: u8) -> Audience {
    let ids = |kind: u8, count: u8| (0..count).map(|n| MangoId::from_bytes([kind.wrapping_add(n); 12])).collect();
    Audience {
        account: AccountId::from_u32(1),
        series: SeriesId::from_bytes([1; 12]),
        mangoes: ids(0, mangoes),
        excluded: ids(128, excluded),
        revision: 1,
        listed: None,
    }
}

#[test]
fn what_is_asked_for_each_message_is_planned_once() {
    let plans = Plans::new();
    plans.connection.execute_batch("pragma foreign_keys = off; pragma ignore_check_constraints = on").unwrap();
    for sql in [
        dedupe::SEEN,
        dedupe::KNOWN,
        dedupe::KEEP,
        dedupe::TAKE_SLOT,
        runs::HELD,
        runs::NEWEST,
        runs::SETTLE,
        runs::NOTE_HANDLED,
        &runs::due_sql(),
        &runs::fresh_sql(),
        lanes::ANY_DUE,
        lanes::DUE_RETRIES,
        lanes::SEGMENTS_BEYOND,
    ] {
        let mut statement = plans.connection.prepare(sql).unwrap();
        for round in 1..=3 {
            for place in 1..=statement.parameter_count() {
                statement.raw_bind_parameter(place, round).unwrap();
            }
            let mut rows = statement.raw_query();
            // Values of the wrong kind are refused after the plan was made.
            while let Ok(Some(_)) = rows.next() {}
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
    }
}

/// What may be walked through: results of subqueries whose own plans are looked at.
const SUBQUERIES: [&str; 5] = ["person", "work", "CONSTANT ROW", "(subquery", "json_each"];

/// An empty database to ask for plans: they depend on the schema alone, since nobody runs `analyze`.
struct Plans {
    connection: Connection,
    _disk: Disk,
}

struct Plan {
    sql: String,
    steps: Vec<String>,
}

impl Plans {
    fn new() -> Plans {
        let disk = Disk::new();
        drop(disk.open());
        let connection = disk.other();
        plan_once(&connection).unwrap();
        Plans { connection, _disk: disk }
    }

    /// The plan of a query, which may neither walk through a table nor sort.
    fn of(&self, sql: &str) -> Plan {
        let mut statement = self.connection.prepare(&format!("explain query plan {sql}")).unwrap();
        let steps = statement.raw_query().mapped(|row| row.get(3)).collect::<rusqlite::Result<Vec<String>>>().unwrap();
        for step in &steps {
            let walks =
                step.strip_prefix("SCAN ").is_some_and(|of| !SUBQUERIES.iter().any(|known| of.starts_with(known)));
            assert!(!walks && !step.contains("TEMP B-TREE"), "{step} in {steps:#?} of {sql}");
        }
        Plan { sql: sql.to_owned(), steps }
    }
}

impl Plan {
    fn goes_by(&self, ways: &[&str]) {
        for way in ways {
            assert!(self.steps.iter().any(|step| step.contains(way)), "{way} in {:#?} of {}", self.steps, self.sql);
        }
    }
}
