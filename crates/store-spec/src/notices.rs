//! What a store owes of notices and their deliveries.

use std::time::Duration;

use provider::attempt::Outcome;
use provider::judge::Verdict;
use store::{
    DisabledBecause, EndpointChange, NewNotice, NoticeAttempt, NoticeDelivery, NoticeDeliveryState, NoticeErrand,
    NoticeSubject, Store, StoreError, StoreResult, Subscribed,
};
use webinar::{EventType, NoticeKind};
use wire::{AccountId, EndpointId, NoticeId};

use crate::World;
use crate::world::LEASE;

/// A new endpoint that asks for notices of this kind.
async fn listener<S: Store>(world: &mut World<S>, account: AccountId, kind: NoticeKind) -> StoreResult<EndpointId> {
    let path = NoticeId::from_bytes(world.id());
    let mut new = world.new_subscription(&format!("https://owner.example/{path}"));
    new.event = EventType::Notice(kind);
    match world.store.subscribe(account, new).await? {
        Subscribed::WithNewEndpoint(_, endpoint) => Ok(endpoint.id),
        other => panic!("a new URL is a new endpoint, not {other:?}"),
    }
}

/// Raises that `endpoint` is disabled.
async fn raise<S: Store>(world: &mut World<S>, account: AccountId, endpoint: EndpointId) -> StoreResult<NoticeId> {
    let (id, now) = (NoticeId::from_bytes(world.id()), world.now());
    let notice = NewNotice::endpoint_disabled(id, endpoint, DisabledBecause::Gone, now);
    world.store.raise_notice(account, notice).await?;
    Ok(id)
}

async fn claim<S: Store>(world: &World<S>) -> StoreResult<Vec<NoticeErrand>> {
    world.store.claim_notices(world.now(), LEASE, 100).await
}

async fn deliveries<S: Store>(world: &World<S>, account: AccountId, id: NoticeId) -> StoreResult<Vec<NoticeDelivery>> {
    Ok(world.store.notice(account, id).await?.expect("raised").1)
}

fn retry_after<S: Store>(world: &World<S>, wait: Duration) -> NoticeAttempt {
    let (outcome, now) = (Outcome::Answered(500), world.now());
    NoticeAttempt { outcome, verdict: Verdict::RetryAt { due: now + wait, charged: 1 }, now }
}

pub async fn a_notice_reads_back_and_is_owed_to_those_who_ask_for_its_kind<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let broken = world.endpoint(account).await?;
    let owner = listener(&mut world, account, NoticeKind::EndpointDisabled).await?;
    listener(&mut world, account, NoticeKind::RulesChanged).await?;
    let id = raise(&mut world, account, broken).await?;

    let (record, owed) = world.store.notice(account, id).await?.expect("raised");
    assert_eq!((record.id, record.kind, record.read_at), (id, NoticeKind::EndpointDisabled, None));
    assert_eq!((record.subject, record.created_at), (NoticeSubject::Endpoint(broken), world.now()));
    assert!(record.details.contains(&broken.to_string()) && record.details.contains("\"gone\""), "{}", record.details);
    let state = NoticeDeliveryState::Waiting(world.now());
    assert_eq!(owed, [NoticeDelivery { endpoint: owner, state, attempts: 0, last: None }]);

    let errands = claim(&world).await?;
    let [errand] = &errands[..] else { panic!("one is owed, not {errands:?}") };
    assert_eq!((errand.lease.account, errand.lease.endpoint, errand.attempts), (account, owner, 0));
    assert_eq!((&errand.notice, errand.endpoint.secrets.len()), (&record, 1));
    Ok(())
}

pub async fn an_endpoint_is_not_told_of_itself_and_each_other_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let first = listener(&mut world, account, NoticeKind::EndpointDisabled).await?;
    let second = listener(&mut world, account, NoticeKind::EndpointDisabled).await?;
    let url = world.endpoint_now(account, second).await?.url;
    let mut again = world.new_subscription(&url);
    again.event = EventType::Notice(NoticeKind::EndpointDisabled);
    again.webinar = Some(world.plan(&[]).id.into());
    world.store.subscribe(account, again).await?;

    let id = raise(&mut world, account, first).await?;
    let told: Vec<_> = deliveries(&world, account, id).await?.into_iter().map(|one| one.endpoint).collect();
    assert_eq!(told, [second]);
    Ok(())
}

pub async fn a_webinar_tells_nobody_who_asked_for_notices<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    listener(&mut world, account, NoticeKind::RulesChanged).await?;
    let plan = world.plan(&[]);
    assert_eq!(world.save(account, &plan).await?.fan_outs, []);
    assert!(claim(&world).await?.is_empty());
    Ok(())
}

pub async fn a_claimed_notice_is_one_owners_until_its_time_is_over<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let owner = listener(&mut world, account, NoticeKind::EndpointDisabled).await?;
    let id = raise(&mut world, account, EndpointId::from_bytes([9; 16])).await?;
    let first = claim(&world).await?[0].lease;
    assert!(claim(&world).await?.is_empty(), "it is on its way");
    world.pass(LEASE);
    let second = claim(&world).await?[0].lease;

    let attempt = retry_after(&world, Duration::from_secs(300));
    let late = world.store.settle_notice(first, attempt).await;
    assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
    world.store.settle_notice(second, attempt).await?;
    let state = NoticeDeliveryState::Waiting(world.now() + Duration::from_secs(300));
    let last = Some((Outcome::Answered(500), world.now()));
    assert_eq!(deliveries(&world, account, id).await?, [NoticeDelivery { endpoint: owner, state, attempts: 1, last }]);
    Ok(())
}

pub async fn a_notice_is_sent_until_it_is_delivered_or_given_up<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    for verdict in [Verdict::Delivered, Verdict::Abandon] {
        listener(&mut world, account, NoticeKind::EndpointDisabled).await?;
        raise(&mut world, account, EndpointId::from_bytes([9; 16])).await?;
        let errands = claim(&world).await?;
        for errand in &errands {
            world.store.settle_notice(errand.lease, retry_after(&world, LEASE / 2)).await?;
        }
        world.pass(LEASE / 2);
        let again = claim(&world).await?;
        assert_eq!(again.len(), errands.len());
        for errand in again {
            assert_eq!(errand.attempts, 1);
            let attempt = NoticeAttempt { outcome: Outcome::Answered(200), verdict, now: world.now() };
            world.store.settle_notice(errand.lease, attempt).await?;
            let twice = world.store.settle_notice(errand.lease, attempt).await;
            assert!(matches!(twice, Err(StoreError::Fenced)), "{twice:?}");
        }
        world.pass(LEASE * 2);
        assert!(claim(&world).await?.is_empty());
    }
    Ok(())
}

pub async fn a_notice_to_a_paused_endpoint_waits<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let owner = listener(&mut world, account, NoticeKind::EndpointDisabled).await?;
    world.store.change_endpoint(account, owner, EndpointChange::Pause, world.now()).await?;
    raise(&mut world, account, EndpointId::from_bytes([9; 16])).await?;
    assert!(claim(&world).await?.is_empty());
    world.store.change_endpoint(account, owner, EndpointChange::Resume, world.now()).await?;
    assert_eq!(claim(&world).await?.len(), 1);
    Ok(())
}

pub async fn accounts_take_turns_at_their_notices<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (many, one) = (world.account().await?, world.account().await?);
    for _ in 0..4 {
        listener(&mut world, many, NoticeKind::EndpointDisabled).await?;
    }
    listener(&mut world, one, NoticeKind::EndpointDisabled).await?;
    raise(&mut world, many, EndpointId::from_bytes([9; 16])).await?;
    world.pass(Duration::from_secs(1));
    raise(&mut world, one, EndpointId::from_bytes([9; 16])).await?;
    let claimed = world.store.claim_notices(world.now(), LEASE, 2).await?;
    let accounts: Vec<_> = claimed.iter().map(|errand| errand.lease.account).collect();
    assert_eq!(accounts, [many, one]);
    Ok(())
}

pub async fn notices_come_newest_first_in_pages_and_are_read_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let endpoint = world.endpoint(account).await?;
    let mut raised = Vec::new();
    for _ in 0..3 {
        raised.insert(0, raise(&mut world, account, endpoint).await?);
    }
    let first = world.store.notices(account, None, 2).await?;
    let rest = world.store.notices(account, first.next, 2).await?;
    let listed: Vec<_> = first.items.iter().chain(&rest.items).map(|record| record.id).collect();
    assert_eq!((listed, rest.next), (raised.clone(), None));
    let (kind, subject) = (NoticeKind::EndpointDisabled, NoticeSubject::Endpoint(endpoint));
    let latest = world.store.latest_notice(account, kind, subject).await?.expect("raised");
    assert_eq!(latest.id, raised[0]);
    assert_eq!(world.store.latest_notice(account, NoticeKind::RulesChanged, subject).await?, None);

    assert_eq!(world.store.unread_notices(account).await?, 3);
    let read_at = world.now();
    assert!(world.store.mark_notice_read(account, raised[0], read_at).await?);
    let later = world.pass(Duration::from_secs(1));
    assert!(world.store.mark_notice_read(account, raised[0], later).await?);
    assert_eq!(world.store.notice(account, raised[0]).await?.expect("raised").0.read_at, Some(read_at));
    assert_eq!(world.store.unread_notices(account).await?, 2);
    Ok(())
}

pub async fn the_notices_of_another_account_are_out_of_sight<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let listening = listener(&mut world, ours, NoticeKind::EndpointDisabled).await?;
    let endpoint = world.endpoint(theirs).await?;
    let id = raise(&mut world, theirs, endpoint).await?;
    assert_eq!(world.store.notice(ours, id).await?, None);
    assert_eq!(world.store.notices(ours, None, 10).await?.items, []);
    assert_eq!(world.store.unread_notices(ours).await?, 0);
    assert!(!world.store.mark_notice_read(ours, id, world.now()).await?);
    let subject = NoticeSubject::Endpoint(endpoint);
    assert_eq!(world.store.latest_notice(ours, NoticeKind::EndpointDisabled, subject).await?, None);
    assert!(claim(&world).await?.is_empty(), "{listening} is of another account");
    Ok(())
}

pub async fn a_notice_has_an_id_of_its_own_in_an_account_that_exists<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let endpoint = world.endpoint(account).await?;
    let id = raise(&mut world, account, endpoint).await?;
    let same = NewNotice::endpoint_disabled(id, endpoint, DisabledBecause::Gone, world.now());
    let refused = world.store.raise_notice(account, same.clone()).await;
    assert!(matches!(refused, Err(StoreError::Exists(_))), "{refused:?}");
    let refused = world.store.raise_notice(AccountId::from_u32(404), same).await;
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    Ok(())
}
