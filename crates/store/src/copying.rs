//! Moving house: everything a database holds, copied into another one, maybe of another engine. Here is what both engines
//! agree on: the tables in an order that foreign keys allow, and rows as plain cells. How rows are read and written is an
//! engine's business, how far a copy has come stands in its target.

mod place;
mod tables;

use std::collections::BTreeSet;

use async_trait::async_trait;

use crate::{KeyId, SecretPlace, StoreError, StoreResult, UnsealError, Vault};

pub use place::CopyPlace;
pub use tables::{COPIED_TABLES, CopiedTable};

/// Rows in one chunk, which is one transaction of the target: some tenths of a second.
pub const CHUNK_ROWS_MAX: usize = 10_000;
/// Bytes at which a chunk is full. Two chunks are in memory at once, one being read, one being written.
pub const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// A value of a column, as every engine can hold it: a truth value is 0 or 1, a list of numbers its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A number; of a day its distance from 1970-01-01.
    Number(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A row, cell by cell in the order of the table's columns.
pub type CopiedRow = Vec<Cell>;

/// Some rows of a table in the order of its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The rows.
    pub rows: Vec<CopiedRow>,
    /// The key of the last one; `None` at the end of the table.
    pub next: Option<Vec<Cell>>,
}

/// The database that a copy is made of. All that is read is of one moment, but for [`CopyFrom::mark`].
#[async_trait]
pub trait CopyFrom: Send {
    /// What tells this database from others, and this state of it from later ones, as of now: it changes with whatever a
    /// server or an owner does to it.
    async fn mark(&mut self) -> StoreResult<String>;
    /// How many rows of a table are to be copied.
    async fn count(&mut self, table: &'static CopiedTable) -> StoreResult<u64>;
    /// The rows behind `after`, up to [`CHUNK_ROWS_MAX`] or [`CHUNK_BYTES`].
    async fn read(&mut self, table: &'static CopiedTable, after: Option<Vec<Cell>>) -> StoreResult<Chunk>;
    /// The number of each account's newest message, also where it is gone: numbers never come twice.
    async fn newest_messages(&mut self) -> StoreResult<Vec<(i64, i64)>>;
}

/// The database that a copy goes into. Until [`CopyTo::complete`] nobody else can open it.
#[async_trait]
pub trait CopyTo: Send {
    /// Begins a copy from `origin` (for people to read) in the state `mark`, or finds how far it has come already.
    async fn begin(&mut self, origin: &str, mark: &str) -> Result<CopyPlace, CopyRefusal>;
    /// Keeps rows, and in the same transaction how far the copy has come with them.
    async fn write(&mut self, table: &'static CopiedTable, rows: Vec<CopiedRow>, place: &CopyPlace) -> StoreResult<()>;
    /// How many rows a table has.
    async fn count(&mut self, table: &'static CopiedTable) -> StoreResult<u64>;
    /// Ends the copy: from now on new rows are numbered behind the old ones, and the database can be opened.
    async fn complete(&mut self, newest_messages: &[(i64, i64)]) -> StoreResult<()>;
}

/// Why a copy is not made.
#[derive(Debug, thiserror::Error)]
pub enum CopyRefusal {
    /// Servers run on the database.
    #[error("{database} is being served by {nodes}; stop that first, so that nothing changes meanwhile")]
    Served {
        /// Which database.
        database: String,
        /// Who serves it.
        nodes: String,
    },
    /// The target holds something already.
    #[error("{target} is not empty (its table {table} has rows); a copy goes into an empty database only")]
    NotEmpty {
        /// Which.
        target: String,
        /// The first table with rows.
        table: &'static str,
    },
    /// The target holds a part of another copy.
    #[error(
        "{target} holds a part of a copy from {origin}, which is another database or has changed since then; begin again \
         with an empty target"
    )]
    OtherOrigin {
        /// Which.
        target: String,
        /// What it was copied from.
        origin: String,
    },
    /// Two accounts' messages have one number, for which the target has no room.
    #[error(
        "{database} has messages of several accounts under one number, and a SQLite file numbers the messages of all \
         accounts together; copy it to PostgreSQL"
    )]
    SharedNumbers {
        /// Which.
        database: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses rows of a table with a secret that the vault does not open, or with a key that it lacks; the keys that were
/// needed.
pub fn check_sealed(table: &CopiedTable, rows: &[CopiedRow], vault: &Vault) -> StoreResult<BTreeSet<KeyId>> {
    let Some(sealed) = table.sealed_column() else { return Ok(BTreeSet::new()) };
    let keys = rows.iter().map(|row| match row.get(sealed) {
        Some(Cell::Text(key)) if table.name == "sealing_key" => known_key(key, vault),
        Some(Cell::Text(text)) => {
            let place = place_of(table, row).ok_or(UnsealError::NotSealed)?;
            vault.open(place, text).and_then(|_| KeyId::of_sealed(text).ok_or(UnsealError::NotSealed))
        }
        _ => Err(UnsealError::NotSealed),
    });
    keys.collect::<Result<_, _>>().map_err(StoreError::broken)
}

/// A key that is in the vault: a server would be refused without it.
fn known_key(text: &str, vault: &Vault) -> Result<KeyId, UnsealError> {
    let key = text.parse().map_err(|_| UnsealError::NotSealed)?;
    if vault.key_ids().any(|known| known == key) { Ok(key) } else { Err(UnsealError::UnknownKey(key)) }
}

/// Where the secret of a row stands.
fn place_of(table: &CopiedTable, row: &CopiedRow) -> Option<SecretPlace> {
    let (Some(Cell::Number(account)), Some(Cell::Bytes(id))) = (row.first(), row.get(1)) else { return None };
    let account = wire::AccountId::from_u32(u32::try_from(*account).ok()?);
    let id = id.as_slice().try_into().ok()?;
    match table.name {
        "endpoint_secret" => Some(SecretPlace::Endpoint(account, wire::EndpointId::from_bytes(id))),
        "source" => Some(SecretPlace::Source(account, wire::SourceId::from_bytes(id))),
        _ => None,
    }
}

impl Cell {
    /// About how much of memory it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Cell>()
            + match self {
                Cell::Null | Cell::Number(_) => 0,
                Cell::Text(text) => text.len(),
                Cell::Bytes(bytes) => bytes.len(),
            }
    }
}
