//! The tables the handler keeps in the user's database: how they are named and made.

use super::scan::Dialect;

/// The longest prefix; with the longest name behind it an identifier stays within PostgreSQL's 63 bytes.
const PREFIX_BYTES_MAX: usize = 32;

/// What the names of the built-in tables begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlPrefix(String);

impl Default for SqlPrefix {
    fn default() -> SqlPrefix {
        SqlPrefix("webinar_".to_owned())
    }
}

impl SqlPrefix {
    /// Reads a prefix: small letters, digits and `_`. It becomes part of statements, so nothing else is allowed.
    pub fn parse(text: &str) -> Result<SqlPrefix, String> {
        let is_plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let begins_well = !text.starts_with(|c: char| c.is_ascii_digit());
        if !is_plain || !begins_well || text.len() > PREFIX_BYTES_MAX {
            return Err(format!(
                "{text:?} cannot begin the names of tables; write up to {PREFIX_BYTES_MAX} small letters, digits and _, \
                 beginning with a letter, such as \"webinar_\""
            ));
        }
        Ok(SqlPrefix(text.to_owned()))
    }

    /// The prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The statements that make what is missing of the tables: that of the runs, and with a prefix the built-in ones.
#[must_use]
pub fn schema(dialect: Dialect, prefix: Option<&SqlPrefix>) -> String {
    let built_in = prefix.map(|prefix| BUILT_IN_SCHEMA.replace("{p}", &prefix.0)).unwrap_or_default();
    let all = [RUN_SCHEMA, &built_in].concat();
    // Ids are compared byte by byte, so that ranges of them are found by the index whatever the database's language.
    match dialect {
        Dialect::Postgres => {
            all.replace("{id}", "text collate \"C\"").replace("{instant}", "timestamptz").replace("{wall}", "timestamp")
        }
        Dialect::Sqlite => all.replace("{id}", "text").replace("{instant}", "text").replace("{wall}", "text"),
    }
}

const RUN_SCHEMA: &str = "\
create table if not exists fanfare_run (
  run_key {id} primary key,
  handler text not null,
  handled_at {instant} not null
);
create index if not exists fanfare_run_age on fanfare_run (handled_at);
";

const BUILT_IN_SCHEMA: &str = "
create table if not exists {p}series (
  id {id} primary key,
  title text not null,
  version bigint not null,
  message bigint not null,
  told_at {instant} not null
);

create table if not exists {p}sessions (
  id {id} primary key,
  series {id} not null references {p}series (id),
  title text not null,
  link text not null,
  recording_link text,
  begins_at {instant},
  ends_at {instant},
  creator_offset text,
  creator_begins {wall},
  creator_ends {wall},
  status text not null check (status in ('scheduled', 'cancelled')),
  version bigint not null,
  message bigint not null
);
create index if not exists {p}sessions_of_series on {p}sessions (series);
create index if not exists {p}sessions_by_begin on {p}sessions (begins_at);

create table if not exists {p}people (
  email {id} primary key,
  name text not null,
  phone text,
  utc_offset text,
  first_seen_at {instant} not null,
  last_seen_at {instant} not null,
  message bigint not null
);

create table if not exists {p}agendas (
  person {id} not null references {p}people (email) on delete cascade,
  series {id} not null references {p}series (id),
  version bigint not null,
  message bigint not null,
  told_at {instant} not null,
  primary key (person, series)
);

create table if not exists {p}attendance (
  person {id} not null references {p}people (email) on delete cascade,
  session {id} not null references {p}sessions (id),
  status text not null check (status in ('invited', 'reminded', 'attended', 'cancelled')),
  version bigint not null,
  message bigint not null,
  invited_at {instant},
  reminded_at {instant},
  attended_at {instant},
  changed_at {instant} not null,
  primary key (person, session)
);
create index if not exists {p}attendance_of_session on {p}attendance (session);
";
