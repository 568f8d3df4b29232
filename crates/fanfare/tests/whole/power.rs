//! Power failures: after every answer and at any other moment, what a client was told is on the disk, whatever becomes
//! of what was not flushed. The same test sees losses where commits are answered before they are flushed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::Connection;
use store_sqlite::SqliteStore;
use tokio::time::sleep;
use webinar::Zones;
use wire::FanOutId;

use crate::crash::Chance;
use crate::disk::FaultyDisk;
use crate::disk::image::{Fate, Recording};
use crate::server::{self, Server};
use crate::world::World;

/// Told to a client, who may rely on it from then on.
#[derive(Clone, Debug)]
pub(crate) enum Promise {
    /// This webhook is in the inbox.
    Message(String),
    /// This fan-out was made.
    FanOut(String),
    /// So many of a fan-out are delivered.
    Delivered(String, u64),
}

/// Promises with the position of the recording before which each was made.
pub(crate) type Promises = Vec<(u64, Promise)>;

/// Clients that call at once, so that commits are shared.
const CLIENTS: usize = 4;
/// What each does in a burst.
const CALLS: usize = 12;
/// After it the writer has emptied the log, and begins it anew.
pub(crate) const IDLE: Duration = Duration::from_millis(800);
/// Power failures tried.
const FAILURES: usize = 80;
/// Ways in which each tears what was not flushed.
const TORN: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_power_failure_loses_nothing_that_was_acknowledged() {
    let world = World::with_members(40).await;
    let (recording, promises) = record(&world, &[]).await;
    assert!(recording.flushes_of("-wal") > 50, "there were commits");
    assert!(recording.flushes_of(".db") >= 2, "and checkpoints");
    let judged = judge(&recording, &promises, FAILURES);
    assert!(judged.amid_writes > FAILURES / 4, "{judged:?}: the failures come in the midst of writes");
    assert!(judged.kept > 1_000 && judged.broken == 0, "{judged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_of_power_failures_sees_losses_where_commits_are_not_flushed() {
    let world = World::with_members(40).await;
    let (recording, promises) = record(&world, &[("FANFARE_TEST_FLUSH_LATE", "1".into())]).await;
    let judged = judge(&recording, &promises, FAILURES / 4);
    assert!(judged.broken > 1_000, "{judged:?}");
}

/// Two bursts of load with a pause, and then the end without a word.
async fn record(world: &World, more: &[(&'static str, PathBuf)]) -> (Recording, Promises) {
    let disk = FaultyDisk::under(world.directory());
    let environment = [disk.environment(), more.to_vec()].concat();
    let mut server = Server::start_in(&world.database(), &environment).await.expect("it starts");
    let mut promises = Promises::new();
    for _ in 0..2 {
        promises.extend(load(world, &server, &disk).await);
        world.wait_until_everything_is_delivered(&server).await;
        sleep(IDLE).await;
    }
    promises.extend(load(world, &server, &disk).await);
    server.kill().await;
    (disk.recording(), promises)
}

/// Calls from several clients; what they were promised.
pub(crate) async fn load(world: &World, server: &Server, disk: &FaultyDisk) -> Promises {
    let promises = Mutex::new(Promises::new());
    // The position is read after the answer: whatever it rests on lies before.
    let note = |promise| promises.lock().unwrap().push((disk.position(), promise));
    let client = async || {
        for call in 0..CALLS {
            if call % 6 == 0
                && let Some(fan_out) = world.announce(server.address).await
            {
                note(Promise::FanOut(fan_out));
            }
            if let Some(id) = world.send_one(server.address).await {
                note(Promise::Message(id));
            }
            for (fan_out, delivered) in world.delivered(server.address).await.unwrap_or_default() {
                note(Promise::Delivered(fan_out, delivered));
            }
        }
    };
    futures_util::future::join_all((0..CLIENTS).map(|_| client())).await;
    promises.into_inner().unwrap()
}

/// What became of promises, summed over all images of the disk.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Power failures at which something was not flushed.
    amid_writes: usize,
    pub(crate) kept: usize,
    pub(crate) broken: usize,
}

/// Lets the power fail at so many moments. Whatever is left opens and is sound; what was promised is counted.
pub(crate) fn judge(recording: &Recording, promises: &Promises, failures: usize) -> Judged {
    let mut replay = recording.replay();
    let mut judged = Judged::default();
    for position in moments(recording, promises, failures) {
        replay.advance(position);
        judged.amid_writes += usize::from(replay.has_unflushed());
        for fate in (0..TORN).map(|seed| Fate::Torn { seed: position ^ seed }).chain([Fate::Lost]) {
            let directory = tempfile::tempdir().unwrap();
            replay.write_image(directory.path(), fate);
            let kept = Kept::read(&directory.path().join("crash.db"), &format!("at {position}, {fate:?}"));
            let due = promises.iter().filter(|(made, _)| *made <= position);
            let (held, broken): (Vec<_>, Vec<_>) = due.partition(|(_, promise)| kept.has(promise));
            judged.kept += held.len();
            judged.broken += broken.len();
        }
    }
    judged
}

/// Half just after answers, where a promise has had the least time to become true, half anywhere.
fn moments(recording: &Recording, promises: &Promises, count: usize) -> Vec<u64> {
    let mut chance = Chance(0x0ff);
    let anywhere: Vec<u64> = recording.positions().collect();
    let mut choose = |from: &[u64]| from[chance.below(from.len() as u64) as usize];
    let answers: Vec<u64> = promises.iter().map(|(position, _)| *position).collect();
    let mut moments: Vec<u64> = (0..count / 2).flat_map(|_| [choose(&answers), choose(&anywhere)]).collect();
    moments.extend(anywhere.last());
    moments.sort_unstable();
    moments
}

/// What is in a database that nobody uses, be it of a power failure or a copy.
pub(crate) struct Kept {
    pub(crate) messages: BTreeSet<String>,
    delivered: BTreeMap<Vec<u8>, u64>,
}

impl Kept {
    pub(crate) fn read(path: &Path, what: &str) -> Kept {
        let opened = SqliteStore::open_as_server(path, Zones::bundled(), server::vault());
        drop(opened.unwrap_or_else(|error| panic!("{what}: {error}")));
        let database = Connection::open(path).unwrap();
        let verdict: String = database.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok", "{what}");
        let mut statement = database.prepare("select message_id from message").unwrap();
        let messages = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut statement = database.prepare("select fan_out, delivered from fan_out").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())));
        Kept { messages, delivered: rows.unwrap().map(Result::unwrap).collect() }
    }

    pub(crate) fn has(&self, promise: &Promise) -> bool {
        let delivered = |fan_out: &str| {
            let id: FanOutId = fan_out.parse().unwrap();
            self.delivered.get(&id.as_bytes()[..]).copied()
        };
        match promise {
            Promise::Message(id) => self.messages.contains(id),
            Promise::FanOut(id) => delivered(id).is_some(),
            Promise::Delivered(id, count) => delivered(id) >= Some(*count),
        }
    }
}
