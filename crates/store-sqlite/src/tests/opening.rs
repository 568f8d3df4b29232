//! Opening: one server for a file, any number of commands beside it, and refusals that say what to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use nix::unistd::{Uid, setfsuid};
use store::{Accounts, Lanes, Mango, Roster, Runs, StoreError, StoreResult};
use store_spec::World;
use webinar::{MangoId, Zones};
use wire::NodeId;

use super::{Disk, vault};
use crate::migrate;
use crate::{OpenError, ServerLock, SqliteStore};

#[tokio::test]
async fn the_settings_that_hold_the_promises_are_in_force() -> StoreResult<()> {
    let disk = Disk::new();
    let read = |name: &'static str| {
        let writer = disk.open().writer;
        async move {
            writer
                .write(move |connection| {
                    let value =
                        connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
                    value.map_err(StoreError::broken)
                })
                .await
        }
    };
    assert_eq!(read("journal_mode").await?, "wal".to_owned().into());
    for (name, value) in
        [("synchronous", 2), ("fullfsync", 1), ("foreign_keys", 1), ("secure_delete", 1), ("wal_autocheckpoint", 0)]
    {
        assert_eq!(read(name).await?, rusqlite::types::Value::Integer(value), "{name}");
    }
    assert!(rusqlite::version_number() >= 3_051_003);
    Ok(())
}

#[test]
fn a_link_to_the_file_is_the_same_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, link) = (directory.path().join("real.db"), directory.path().join("link.db"));
    fs::write(&file, "").expect("a file");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    let _first = ServerLock::take(&file).expect("free");
    assert!(matches!(ServerLock::take(&link), Err(OpenError::InUse(_))));
}

#[test]
fn a_second_server_is_refused_until_the_first_has_ended() {
    let disk = Disk::new();
    let first = SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).unwrap();
    let refused = SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).err().unwrap();
    assert!(matches!(refused, OpenError::InUse(_)), "{refused:?}");
    let text = refused.to_string();
    assert!(text.contains(&*disk.path().to_string_lossy()), "{text}");
    assert!(text.contains("stop it first, or give this one another file with --database"), "{text}");
    drop(first);
    assert!(SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).is_ok());
}

#[tokio::test]
async fn commands_read_and_write_beside_a_server() -> StoreResult<()> {
    let disk = Disk::new();
    let (server, _lock) = SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).unwrap();
    let (mut server, mut command) = (World::new(server), disk.world());
    let account = command.account().await?;
    assert_eq!(server.store.accounts().await?.len(), 1);
    for _ in 0..20 {
        let by_server = server.new_mango();
        let by_command = Mango { id: MangoId::from_bytes([server.id()[15]; 12]), ..by_server.clone() };
        let (first, second) = tokio::join!(
            server.store.create_mango(account, by_server),
            command.store.create_mango(account, by_command)
        );
        first.and(second)?;
    }
    assert_eq!(server.store.mangoes(account, None, 100).await?.items.len(), 40);
    Ok(())
}

#[tokio::test]
async fn a_new_server_takes_the_lanes_and_handlers_of_one_that_died() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    world.endpoint(account).await?;
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let lease = world.lease().await?;
    let handler = world.handler(account, "crm").await?;
    disk.open();
    assert_eq!(world.claim().await?, [], "a command beside the server voids nothing");
    world.end_runs(&handler, 0, &[]).await?;

    let (server, _lock) = SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).unwrap();
    world.store = server;
    let refused = world.store.renew(lease, world.now(), store_spec::world::LEASE).await;
    assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    assert!(world.lease().await?.epoch > lease.epoch, "without waiting for the lease to run out");
    assert!(matches!(world.end_runs(&handler, 0, &[]).await, Err(StoreError::Fenced)));
    let another = NodeId::from_bytes([2; 16]);
    let taken = world.store.claim_handler(account, "crm", another, world.now(), store_spec::world::LEASE).await?;
    assert!(taken.is_some_and(|taken| taken.epoch > handler.epoch));
    Ok(())
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let disk = Disk::new();
    drop(disk.open());
    disk.other().pragma_update(None, "user_version", 99).unwrap();
    let refused = SqliteStore::open(&disk.path(), Zones::bundled(), vault(&[1])).err().unwrap();
    assert!(matches!(refused, OpenError::NewerSchema { found: 99, .. }), "{refused:?}");
    assert!(refused.to_string().contains("use the newer version that wrote it"), "{refused}");
    assert_eq!(version(&disk), 99);
}

#[tokio::test]
async fn a_schema_of_another_build_is_refused_by_all_who_open_it() {
    let disk = Disk::new();
    drop(disk.open());
    let refused_by_all = || {
        let (path, zones) = (disk.path(), Zones::bundled);
        let write = SqliteStore::open(&path, zones(), vault(&[1])).err();
        let read = SqliteStore::open_to_read(&path, zones(), vault(&[1])).err();
        let serve = SqliteStore::open_as_server(&path, zones(), vault(&[1])).err();
        for refused in [write, read, serve].map(Option::unwrap) {
            assert!(matches!(refused, OpenError::ForeignSchema { number: 1, .. }), "{refused:?}");
            assert!(refused.to_string().contains("begin with a new file"), "{refused}");
        }
    };
    disk.other().execute_batch("update migration set digest = zeroblob(32)").unwrap();
    refused_by_all();
    disk.other().execute_batch("drop table migration").unwrap();
    refused_by_all();
}

#[tokio::test]
async fn who_only_looks_creates_migrates_and_writes_nothing() -> StoreResult<()> {
    let disk = Disk::new();
    let look = || SqliteStore::open_to_read(&disk.path(), Zones::bundled(), vault(&[1]));
    assert!(matches!(look().err(), Some(OpenError::Unreadable { .. })));
    assert!(!disk.path().exists());

    let account = disk.world().account().await?;
    let mut looking = World::new(look().unwrap());
    assert_eq!(looking.store.accounts().await?.len(), 1);
    assert!(looking.mango(account).await.is_err());
    disk.other().pragma_update(None, "user_version", 0).unwrap();
    let refused = look().err().unwrap();
    assert!(matches!(refused, OpenError::OlderSchema { found: 0, .. }), "{refused:?}");
    assert_eq!(version(&disk), 0);
    Ok(())
}

#[test]
fn an_older_schema_is_not_migrated_under_a_server_that_uses_it() {
    let disk = Disk::new();
    let migrate = |migrations: &[&str], lock: Option<&ServerLock>| {
        migrate::run(&mut disk.other(), &disk.path(), migrations, lock)
    };
    let (first, both) = (["create table a (b)"], ["create table a (b)", "create table c (d)"]);
    migrate(&first, None).unwrap();
    let lock = ServerLock::take(&disk.path()).unwrap();
    assert!(matches!(migrate(&both, None), Err(OpenError::InUse(_))));
    assert_eq!(version(&disk), 1);
    migrate(&first, None).expect("nothing to migrate, so nothing in the way");
    migrate(&both, Some(&lock)).expect("the server itself may");
    assert_eq!(version(&disk), 2);
}

#[tokio::test]
async fn a_server_keeps_what_another_left_in_the_log() -> StoreResult<()> {
    let disk = Disk::new();
    // The first start introduces the key that seals secrets.
    drop(SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).unwrap());
    let mut world = disk.world();
    world.account().await?;
    // Whoever reads keeps the others from emptying it at their end.
    let reader = disk.other();
    reader.execute_batch("begin; select * from account").unwrap();
    drop(world);
    let log = fs::read(disk.path().with_extension("db-wal")).unwrap();
    assert!(!log.is_empty());
    let (store, _lock) = SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).unwrap();
    assert!(fs::read(disk.path().with_extension("db-wal")).unwrap() == log, "byte for byte");
    assert_eq!(store.accounts().await?.len(), 1);
    Ok(())
}

#[test]
fn opening_again_migrates_nothing_twice() {
    let disk = Disk::new();
    drop(disk.open());
    let (schema, reached) = (schema(&disk), version(&disk));
    assert!(reached > 0 && schema.contains("CREATE TABLE lane "));
    drop(disk.open());
    assert_eq!((self::schema(&disk), version(&disk)), (schema, reached));
}

#[test]
fn a_new_file_may_be_opened_by_many_at_once() {
    let disk = Disk::new();
    let path = disk.path();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| SqliteStore::open(&path, Zones::bundled(), vault(&[1])).unwrap());
        }
    });
}

#[tokio::test]
async fn the_files_of_a_database_are_its_owners_alone() -> StoreResult<()> {
    let disk = Disk::new();
    let (store, _lock) = SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).unwrap();
    World::new(store).account().await?;
    for ending in ["", "-wal", "-shm", ".lock"] {
        let path = format!("{}{ending}", disk.path().display());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
    Ok(())
}

#[test]
fn a_directory_in_place_of_the_file_is_refused() {
    let disk = Disk::new();
    fs::create_dir(disk.path()).unwrap();
    refuses_to_write(&disk.path(), &disk.path());
}

#[test]
fn a_path_into_nowhere_is_refused() {
    let disk = Disk::new();
    let path = disk.path().join("deeper/fanfare.db");
    refuses_to_write(&path, &path);
    assert!(matches!(ServerLock::take(&path), Err(OpenError::NotWritable { .. })));
}

#[test]
fn another_file_is_refused_and_left_alone() {
    let disk = Disk::new();
    let text = "name,email,phone,timezone\n".repeat(100);
    fs::write(disk.path(), &text).unwrap();
    let refused = SqliteStore::open(&disk.path(), Zones::bundled(), vault(&[1])).err().unwrap();
    assert!(refused.to_string().contains("file is not a database"), "{refused}");
    assert_eq!(fs::read_to_string(disk.path()).unwrap(), text);
}

#[test]
fn a_read_only_file_is_refused_though_its_directory_is_writable() {
    let disk = Disk::new();
    drop(disk.open());
    fs::set_permissions(disk.path(), Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(disk.directory.path(), Permissions::from_mode(0o777)).unwrap();
    as_nobody(|| refuses_to_write(&disk.path(), &disk.path()));
}

#[test]
fn a_read_only_directory_is_refused_with_and_without_a_file_in_it() {
    let disk = Disk::new();
    fs::set_permissions(disk.directory.path(), Permissions::from_mode(0o555)).unwrap();
    as_nobody(|| refuses_to_write(&disk.path(), &disk.path()));
    fs::set_permissions(disk.directory.path(), Permissions::from_mode(0o755)).unwrap();
    drop(disk.open());
    fs::set_permissions(disk.path(), Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(disk.directory.path(), Permissions::from_mode(0o555)).unwrap();
    as_nobody(|| {
        refuses_to_write(&disk.path(), &disk.path());
        let refused = ServerLock::take(&disk.path()).unwrap_err();
        assert!(matches!(refused, OpenError::NotWritable { .. }), "{refused:?}");
    });
    fs::set_permissions(disk.directory.path(), Permissions::from_mode(0o755)).unwrap();
}

fn refuses_to_write(path: &Path, named: &Path) {
    let refused = SqliteStore::open(path, Zones::bundled(), vault(&[1])).err().expect("it cannot be written");
    assert!(matches!(&refused, OpenError::NotWritable { path, .. } if path == named), "{refused:?}");
    assert!(refused.to_string().contains("check the owner and the permissions"), "{refused}");
}

/// Permissions do not bind root, as whom tests may run; they bind a thread that gives up its rights over files. For
/// anybody else they bind anyway, and the call changes nothing.
fn as_nobody(act: impl FnOnce() + Send) {
    const NOBODY: u32 = 65_534;
    thread::scope(|scope| {
        let acted = scope.spawn(|| {
            setfsuid(Uid::from_raw(NOBODY));
            act();
        });
        acted.join().unwrap();
    });
}

fn version(disk: &Disk) -> u32 {
    disk.other().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn schema(disk: &Disk) -> String {
    let sql = "select group_concat(sql, ';') from (select sql from sqlite_master order by name)";
    disk.other().query_row(sql, [], |row| row.get(0)).unwrap()
}
