//! Secrets in the database: sealed, bound to their rows, and of no use without their keys.

use futures_util::future::join;
use store::{
    DisabledBecause, Inbox, NewNotice, Notices, Rotated, Rotation, Secrets, SourceRecord, StoreError, StoreResult,
    Subscriptions,
};
use store_spec::World;
use store_spec::world::LEASE;
use webinar::{EventType, NoticeKind, Zones};
use wire::{AccountId, EndpointId, NoticeId, Secret, SigningSecret, SourceId};

use super::{TestDatabase, vault};
use crate::{OpenError, PostgresStore, sealing_keys};

impl TestDatabase {
    async fn open_with(&self, keys: &[u8]) -> Result<PostgresStore, OpenError> {
        PostgresStore::open(&self.address(), Zones::bundled(), vault(keys)).await
    }

    async fn serve_with(&self, keys: &[u8]) -> Result<PostgresStore, OpenError> {
        PostgresStore::open_as_server(&self.address(), Zones::bundled(), vault(keys)).await
    }

    /// The first column of what a statement returns.
    async fn ask(&self, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let (client, connection) = self.address().config().connect(tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        let answer = client.simple_query(sql).await;
        drop(client);
        let _ = connection.await;
        let rows = answer?.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(rows.collect())
    }
}

/// Marked, so that no other bytes look like them.
fn marked(number: u8) -> SigningSecret {
    SigningSecret::from_random([0xe0 + number; 32])
}

/// An account with an endpoint that has had two marked secrets, and a source with a third as its key.
async fn with_secrets(store: PostgresStore) -> StoreResult<(World<PostgresStore>, AccountId, EndpointId, SourceId)> {
    let mut world = World::new(store);
    let account = world.account().await?;
    let mut new = world.new_subscription("https://receiver.example/hook");
    new.secret = marked(1).into();
    let endpoint = new.endpoint;
    world.store.subscribe(account, new).await?;
    rotate(&world, account, endpoint, marked(2).into()).await?;
    let id = SourceId::from_bytes(world.id());
    let keys = vec![marked(3).reveal()];
    let (name, preset) = ("Shop".into(), "standard-webhooks".into());
    let source = SourceRecord { id, account, name, preset, keys, created_at: world.now() };
    world.store.create_source(source).await?;
    Ok((world, account, endpoint, id))
}

async fn rotate(
    world: &World<PostgresStore>,
    account: AccountId,
    endpoint: EndpointId,
    secret: Secret,
) -> StoreResult<Option<Rotated>> {
    let until = world.now() + std::time::Duration::from_secs(3_600);
    world.store.rotate_secret(account, endpoint, Rotation { secret, old_until: until, now: world.now() }).await
}

async fn revealed(
    store: &PostgresStore,
    account: AccountId,
    endpoint: EndpointId,
    source: SourceId,
) -> StoreResult<Vec<String>> {
    let endpoint = store.endpoint(account, endpoint).await?.unwrap();
    let secrets = endpoint.secrets.iter().map(|secret| secret.secret.reveal().to_string());
    let keys = store.source(source).await?.unwrap().keys;
    Ok(secrets.chain(keys.iter().map(|key| key.to_string())).collect())
}

fn id_of(key: u8) -> String {
    vault(&[key]).key_in_use().to_string()
}

#[tokio::test]
async fn no_secret_stands_in_any_table() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let (world, account, endpoint, source) = with_secrets(database.store()).await?;
    let expected: Vec<String> = [2, 1, 3].map(|number| marked(number).reveal().to_string()).into();
    assert_eq!(revealed(&world.store, account, endpoint, source).await?, expected);
    let tables = database.ask("select tablename from pg_tables where schemaname = 'public'").await.unwrap();
    let mut contents = String::new();
    for table in tables {
        let rows = database.ask(&format!("select held::text from {table} as held")).await.unwrap();
        contents.extend(rows);
    }
    assert!(contents.contains("https://receiver.example/hook"), "the search finds what is there");
    for secret in &expected {
        // Neither its text nor the middle of it, nor the key itself.
        assert!(!contents.contains(&secret[6..26]), "a secret stands there in the clear");
    }
    assert!((1..4).all(|number| !contents.contains(&format!("{:x}", 0xe0 + number).repeat(16))));
    Ok(())
}

#[tokio::test]
async fn a_database_whose_key_is_missing_is_refused_at_opening_by_the_keys_name() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    assert_eq!(sealing_keys(&database.address()).await, [""; 0], "nothing is sealed yet");
    with_secrets(database.store()).await?;
    assert_eq!(sealing_keys(&database.address()).await, [id_of(1)]);
    for refused in [database.open_with(&[2]).await.err(), database.serve_with(&[2]).await.err()] {
        let refused = refused.expect("not its key");
        assert!(matches!(refused, OpenError::UnknownSealingKey { .. }), "{refused:?}");
        for told in [id_of(1), id_of(2), "FANFARE_SECRET_KEY".to_owned()] {
            assert!(refused.to_string().contains(&told), "{told} is not in {refused}");
        }
    }
    assert_eq!(sealing_keys(&database.address()).await, [id_of(1)], "who is refused introduces nothing");
    assert!(database.open_with(&[2, 1]).await.is_ok(), "any of the keys given may be the one");
    Ok(())
}

#[tokio::test]
async fn a_sealed_text_in_another_row_or_changed_does_not_open() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let (mut world, account, endpoint, source) = with_secrets(database.store()).await?;
    let of_first = database.ask("select sealed from endpoint_secret order by number limit 1").await.unwrap().remove(0);
    let of_source = database.ask("select sealed_keys from source").await.unwrap().remove(0);
    let other = world.endpoint(account).await?;
    for moved in [of_first.clone(), of_source, format!("{}A", &of_first[..30])] {
        let other_row = format!("'\\x{}'", other.as_bytes().map(|byte| format!("{byte:02x}")).concat());
        let sql = format!("update endpoint_secret set sealed = '{moved}' where endpoint = {other_row}");
        database.ask(&sql).await.unwrap();
        let refused = world.store.endpoint(account, other).await;
        assert!(matches!(refused, Err(StoreError::Broken(_))), "{refused:?}");
        assert!(!format!("{refused:?}").contains(&of_first[20..40]), "errors hold nothing of it");
    }
    assert_eq!(revealed(&world.store, account, endpoint, source).await?.len(), 3, "the others are well");
    Ok(())
}

#[tokio::test]
async fn plain_text_cannot_be_stored_in_the_place_of_sealed() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    with_secrets(database.store()).await?;
    for sql in ["update endpoint_secret set sealed = 'whsec_x'", "update source set sealed_keys = '[]'"] {
        assert!(database.ask(sql).await.is_err(), "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn everything_is_resealed_with_the_first_key_and_the_old_one_is_not_needed_any_more() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let (world, account, endpoint, source) = with_secrets(database.store()).await?;
    let expected = revealed(&world.store, account, endpoint, source).await?;
    let server = database.serve_with(&[2, 1]).await.unwrap();
    assert_eq!(sealing_keys(&database.address()).await.len(), 2);
    assert_eq!(server.reseal().await?, 3);
    assert_eq!(server.reseal().await?, 0, "once is enough");
    assert_eq!(revealed(&server, account, endpoint, source).await?, expected);
    assert_eq!(sealing_keys(&database.address()).await, [id_of(2)]);
    assert_eq!(revealed(&database.open_with(&[2]).await.unwrap(), account, endpoint, source).await?, expected);
    assert!(database.open_with(&[1]).await.is_err());
    Ok(())
}

#[tokio::test]
async fn more_secrets_than_one_transaction_takes_are_resealed_all() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store());
    let account = world.account().await?;
    for _ in 0..300 {
        world.endpoint(account).await?;
    }
    let server = database.serve_with(&[2, 1]).await.unwrap();
    assert_eq!(server.reseal().await?, 300);
    let opened = database.open_with(&[2]).await.unwrap();
    assert_eq!(opened.endpoints(account, None, 1_000).await?.items.len(), 300);
    Ok(())
}

#[tokio::test]
async fn beside_servers_nothing_is_sealed_with_a_key_that_they_might_not_know() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    database.serve_with(&[1]).await.unwrap();
    let (mut world, account, endpoint, source) = with_secrets(database.open_with(&[1]).await.unwrap()).await?;
    world.store = database.open_with(&[2, 1]).await.unwrap();
    let refused = rotate(&world, account, endpoint, marked(4).into()).await;
    assert!(matches!(&refused, Err(error) if error.to_string().contains("restart them")), "{refused:?}");
    assert!(world.store.reseal().await.is_err());
    assert_eq!(revealed(&world.store, account, endpoint, source).await?.len(), 3);

    database.serve_with(&[2, 1]).await.unwrap();
    rotate(&world, account, endpoint, marked(4).into()).await?;
    assert_eq!(world.store.reseal().await?, 3, "all but the one just made");
    Ok(())
}

#[tokio::test]
async fn of_two_first_secrets_sealed_at_once_with_different_keys_one_is_refused() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store());
    let accounts = [world.account().await?, world.account().await?];
    let stores = [database.open_with(&[1]).await.unwrap(), database.open_with(&[2]).await.unwrap()];
    let wishes = [world.new_subscription("https://one.example/"), world.new_subscription("https://two.example/")];
    let [first, second] = wishes;
    let (first, second) = join(stores[0].subscribe(accounts[0], first), stores[1].subscribe(accounts[1], second)).await;
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert_eq!(sealing_keys(&database.address()).await.len(), 1);
    Ok(())
}

#[tokio::test]
async fn looking_at_a_database_settles_no_key_for_it() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.open_with(&[1]).await.unwrap());
    world.account().await?;
    assert_eq!(sealing_keys(&database.address()).await, [""; 0]);
    database.serve_with(&[2]).await.unwrap();
    assert_eq!(sealing_keys(&database.address()).await, [id_of(2)]);
    Ok(())
}

#[tokio::test]
async fn a_notice_whose_secret_cannot_be_opened_holds_up_no_other() -> StoreResult<()> {
    let Some(database) = TestDatabase::new() else { return Ok(()) };
    let mut world = World::new(database.store());
    let account = world.account().await?;
    for path in ["one", "two"] {
        let mut new = world.new_subscription(&format!("https://owner.example/{path}"));
        new.event = EventType::Notice(NoticeKind::EndpointDisabled);
        world.store.subscribe(account, new).await?;
    }
    let id = NoticeId::from_bytes(world.id());
    let gone = EndpointId::from_bytes(world.id());
    let notice = NewNotice::endpoint_disabled(id, gone, DisabledBecause::Gone, world.now());
    world.store.raise_notice(account, notice).await?;
    // It is that of another row now.
    let sql = "update endpoint_secret set sealed = (select max(sealed) from endpoint_secret)
        where sealed = (select min(sealed) from endpoint_secret)";
    database.ask(sql).await.unwrap();
    assert_eq!(world.store.claim_notices(world.now(), LEASE, 10).await?.len(), 1);
    assert_eq!(world.store.claim_notices(world.now(), LEASE, 10).await?.len(), 0, "it waits for its next turn");
    world.pass(LEASE);
    assert_eq!(world.store.claim_notices(world.now(), LEASE, 10).await?.len(), 1);
    Ok(())
}
