//! What a store owes of the audit log.

use std::time::Duration;

use store::{Act, Actor, AuditNote, AuditRecord, Store, StoreError, StoreResult};
use wire::AccountId;

use crate::World;

impl<S: Store> World<S> {
    fn note(&self, account: AccountId, act: Act, object: &str) -> AuditNote {
        AuditNote {
            account,
            at: self.now(),
            actor: Actor::Key("k00000000001".to_owned()),
            from: Some([192, 0, 2, 7].into()),
            act,
            object: object.to_owned(),
        }
    }

    async fn objects(&self, account: AccountId) -> StoreResult<Vec<String>> {
        let page = self.store.audit_log(account, None, 100).await?;
        Ok(page.items.into_iter().map(|record| record.object).collect())
    }
}

pub async fn an_act_is_noted_with_who_when_and_from_where<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let mango = world.new_mango();
    let note = world.note(account, Act::MangoCreate, "gold");
    world.store.noting(note.clone()).create_mango(account, mango).await?;

    let by_hand = AuditNote { actor: Actor::CommandLine, from: None, ..world.note(account, Act::KeyCreate, "k") };
    let key = world.new_key();
    world.store.noting(by_hand).add_key(account, key).await?;

    let [later, first] = world.store.audit_log(account, None, 10).await?.items.try_into().expect("two entries");
    assert!(later.number > first.number);
    let expected = AuditRecord {
        number: first.number,
        at: note.at,
        actor: note.actor,
        from: note.from,
        act: "mango.create".to_owned(),
        object: "gold".to_owned(),
    };
    assert_eq!(first, expected);
    assert_eq!((later.actor, later.from), (Actor::CommandLine, None));
    Ok(())
}

pub async fn what_fails_or_changes_nothing_is_not_noted<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let taken = world.store.keys(account).await?[0].key.clone();
    let again = store::NewKey { key: taken, ..world.new_key() };
    let noting = world.store.noting(world.note(account, Act::KeyCreate, "again"));
    let refused = noting.add_key(account, again).await;
    assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");

    let noting = world.store.noting(world.note(account, Act::KeyRevoke, "nothing"));
    assert!(!noting.revoke_key(account, "k99999999999", world.now()).await?);
    noting.keys(account).await?;
    assert_eq!(world.objects(account).await?, [] as [&str; 0]);
    Ok(())
}

pub async fn the_log_comes_newest_first_in_pages<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    for object in ["a", "b", "c"] {
        world.pass(Duration::from_secs(1));
        let mango = world.new_mango();
        let note = world.note(account, Act::MangoCreate, object);
        world.store.noting(note).create_mango(account, mango).await?;
    }
    let first = world.store.audit_log(account, None, 2).await?;
    let objects = |records: &[AuditRecord]| records.iter().map(|record| record.object.clone()).collect::<Vec<_>>();
    assert_eq!(objects(&first.items), ["c", "b"]);
    let second = world.store.audit_log(account, first.next, 2).await?;
    assert_eq!((objects(&second.items), second.next), (vec!["a".to_owned()], None));
    Ok(())
}

pub async fn the_log_of_another_account_is_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let mango = world.new_mango();
    world.store.noting(world.note(theirs, Act::MangoCreate, "gold")).create_mango(theirs, mango).await?;
    assert_eq!(world.objects(ours).await?, [] as [&str; 0]);
    assert_eq!(world.objects(theirs).await?, ["gold"]);
    Ok(())
}
