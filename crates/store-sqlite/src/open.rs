//! Opening the file: settings that hold the promises, read back; and the reasons to refuse.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use crate::migrate;

/// Why a database was not opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server has it.
    #[error(
        "another server is using {0}; stop it first, or give this one another file with --database sqlite:PATH \
         (administrative commands may run beside a server)"
    )]
    InUse(PathBuf),
    /// The file or its directory cannot be written.
    #[error("cannot write {path}: {reason}; check the owner and the permissions of the file and of its directory")]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A newer version of Fanfare has migrated the file.
    #[error(
        "{path} has schema {found}, but this version of Fanfare knows schemas up to {known}; use the newer version \
         that wrote it"
    )]
    NewerSchema {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The linked SQLite can corrupt a database in WAL mode.
    #[error("the linked SQLite {0} has the WAL-reset bug; build Fanfare with its bundled SQLite, at least 3.51.3")]
    FaultySqlite(&'static str),
    /// SQLite did not accept a setting on which the promises rest.
    #[error(
        "SQLite left {0}, which is needed so that nothing acknowledged is lost and nothing erased stays; is the file on \
         a network share?"
    )]
    SettingRefused(String),
    /// Anything else SQLite said.
    #[error("{path} cannot be opened: {source}")]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
}

/// The first version without the WAL-reset bug.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// The file holds secrets and personal data, so it is its owner's alone. SQLite gives its log the file's own mode.
const OWNER_ONLY: u32 = 0o600;
/// An administrative command beside the server holds the write lock for one batch at most; this is ample.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// A new file is switched to its log within milliseconds; beyond this something else is wrong.
const SWITCH_ATTEMPTS_MAX: u32 = 200;
const SWITCH_PAUSE: Duration = Duration::from_millis(10);
/// KiB of page cache for the writer. Enough for the upper levels of all indexes of a million participants.
const WRITER_CACHE_KIB: i32 = 16_384;
/// KiB of page cache for each reader.
const READER_CACHE_KIB: i32 = 4_096;

/// The right to serve from a database file; held as long as this lives, and let go by the system if we die.
#[derive(Debug)]
pub struct ServerLock {
    _file: File,
}

impl ServerLock {
    /// Takes the lock beside the file, or says that another server has it.
    pub fn take(path: &Path) -> Result<ServerLock, OpenError> {
        let lock_path = beside(path, ".lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(OWNER_ONLY)
            .open(&lock_path)
            .map_err(|error| OpenError::NotWritable { path: lock_path.clone(), reason: error.to_string() })?;
        match file.try_lock() {
            Ok(()) => Ok(ServerLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => {
                Err(OpenError::NotWritable { path: lock_path, reason: error.to_string() })
            }
        }
    }
}

/// A link and what it points to are one database, so the lock stands beside the file itself.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(ending);
    name.into()
}

/// The one connection that writes, migrated.
pub(crate) fn writable(path: &Path) -> Result<Connection, OpenError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(OpenError::FaultySqlite(rusqlite::version()));
    }
    create_private(path)
        .map_err(|error| OpenError::NotWritable { path: path.to_owned(), reason: error.to_string() })?;
    let told = |source| told(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(told)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(told)?;
    // SQLite opens what it may only read all the same, and a schema that needs no migration writes nothing.
    if connection.is_readonly(MAIN_DB).map_err(told)? {
        return Err(OpenError::NotWritable { path: path.to_owned(), reason: "the file is read-only".to_owned() });
    }
    set_durable(&connection).map_err(told)??;
    migrate::run(&mut connection, path)?;
    Ok(connection)
}

/// Makes a new file before SQLite would, which leaves its mode to the umask. What is there keeps the mode it has.
fn create_private(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn set_durable(connection: &Connection) -> rusqlite::Result<Result<(), OpenError>> {
    switch_to_wal(connection)?;
    connection.pragma_update(None, "synchronous", "full")?;
    // On macOS an ordinary fsync leaves the data in the drive's cache.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten, in pages that become free too: who is erased must not be found in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    // Inside a commit a checkpoint would make a sender wait; the writer thread does it between commits.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_prepared_statement_cache_capacity(128);

    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    let secure_delete: i64 = connection.pragma_query_value(None, "secure_delete", |row| row.get(0))?;
    if secure_delete != 1 {
        return Ok(Err(OpenError::SettingRefused(format!("secure_delete={secure_delete} instead of 1 (ON)"))));
    }
    Ok(match (journal.as_str(), synchronous) {
        ("wal", 2) => Ok(()),
        ("wal", other) => Err(OpenError::SettingRefused(format!("synchronous={other} instead of 2 (FULL)"))),
        (other, _) => Err(OpenError::SettingRefused(format!("journal_mode={other} instead of wal"))),
    })
}

/// A new file becomes one with a write-ahead log. Of several processes that find it new at once only one can do that,
/// and SQLite sends the others away without waiting.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut attempts_left = SWITCH_ATTEMPTS_MAX;
    loop {
        attempts_left -= 1;
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempts_left > 0 => {
                thread::sleep(SWITCH_PAUSE);
            }
            done => return done,
        }
    }
}

/// A connection that only reads.
pub(crate) fn readable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// SQLite's error as the person who started the program should read it.
pub(crate) fn told(path: &Path, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::DiskFull) => {
            OpenError::NotWritable { path: path.to_owned(), reason: source.to_string() }
        }
        _ => OpenError::Sqlite { path: path.to_owned(), source },
    }
}
