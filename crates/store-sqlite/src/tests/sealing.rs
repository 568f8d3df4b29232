//! Secrets in the file: sealed, bound to their rows, and of no use without their keys.

use std::fs;

use rusqlite::params;
use store::{
    DisabledBecause, Inbox, NewNotice, Notices, Rotated, Rotation, Secrets, SourceRecord, StoreError, StoreResult,
    Subscriptions,
};
use store_spec::World;
use store_spec::world::LEASE;
use webinar::{EventType, NoticeKind, Zones};
use wire::{AccountId, EndpointId, NoticeId, Secret, SigningSecret, SourceId};

use super::{Disk, vault};
use crate::{OpenError, SqliteStore, sealing_keys};

impl Disk {
    fn open_with(&self, keys: &[u8]) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(&self.path(), Zones::bundled(), vault(keys))
    }

    fn serve_with(&self, keys: &[u8]) -> SqliteStore {
        SqliteStore::open_as_server(&self.path(), Zones::bundled(), vault(keys)).unwrap().0
    }

    /// Whether these bytes stand anywhere in the file or its log.
    fn holds(&self, wanted: &[u8]) -> bool {
        let files = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut contents = files.map(|file| fs::read(file).unwrap());
        contents.any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted))
    }
}

/// Marked, so that no other bytes look like them.
fn marked(number: u8) -> SigningSecret {
    SigningSecret::from_random([0xe0 + number; 32])
}

/// An account with an endpoint that has had two marked secrets, and a source with a third as its key.
async fn with_secrets(store: SqliteStore) -> StoreResult<(World<SqliteStore>, AccountId, EndpointId, SourceId)> {
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
    world: &World<SqliteStore>,
    account: AccountId,
    endpoint: EndpointId,
    secret: Secret,
) -> StoreResult<Option<Rotated>> {
    let until = world.now() + std::time::Duration::from_secs(3_600);
    world.store.rotate_secret(account, endpoint, Rotation { secret, old_until: until, now: world.now() }).await
}

async fn revealed(
    store: &SqliteStore,
    account: AccountId,
    endpoint: EndpointId,
    source: SourceId,
) -> StoreResult<Vec<String>> {
    let endpoint = store.endpoint(account, endpoint).await?.unwrap();
    let secrets = endpoint.secrets.iter().map(|secret| secret.secret.reveal().to_string());
    let keys = store.source(source).await?.unwrap().keys;
    Ok(secrets.chain(keys.iter().map(|key| key.to_string())).collect())
}

#[tokio::test]
async fn no_secret_stands_in_the_file_or_its_log() -> StoreResult<()> {
    let disk = Disk::new();
    let (world, account, endpoint, source) = with_secrets(disk.open()).await?;
    let expected: Vec<String> = [2, 1, 3].map(|number| marked(number).reveal().to_string()).into();
    assert_eq!(revealed(&world.store, account, endpoint, source).await?, expected);
    assert!(disk.holds(b"https://receiver.example/hook"), "the search finds what is there");
    for when in ["in the log", "in the file"] {
        for secret in &expected {
            // Neither its text nor the middle of it, nor the key itself.
            assert!(!disk.holds(secret.as_bytes()) && !disk.holds(&secret.as_bytes()[6..26]), "{when}");
        }
        assert!((1..4).all(|number| !disk.holds(&[0xe0 + number; 16])), "{when}");
        world.store.checkpoint().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_file_whose_key_is_missing_is_refused_at_opening_by_the_keys_name() -> StoreResult<()> {
    let disk = Disk::new();
    let key = vault(&[1]).key_in_use().to_string();
    assert_eq!(sealing_keys(&disk.path()), [""; 0], "there is no file yet");
    with_secrets(disk.open()).await?;
    assert_eq!(sealing_keys(&disk.path()), std::slice::from_ref(&key));
    let refused = disk.open_with(&[2]).err().expect("not its key");
    assert!(matches!(refused, OpenError::UnknownSealingKey { .. }), "{refused:?}");
    for told in [key.as_str(), &vault(&[2]).key_in_use().to_string(), "FANFARE_SECRET_KEY"] {
        assert!(refused.to_string().contains(told), "{told} is not in {refused}");
    }
    assert!(disk.open_with(&[2, 1]).is_ok(), "any of the keys given may be the one");
    Ok(())
}

#[tokio::test]
async fn a_sealed_text_in_another_row_or_changed_does_not_open() -> StoreResult<()> {
    let disk = Disk::new();
    let (mut world, account, endpoint, source) = with_secrets(disk.open()).await?;
    let other = world.endpoint(account).await?;
    let set = |sealed: &str| {
        let sql = "update endpoint_secret set sealed = ?1 where account = ?2 and endpoint = ?3";
        disk.other().execute(sql, params![sealed, account.as_u32(), other.as_bytes()]).unwrap();
    };
    let read = |sql: &str| -> String { disk.other().query_row(sql, [], |row| row.get(0)).unwrap() };
    let of_first = read("select sealed from endpoint_secret order by endpoint, number limit 1");
    for moved in [of_first.clone(), read("select sealed_keys from source"), format!("{}A", &of_first[..30])] {
        set(&moved);
        let refused = world.store.endpoint(account, other).await;
        assert!(matches!(refused, Err(StoreError::Broken(_))), "{refused:?}");
        assert!(!format!("{refused:?}").contains(&of_first[20..40]), "errors hold nothing of it");
    }
    assert_eq!(revealed(&world.store, account, endpoint, source).await?.len(), 3, "the others are well");
    Ok(())
}

#[tokio::test]
async fn plain_text_cannot_be_stored_in_the_place_of_sealed() -> StoreResult<()> {
    let disk = Disk::new();
    with_secrets(disk.open()).await?;
    for sql in ["update endpoint_secret set sealed = 'whsec_x'", "update source set sealed_keys = '[]'"] {
        assert!(disk.other().execute(sql, []).is_err(), "{sql}");
    }
    Ok(())
}

#[tokio::test]
async fn everything_is_resealed_with_the_first_key_and_the_old_one_is_not_needed_any_more() -> StoreResult<()> {
    let disk = Disk::new();
    let (world, account, endpoint, source) = with_secrets(disk.open()).await?;
    let expected = revealed(&world.store, account, endpoint, source).await?;
    drop(world);
    let server = disk.serve_with(&[2, 1]);
    assert_eq!(sealing_keys(&disk.path()).len(), 2);
    assert_eq!(server.reseal().await?, 3);
    assert_eq!(server.reseal().await?, 0, "once is enough");
    assert_eq!(revealed(&server, account, endpoint, source).await?, expected);
    drop(server);
    assert_eq!(sealing_keys(&disk.path()), [vault(&[2]).key_in_use().to_string()]);
    assert_eq!(revealed(&disk.open_with(&[2]).unwrap(), account, endpoint, source).await?, expected);
    assert!(disk.open_with(&[1]).is_err());
    Ok(())
}

#[tokio::test]
async fn more_secrets_than_one_write_takes_are_resealed_all() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
    let account = world.account().await?;
    for _ in 0..300 {
        world.endpoint(account).await?;
    }
    drop(world);
    let server = disk.serve_with(&[2, 1]);
    assert_eq!(server.reseal().await?, 300);
    drop(server);
    assert_eq!(disk.open_with(&[2]).unwrap().endpoints(account, None, 1_000).await?.items.len(), 300);
    Ok(())
}

#[tokio::test]
async fn beside_a_server_nothing_is_sealed_with_a_key_that_it_might_not_know() -> StoreResult<()> {
    let disk = Disk::new();
    let server = SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[1])).unwrap();
    let (mut world, account, endpoint, source) = with_secrets(disk.open_with(&[1]).unwrap()).await?;
    world.store = disk.open_with(&[2, 1]).unwrap();
    let refused = rotate(&world, account, endpoint, marked(4).into()).await;
    assert!(matches!(&refused, Err(error) if error.to_string().contains("restart it")), "{refused:?}");
    assert!(world.store.reseal().await.is_err());
    assert_eq!(revealed(&server.0, account, endpoint, source).await?.len(), 3);
    drop(server);

    let _server = SqliteStore::open_as_server(&disk.path(), Zones::bundled(), vault(&[2, 1])).unwrap();
    rotate(&world, account, endpoint, marked(4).into()).await?;
    assert_eq!(world.store.reseal().await?, 3, "all but the one just made");
    Ok(())
}

#[tokio::test]
async fn looking_at_a_file_settles_no_key_for_it() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = World::new(disk.open_with(&[1]).unwrap());
    world.account().await?;
    assert_eq!(sealing_keys(&disk.path()), [""; 0]);
    let _server = disk.serve_with(&[2]);
    assert_eq!(sealing_keys(&disk.path()), [vault(&[2]).key_in_use().to_string()]);
    Ok(())
}

#[tokio::test]
async fn a_notice_whose_secret_cannot_be_opened_holds_up_no_other() -> StoreResult<()> {
    let disk = Disk::new();
    let mut world = disk.world();
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
    disk.other().execute(sql, []).unwrap();
    assert_eq!(world.store.claim_notices(world.now(), LEASE, 10).await?.len(), 1);
    assert_eq!(world.store.claim_notices(world.now(), LEASE, 10).await?.len(), 0, "it waits for its next turn");
    world.pass(LEASE);
    assert_eq!(world.store.claim_notices(world.now(), LEASE, 10).await?.len(), 1);
    Ok(())
}
