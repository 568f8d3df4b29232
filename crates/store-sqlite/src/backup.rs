//! A copy of a database while a server writes to it: one moment of it, whole, without free space and without a log.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::open::{self, OpenError};

/// Why there is no copy. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is a file of this name, or none can be made.
    #[error("cannot write {path}: {reason}; name a new file in a directory that you may write to")]
    NotWritable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Copying failed midway.
    #[error("the copy into {path} failed: {source}; is there space for a second database")]
    Copy {
        /// Which.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// What was copied is damaged, so the database is, too.
    #[error("the copy is damaged, and so is the database it was made of: {0}")]
    Damaged(String),
}

/// Copies the database at `path` into the new file `to`, checks the copy and flushes it; its size in bytes. Everything
/// acknowledged before the call is in it. Writers go on meanwhile; only their log grows until the copy is done.
pub fn back_up(path: &Path, to: &Path) -> Result<u64, BackupError> {
    open::readable_as_is(path)?;
    let not_writable =
        |error: std::io::Error| BackupError::NotWritable { path: to.to_owned(), reason: error.to_string() };
    // SQLite would take an empty file for its own, but one that is there is somebody else's.
    open::create_new_private(to).map_err(not_writable)?;
    let copied = copy(path, to).and_then(|()| open::flush(to).map_err(not_writable));
    if copied.is_err() {
        let _ = fs::remove_file(to);
    }
    copied?;
    Ok(File::open(to).and_then(|file| file.metadata()).map_err(not_writable)?.len())
}

fn copy(path: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Copy { path: to.to_owned(), source };
    let source = open::readable(path).map_err(failed)?;
    source.execute("vacuum into ?1", [to.to_string_lossy()]).map_err(failed)?;
    let verdict: String = Connection::open(to)
        .and_then(|copy| copy.query_row("pragma quick_check(1)", [], |row| row.get(0)))
        .map_err(failed)?;
    if verdict == "ok" { Ok(()) } else { Err(BackupError::Damaged(verdict)) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use store::{Accounts, StoreResult};
    use store_spec::World;
    use webinar::Zones;

    use super::*;
    use crate::SqliteStore;
    use crate::tests::vault;

    #[tokio::test]
    async fn a_copy_holds_what_was_there_and_is_its_owners_alone() -> StoreResult<()> {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, to) = (directory.path().join("fanfare.db"), directory.path().join("copy.db"));
        let mut world = World::new(SqliteStore::open(&path, Zones::bundled(), vault(&[1])).expect("a store"));
        world.account().await?;
        back_up(&path, &to).expect("a copy");
        assert_eq!(fs::metadata(&to).expect("a file").permissions().mode() & 0o777, 0o600);
        world.account().await?;
        let copy = SqliteStore::open(&to, Zones::bundled(), vault(&[1])).expect("it opens");
        assert_eq!((copy.accounts().await?.len(), world.store.accounts().await?.len()), (1, 2));
        Ok(())
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten_and_a_failed_copy_leaves_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let (path, to) = (directory.path().join("fanfare.db"), directory.path().join("copy.db"));
        drop(SqliteStore::open(&path, Zones::bundled(), vault(&[1])).expect("a store"));
        fs::write(&to, "mine").expect("a file");
        assert!(matches!(back_up(&path, &to), Err(BackupError::NotWritable { .. })));
        assert_eq!(fs::read(&to).expect("a file"), b"mine");
        let nowhere = directory.path().join("nowhere/copy.db");
        assert!(matches!(back_up(&path, &nowhere), Err(BackupError::NotWritable { .. })));
        let missing = directory.path().join("missing.db");
        assert!(matches!(back_up(&missing, &directory.path().join("new.db")), Err(BackupError::Open(_))));
        assert!(!missing.exists() && !directory.path().join("new.db").exists());
    }
}
