//! Damaged files: a log that is torn or has a flipped bit opens with the first of its commits, all or none of each; a
//! damaged file is refused or read with an error where SQLite can tell, and never makes us panic.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use rusqlite::Connection;
use store::{Inbox, StoreResult};
use webinar::Zones;
use wire::AccountId;

use super::{Disk, vault};
use crate::SqliteStore;

/// Webhooks, each with a commit of its own.
const MESSAGES: usize = 40;
/// Damages tried of each kind.
const DAMAGES: usize = 120;

/// The files of a database whose log holds many commits.
struct Original {
    file: Vec<u8>,
    log: Vec<u8>,
    account: AccountId,
    bodies: Vec<Bytes>,
}

impl Original {
    async fn make() -> StoreResult<Original> {
        let disk = Disk::new();
        let mut world = disk.world();
        let account = world.account().await?;
        let sender = world.sender(account).await?;
        world.store.checkpoint().await?;
        // While somebody reads, nothing of the log is moved into the file.
        let reader = disk.other();
        reader.execute_batch("begin; select * from account").expect("a reader");
        let bodies: Vec<String> = (0..MESSAGES).map(|number| format!("{number}").repeat(200 + number * 40)).collect();
        for (number, body) in bodies.iter().enumerate() {
            world.accept(&sender, &format!("msg_{number}"), body).await?;
        }
        let read = |path: &Path| fs::read(path).expect("a file of the database");
        let (file, log) = (read(&disk.path()), read(&disk.path().with_extension("db-wal")));
        Ok(Original { file, log, account, bodies: bodies.into_iter().map(Bytes::from).collect() })
    }
}

/// What can be read of a database, in order; an error where it is refused.
async fn bodies(file: &[u8], log: &[u8], account: AccountId) -> Result<Vec<Bytes>, String> {
    let disk = Disk::new();
    fs::write(disk.path(), file).expect("a copy");
    fs::write(disk.path().with_extension("db-wal"), log).expect("a copy");
    let (store, _lock) =
        SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).map_err(|error| error.to_string())?;
    let mut bodies = Vec::new();
    let mut after = None;
    loop {
        let page = store.messages(account, Default::default(), after, 10).await.map_err(|error| error.to_string())?;
        for message in page.items {
            let whole = store.message(account, message.number).await.map_err(|error| error.to_string())?;
            bodies.insert(0, Bytes::from(whole.ok_or("it is listed, but not there")?.body));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let verdict: rusqlite::Result<String> =
        Connection::open(disk.path()).and_then(|it| it.query_row("pragma integrity_check", [], |row| row.get(0)));
    match verdict.as_deref() {
        Ok("ok") => Ok(bodies),
        other => Err(format!("{other:?}")),
    }
}

#[tokio::test]
async fn a_torn_log_opens_with_its_first_commits() -> StoreResult<()> {
    let original = Original::make().await?;
    let mut lengths = Vec::new();
    for piece in 0..DAMAGES {
        let log = &original.log[..original.log.len() * piece / DAMAGES];
        let kept = bodies(&original.file, log, original.account).await.expect("a torn log is no reason to refuse");
        assert_eq!(kept, original.bodies[..kept.len()], "{piece}");
        lengths.push(kept.len());
    }
    assert!(lengths.is_sorted() && lengths[0] == 0 && lengths[DAMAGES - 1] > MESSAGES / 2, "{lengths:?}");
    Ok(())
}

#[tokio::test]
async fn a_flipped_bit_of_the_log_ends_it_there() -> StoreResult<()> {
    let original = Original::make().await?;
    let mut chance = Chance(1);
    let mut shortened = 0;
    for _ in 0..DAMAGES {
        let mut log = original.log.clone();
        let at = chance.flip(&mut log);
        let kept = bodies(&original.file, &log, original.account).await.expect("what comes before stands");
        assert_eq!(kept, original.bodies[..kept.len()], "bit {at}");
        shortened += usize::from(kept.len() < MESSAGES);
    }
    assert!(shortened > DAMAGES / 2, "{shortened}");
    Ok(())
}

#[tokio::test]
async fn a_damaged_file_is_an_error_where_sqlite_can_tell_and_never_a_panic() -> StoreResult<()> {
    let original = Original::make().await?;
    let whole = Disk::new();
    fs::write(whole.path(), &original.file).expect("a copy");
    fs::write(whole.path().with_extension("db-wal"), &original.log).expect("a copy");
    drop(whole.other().query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(())));
    let sound = fs::read(whole.path()).expect("all in one file");
    assert_eq!(bodies(&sound, &[], original.account).await.as_ref(), Ok(&original.bodies));

    let mut chance = Chance(2);
    let mut noticed = 0;
    for _ in 0..DAMAGES {
        let mut file = sound.clone();
        for _ in 0..16 {
            chance.flip(&mut file);
        }
        match bodies(&file, &[], original.account).await {
            Err(why) => {
                assert!(!why.contains("panicked"), "{why}");
                noticed += 1;
            }
            // The bytes of a value itself have no checksum in SQLite.
            Ok(kept) => assert!(kept.len() <= MESSAGES, "nothing is made up"),
        }
    }
    assert!(noticed > DAMAGES / 4, "{noticed}");
    Ok(())
}

/// Numbers that look random and are the same in each run (Knuth's multiplier).
struct Chance(u64);

impl Chance {
    /// Flips one bit; which.
    fn flip(&mut self, bytes: &mut [u8]) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (self.0 >> 20) as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        bit
    }
}
