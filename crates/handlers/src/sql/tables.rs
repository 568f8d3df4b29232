//! The statements that keep the built-in tables.
//!
//! Marks: `(version, message)` says what was told last, by the sender's version of the series where it tells one, and by
//! the message's number in the inbox. What is older changes nothing, whenever it comes.

use super::rows::{Kind, RowStatement};

/// What the handler writes, in this order, so that two transactions take their locks in one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    SeriesNew,
    SeriesTold,
    SessionsTold,
    SessionsGone,
    SessionsSeen,
    Recordings,
    People,
    Agendas,
    Invitations,
    InvitationsGone,
    Presence,
}

impl Step {
    pub(super) const ALL: [Step; 11] = [
        Step::SeriesNew,
        Step::SeriesTold,
        Step::SessionsTold,
        Step::SessionsGone,
        Step::SessionsSeen,
        Step::Recordings,
        Step::People,
        Step::Agendas,
        Step::Invitations,
        Step::InvitationsGone,
        Step::Presence,
    ];

    pub(super) const fn statement(self) -> &'static RowStatement {
        match self {
            Step::SeriesNew => &SERIES_NEW,
            Step::SeriesTold => &SERIES_TOLD,
            Step::SessionsTold => &SESSIONS_TOLD,
            Step::SessionsGone => &SESSIONS_GONE,
            Step::SessionsSeen => &SESSIONS_SEEN,
            Step::Recordings => &RECORDINGS,
            Step::People => &PEOPLE,
            Step::Agendas => &AGENDAS,
            Step::Invitations => &INVITATIONS,
            Step::InvitationsGone => &INVITATIONS_GONE,
            Step::Presence => &PRESENCE,
        }
    }

    /// What it does, for people.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Step::SeriesNew => "series that are new",
            Step::SeriesTold => "series, unless a newer version is kept",
            Step::SessionsTold => "sessions, unless a newer version is kept",
            Step::SessionsGone => "sessions to come of these series that are not listed any more are cancelled",
            Step::SessionsSeen => "sessions that are new",
            Step::Recordings => "links to recordings of sessions",
            Step::People => "people",
            Step::Agendas => "agendas (what a person was told last of a series), unless a newer one is kept",
            Step::Invitations => "attendance, where the agenda above is kept",
            Step::InvitationsGone => "attendance of sessions to come that are not listed any more is cancelled",
            Step::Presence => "attendance: reminders and presence",
        }
    }
}

const SERIES_COLUMNS: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("title", Kind::Text),
    ("version", Kind::Number),
    ("message", Kind::Number),
    ("told_at", Kind::Instant),
];

// A thousand participants bring the same version: only the first may write, and so lock, the row they all share. That
// is why what is written once is looked for first, though `on conflict` alone would do.
const SERIES_NEW: RowStatement = RowStatement {
    columns: SERIES_COLUMNS,
    text: "\
insert into {p}series (id, title, version, message, told_at)
select j.id, j.title, j.version, j.message, j.told_at from {rows}
where not exists (select 1 from {p}series s where s.id = j.id)
on conflict (id) do nothing",
};

const SERIES_TOLD: RowStatement = RowStatement {
    columns: SERIES_COLUMNS,
    text: "\
update {p}series as t set title = j.title, version = j.version, message = j.message, told_at = j.told_at
from {rows}
where t.id = j.id and (t.version, t.message) < (j.version, j.message)
  and (t.version < j.version or t.title <> j.title)",
};

const SESSION_COLUMNS: &[(&str, Kind)] = &[
    ("id", Kind::Text),
    ("series", Kind::Text),
    ("title", Kind::Text),
    ("link", Kind::Text),
    ("begins_at", Kind::Instant),
    ("ends_at", Kind::Instant),
    ("creator_offset", Kind::Text),
    ("creator_begins", Kind::Wall),
    ("creator_ends", Kind::Wall),
    ("version", Kind::Number),
    ("message", Kind::Number),
];

// An older version may list what a newer one has dropped, so it adds nothing to a series that is further.
const SESSIONS_TOLD: RowStatement = RowStatement {
    columns: SESSION_COLUMNS,
    text: "\
insert into {p}sessions as t (id, series, title, link, begins_at, ends_at, creator_offset, creator_begins,
  creator_ends, status, version, message)
select j.id, j.series, j.title, j.link, j.begins_at, j.ends_at, j.creator_offset, j.creator_begins, j.creator_ends,
  'scheduled', j.version, j.message
from {rows} join {p}series r on r.id = j.series
where r.version <= j.version and not exists (
  select 1 from {p}sessions s where s.id = j.id and ((s.version, s.message) > (j.version, j.message)
    or (s.version = j.version and s.status = 'scheduled' and s.series = j.series and s.title = j.title
      and s.link = j.link and s.begins_at is not distinct from j.begins_at
      and s.ends_at is not distinct from j.ends_at and s.creator_offset is not distinct from j.creator_offset)))
on conflict (id) do update set series = excluded.series, title = excluded.title, link = excluded.link,
  begins_at = excluded.begins_at, ends_at = excluded.ends_at, creator_offset = excluded.creator_offset,
  creator_begins = excluded.creator_begins, creator_ends = excluded.creator_ends, status = excluded.status,
  version = excluded.version, message = excluded.message
where (t.version, t.message) <= (excluded.version, excluded.message)",
};

// Only with the sender's versions: without them a late copy of an old body could not be told from a change. Only by the
// message that brought the version, as the row of the series says. What has begun took place.
const SESSIONS_GONE: RowStatement = RowStatement {
    columns: SERIES_COLUMNS,
    text: "\
update {p}sessions as t set status = 'cancelled', version = j.version, message = j.message
from {rows} join {p}series r on r.id = j.id
where t.series = j.id and t.status = 'scheduled' and t.version < j.version
  and r.version = j.version and r.message = j.message and j.version > 0
  and (t.begins_at is null or t.begins_at > j.told_at)",
};

const SESSIONS_SEEN: RowStatement = RowStatement {
    columns: SESSION_COLUMNS,
    text: "\
insert into {p}sessions (id, series, title, link, begins_at, ends_at, creator_offset, creator_begins, creator_ends,
  status, version, message)
select j.id, j.series, j.title, j.link, j.begins_at, j.ends_at, j.creator_offset, j.creator_begins, j.creator_ends,
  'scheduled', j.version, j.message
from {rows} where not exists (select 1 from {p}sessions s where s.id = j.id)
on conflict (id) do nothing",
};

const RECORDINGS: RowStatement = RowStatement {
    columns: &[("id", Kind::Text), ("link", Kind::Text)],
    text: "\
update {p}sessions as t set recording_link = j.link from {rows}
where t.id = j.id and t.recording_link is distinct from j.link",
};

// A newer message holds, but what it does not say is kept, and so is a phone number with its dial code where the newer
// one is the same number without.
const PEOPLE: RowStatement = RowStatement {
    columns: &[
        ("email", Kind::Text),
        ("name", Kind::Text),
        ("phone", Kind::Text),
        ("utc_offset", Kind::Text),
        ("first_seen_at", Kind::Instant),
        ("last_seen_at", Kind::Instant),
        ("message", Kind::Number),
    ],
    text: "\
insert into {p}people as t (email, name, phone, utc_offset, first_seen_at, last_seen_at, message)
select j.email, j.name, j.phone, j.utc_offset, j.first_seen_at, j.last_seen_at, j.message from {rows} where true
on conflict (email) do update set
  name = case when excluded.name <> '' and (t.name = '' or excluded.message >= t.message)
    then excluded.name else t.name end,
  phone = case when t.phone is null then excluded.phone
    when excluded.phone is null or excluded.message < t.message then t.phone
    when length(excluded.phone) >= 7 and t.phone like '+%' || excluded.phone then t.phone else excluded.phone end,
  utc_offset = case when t.utc_offset is null then excluded.utc_offset
    when excluded.utc_offset is null or excluded.message < t.message then t.utc_offset else excluded.utc_offset end,
  first_seen_at = case when excluded.first_seen_at < t.first_seen_at
    then excluded.first_seen_at else t.first_seen_at end,
  last_seen_at = case when excluded.last_seen_at > t.last_seen_at then excluded.last_seen_at else t.last_seen_at end,
  message = case when excluded.message > t.message then excluded.message else t.message end",
};

// The decision what is older: those given back were not. What follows looks for the mark written here.
const AGENDA_COLUMNS: &[(&str, Kind)] = &[
    ("person", Kind::Text),
    ("series", Kind::Text),
    ("version", Kind::Number),
    ("message", Kind::Number),
    ("told_at", Kind::Instant),
];

const AGENDAS: RowStatement = RowStatement {
    columns: AGENDA_COLUMNS,
    text: "\
insert into {p}agendas as t (person, series, version, message, told_at)
select j.person, j.series, j.version, j.message, j.told_at from {rows} where true
on conflict (person, series) do update
set version = excluded.version, message = excluded.message, told_at = excluded.told_at
where (t.version, t.message) <= (excluded.version, excluded.message)
returning person, series",
};

const INVITATIONS: RowStatement = RowStatement {
    columns: &[
        ("person", Kind::Text),
        ("session", Kind::Text),
        ("series", Kind::Text),
        ("version", Kind::Number),
        ("message", Kind::Number),
        ("told_at", Kind::Instant),
    ],
    text: "\
insert into {p}attendance as t (person, session, status, version, message, invited_at, changed_at)
select j.person, j.session, 'invited', j.version, j.message, j.told_at, j.told_at from {rows}
join {p}agendas a on a.person = j.person and a.series = j.series and a.version = j.version and a.message = j.message
join {p}sessions s on s.id = j.session and (s.status = 'scheduled' or s.version <= j.version)
where true
on conflict (person, session) do update set
  status = case when t.attended_at is not null then 'attended'
    when t.reminded_at is not null then 'reminded' else 'invited' end,
  version = excluded.version, message = excluded.message,
  invited_at = coalesce(t.invited_at, excluded.invited_at), changed_at = excluded.changed_at
where (t.version, t.message) <= (excluded.version, excluded.message)",
};

const INVITATIONS_GONE: RowStatement = RowStatement {
    columns: AGENDA_COLUMNS,
    text: "\
update {p}attendance as t
set status = 'cancelled', version = j.version, message = j.message, changed_at = j.told_at
from {rows}
join {p}agendas a on a.person = j.person and a.series = j.series and a.version = j.version and a.message = j.message
join {p}sessions s on s.series = j.series
where t.person = j.person and t.session = s.id and t.status in ('invited', 'reminded')
  and (t.version, t.message) < (j.version, j.message) and (s.begins_at is null or s.begins_at > j.told_at)",
};

const PRESENCE: RowStatement = RowStatement {
    columns: &[
        ("person", Kind::Text),
        ("session", Kind::Text),
        ("status", Kind::Text),
        ("reminded_at", Kind::Instant),
        ("attended_at", Kind::Instant),
        ("changed_at", Kind::Instant),
    ],
    text: "\
insert into {p}attendance as t (person, session, status, version, message, reminded_at, attended_at, changed_at)
select j.person, j.session, j.status, 0, 0, j.reminded_at, j.attended_at, j.changed_at from {rows} where true
on conflict (person, session) do update set
  status = case when t.status = 'attended' or excluded.status = 'attended' then 'attended'
    when t.status = 'cancelled' then 'cancelled' else 'reminded' end,
  reminded_at = coalesce(excluded.reminded_at, t.reminded_at),
  attended_at = coalesce(t.attended_at, excluded.attended_at), changed_at = excluded.changed_at",
};
