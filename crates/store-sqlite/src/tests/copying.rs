//! Moving house: what a copy knows of this engine's tables, and who may open what while one is under way.

use std::collections::BTreeSet;

use store::{COPIED_TABLES, Cell, CopyFrom, CopyPlace, CopyRefusal, CopyTo, Inbox, Roster, StoreResult};
use store_spec::World;
use webinar::Zones;

use super::{Disk, vault};
use crate::{CopyFromSqlite, CopyToSqlite, OpenError, ServerLock, SqliteStore, back_up};

/// Tables that are made anew: how far migrations and sweeps are, who serves.
const NOT_COPIED: [&str; 3] = ["migration", "message_seen_sweep", "node"];
const LEASES: [&str; 2] = ["owner", "lease_until"];

#[test]
fn a_copy_knows_every_table_and_every_column_but_leases() {
    let disk = Disk::new();
    disk.open();
    let connection = disk.other();
    let names = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'";
    let mut statement = connection.prepare(names).unwrap();
    let tables = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap);
    let tables: BTreeSet<String> = tables.filter(|table: &String| !NOT_COPIED.contains(&&**table)).collect();
    assert_eq!(tables, COPIED_TABLES.iter().map(|table| table.name.to_owned()).collect());
    for table in COPIED_TABLES {
        let mut statement = connection.prepare("select name from pragma_table_info(?1)").unwrap();
        let columns = statement.query_map([table.name], |row| row.get(0)).unwrap().map(Result::unwrap);
        let columns: BTreeSet<String> = columns.filter(|column: &String| !LEASES.contains(&&**column)).collect();
        let known = table.columns.iter().filter(|column| crate::copying::has(table, column));
        assert_eq!(columns, known.map(|column| (*column).to_owned()).collect(), "{}", table.name);
    }
}

/// A store with an account, people and messages, and another file beside it.
async fn filled() -> StoreResult<(Disk, Disk)> {
    let (disk, target) = (Disk::new(), Disk::new());
    let mut world = disk.world();
    let account = world.account().await?;
    world.mango_of(account, &["Asha", "Noah", "Mia"]).await?;
    let sender = world.sender(account).await?;
    for id in ["msg_1", "msg_2"] {
        world.accept(&sender, id, "{}").await?;
    }
    Ok((disk, target))
}

/// Copies as many chunks as there are, at most `chunks`.
async fn copy(from: &mut CopyFromSqlite, to: &mut CopyToSqlite, chunks: usize) -> Result<CopyPlace, CopyRefusal> {
    let mark = from.mark().await?;
    let mut place = to.begin("sqlite:here", &mark).await?;
    for _ in 0..chunks {
        let Some(table) = place.table() else { break };
        let chunk = from.read(table, place.after.clone()).await?;
        place = place.further(chunk.rows.len(), chunk.next);
        to.write(table, chunk.rows, &place).await?;
    }
    Ok(place)
}

#[tokio::test]
async fn an_incomplete_copy_is_opened_by_nobody_and_a_complete_one_by_everybody() {
    let (disk, target) = filled().await.unwrap();
    let mut from = CopyFromSqlite::open(&disk.path()).unwrap();
    let mut to = CopyToSqlite::open(&target.path()).unwrap();
    copy(&mut from, &mut to, 3).await.unwrap();
    drop(to);
    let serving = SqliteStore::open_as_server(&target.path(), Zones::bundled(), vault(&[1])).err();
    let changing = SqliteStore::open(&target.path(), Zones::bundled(), vault(&[1])).err();
    let reading = SqliteStore::open_to_read(&target.path(), Zones::bundled(), vault(&[1])).err();
    for refused in [serving, changing, reading] {
        let refused = refused.unwrap();
        assert!(matches!(refused, OpenError::IncompleteCopy { .. }), "{refused:?}");
        assert!(refused.to_string().contains("sqlite:here"), "{refused}");
    }
    assert!(back_up(&target.path(), &target.path().with_extension("copy")).is_err());
    assert!(CopyFromSqlite::open(&target.path()).is_err(), "half a house is not moved on");

    let mut to = CopyToSqlite::open(&target.path()).unwrap();
    let place = copy(&mut from, &mut to, 1_000).await.unwrap();
    assert_eq!(place.table().map(|table| table.name), None);
    to.complete(&from.newest_messages().await.unwrap()).await.unwrap();
    drop(to);
    let (store, _lock) = SqliteStore::open_as_server(&target.path(), Zones::bundled(), vault(&[1])).unwrap();
    let account = store::Accounts::accounts(&store).await.unwrap().remove(0).id;
    assert_eq!(store.message_counts(account).await.unwrap().stored, 2);
    assert_eq!(store.mangoes(account, None, 9).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn what_comes_after_the_move_is_numbered_behind_what_went_before_it_even_where_that_is_gone() {
    let (disk, target) = filled().await.unwrap();
    disk.other().execute("delete from message", []).unwrap();
    let mut from = CopyFromSqlite::open(&disk.path()).unwrap();
    let mut to = CopyToSqlite::open(&target.path()).unwrap();
    copy(&mut from, &mut to, 1_000).await.unwrap();
    to.complete(&from.newest_messages().await.unwrap()).await.unwrap();
    drop(to);
    let mut world: World<SqliteStore> = target.world();
    let account = store::Accounts::accounts(&world.store).await.unwrap().remove(0).id;
    let sender = world.sender(account).await.unwrap();
    let accepted = world.accept(&sender, "msg_3", "{}").await.unwrap();
    assert_eq!(accepted, store::Acceptance::Stored(3));
}

#[tokio::test]
async fn a_target_with_anything_in_it_is_refused_but_for_a_copy_of_the_same_state() {
    let (disk, target) = filled().await.unwrap();
    let mut from = CopyFromSqlite::open(&disk.path()).unwrap();
    let mut to = CopyToSqlite::open(&target.path()).unwrap();
    let begun = copy(&mut from, &mut to, 6).await.unwrap();
    assert_eq!(copy(&mut from, &mut to, 0).await.unwrap(), begun);

    disk.other().execute("update account set revision = revision + 1", []).unwrap();
    let refused = copy(&mut from, &mut to, 0).await.unwrap_err();
    assert!(matches!(refused, CopyRefusal::OtherOrigin { .. }), "{refused:?}");

    let (other, _) = filled().await.unwrap();
    let refused = copy(&mut from, &mut CopyToSqlite::open(&other.path()).unwrap(), 0).await.unwrap_err();
    assert!(matches!(refused, CopyRefusal::NotEmpty { table: "account", .. }), "{refused:?}");
}

#[tokio::test]
async fn nobody_serves_from_either_side_while_a_copy_is_made() {
    let (disk, target) = filled().await.unwrap();
    let from = CopyFromSqlite::open(&disk.path()).unwrap();
    let to = CopyToSqlite::open(&target.path()).unwrap();
    for path in [disk.path(), target.path()] {
        assert!(matches!(ServerLock::take(&path), Err(OpenError::InUse(_))));
    }
    drop((from, to));
    let _served = ServerLock::take(&disk.path()).unwrap();
    assert!(matches!(CopyFromSqlite::open(&disk.path()), Err(OpenError::InUse(_))));
    assert!(matches!(CopyToSqlite::open(&disk.path()), Err(OpenError::InUse(_))));
}

#[tokio::test]
async fn a_table_is_read_in_pieces_that_fit_into_memory() {
    let (disk, _) = filled().await.unwrap();
    let body = vec![b' '; 1 << 20];
    let sql = "insert into message (account, source, dedupe_key, digest, headers, received_at, body)
               select account, source, dedupe_key, digest, headers, received_at, ?1 from message where number = 1";
    let connection = disk.other();
    for _ in 0..10 {
        connection.execute(sql, [&body]).unwrap();
    }
    let mut from = CopyFromSqlite::open(&disk.path()).unwrap();
    let messages = COPIED_TABLES.iter().find(|table| table.name == "message").unwrap();
    let (mut after, mut pieces) = (None, Vec::new());
    loop {
        let chunk = from.read(messages, after).await.unwrap();
        pieces.push(chunk.rows.len());
        after = chunk.next;
        if after.is_none() {
            break;
        }
        assert!(matches!(after.as_deref(), Some([Cell::Number(_)])));
    }
    assert_eq!(pieces.iter().sum::<usize>(), 12);
    assert!(pieces.iter().all(|rows| *rows <= 6), "{pieces:?}");
}
