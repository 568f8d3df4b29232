//! What a store owes of signing secrets: old ones stay valid beside a new one as long as asked, and no longer.

use std::time::Duration;

use jiff::Timestamp;
use provider::secret::SECRETS_VALID_MAX;
use store::{Endpoint, Rotated, Rotation, Settlement, Store, StoreResult};
use wire::{AccountId, AsymmetricSecret, EndpointId, Secret};

use crate::World;

const HOUR: Duration = Duration::from_secs(3_600);

/// Numbers of secrets and their ends, newest first.
type Standing = Vec<(u32, Option<Timestamp>)>;

pub async fn an_old_secret_stays_valid_beside_the_new_one_until_its_end<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let account = world.account().await?;
    let id = world.endpoint(account).await?;
    let first = world.endpoint_now(account, id).await?;
    assert_eq!(standing(&first), [(1, None)]);
    assert_eq!(first.secrets[0].created_at, world.now());

    let now = world.pass(HOUR);
    let secret = world.secret();
    let rotated = rotate(&world, (account, id), &secret, now + 24 * HOUR).await?;
    assert_eq!(standing(&rotated), [(2, None), (1, Some(now + 24 * HOUR))]);
    assert_eq!(rotated.secrets[0].created_at, now);
    assert_eq!(texts(&rotated), [secret.reveal().to_string(), texts(&first)[0].clone()]);
    let kept = world.endpoint_now(account, id).await?;
    assert_eq!((standing(&kept), texts(&kept)), (standing(&rotated), texts(&rotated)));
    Ok(())
}

pub async fn without_an_overlap_only_the_new_secret_is_left<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let id = world.endpoint(account).await?;
    for number in 2..4 {
        let secret = world.secret();
        let rotated = rotate(&world, (account, id), &secret, world.now()).await?;
        assert_eq!((standing(&rotated), texts(&rotated)), (vec![(number, None)], vec![secret.reveal().to_string()]));
    }
    Ok(())
}

pub async fn a_secret_that_was_to_end_sooner_still_does<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let id = world.endpoint(account).await?;
    let now = world.now();
    for hours in [5, 24, 2] {
        let secret = world.secret();
        rotate(&world, (account, id), &secret, now + hours * HOUR).await?;
    }
    let kept = world.endpoint_now(account, id).await?;
    let ends = [2, 2, 2].map(|hours| Some(now + hours * HOUR));
    assert_eq!(standing(&kept), [(4, None), (3, ends[0]), (2, ends[1]), (1, ends[2])]);
    Ok(())
}

pub async fn a_key_pair_replaces_a_shared_secret<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let id = world.endpoint(account).await?;
    let secret = Secret::from(AsymmetricSecret::from_seed([5; 32]));
    rotate(&world, (account, id), &secret, world.now() + HOUR).await?;
    let kept = world.endpoint_now(account, id).await?;
    assert_eq!(texts(&kept)[0], *secret.reveal());
    assert!(texts(&kept)[1].starts_with("whsec_"));
    Ok(())
}

pub async fn only_a_few_secrets_are_valid_at_once<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let id = world.endpoint(account).await?;
    for _ in 1..SECRETS_VALID_MAX {
        let secret = world.secret();
        rotate(&world, (account, id), &secret, world.now() + HOUR).await?;
    }
    let full = world.endpoint_now(account, id).await?;
    let rotation = Rotation { secret: world.secret(), old_until: world.now() + HOUR, now: world.now() };
    let refused = world.store.rotate_secret(account, id, rotation.clone()).await?;
    assert!(matches!(refused, Some(Rotated::TooManyValid)), "{refused:?}");
    assert_eq!(standing(&world.endpoint_now(account, id).await?), standing(&full), "nothing was changed");

    let now = world.pass(HOUR);
    let later = Rotation { old_until: now + HOUR, now, ..rotation };
    let rotated = world.store.rotate_secret(account, id, later).await?;
    assert!(matches!(rotated, Some(Rotated::Done(_))), "the expired ones count no more: {rotated:?}");
    let end = Some(now + HOUR);
    assert_eq!(standing(&world.endpoint_now(account, id).await?), [(5, None), (4, end)]);
    Ok(())
}

pub async fn expired_secrets_are_removed_and_no_others<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let now = world.now();
    let mut endpoints = Vec::new();
    for (account, hours) in [(ours, 1), (theirs, 1), (theirs, 2)] {
        let id = world.endpoint(account).await?;
        let secret = world.secret();
        rotate(&world, (account, id), &secret, now + hours * HOUR).await?;
        endpoints.push((account, id));
    }
    assert_eq!(world.store.remove_expired_secrets(now + HOUR - Duration::from_millis(1)).await?, 0);
    assert_eq!(world.store.remove_expired_secrets(now + HOUR).await?, 2);
    let mut left = Vec::new();
    for (account, id) in endpoints {
        left.push(standing(&world.endpoint_now(account, id).await?));
    }
    assert_eq!(left, [vec![(2, None)], vec![(2, None)], vec![(2, None), (1, Some(now + 2 * HOUR))]]);
    Ok(())
}

pub async fn a_lane_learns_of_a_new_secret_when_it_commits<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let account = world.account().await?;
    let id = world.endpoint(account).await?;
    let plan = world.plan(&[]);
    world.save(account, &plan).await?;
    let lease = world.lease().await?;
    let before = world.work(lease).await?.signal;
    assert_eq!(world.settle(lease, Settlement::default()).await?.signal, before);
    let secret = world.secret();
    rotate(&world, (account, id), &secret, world.now() + HOUR).await?;
    assert_ne!(world.settle(lease, Settlement::default()).await?.signal, before);
    let work = world.work(lease).await?;
    assert_eq!(texts(&work.endpoint)[0], *secret.reveal());
    assert_eq!(world.settle(lease, Settlement::default()).await?.signal, work.signal, "once");
    Ok(())
}

pub async fn the_secrets_of_another_account_are_out_of_reach<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let (ours, theirs) = (world.account().await?, world.account().await?);
    let id = world.endpoint(theirs).await?;
    let before = texts(&world.endpoint_now(theirs, id).await?);
    let rotation = Rotation { secret: world.secret(), old_until: world.now(), now: world.now() };
    assert!(world.store.rotate_secret(ours, id, rotation.clone()).await?.is_none());
    assert!(world.store.rotate_secret(theirs, EndpointId::from_bytes([9; 16]), rotation).await?.is_none());
    assert_eq!(texts(&world.endpoint_now(theirs, id).await?), before);
    Ok(())
}

/// Gives an endpoint this secret, those before it valid `until` then.
async fn rotate<S: Store>(
    world: &World<S>,
    (account, id): (AccountId, EndpointId),
    secret: &Secret,
    until: Timestamp,
) -> StoreResult<Endpoint> {
    let rotation = Rotation { secret: secret.clone(), old_until: until, now: world.now() };
    match world.store.rotate_secret(account, id, rotation).await? {
        Some(Rotated::Done(endpoint)) => Ok(*endpoint),
        other => panic!("it is given the secret, not {other:?}"),
    }
}

fn standing(endpoint: &Endpoint) -> Standing {
    endpoint.secrets.iter().map(|secret| (secret.number, secret.valid_until)).collect()
}

fn texts(endpoint: &Endpoint) -> Vec<String> {
    endpoint.secrets.iter().map(|secret| secret.secret.reveal().to_string()).collect()
}
