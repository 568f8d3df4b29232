//! What a power failure leaves: what was flushed, and of everything later whatever the disk likes. A file's name is
//! safe once its directory was flushed; a flush that failed loses what it should have kept, for good.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::crash::Chance;

pub(crate) type Content = Vec<u8>;

/// Disks write a sector whole or not at all.
const SECTOR: usize = 512;

/// Everything that happened, in order.
pub(crate) struct Recording {
    directory: PathBuf,
    base: BTreeMap<PathBuf, Content>,
    /// With the position at which each was over.
    steps: Vec<(u64, Step)>,
}

struct Step {
    path: PathBuf,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Change(Change),
    Flush,
    FlushFailed,
    Remove,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, data: Content },
    Truncate { size: usize },
}

/// What becomes of what was not flushed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Lost,
    /// Each sector by itself, by lot; sizes and names up to a moment of their own.
    Torn {
        seed: u64,
    },
}

/// The disk at a moment of the recording.
pub(crate) struct Replay<'a> {
    recording: &'a Recording,
    next: usize,
    files: Vec<Inode>,
    /// By name, as the programs see it.
    seen: BTreeMap<PathBuf, usize>,
    /// The same as it would be after a power failure.
    safe: BTreeMap<PathBuf, usize>,
}

#[derive(Default)]
struct Inode {
    safe: Content,
    pending: Vec<Change>,
}

impl Recording {
    pub(super) fn read(directory: &Path, base: BTreeMap<PathBuf, Content>, journal: &[u8]) -> Recording {
        let (mut steps, mut rest) = (Vec::new(), journal);
        while !rest.is_empty() {
            let (head, after) = rest.split_at(24);
            let word = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap());
            let long = |at: usize| usize::from_ne_bytes(head[at..at + 8].try_into().unwrap());
            let (path, after) = after.split_at(word(4) as usize);
            let (data, after) = after.split_at(long(16));
            let kind = match word(0) {
                1 => Kind::Change(Change::Write { offset: long(8), data: data.to_vec() }),
                2 => Kind::Change(Change::Truncate { size: long(8) }),
                3 => Kind::Flush,
                4 => Kind::FlushFailed,
                5 => Kind::Remove,
                other => panic!("the journal has a record of kind {other}"),
            };
            let path = PathBuf::from(std::str::from_utf8(path).unwrap());
            steps.push(((journal.len() - after.len()) as u64, Step { path, kind }));
            rest = after;
        }
        Recording { directory: directory.to_owned(), base, steps }
    }

    /// The positions between its steps.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        self.steps.iter().map(|(position, _)| *position)
    }

    /// Successful flushes of files whose name ends so.
    pub(crate) fn flushes_of(&self, ending: &str) -> usize {
        let is_one = |step: &Step| matches!(step.kind, Kind::Flush) && step.path.to_string_lossy().ends_with(ending);
        self.steps.iter().filter(|(_, step)| is_one(step)).count()
    }

    pub(crate) fn replay(&self) -> Replay<'_> {
        let files = self.base.values().map(|safe| Inode { safe: safe.clone(), pending: Vec::new() }).collect();
        let seen: BTreeMap<PathBuf, usize> = self.base.keys().cloned().zip(0..).collect();
        Replay { recording: self, next: 0, files, safe: seen.clone(), seen }
    }
}

impl Replay<'_> {
    /// Goes forward to a position.
    pub(crate) fn advance(&mut self, position: u64) {
        while let Some((_, step)) = self.recording.steps.get(self.next).filter(|(end, _)| *end <= position) {
            self.next += 1;
            self.take(step);
        }
    }

    /// Whether a power failure at this moment would take anything.
    pub(crate) fn has_unflushed(&self) -> bool {
        self.seen.values().any(|index| !self.files[*index].pending.is_empty())
    }

    fn take(&mut self, step: &Step) {
        if step.path == self.recording.directory {
            if matches!(step.kind, Kind::Flush) {
                self.safe = self.seen.clone();
            }
            return;
        }
        if matches!(step.kind, Kind::Remove) {
            self.seen.remove(&step.path);
            return;
        }
        let index = *self.seen.entry(step.path.clone()).or_insert_with(|| {
            self.files.push(Inode::default());
            self.files.len() - 1
        });
        let file = &mut self.files[index];
        match &step.kind {
            Kind::Change(change) => file.pending.push(change.clone()),
            Kind::Flush => file.pending.drain(..).for_each(|change| apply(&mut file.safe, &change)),
            Kind::FlushFailed => file.pending.retain(|change| matches!(change, Change::Truncate { .. })),
            Kind::Remove => {}
        }
    }

    /// Writes what a power failure at this moment would leave into a directory.
    pub(crate) fn write_image(&self, into: &Path, fate: Fate) {
        let mut chance = match fate {
            Fate::Lost => None,
            Fate::Torn { seed } => Some(Chance(seed)),
        };
        let has_late_names = chance.as_mut().is_some_and(|chance| chance.below(2) == 0);
        let names = if has_late_names { &self.seen } else { &self.safe };
        for (path, index) in names {
            let content = self.files[*index].after(chance.as_mut());
            fs::write(into.join(path.file_name().unwrap()), content).unwrap();
        }
    }
}

impl Inode {
    fn after(&self, chance: Option<&mut Chance>) -> Content {
        let mut content = self.safe.clone();
        let Some(chance) = chance else { return content };
        for change in &self.pending {
            match change {
                // A size that did not get there keeps all that came after it away, too.
                Change::Truncate { .. } if chance.below(2) == 0 => break,
                Change::Truncate { .. } => apply(&mut content, change),
                Change::Write { offset, data } => {
                    let mut at = *offset;
                    while at < offset + data.len() {
                        let end = ((at / SECTOR + 1) * SECTOR).min(offset + data.len());
                        if chance.below(2) == 0 {
                            let data = data[at - offset..end - offset].to_vec();
                            apply(&mut content, &Change::Write { offset: at, data });
                        }
                        at = end;
                    }
                }
            }
        }
        content
    }
}

fn apply(content: &mut Content, change: &Change) {
    match change {
        Change::Truncate { size } => content.resize(*size, 0),
        Change::Write { offset, data } => {
            let end = offset + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(data);
        }
    }
}
