//! Opening the file: settings that hold the promises, read back; and the reasons to refuse.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use crate::copying::refuse_incomplete;
use crate::migrate::{self, MIGRATIONS};

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
    /// The file was only to be read, and cannot be.
    #[error("cannot read {path}: {source}; is it there, and may you read it")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
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
    /// The file was only to be read, and an older version of Fanfare has written it.
    #[error(
        "{path} has schema {found}, and this version of Fanfare reads schema {known}; fanfare serve of this version \
         brings it up to date"
    )]
    OlderSchema {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The schema has a number we know, but was made by other statements.
    #[error(
        "{path} was made by another build of Fanfare, whose schema {number} differs from this one's; schemas are fixed \
         from the first release on, so use the build that made it, or begin with a new file"
    )]
    ForeignSchema {
        /// Which file.
        path: PathBuf,
        /// The first migration that differs.
        number: u32,
    },
    /// A copy into the file has not come to its end.
    #[error(
        "{path} is an incomplete copy of {origin}; complete it by the fanfare copy that began it, or remove it and use \
         {origin} as before"
    )]
    IncompleteCopy {
        /// Which file.
        path: PathBuf,
        /// What was being copied.
        origin: String,
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
    /// Secrets are sealed with a key that was not given.
    #[error(
        "secrets in {path} are sealed with key {missing}, which is not among those given ({given}); add it, on a line of \
         its own below the one in use, to the key file or to FANFARE_SECRET_KEY"
    )]
    UnknownSealingKey {
        /// Which file.
        path: PathBuf,
        /// The ids of the keys that are missing.
        missing: String,
        /// The ids of the keys that were given.
        given: String,
    },
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
/// Bytes of the log in memory while it is written again.
const REWRITE_BYTES: usize = 1 << 20;
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

impl ServerLock {
    /// Whether a server has it. Shared, so that two who ask do not see each other.
    pub fn is_held(path: &Path) -> io::Result<bool> {
        match File::open(beside(path, ".lock")) {
            Ok(file) => Ok(matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A link and what it points to are one database, so the lock stands beside the file itself.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.canonicalize().unwrap_or_else(|_| path.to_owned()).into_os_string();
    name.push(ending);
    name.into()
}

/// The one connection that writes, migrated. Who serves shows the lock.
pub(crate) fn writable(path: &Path, lock: Option<&ServerLock>) -> Result<Connection, OpenError> {
    let connection = writable_as_is(path, lock)?;
    refuse_incomplete(&connection, path)?;
    Ok(connection)
}

/// The same, also of an incomplete copy.
pub(crate) fn writable_as_is(path: &Path, lock: Option<&ServerLock>) -> Result<Connection, OpenError> {
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
    migrate::run(&mut connection, path, MIGRATIONS, lock)?;
    Ok(connection)
}

/// Writes what an earlier process left in the log once more, and flushes it. If that process met a failing fsync, the
/// log is whole in the system's memory and torn on the disk, and no further fsync would tell: whatever is built on it
/// would fall with the next power failure. Then its name is flushed; SQLite does that too, but ignores a failure.
pub(crate) fn renew_log(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let log_path = beside(path, "-wal");
    let failed = |error: io::Error| OpenError::NotWritable { path: log_path.clone(), reason: error.to_string() };
    // Nobody appends to the log or begins it anew while we hold the right to write.
    connection.execute_batch("begin immediate").map_err(|source| told(path, source))?;
    let renewed = rewrite(&log_path).and_then(|()| flush_name(&log_path));
    connection.execute_batch("rollback").map_err(|source| told(path, source))?;
    renewed.map_err(failed)
}

/// Every byte again where it is, so that none counts as written already.
fn rewrite(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut piece = vec![0; REWRITE_BYTES];
    let mut at = 0;
    loop {
        match file.read_at(&mut piece, at)? {
            0 => return file.sync_all(),
            length => {
                file.write_all_at(&piece[..length], at)?;
                at += length as u64;
            }
        }
    }
}

/// Flushes a file and its name.
pub(crate) fn flush(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()?;
    flush_name(path)
}

fn flush_name(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes a new file before SQLite would, which leaves its mode to the umask. What is there keeps the mode it has.
fn create_private(path: &Path) -> io::Result<()> {
    match create_new_private(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

pub(crate) fn create_new_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path).map(drop)
}

/// Settings on which promises rest, as SQLite gives them back.
const DURABLE: [(&str, i64); 5] = [
    // On macOS an ordinary fsync leaves the data in the drive's cache.
    ("fullfsync", 1),
    ("foreign_keys", 1),
    // Inside a commit a checkpoint would make a sender wait; the writer thread does it between commits.
    ("wal_autocheckpoint", 0),
    // Who is erased must not live on in free pages.
    ("secure_delete", 1),
    // A damaged page is noticed when it is read, where its own structure tells.
    ("cell_size_check", 1),
];
/// `synchronous`: each commit is flushed before it is answered.
const FULL: i64 = 2;
/// `synchronous`: only checkpoints are flushed; a power failure takes the latest commits.
const NORMAL: i64 = 1;
static FLUSHES_LATE: AtomicBool = AtomicBool::new(false);

/// Lets commits of this process be answered before they are on disk, so that the test of power failures can be seen to
/// find losses. In release builds it does nothing.
pub fn flush_late_for_a_test() {
    FLUSHES_LATE.store(cfg!(debug_assertions), Ordering::Relaxed);
}

fn set_durable(connection: &Connection) -> rusqlite::Result<Result<(), OpenError>> {
    switch_to_wal(connection)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(128);
    plan_once(connection)?;
    let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if journal != "wal" {
        return Ok(Err(OpenError::SettingRefused(format!("journal_mode={journal} instead of wal"))));
    }
    let synchronous = if FLUSHES_LATE.load(Ordering::Relaxed) { NORMAL } else { FULL };
    for (name, value) in DURABLE.into_iter().chain([("synchronous", synchronous)]) {
        connection.pragma_update(None, name, value)?;
        let kept: i64 = connection.pragma_query_value(None, name, |row| row.get(0))?;
        if kept != value {
            return Ok(Err(OpenError::SettingRefused(format!("{name}={kept} instead of {value}"))));
        }
    }
    Ok(Ok(()))
}

/// Has statements planned without regard to the values they are given. Else SQLite plans some of them anew for each call,
/// which costs more than the call; without `analyze` it would gain nothing.
pub(crate) fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
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
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    plan_once(&connection)?;
    Ok(connection)
}

/// The same for a database that this process does not write: its schema is checked, and left as it is.
pub(crate) fn readable_as_is(path: &Path) -> Result<(), OpenError> {
    let unreadable = |source| OpenError::Unreadable { path: path.to_owned(), source };
    let connection = readable(path).map_err(unreadable)?;
    // The first read says what the opening does not.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(())).map_err(unreadable)?;
    migrate::check(&connection, path, MIGRATIONS)?;
    refuse_incomplete(&connection, path)
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
