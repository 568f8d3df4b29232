//! What the handler does for messages, as commands both engines understand: a statement and its values.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::changes::{self, Changes, Fate, Place};
use super::rows::{KNOWN_SESSIONS, OLD_RUNS, RUNS};
use super::scan::Dialect;
use super::schema::{self, SqlPrefix};
use super::statement::Statement;
use super::tables::Step;
use super::text;
use crate::Job;

/// The inbox asks for a run again within days; whoever restores last year's copy of it is still safe.
const RUNS_KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

/// Transactions between two looks for notes of runs that are too old.
pub(super) const TRANSACTIONS_PER_PRUNING: u64 = 1000;

/// Said of a run whose note was there.
pub(super) const ALREADY_DONE: &str = "already done";

/// What is done for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlWork {
    /// The built-in tables are kept.
    Tables(SqlPrefix),
    /// The operator's own statements are run, in their order.
    Statements(Vec<Statement>),
}

/// A statement to prepare.
pub(super) struct Text {
    /// For words: "statement 2".
    pub(super) name: String,
    pub(super) text: String,
    /// Columns of text that are read of its answer; without any the answer is passed over.
    pub(super) columns: usize,
}

/// A statement, by its place among the texts, with its values.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    pub(super) statement: usize,
    pub(super) values: Vec<Value>,
}

/// Rows of an answer.
pub(super) type Rows = Vec<Vec<String>>;

/// The work of one handler, ready for one engine.
pub(super) struct Work {
    kind: SqlWork,
    pub(super) texts: Vec<Text>,
    pub(super) schema: String,
}

const RUNS_PLACE: usize = 0;
const OLD_RUNS_PLACE: usize = 1;
/// Where the statements of the kind of work begin.
const FIRST_OWN: usize = 2;

/// What is to be done for messages that are new.
pub(super) struct Plan {
    pub(super) commands: Vec<Command>,
    /// What becomes of each message, where the built-in tables are kept.
    told: Option<Vec<Fate>>,
    count: usize,
}

impl Work {
    pub(super) fn new(kind: SqlWork, dialect: Dialect) -> Work {
        let row_text = |name: &str, statement: &super::rows::RowStatement, prefix: &str, columns| Text {
            name: name.to_owned(),
            text: statement.text(dialect, prefix),
            columns,
        };
        let mut texts =
            vec![row_text("the note of the run", &RUNS, "", 1), row_text("the end of old notes", &OLD_RUNS, "", 0)];
        let prefix = match &kind {
            SqlWork::Tables(prefix) => {
                texts.push(row_text("the look for sessions", &KNOWN_SESSIONS, prefix.as_str(), 2));
                texts.extend(Step::ALL.map(|step| {
                    let columns = if step == Step::Agendas { 2 } else { 0 };
                    row_text(&format!("the step \"{}\"", step.words()), step.statement(), prefix.as_str(), columns)
                }));
                Some(prefix)
            }
            SqlWork::Statements(statements) => {
                texts.extend(statements.iter().enumerate().map(|(place, statement)| Text {
                    name: format!("statement {}", place + 1),
                    text: statement.text().to_owned(),
                    columns: 0,
                }));
                None
            }
        };
        let schema = schema::schema(dialect, prefix);
        Work { kind, texts, schema }
    }

    /// Whether there is anything to do for a message at all.
    pub(super) fn place_of(&self, job: &Job) -> Place {
        match self.kind {
            SqlWork::Tables(_) => changes::place_of(job),
            SqlWork::Statements(_) => Place::Kept,
        }
    }

    /// How many of the messages, from the first, one transaction can take.
    pub(super) fn count_for_one_transaction(&self, jobs: &[Job]) -> usize {
        match self.kind {
            SqlWork::Tables(_) => changes::count_for_one_transaction(jobs),
            SqlWork::Statements(_) => jobs.len(),
        }
    }

    /// Notes the runs; the answer is the keys of those that are new.
    pub(super) fn note_runs(&self, jobs: &[Job], keys: &[String]) -> Command {
        let row = |(job, key): (&Job, &String)| json!({ "run_key": key, "handler": &*job.handler, "handled_at": text::instant(job.now) });
        let rows: Vec<Value> = jobs.iter().zip(keys).map(row).collect();
        Command { statement: RUNS_PLACE, values: vec![Value::Array(rows).to_string().into()] }
    }

    /// Lets go of the oldest notes of runs.
    pub(super) fn drop_old_runs(&self, now: Timestamp) -> Command {
        let before = now.saturating_sub(RUNS_KEPT).unwrap_or(now);
        let rows = json!([{ "before": text::instant(before) }]);
        Command { statement: OLD_RUNS_PLACE, values: vec![rows.to_string().into()] }
    }

    /// What must be known before the plan is made.
    pub(super) fn look_up(&self, jobs: &[Job]) -> Option<Command> {
        let SqlWork::Tables(_) = self.kind else { return None };
        let ids = changes::sessions_to_look_up(jobs);
        if ids.is_empty() {
            return None;
        }
        let rows: Vec<Value> = ids.into_iter().map(|id| json!({ "id": id })).collect();
        let rows = text::without_nul(Value::Array(rows).to_string());
        Some(Command { statement: FIRST_OWN, values: vec![rows.into()] })
    }

    /// Decides what to do. `known` is the answer to [`look_up`](Work::look_up).
    pub(super) fn plan(&self, jobs: &[&Job], known: Rows) -> Plan {
        match &self.kind {
            SqlWork::Tables(_) => {
                let (changes, fates) = Changes::of(jobs, pairs(known));
                let commands = changes.steps().into_iter().map(|(step, rows)| Command {
                    statement: FIRST_OWN + 1 + step as usize,
                    values: vec![rows.into()],
                });
                Plan { commands: commands.collect(), told: Some(fates), count: jobs.len() }
            }
            SqlWork::Statements(statements) => {
                let commands = jobs.iter().flat_map(|job| {
                    let event = job.to_json();
                    let of_one = |(place, statement): (usize, &Statement)| {
                        let command = |values| Command { statement: FIRST_OWN + place, values };
                        statement.bind(&event).into_iter().map(command).collect::<Vec<_>>()
                    };
                    statements.iter().enumerate().flat_map(of_one).collect::<Vec<_>>()
                });
                Plan { commands: commands.collect(), told: None, count: jobs.len() }
            }
        }
    }

    /// What the plan for a message new to the database would be, in words and with its values.
    pub(super) fn foresee(&self, job: &Job) -> String {
        let mut lines = vec![format!("one transaction, unless fanfare_run has {}:", job.idempotency_key())];
        match &self.kind {
            SqlWork::Tables(prefix) => {
                lines.push(format!("tables {}*, as if they held nothing yet", prefix.as_str()));
                let (changes, _) = Changes::of(&[job], Vec::new());
                for (step, rows) in changes.steps() {
                    lines.push(format!("- {}", step.words()));
                    let rows: Vec<Value> = serde_json::from_str(&rows).unwrap_or_default();
                    lines.extend(rows.iter().map(|row| format!("    {row}")));
                }
            }
            SqlWork::Statements(statements) => {
                let event = job.to_json();
                for statement in statements {
                    let runs = statement.bind(&event);
                    if runs.is_empty() {
                        lines.push(format!("- for none: {}", statement.source()));
                    }
                    for values in runs {
                        lines.push(format!("- {}", statement.source()));
                        let bound = statement.paths().iter().zip(values);
                        lines.extend(bound.map(|(path, value)| format!("    :{path} = {value}")));
                    }
                }
            }
        }
        lines.join("\n")
    }
}

impl Plan {
    /// What was done for each of all messages: of `keys`, those that are `noted` were new; `rows` are what the commands
    /// gave back.
    pub(super) fn words(&self, rows: Rows, keys: &[String], noted: &BTreeSet<String>) -> Vec<String> {
        let mut of_new = self.words_of_new(rows).into_iter();
        let of_one = |key: &String| noted.contains(key).then(|| of_new.next()).flatten();
        keys.iter().map(of_one).map(|words| words.unwrap_or_else(|| ALREADY_DONE.to_owned())).collect()
    }

    fn words_of_new(&self, rows: Rows) -> Vec<String> {
        let Some(fates) = &self.told else {
            return vec!["ran the statements".to_owned(); self.count];
        };
        let written: BTreeSet<(String, String)> = pairs(rows).into_iter().collect();
        let words = |fate: &Fate| match fate {
            Fate::Noted(words) => (*words).to_owned(),
            Fate::Listed { person, series, sessions } if written.contains(&(person.clone(), series.clone())) => {
                format!("kept {sessions} {}", if *sessions == 1 { "session" } else { "sessions" })
            }
            Fate::Listed { .. } => "what is kept is newer: nothing changed".to_owned(),
        };
        fates.iter().map(words).collect()
    }
}

fn pairs(rows: Rows) -> Vec<(String, String)> {
    rows.into_iter().filter_map(|row| <[String; 2]>::try_from(row).ok()).map(|[one, two]| (one, two)).collect()
}
