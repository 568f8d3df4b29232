//! Between PostgreSQL's columns and the domain's types, and PostgreSQL's errors as the store's.

use jiff::Timestamp;
use store::{KnownZones, StoreError, StoreResult};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use webinar::{MangoId, Participant, SeriesId, SessionId, Zones};
use wire::{AccountId, EndpointId, ErasureId, EventId, FanOutId, NodeId, NoticeId, ReplayId, SourceId, SubscriptionId};

use crate::session::Session;

/// A value of a statement, which knows its type: nothing is left to be guessed where it is null.
pub(crate) trait Value: ToSql {
    /// What the server is told that it is.
    fn type_in_sql(&self) -> Type;
}

/// A type of which there are values.
pub(crate) trait Typed {
    /// Its type in SQL.
    const TYPE: Type;
    /// A list of them.
    const LIST: Type;
}

macro_rules! typed {
    ($($rust:ty: $one:ident, $list:ident;)*) => {$(
        impl Typed for $rust {
            const TYPE: Type = Type::$one;
            const LIST: Type = Type::$list;
        }
        impl Value for $rust {
            fn type_in_sql(&self) -> Type {
                Type::$one
            }
        }
    )*};
}

typed! {
    i64: INT8, INT8_ARRAY;
    i32: INT4, INT4_ARRAY;
    i16: INT2, INT2_ARRAY;
    bool: BOOL, BOOL_ARRAY;
    &str: TEXT, TEXT_ARRAY;
    String: TEXT, TEXT_ARRAY;
    &[u8]: BYTEA, BYTEA_ARRAY;
    Vec<u8>: BYTEA, BYTEA_ARRAY;
}

impl<T: Typed + ToSql> Value for Option<T> {
    fn type_in_sql(&self) -> Type {
        T::TYPE
    }
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = T::TYPE;
    const LIST: Type = T::LIST;
}

/// A list, for `unnest` and `= any`.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: Typed> Typed for List<T> {
    const TYPE: Type = T::LIST;
    const LIST: Type = T::LIST;
}

impl<T: Typed + ToSql + std::fmt::Debug> Value for List<T> {
    fn type_in_sql(&self) -> Type {
        T::LIST
    }
}

impl<T: ToSql + std::fmt::Debug> ToSql for List<T> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <Vec<T> as ToSql>::accepts(ty)
    }

    tokio_postgres::types::to_sql_checked!();
}

/// Values of a statement, in the order of `$1`, `$2`.
macro_rules! values {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &(dyn $crate::columns::Value + Sync)),*]
    };
}
pub(crate) use values;

/// The database's own clock, in milliseconds. It stands still within a statement, so that indexes serve comparisons with it.
macro_rules! database_now {
    () => {
        "(extract(epoch from statement_timestamp()) * 1000)::bigint"
    };
}
pub(crate) use database_now;

/// The time in milliseconds: what the first value says, or the database's own clock where it is null.
pub(crate) const LEASE_NOW: &str = concat!("coalesce($1, ", database_now!(), ")");
/// The database's own clock.
pub(crate) const DATABASE_NOW: &str = database_now!();

/// An engine's error as the caller should act on it.
pub(crate) fn broken(error: &tokio_postgres::Error) -> StoreError {
    let Some(told) = error.as_db_error() else { return unreachable(error) };
    let code = told.code();
    if *code == SqlState::FOREIGN_KEY_VIOLATION && told.constraint().is_some_and(|name| name.ends_with("_account_fkey"))
    {
        return StoreError::Missing("the account");
    }
    if *code == SqlState::UNIQUE_VIOLATION {
        return StoreError::Exists("a record with this id");
    }
    // Two transactions waited for each other, or one for too long: nothing of this one was kept.
    let is_crossed =
        [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE, SqlState::LOCK_NOT_AVAILABLE];
    if is_crossed.contains(code) {
        return StoreError::Busy(0);
    }
    let text = || format!("PostgreSQL says: {}", told.message());
    match code.code().get(..2) {
        // Insufficient resources (a full disk, no memory, too many connections), a cancelled statement or a shutdown.
        Some("08" | "53" | "57") => StoreError::Unwritable(text()),
        // It was given up while this process was asleep in it.
        Some("25") if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => StoreError::Unwritable(text()),
        // A standby, or a database that was made read-only.
        Some("25") if *code == SqlState::READ_ONLY_SQL_TRANSACTION => StoreError::Unwritable(text()),
        Some("58") => StoreError::Unwritable(text()),
        _ => StoreError::broken(format!("{} ({})", text(), code.code())),
    }
}

/// The connection is gone, before anything was to be kept.
pub(crate) fn unreachable(error: &tokio_postgres::Error) -> StoreError {
    StoreError::Unwritable(in_words(error))
}

/// What the server has said, or why nothing could be said to it.
pub(crate) fn in_words(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(told), _) => format!("PostgreSQL says: {}", told.message()),
        (None, Some(cause)) => format!("PostgreSQL cannot be reached: {error}: {cause}"),
        (None, None) => format!("PostgreSQL cannot be reached: {error}"),
    }
}

/// Runs a statement that returns nothing.
pub(crate) async fn run(session: &Session, sql: &str, values: &[&(dyn Value + Sync)]) -> StoreResult<()> {
    session.execute(sql, values).await.map(drop)
}

/// Runs a statement; how many rows it changed.
pub(crate) async fn change(session: &Session, sql: &str, values: &[&(dyn Value + Sync)]) -> StoreResult<u64> {
    session.execute(sql, values).await
}

/// The only row, if there is one.
pub(crate) async fn find<T>(
    session: &Session,
    sql: &str,
    values: &[&(dyn Value + Sync)],
    read: impl FnOnce(&Row) -> StoreResult<T>,
) -> StoreResult<Option<T>> {
    session.query(sql, values).await?.first().map(read).transpose()
}

/// All rows.
pub(crate) async fn list<T>(
    session: &Session,
    sql: &str,
    values: &[&(dyn Value + Sync)],
    read: impl FnMut(&Row) -> StoreResult<T>,
) -> StoreResult<Vec<T>> {
    session.query(sql, values).await?.iter().map(read).collect()
}

/// Holds an account until the transaction ends: one that reads and then writes by it is alone with it. `Missing` where there
/// is no such account.
pub(crate) async fn lock_account(session: &Session, account: AccountId) -> StoreResult<()> {
    let sql = "select 1 from account where account = $1 for no key update";
    let found = find(session, sql, values![number(account)], |_| Ok(())).await?;
    found.ok_or(StoreError::Missing("the account"))
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

/// The columns of a row, read as the domain's types. One that does not hold what it should is a broken store.
pub(crate) trait Columns {
    fn value<'a, T: tokio_postgres::types::FromSql<'a>>(&'a self, at: usize) -> StoreResult<T>;
    fn account(&self, at: usize) -> StoreResult<AccountId>;
    fn moment(&self, at: usize) -> StoreResult<Timestamp>;
    fn moment_if_any(&self, at: usize) -> StoreResult<Option<Timestamp>>;
    /// A number that is never below zero.
    fn count(&self, at: usize) -> StoreResult<u64>;
    /// A number of 32 bits or fewer.
    fn small<T: TryFrom<i64>>(&self, at: usize) -> StoreResult<T>;
    fn small_if_any<T: TryFrom<i64>>(&self, at: usize) -> StoreResult<Option<T>>;
    fn id<T: Id>(&self, at: usize) -> StoreResult<T>;
    fn id_if_any<T: Id>(&self, at: usize) -> StoreResult<Option<T>>;
}

impl Columns for Row {
    fn value<'a, T: tokio_postgres::types::FromSql<'a>>(&'a self, at: usize) -> StoreResult<T> {
        self.try_get(at).map_err(StoreError::broken)
    }

    fn account(&self, at: usize) -> StoreResult<AccountId> {
        self.small(at).map(AccountId::from_u32)
    }

    fn moment(&self, at: usize) -> StoreResult<Timestamp> {
        Timestamp::from_millisecond(self.value(at)?).map_err(StoreError::broken)
    }

    fn moment_if_any(&self, at: usize) -> StoreResult<Option<Timestamp>> {
        let millis: Option<i64> = self.value(at)?;
        millis.map(Timestamp::from_millisecond).transpose().map_err(StoreError::broken)
    }

    fn count(&self, at: usize) -> StoreResult<u64> {
        self.value::<i64>(at).map(i64::unsigned_abs)
    }

    fn small<T: TryFrom<i64>>(&self, at: usize) -> StoreResult<T> {
        self.small_if_any(at)?.ok_or_else(|| misfit(self, at))
    }

    fn small_if_any<T: TryFrom<i64>>(&self, at: usize) -> StoreResult<Option<T>> {
        let number: Option<i64> = self.value(at)?;
        number.map(|number| T::try_from(number).map_err(|_| misfit(self, at))).transpose()
    }

    fn id<T: Id>(&self, at: usize) -> StoreResult<T> {
        self.id_if_any(at)?.ok_or_else(|| misfit(self, at))
    }

    fn id_if_any<T: Id>(&self, at: usize) -> StoreResult<Option<T>> {
        let bytes: Option<&[u8]> = self.value(at)?;
        bytes.map(|bytes| T::of_bytes(bytes).ok_or_else(|| misfit(self, at))).transpose()
    }
}

/// A word of a column that an older or a damaged database may hold.
pub(crate) fn unknown(what: &str, word: &str) -> StoreError {
    StoreError::broken(format!("{what} is {word:?}, which this version does not know"))
}

fn misfit(row: &Row, at: usize) -> StoreError {
    let column = row.columns().get(at).map_or("?", tokio_postgres::Column::name);
    StoreError::broken(format!("column {column} does not hold what it should"))
}

/// An id that is stored as its bytes.
pub(crate) trait Id: Sized {
    fn of_bytes(bytes: &[u8]) -> Option<Self>;
    fn bytes(&self) -> &[u8];
}

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl Id for $id {
            fn of_bytes(bytes: &[u8]) -> Option<$id> {
                bytes.try_into().ok().map($id::from_bytes)
            }
            fn bytes(&self) -> &[u8] {
                self.as_bytes().as_slice()
            }
        }
    )*};
}

ids!(
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
    pub(crate) fn read(&mut self, row: &Row, at: usize) -> StoreResult<Participant> {
        let phone: Option<&str> = row.value(at + 2)?;
        let timezone: Option<&str> = row.value(at + 3)?;
        Ok(Participant {
            name: row.value(at)?,
            email: row.value(at + 1)?,
            phone: phone.and_then(|text| text.parse().ok()),
            timezone: timezone.and_then(|text| self.zones.find(text)),
        })
    }
}
