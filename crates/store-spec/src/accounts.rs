//! What a store owes of accounts and their keys.

use std::time::Duration;

use provider::api_key::{Lifetime, Scope, Scopes};
use store::{Account, KeyRecord, NewKey, Replacement, Store, StoreError, StoreResult};
use wire::AccountId;

use crate::World;

pub async fn an_account_is_listed_with_its_first_key<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let id = AccountId::from_u32(u32::MAX);
    let account = Account {
        id,
        name: "Ünïcode & Söhne".to_owned(),
        timezone: "Europe/Berlin".to_owned(),
        created_at: world.now(),
    };
    let key = world.key();
    world.store.create_account(account.clone(), key.clone()).await?;

    assert_eq!(world.store.accounts().await?, [account]);
    let lifetime = Lifetime::new(world.now(), None);
    let record = KeyRecord { account: id, key: key.clone(), scopes: Scopes::EVERYTHING, lifetime, last_used_at: None };
    assert_eq!(world.store.find_key(&key.public_id).await?, Some(record.clone()));
    assert_eq!(world.store.keys(id).await?, [record]);
    assert_eq!(world.store.find_key("k00000000000").await?, None);
    Ok(())
}

pub async fn an_account_is_made_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let id = world.account().await?;
    let again = Account { name: "another".to_owned(), ..world.store.accounts().await?[0].clone() };
    let key = world.key();
    let refused = world.store.create_account(again.clone(), key.clone()).await;

    assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");
    assert_ne!(world.store.accounts().await?, [again]);
    assert_eq!(world.store.find_key(&key.public_id).await?, None);
    assert_eq!(world.store.keys(id).await?.len(), 1);
    Ok(())
}

pub async fn accounts_are_listed_oldest_first<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let mut made = Vec::new();
    for number in [3, 1, 2] {
        let id = AccountId::from_u32(number);
        let created_at = world.pass(Duration::from_secs(1));
        let account = Account { id, name: String::new(), timezone: "UTC".to_owned(), created_at };
        let key = world.key();
        world.store.create_account(account.clone(), key).await?;
        made.push(account);
    }
    assert_eq!(world.store.accounts().await?, made);
    Ok(())
}

pub async fn a_key_needs_an_account<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let new = world.new_key();
    let key = new.key.clone();
    let refused = world.store.add_key(AccountId::from_u32(404), new).await;
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    assert_eq!(world.store.find_key(&key.public_id).await?, None);
    Ok(())
}

pub async fn a_public_id_is_given_out_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let taken = world.store.keys(account).await?[0].key.clone();
    let new = NewKey { key: taken.clone(), ..world.new_key() };
    let refused = world.store.add_key(account, new).await;
    assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");

    let other = Account { id: AccountId::from_u32(77), ..world.store.accounts().await?[0].clone() };
    let refused = world.store.create_account(other, taken).await;
    assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");
    assert_eq!(world.store.accounts().await?.len(), 1, "the account of a refused key is not made");
    Ok(())
}

pub async fn a_revoked_key_is_found_with_the_time_of_its_end<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let public_id = world.store.keys(account).await?[0].key.public_id.clone();
    let revoked_at = world.pass(Duration::from_secs(5));
    assert!(world.store.revoke_key(account, &public_id, revoked_at).await?);

    let later = world.pass(Duration::from_secs(5));
    assert!(!world.store.revoke_key(account, &public_id, later).await?, "it ends once");
    let found = world.store.find_key(&public_id).await?.and_then(|key| key.lifetime.revoked_at);
    assert_eq!(found, Some(revoked_at));
    Ok(())
}

pub async fn keys_are_listed_oldest_first_revoked_ones_too<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let first = world.store.keys(account).await?[0].key.clone();
    world.store.revoke_key(account, &first.public_id, world.now()).await?;
    world.pass(Duration::from_secs(1));
    let new = world.new_key();
    let second = new.key.clone();
    world.store.add_key(account, new).await?;

    let listed: Vec<_> = world.store.keys(account).await?.into_iter().map(|record| record.key).collect();
    assert_eq!(listed, [first, second]);
    Ok(())
}

pub async fn a_key_of_another_account_cannot_be_revoked<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let key = world.store.keys(theirs).await?[0].clone();
    assert!(!world.store.revoke_key(ours, &key.key.public_id, world.now()).await?);
    assert_eq!(world.store.find_key(&key.key.public_id).await?, Some(key.clone()));
    assert!(!world.store.keys(ours).await?.contains(&key));
    Ok(())
}

pub async fn a_key_keeps_its_scopes_its_end_and_its_last_use<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let scopes = Scopes::of([Scope::Audience, Scope::Read]).expect("two");
    let lifetime = Lifetime::new(world.now(), Some(Duration::from_secs(60)));
    let new = NewKey { scopes, lifetime, ..world.new_key() };
    let public_id = new.key.public_id.clone();
    world.store.add_key(account, new.clone()).await?;
    let expected = KeyRecord { account, key: new.key, scopes, lifetime, last_used_at: None };
    assert_eq!(world.store.find_key(&public_id).await?, Some(expected.clone()));

    let used_at = world.pass(Duration::from_secs(9));
    world.store.note_key_use(account, &public_id, used_at).await?;
    // The slower of two notes.
    world.store.note_key_use(account, &public_id, lifetime.created_at).await?;
    world.store.note_key_use(AccountId::from_u32(404), &public_id, world.now() + Duration::from_secs(9)).await?;
    assert_eq!(world.store.find_key(&public_id).await?, Some(KeyRecord { last_used_at: Some(used_at), ..expected }));
    Ok(())
}

pub async fn a_replaced_key_is_good_for_the_overlap_and_never_longer_than_before<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let first = world.store.keys(account).await?[0].key.public_id.clone();
    let old_until = world.now() + Duration::from_secs(60);
    let second = NewKey { lifetime: Lifetime::new(world.now(), Some(Duration::from_secs(30))), ..world.new_key() };
    let third = world.new_key();
    let (second_id, third_id) = (second.key.public_id.clone(), third.key.public_id.clone());
    assert!(world.store.replace_key(account, &first, Replacement { new: second, old_until }).await?);
    assert!(world.store.replace_key(account, &second_id, Replacement { new: third, old_until }).await?);

    let mut ends = Vec::new();
    for public_id in [&first, &second_id, &third_id] {
        ends.push(world.store.find_key(public_id).await?.expect("it is kept").lifetime.expires_at);
    }
    assert_eq!(ends, [Some(old_until), Some(world.now() + Duration::from_secs(30)), None]);
    Ok(())
}

pub async fn only_a_good_key_is_replaced_and_only_by_its_account<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let short = NewKey { lifetime: Lifetime::new(world.now(), Some(Duration::from_secs(5))), ..world.new_key() };
    let (expired, revoked) = (short.key.public_id.clone(), world.store.keys(ours).await?[0].key.public_id.clone());
    world.store.add_key(ours, short).await?;
    world.store.revoke_key(ours, &revoked, world.now()).await?;
    let good = world.store.keys(theirs).await?[0].key.public_id.clone();
    let old_until = world.pass(Duration::from_secs(5)) + Duration::from_secs(60);

    for public_id in [&expired, &revoked, &good, "k99999999999"] {
        let new = world.new_key();
        let new_id = new.key.public_id.clone();
        assert!(!world.store.replace_key(ours, public_id, Replacement { new, old_until }).await?, "{public_id}");
        assert_eq!(world.store.find_key(&new_id).await?, None);
    }
    assert_eq!(world.store.find_key(&good).await?.expect("theirs").lifetime.expires_at, None);
    Ok(())
}
