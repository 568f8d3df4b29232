//! A disk under the real binary whose every write is recorded and whose calls can be made to fail: `disk/faulty_disk.c`,
//! preloaded. What it keeps through a power failure is `image`'s to say.

pub(crate) mod image;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use image::{Content, Recording};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/whole/disk/faulty_disk.c");

/// The words of the control file, by their place.
const FLUSHES_UNTIL_FAILURE: u64 = 0;
const WRITE_ERRNO: u64 = 1;
const FAILED: u64 = 2;

pub(crate) struct FaultyDisk {
    /// Of the library, the journal and the control file.
    workshop: TempDir,
    directory: PathBuf,
    /// What was on the disk before anything was recorded.
    base: BTreeMap<PathBuf, Content>,
    control: File,
}

impl FaultyDisk {
    /// Under the files of a directory that nobody uses at this moment: they count as safe.
    pub(crate) fn under(directory: &Path) -> FaultyDisk {
        let directory = directory.canonicalize().unwrap();
        let workshop = tempfile::tempdir().unwrap();
        let library = workshop.path().join("faulty_disk.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-pthread", "-o"]).arg(library).arg(SOURCE);
        assert!(compiler.status().expect("a C compiler, which SQLite needs as well").success());
        let control_path = workshop.path().join("control");
        fs::write(&control_path, [0; 4096]).unwrap();
        let control = File::options().read(true).write(true).open(control_path).unwrap();
        fs::write(workshop.path().join("journal"), "").unwrap();
        let files = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        let base = files.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        FaultyDisk { workshop, directory, base, control }
    }

    /// What a process needs to be on it.
    pub(crate) fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let at = |name: &str| self.workshop.path().join(name);
        vec![
            ("LD_PRELOAD", at("faulty_disk.so")),
            ("FAULTY_DISK_DIRECTORY", self.directory.clone()),
            ("FAULTY_DISK_JOURNAL", at("journal")),
            ("FAULTY_DISK_CONTROL", at("control")),
        ]
    }

    /// How much has happened: a place in the recording.
    pub(crate) fn position(&self) -> u64 {
        fs::metadata(self.workshop.path().join("journal")).unwrap().len()
    }

    pub(crate) fn recording(&self) -> Recording {
        let journal = fs::read(self.workshop.path().join("journal")).unwrap();
        Recording::read(&self.directory, self.base.clone(), &journal)
    }

    /// Lets the flush after so many others fail, once.
    pub(crate) fn fail_a_flush_after(&self, others: u32) {
        self.set(FLUSHES_UNTIL_FAILURE, others + 1);
    }

    /// Lets every write fail with this error, or none.
    pub(crate) fn fail_writes(&self, with: Option<nix::errno::Errno>) {
        self.set(WRITE_ERRNO, with.map_or(0, |errno| errno as u32));
    }

    /// Calls that were made to fail.
    pub(crate) fn failures(&self) -> u32 {
        let mut word = [0; 4];
        self.control.read_exact_at(&mut word, FAILED * 4).unwrap();
        u32::from_ne_bytes(word)
    }

    fn set(&self, word: u64, value: u32) {
        self.control.write_all_at(&value.to_ne_bytes(), word * 4).unwrap();
    }
}
