//! What became of a transaction whose commit was not answered: what the server says is believed as far as it can be proved.

use std::time::Duration;

use jiff::Timestamp;
use provider::spread::Load;
use store::{Nodes, Presence, StoreError, StoreResult};
use webinar::Zones;
use wire::NodeId;

use super::lossy::{Loss, LossyWay};
use super::{TestDatabase, vault};
use crate::PostgresStore;
use crate::columns::{find, run, values};
use crate::outcome::{Fate, MARK, Mark, Witness, find_out};

const SHOWN: Witness<'static> = Witness { sql: "select 1", values: &[] };
const NOT_SHOWN: Witness<'static> = Witness { sql: "select 1 where false", values: &[] };

/// The mark that an expression says.
async fn mark_of(store: &PostgresStore, expression: &str) -> StoreResult<Mark> {
    let sql = format!("select {expression}");
    Ok(find(&store.session().await?, &sql, values![], |row| Mark::read(row, 0)).await?.unwrap())
}

#[tokio::test]
async fn what_was_committed_must_show_what_it_wrote() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let store = database.store();
    // A transaction by itself, which commits.
    let mark = mark_of(&store, MARK).await?;
    assert_eq!(find_out(&store.pool, &mark, Some(SHOWN)).await, Fate::Kept);
    assert_eq!(find_out(&store.pool, &mark, Some(NOT_SHOWN)).await, Fate::TakenBack, "the number was given again");
    assert!(matches!(find_out(&store.pool, &mark, None).await, Fate::Unknown(_)));
    Ok(())
}

#[tokio::test]
async fn what_was_taken_back_or_forgotten_was_not_kept() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let store = database.store();
    let session = store.begin().await?;
    let sql = format!("select {MARK}");
    let mark = find(&session, &sql, values![], |row| Mark::read(row, 0)).await?.unwrap();
    run(&session, "update account set name = name", values![]).await?;
    drop(session);
    assert_eq!(find_out(&store.pool, &mark, Some(SHOWN)).await, Fate::TakenBack);
    // A server that has crashed knows nothing of its last numbers.
    let forgotten = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || ':4000000000'";
    let mark = mark_of(&store, forgotten).await?;
    assert_eq!(find_out(&store.pool, &mark, Some(SHOWN)).await, Fate::TakenBack);
    Ok(())
}

#[tokio::test]
async fn a_server_that_has_taken_over_is_not_believed() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let store = database.store();
    let mark = mark_of(&store, "'0000000F:' || pg_current_xact_id()::text").await?;
    assert!(matches!(find_out(&store.pool, &mark, Some(SHOWN)).await, Fate::Unknown(_)));
    Ok(())
}

#[tokio::test]
async fn of_a_statement_by_itself_whose_answer_is_lost_nobody_says_that_nothing_was_kept() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let way = LossyWay::to(&database.address()).await;
    let address = way.address_unprepared(&database.address());
    let (store, sound) = (PostgresStore::on(&address, Zones::bundled(), vault(&[1])).unwrap(), database.store());
    let node = NodeId::from_bytes([7; 16]);
    let presence = Presence { node, name: "seven".to_owned(), load: Some(Load::default()) };

    way.lose_statement(Loss::Answer, "insert into node");
    let seen = store.be_seen(presence, Timestamp::UNIX_EPOCH, Duration::from_secs(10)).await;
    assert!(matches!(seen, Err(StoreError::Unconfirmed(_))), "{seen:?}");
    super::eventually("it was kept", async || sound.nodes().await.unwrap().len() == 1).await;

    way.lose_statement(Loss::Answer, "delete from node");
    let gone = store.be_gone(node).await;
    assert!(matches!(gone, Err(StoreError::Unconfirmed(_))), "{gone:?}");
    super::eventually("it was carried out", async || sound.nodes().await.unwrap().is_empty()).await;

    way.lose_statement(Loss::Answer, "from node order by");
    let nodes = store.nodes().await;
    assert!(matches!(nodes, Err(StoreError::Unwritable(_))), "{nodes:?}");
    assert_eq!(way.lost(), 3);
    Ok(())
}
