//! Moving house: what a copy knows of this engine's tables, and what it makes of what SQLite has not.

use std::collections::BTreeSet;

use provider::attempt::Outcome;
use provider::segment::{Entry, Segment};
use store::{COPIED_TABLES, Cell, CopiedTable, CopyFrom, CopyPlace, CopyRefusal, CopyTo};
use webinar::Zones;

use super::{TestDatabase, vault};
use crate::columns::{Columns, list, values};
use crate::copying::CopyOpenError;
use crate::{CopyFromPostgres, CopyToPostgres, OpenError, PostgresStore};

/// Tables that are made anew or told in other words: how far migrations and sweeps are, who serves, the newest messages.
const NOT_COPIED: [&str; 4] = ["migration", "message_seen_sweep", "node", "message_counter"];
const LEASES: [&str; 2] = ["owner", "lease_until"];
/// 2024-03-01T23:59:59.999Z, the last of its day.
const LATE_MS: i64 = 1_709_337_599_999;

fn table(name: &str) -> &'static CopiedTable {
    COPIED_TABLES.iter().find(|table| table.name == name).unwrap()
}

#[tokio::test]
async fn a_copy_knows_every_table_and_every_column_but_leases() {
    let Some(database) = TestDatabase::new() else { return };
    let store = database.store();
    let session = store.session().await.unwrap();
    let sql = "select c.relname::text, a.attname::text from pg_class as c join pg_attribute as a on a.attrelid = c.oid
               where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
               and a.attnum > 0 and not a.attisdropped";
    let read = |row: &tokio_postgres::Row| Ok((row.value::<String>(0)?, row.value::<String>(1)?));
    let columns = list(&session, sql, values![], read).await.unwrap();
    let is_copied =
        |(table, column): &(String, String)| !NOT_COPIED.contains(&&**table) && !LEASES.contains(&&**column);
    let columns: BTreeSet<(String, String)> = columns.into_iter().filter(is_copied).collect();
    let of =
        |table: &'static CopiedTable| table.columns.iter().map(|column| (table.name.to_owned(), (*column).to_owned()));
    assert_eq!(columns, COPIED_TABLES.iter().flat_map(of).collect());
}

/// An empty target with one account copied into it, and how far the copy is.
async fn begun(database: &TestDatabase) -> (CopyToPostgres, CopyPlace) {
    let mut to = CopyToPostgres::open(&database.address()).await.unwrap();
    let place = to.begin("sqlite:there", "as it is").await.unwrap();
    let account = [1, 0, 0, 0, 0, 0, 0].map(Cell::Number);
    let [number, _, _, rest @ ..] = account;
    let row = [number, Cell::Text("Acme".to_owned()), Cell::Text("UTC".to_owned())].into_iter().chain(rest).collect();
    let place = place.further(1, None);
    to.write(table("account"), vec![row], &place).await.unwrap();
    (to, place)
}

#[tokio::test]
async fn an_incomplete_copy_is_opened_by_nobody_and_a_complete_one_by_everybody() {
    let Some(database) = TestDatabase::new() else { return };
    let (mut to, _) = begun(&database).await;
    let open = async || PostgresStore::open(&database.address(), Zones::bundled(), vault(&[1])).await;
    let serve = async || PostgresStore::open_as_server(&database.address(), Zones::bundled(), vault(&[1])).await;
    let look = async || PostgresStore::open_to_read(&database.address(), Zones::bundled(), vault(&[1])).await;
    for refused in [open().await.err(), serve().await.err(), look().await.err()] {
        let refused = refused.unwrap();
        assert!(matches!(refused, OpenError::IncompleteCopy { .. }), "{refused:?}");
        assert!(refused.to_string().contains("sqlite:there"), "{refused}");
    }
    let from = CopyFromPostgres::open(&database.address()).await.err().unwrap();
    assert!(matches!(from, CopyOpenError::Open(OpenError::IncompleteCopy { .. })), "{from:?}");
    to.complete(&[(1, 41)]).await.unwrap();
    look().await.unwrap();
    serve().await.unwrap();
    let mut from = CopyFromPostgres::open(&database.address()).await.unwrap();
    assert_eq!(from.newest_messages().await.unwrap(), [(1, 41)]);
}

#[tokio::test]
async fn of_two_copies_into_one_target_one_gives_up() {
    let Some(database) = TestDatabase::new() else { return };
    let (mut one, place) = begun(&database).await;
    let mut other = CopyToPostgres::open(&database.address()).await.unwrap();
    assert_eq!(other.begin("sqlite:there", "as it is").await.unwrap(), place);
    let mango =
        |byte: u8| vec![Cell::Number(1), Cell::Bytes(vec![byte; 12]), Cell::Text("Gold".to_owned()), Cell::Number(0)];
    let further = place.further(1, None);
    one.write(table("mango"), vec![mango(1)], &further).await.unwrap();
    let refused = other.write(table("mango"), vec![mango(2)], &further).await.unwrap_err();
    assert!(refused.to_string().contains("another copy"), "{refused}");
    assert_eq!(one.count(table("mango")).await.unwrap(), 1);
    let changed = other.begin("sqlite:there", "changed").await.unwrap_err();
    assert!(matches!(changed, CopyRefusal::OtherOrigin { .. }), "{changed:?}");
}

#[tokio::test]
async fn outcomes_lie_in_the_partition_of_their_newest_and_what_comes_is_numbered_behind_them() {
    let Some(database) = TestDatabase::new() else { return };
    let (mut to, place) = begun(&database).await;
    let entry = |participant, finished_ms| Entry {
        participant,
        attempt: 1,
        outcome: Outcome::Answered(200),
        finished_ms,
        latency_tenth_ms: 1,
    };
    let segment = |number: i64, entries: Vec<Entry>| {
        let packed = Segment::pack(entries).unwrap();
        let [first, last, count] = [packed.first as i64, packed.last as i64, packed.count.into()].map(Cell::Number);
        let fan_out = Cell::Bytes(vec![7; 16]);
        vec![Cell::Number(1), fan_out, Cell::Null, Cell::Number(number), first, last, count, Cell::Bytes(packed.bytes)]
    };
    let rows = vec![
        segment(5, vec![entry(1, LATE_MS - 1), entry(2, LATE_MS)]),
        segment(9, vec![entry(3, LATE_MS), entry(4, LATE_MS + 1)]),
    ];
    to.write(table("segment"), rows, &place.further(2, None)).await.unwrap();
    to.complete(&[]).await.unwrap();

    let store = database.store();
    let session = store.session().await.unwrap();
    let read = |row: &tokio_postgres::Row| Ok((row.value::<String>(0)?, row.value::<i64>(1)?));
    let sql = "select tableoid::regclass::text, segment from segment order by segment";
    let lie = list(&session, sql, values![], read).await.unwrap();
    assert_eq!(lie, [("segment_20240301".to_owned(), 5), ("segment_20240302".to_owned(), 9)]);
    let next = "insert into segment (account, fan_out, first_participant, last_participant, entries, outcomes)
                values (1, '\\x07', 1, 1, 1, '\\x07') returning '', segment";
    assert_eq!(list(&session, next, values![], read).await.unwrap()[0].1, 10);
}
