//! Secrets that are exchanged while webhooks are on their way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use provider::secret::Overlap;
use provider::settings::EndpointSettings;
use store::{Clock, EndpointChange, Rotated, Rotation, Secrets, Subscriptions};
use tokio::sync::{Semaphore, mpsc};
use wire::{AsymmetricSecret, EndpointId, KeyRing, Secret, SignedHeaders, SigningSecret, VerificationKey};

use workers::Janitor;

use crate::receiver::{Answer, Arrived, Receiver};
use crate::world::{ACCOUNT, FIRST_SECRET, World};

const DAY: i64 = 24 * 3_600;

fn secret(number: u8) -> SigningSecret {
    SigningSecret::from_random([number; 32])
}

impl World {
    /// Gives the endpoint a new secret; the one before signs beside it for some hours.
    async fn rotate(&self, endpoint: EndpointId, new: impl Into<Secret>, hours: u64) {
        let now = self.clock.now();
        let old_until = Overlap::from_hours(hours).unwrap().end(now);
        let rotation = Rotation { secret: new.into(), old_until, now };
        let rotated = self.store.rotate_secret(ACCOUNT, endpoint, rotation).await.unwrap();
        assert!(matches!(rotated, Some(Rotated::Done(_))), "{rotated:?}");
    }

    /// Whether a receiver that knows this key alone believes the webhook.
    fn believes(&self, key: impl Into<VerificationKey>, arrived: &Arrived) -> bool {
        let signature = arrived.header("webhook-signature");
        let signed = SignedHeaders::new(&arrived.id, arrived.header("webhook-timestamp"), signature).unwrap();
        let keys = KeyRing::new([key.into()]).unwrap().with_tolerance(Duration::from_secs(30 * 24 * 3_600));
        keys.verify(&signed, &arrived.body, self.clock.now().as_second()).is_ok()
    }

    /// Which of these numbered secrets have signed it.
    fn signers(&self, arrived: &Arrived, numbers: [u8; 2]) -> Vec<u8> {
        let signed = numbers.into_iter().filter(|number| self.believes(secret(*number), arrived)).collect();
        assert_eq!(arrived.header("webhook-signature").split(' ').count(), Vec::len(&signed), "no others");
        signed
    }
}

fn last(receiver: &Receiver) -> Arrived {
    receiver.arrived().pop().unwrap()
}

#[tokio::test]
async fn both_secrets_sign_during_the_overlap_and_only_the_new_one_after_it() {
    let mut world = World::with_members(3).await;
    let (receiver, endpoint) = world.subscriber().await;
    world.save_series().await;
    world.work().await;
    assert_eq!(world.signers(&last(&receiver), [FIRST_SECRET, 6]), [FIRST_SECRET]);

    world.rotate(endpoint, secret(6), 24).await;
    for (wait, expected) in [(0, &[FIRST_SECRET, 6][..]), (DAY - 1, &[FIRST_SECRET, 6]), (1, &[6]), (DAY, &[6])] {
        world.advance(wait).await;
        world.save_series().await;
        world.work().await;
        assert_eq!(world.signers(&last(&receiver), [FIRST_SECRET, 6]), expected, "{wait} s later");
    }
    assert_eq!(receiver.arrived().len(), 5 * 3);
}

#[tokio::test]
async fn a_shared_secret_gives_way_to_a_key_pair() {
    let mut world = World::with_members(1).await;
    let (receiver, endpoint) = world.subscriber().await;
    let pair = AsymmetricSecret::from_seed([7; 32]);
    world.rotate(endpoint, pair.clone(), 1).await;
    world.save_series().await;
    world.work().await;
    let during = last(&receiver);
    let schemes: Vec<&str> = during.header("webhook-signature").split(' ').map(|one| &one[..3]).collect();
    assert_eq!(schemes, ["v1a", "v1,"], "in one header, the newest first");
    assert!(world.believes(pair.public_key(), &during) && world.believes(secret(FIRST_SECRET), &during));

    world.advance(3_600).await;
    world.save_series().await;
    world.work().await;
    let after = last(&receiver);
    assert!(world.believes(pair.public_key(), &after) && !world.believes(secret(FIRST_SECRET), &after));
}

#[tokio::test]
async fn a_retry_is_signed_with_what_is_valid_then() {
    let mut world = World::with_members(1).await;
    let (receiver, endpoint) = world.subscriber().await;
    receiver.answers(|_| Answer::Status(422));
    world.rotate(endpoint, secret(6), 1).await;
    world.save_series().await;
    world.work().await;
    receiver.answers(|_| Answer::Status(200));
    world.advance(3_600).await;
    world.work().await;

    let arrived = receiver.arrived();
    assert_eq!(arrived.len(), 2);
    assert_eq!(arrived[0].id, arrived[1].id, "one delivery");
    assert_eq!(world.signers(&arrived[0], [FIRST_SECRET, 6]), [FIRST_SECRET, 6]);
    assert_eq!(world.signers(&arrived[1], [FIRST_SECRET, 6]), [6]);
}

#[tokio::test]
async fn the_janitor_removes_an_expired_secret_and_no_valid_one() {
    let mut world = World::with_members(0).await;
    let (_, endpoint) = world.subscriber().await;
    world.rotate(endpoint, secret(6), 1).await;
    let mut kept = Vec::new();
    for wait in [3_599, 1] {
        world.advance(wait).await;
        // A new one begins a round at once.
        let mut janitor = Janitor::new(Arc::new(world.store.clone()), world.clock.clone());
        janitor.turn().await.unwrap();
        let endpoint = world.store.endpoint(ACCOUNT, endpoint).await.unwrap().unwrap();
        kept.push(endpoint.secrets.iter().map(|secret| secret.number).collect::<Vec<_>>());
    }
    assert_eq!(kept, [vec![2, 1], vec![2]]);
}

/// A lane at work whose receiver answers only when told: it stays open while secrets change.
struct HeldLane {
    world: World,
    receiver: Receiver,
    endpoint: EndpointId,
    seen: mpsc::UnboundedReceiver<()>,
    gate: Arc<Semaphore>,
}

/// More than are sent before a lane commits.
const MEMBERS: usize = 1_000;

impl HeldLane {
    /// With one request in flight, after the secret was exchanged for this one.
    async fn start(rotated_to: Option<SigningSecret>) -> HeldLane {
        let mut world = World::with_members(MEMBERS).await;
        let (receiver, endpoint) = world.subscriber().await;
        if let Some(new) = rotated_to {
            world.rotate(endpoint, new, 24).await;
        }
        // One at a time, so that each answer makes room for exactly one more.
        let settings = EndpointSettings { concurrency_max: 1, ..EndpointSettings::default() };
        let now = world.clock.now();
        world.store.change_endpoint(ACCOUNT, endpoint, EndpointChange::Serve(settings), now).await.unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let gated = gate.clone();
        receiver.answers(move |_| {
            let _ = tell.send(());
            Answer::WhenPermitted(gated.clone())
        });
        world.save_series().await;
        world.start_work().await;
        let mut lane = HeldLane { world, receiver, endpoint, seen, gate };
        lane.see(1).await;
        lane
    }

    async fn see(&mut self, count: usize) {
        for _ in 0..count {
            self.seen.recv().await.unwrap();
        }
    }

    /// Lets so many be answered, and waits until as many others have come in their places.
    async fn answer(&mut self, count: usize) {
        self.gate.add_permits(count);
        self.see(count).await;
    }
}

#[tokio::test]
async fn a_lane_at_work_learns_of_a_new_secret() {
    let mut lane = HeldLane::start(None).await;
    lane.world.rotate(lane.endpoint, secret(6), 24).await;
    assert_eq!(lane.world.signers(&last(&lane.receiver), [FIRST_SECRET, 6]), [FIRST_SECRET], "it had left before");
    // With its next commit; reading the log takes about as long as reading the work again.
    for _ in 1..MEMBERS - 1 {
        if lane.world.signers(&last(&lane.receiver), [FIRST_SECRET, 6]) != [FIRST_SECRET] {
            break;
        }
        lane.answer(1).await;
        lane.world.deliveries().await;
    }
    assert_eq!(lane.world.signers(&last(&lane.receiver), [FIRST_SECRET, 6]), [FIRST_SECRET, 6]);
    let arrived = lane.receiver.arrived();
    let people: BTreeSet<&str> = arrived.iter().map(|arrived| arrived.id.as_str()).collect();
    assert_eq!((arrived.len() < MEMBERS, people.len()), (true, arrived.len()), "nobody was told twice");
}

#[tokio::test]
async fn a_lane_that_stays_open_beyond_the_overlap_stops_signing_with_the_old_secret() {
    let mut lane = HeldLane::start(Some(secret(6))).await;
    lane.world.advance(DAY).await;
    lane.answer(100).await;
    for (place, arrived) in lane.receiver.arrived().iter().enumerate() {
        let expected: &[u8] = if place == 0 { &[FIRST_SECRET, 6] } else { &[6] };
        assert_eq!(lane.world.signers(arrived, [FIRST_SECRET, 6]), expected, "webhook {place}");
    }
}
