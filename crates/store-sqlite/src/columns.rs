//! Between SQLite's columns and the domain's types, and SQLite's errors as the store's.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, ErrorCode, Params, Row, ffi};
use store::{KnownZones, StoreError, StoreResult, UnsealError};
use webinar::{MangoId, Participant, SeriesId, SessionId, Zones};
use wire::{AccountId, EndpointId, ErasureId, EventId, FanOutId, NodeId, NoticeId, ReplayId, SourceId, SubscriptionId};

/// An engine's error as the caller should act on it.
pub(crate) fn broken(error: rusqlite::Error) -> StoreError {
    // Of a secret that does not open its own words say more than the number of its column.
    let error = match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, cause) if cause.is::<UnsealError>() => {
            return StoreError::broken(cause);
        }
        other => other,
    };
    match error.sqlite_extended_error_code() {
        // Nothing but accounts is referred to by a foreign key.
        Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) => return StoreError::Missing("the account"),
        Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE) => {
            return StoreError::Exists("a record with this id");
        }
        // The index of the log lies beside the database. Nothing is lost where it cannot grow.
        Some(ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_SHMMAP) => {
            return StoreError::Unwritable("the disk is full".to_owned());
        }
        Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => {
            return StoreError::DiskFailed("it did not confirm that it keeps what was written".to_owned());
        }
        _ => {}
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Unwritable("the disk is full".to_owned()),
        Some(ErrorCode::SystemIoFailure) => {
            StoreError::DiskFailed(format!("{error}, SQLite code {}", error.sqlite_extended_error_code().unwrap_or(0)))
        }
        Some(ErrorCode::ReadOnly) => StoreError::Unwritable("the database file is read-only".to_owned()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(0),
        _ => StoreError::broken(error),
    }
}

/// Runs a statement that returns nothing.
pub(crate) fn run(connection: &Connection, sql: &str, params: impl Params) -> StoreResult<()> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map(drop).map_err(broken)
}

/// Runs a statement; how many rows it changed.
pub(crate) fn change(connection: &Connection, sql: &str, params: impl Params) -> StoreResult<usize> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute(params)).map_err(broken)
}

/// The only row, if there is one.
pub(crate) fn find<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> StoreResult<Option<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(broken)?;
    let mut rows = statement.query(params).map_err(broken)?;
    rows.next().map_err(broken)?.map(read).transpose().map_err(broken)
}

/// All rows.
pub(crate) fn list<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> StoreResult<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(broken)?;
    let rows = statement.query_map(params, read).map_err(broken)?;
    rows.collect::<rusqlite::Result<_>>().map_err(broken)
}

/// A limit as SQL takes it, one more than asked so that the page knows whether it is the last.
pub(crate) fn limit_and_one(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}

pub(crate) fn number(account: AccountId) -> i64 {
    i64::from(account.as_u32())
}

pub(crate) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// An account in a column.
pub(crate) struct AccountColumn(pub(crate) AccountId);

impl FromSql for AccountColumn {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = u32::try_from(value.as_i64()?).map_err(|_| FromSqlError::InvalidType)?;
        Ok(AccountColumn(AccountId::from_u32(number)))
    }
}

/// A moment in a column.
pub(crate) struct Millis(pub(crate) Timestamp);

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Timestamp::from_millisecond(value.as_i64()?).map(Millis).map_err(FromSqlError::other)
    }
}

/// An id in a column.
pub(crate) struct Id<T>(pub(crate) T);

macro_rules! id_columns {
    ($($id:ident),*) => {$(
        impl FromSql for Id<$id> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let bytes = value.as_blob()?.try_into().map_err(|_| FromSqlError::InvalidType)?;
                Ok(Id($id::from_bytes(bytes)))
            }
        }
    )*};
}

id_columns!(
    EndpointId,
    ErasureId,
    EventId,
    FanOutId,
    NodeId,
    NoticeId,
    ReplayId,
    SourceId,
    SubscriptionId,
    MangoId,
    SeriesId,
    SessionId
);

/// A word of a column that an older or a damaged database may hold.
pub(crate) fn unknown(what: &str, word: &str) -> rusqlite::Error {
    FromSqlError::Other(format!("{what} is {word:?}, which this version does not know").into()).into()
}

/// Reads participants from columns `name, email, phone, timezone`; each zone is looked up once.
pub(crate) struct ParticipantReader {
    zones: KnownZones,
}

impl ParticipantReader {
    pub(crate) fn new(zones: &Zones) -> ParticipantReader {
        ParticipantReader { zones: KnownZones::new(zones) }
    }

    /// The participant whose columns start at `at`. They were parsed when they were enrolled; a zone that this tz
    /// database no longer has is shown as unknown rather than losing the person.
    pub(crate) fn read(&mut self, row: &Row<'_>, at: usize) -> rusqlite::Result<Participant> {
        let phone: Option<String> = row.get(at + 2)?;
        let timezone = match row.get_ref(at + 3)? {
            ValueRef::Text(text) => std::str::from_utf8(text).ok().and_then(|name| self.zones.find(name)),
            _ => None,
        };
        Ok(Participant {
            name: row.get(at)?,
            email: row.get(at + 1)?,
            phone: phone.and_then(|text| text.parse().ok()),
            timezone,
        })
    }
}
