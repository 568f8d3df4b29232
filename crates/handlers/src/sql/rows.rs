//! Statements that take a list of rows as one parameter, JSON. One text serves both engines; only where the rows come
//! from is said in two ways.

use std::fmt::Write as _;

use super::scan::Dialect;

/// What a column of the given rows holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    Instant,
    Wall,
}

/// One statement over a list of rows; its text has `{p}` for the prefix and `{rows}` for the rows, called `j`.
pub(super) struct RowStatement {
    pub(super) columns: &'static [(&'static str, Kind)],
    pub(super) text: &'static str,
}

impl RowStatement {
    /// The statement's text; its one parameter is the rows as JSON.
    pub(super) fn text(&self, dialect: Dialect, prefix: &str) -> String {
        let mut rows = String::new();
        for (place, (name, kind)) in self.columns.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            let _ = match (dialect, kind) {
                (Dialect::Sqlite, _) => write!(rows, "{comma}value ->> '{name}' as {name}"),
                (Dialect::Postgres, Kind::Text) => write!(rows, "{comma}{name} text"),
                (Dialect::Postgres, Kind::Number) => write!(rows, "{comma}{name} bigint"),
                (Dialect::Postgres, Kind::Instant) => write!(rows, "{comma}{name} timestamptz"),
                (Dialect::Postgres, Kind::Wall) => write!(rows, "{comma}{name} timestamp"),
            };
        }
        let from = match dialect {
            Dialect::Postgres => format!("jsonb_to_recordset($1::text::jsonb) as j({rows})"),
            Dialect::Sqlite => format!("(select {rows} from json_each(?1)) as j"),
        };
        self.text.replace("{rows}", &from).replace("{p}", prefix)
    }
}

/// Notes runs; gives back the keys of those that were not there.
pub(super) const RUNS: RowStatement = RowStatement {
    columns: &[("run_key", Kind::Text), ("handler", Kind::Text), ("handled_at", Kind::Instant)],
    text: "\
insert into fanfare_run (run_key, handler, handled_at)
select j.run_key, j.handler, j.handled_at from {rows} where true
on conflict (run_key) do nothing returning run_key",
};

/// Lets go of the oldest runs. Pieces of 500 take a few milliseconds.
pub(super) const OLD_RUNS: RowStatement = RowStatement {
    columns: &[("before", Kind::Instant)],
    text: "\
delete from fanfare_run where run_key in (
  select r.run_key from fanfare_run r join {rows} on r.handled_at < j.before order by r.handled_at limit 500)",
};

/// What is kept of sessions: `(id, series)`. A sender that gives all sessions of a series one id has them as `id@begin`,
/// and `A` is what follows `@`.
pub(super) const KNOWN_SESSIONS: RowStatement = RowStatement {
    columns: &[("id", Kind::Text)],
    text: "\
select s.id, s.series from {rows} join {p}sessions s on s.id = j.id
union select s.id, s.series from {rows} join {p}sessions s on s.id >= j.id || '@' and s.id < j.id || 'A'",
};
