//! Fixtures of the suite: a store, a clock that only moves when told, and short ways to fill the store.

mod erasing;
mod handling;
mod inbound;
mod person;
mod report;
mod series;

use std::time::Duration;

use jiff::Timestamp;
use provider::api_key::{Lifetime, Scopes, StoredKey};
use provider::frontier::Place;
use store::{
    Account, Endpoint, Enrolled, Group, LaneWork, LateRegistration, Lease, Mango, Member, NewKey, NewSubscription,
    Recipient, Room, SaveSeries, Saved, Settled, Settlement, Store, StoreResult, Subscribed,
};
use webinar::{EventType, MangoId, Zones};
use wire::{AccountId, EndpointId, FanOutId, NodeId, Secret, SigningSecret, SubscriptionId, uuid_v7_bytes};

pub use handling::{ended, everything};
pub use inbound::Sender;
pub use person::{member, member_who};
pub use report::{Report, refusal, refused};
pub use series::Plan;

/// How long the suite leases lanes for.
pub const LEASE: Duration = Duration::from_secs(60);
/// The server the suite speaks as where one is enough.
pub const NODE: NodeId = NodeId::from_bytes([1; 16]);
/// Where the clock starts: 2024-03-01T00:00:00Z, in Unix seconds.
const START_SECOND: i64 = 1_709_251_200;

/// A store with a clock and a source of rising ids.
pub struct World<S> {
    /// The store under test.
    pub store: S,
    /// The time zones people and series are in.
    pub zones: Zones,
    now: Timestamp,
    ids: u64,
}

impl<S: Store> World<S> {
    /// A world around an empty store.
    pub fn new(store: S) -> World<S> {
        let now = Timestamp::from_second(START_SECOND).expect("a second of 2024");
        World { store, zones: Zones::bundled(), now, ids: 0 }
    }

    /// The time in this world.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Moves the clock on.
    pub fn pass(&mut self, time: Duration) -> Timestamp {
        self.now += time;
        self.now
    }

    /// The bytes of a new id, greater than all before.
    pub fn id(&mut self) -> [u8; 16] {
        self.ids += 1;
        let mut chance = [0; 10];
        chance[2..].copy_from_slice(&self.ids.to_be_bytes());
        uuid_v7_bytes(self.now.as_millisecond().unsigned_abs(), chance)
    }

    /// The bytes of a new short id, greater than all before.
    pub fn short_id(&mut self) -> [u8; 12] {
        self.ids += 1;
        let mut id = [0; 12];
        id[4..].copy_from_slice(&self.ids.to_be_bytes());
        id
    }

    /// A key that was not there.
    pub fn key(&mut self) -> StoredKey {
        self.ids += 1;
        StoredKey { public_id: format!("k{:011}", self.ids), hash: [7; 32] }
    }

    /// A key that was not there, to be added: it may do everything and has no end.
    pub fn new_key(&mut self) -> NewKey {
        NewKey { key: self.key(), scopes: Scopes::EVERYTHING, lifetime: Lifetime::new(self.now, None) }
    }

    /// A new account.
    pub async fn account(&mut self) -> StoreResult<AccountId> {
        self.ids += 1;
        let id = AccountId::from_u32(self.ids as u32);
        let account =
            Account { id, name: format!("account {id}"), timezone: "Asia/Kolkata".to_owned(), created_at: self.now };
        let key = self.key();
        self.store.create_account(account, key).await?;
        Ok(id)
    }

    /// A new mango.
    pub async fn mango(&mut self, account: AccountId) -> StoreResult<MangoId> {
        let mango = self.new_mango();
        let id = mango.id;
        self.store.create_mango(account, mango).await?;
        Ok(id)
    }

    /// A mango not yet created.
    pub fn new_mango(&mut self) -> Mango {
        let id = MangoId::from_bytes(self.short_id());
        Mango { id, name: format!("Mango {id}"), created_at: self.now }
    }

    /// A new mango with these people in it.
    pub async fn mango_of(&mut self, account: AccountId, names: &[&str]) -> StoreResult<MangoId> {
        let mango = self.mango(account).await?;
        self.enrol(account, Group::Mango(mango), names).await?;
        Ok(mango)
    }

    /// Makes people members of a group.
    pub async fn enrol(&self, account: AccountId, group: Group, names: &[&str]) -> StoreResult<Enrolled> {
        let members = names.iter().map(|name| member(name)).collect();
        self.store.enrol(account, group, members).await
    }

    /// The number of the person that [`member`] makes of this name.
    pub async fn number_of(&self, account: AccountId, name: &str) -> StoreResult<u64> {
        let found = self.store.participant_by_email(account, &format!("{name}@example.com")).await?;
        Ok(found.expect("enrolled before").number)
    }

    /// Ends somebody's membership.
    pub async fn leave(&self, account: AccountId, group: Group, name: &str) -> StoreResult<bool> {
        let number = self.number_of(account, name).await?;
        self.store.leave(account, group, number).await
    }

    /// What a new subscription at `url` needs.
    pub fn new_subscription(&mut self, url: &str) -> NewSubscription {
        NewSubscription {
            id: SubscriptionId::from_bytes(self.id()),
            url: url.to_owned(),
            endpoint: EndpointId::from_bytes(self.id()),
            secret: self.secret(),
            event: EventType::WebinarCreatedRecurring,
            webinar: None,
            now: self.now,
        }
    }

    /// A secret unlike those before.
    pub fn secret(&mut self) -> Secret {
        self.ids += 1;
        let mut random = [0; 32];
        random[..8].copy_from_slice(&self.ids.to_be_bytes());
        SigningSecret::from_random(random).into()
    }

    /// A new endpoint that is told of every recurring series.
    pub async fn endpoint(&mut self, account: AccountId) -> StoreResult<EndpointId> {
        self.ids += 1;
        let new = self.new_subscription(&format!("https://receiver.example/{}", self.ids));
        match self.store.subscribe(account, new).await? {
            Subscribed::WithNewEndpoint(_, endpoint) => Ok(endpoint.id),
            other => panic!("a new URL is a new endpoint, not {other:?}"),
        }
    }

    /// An endpoint that is there.
    pub async fn endpoint_now(&self, account: AccountId, id: EndpointId) -> StoreResult<Endpoint> {
        Ok(self.store.endpoint(account, id).await?.expect("made before"))
    }

    /// A new series for these mangoes; nothing is saved yet.
    pub fn plan(&mut self, mangoes: &[MangoId]) -> Plan {
        Plan::new(self.short_id(), mangoes)
    }

    /// Saves a version of a series.
    pub async fn save(&mut self, account: AccountId, plan: &Plan) -> StoreResult<Saved> {
        let save = plan.to_save(self.id(), &self.zones, self.now);
        self.store.save_series(account, save).await
    }

    /// Saves a version; the fan-out to the one endpoint that is told.
    pub async fn fan_out(&mut self, account: AccountId, plan: &Plan) -> StoreResult<FanOutId> {
        match self.save(account, plan).await?.fan_outs[..] {
            [(fan_out, _)] => Ok(fan_out),
            ref other => panic!("one endpoint is told, not {other:?}"),
        }
    }

    /// Everyone in a fan-out's audience but those who were erased.
    pub async fn audience(&self, account: AccountId, fan_out: FanOutId) -> StoreResult<Vec<Recipient>> {
        let members = self.store.audience_page(account, fan_out, Place::default(), 1_000).await?;
        Ok(members.into_iter().filter_map(to_tell).collect())
    }

    /// Registers people for a series that was announced; what it came to, and the fan-out that tells them if there is one.
    pub async fn register_late(
        &mut self,
        account: AccountId,
        plan: &Plan,
        version: u32,
        names: &[&str],
    ) -> StoreResult<(Enrolled, Option<FanOutId>)> {
        let SaveSeries { series, event, now, .. } = plan.to_save(self.id(), &self.zones, self.now);
        let id = event.id;
        let members = names.iter().map(|name| member(name)).collect();
        let late = LateRegistration { series, version, members, event, now };
        let enrolled = self.store.register_late(account, late).await?;
        let event = self.store.event(account, id).await?;
        Ok((enrolled, event.map(|event| event.summary.fan_outs[0].id)))
    }

    /// The names of everyone in a fan-out's audience.
    pub async fn names(&self, account: AccountId, fan_out: FanOutId) -> StoreResult<Vec<String>> {
        let audience = self.audience(account, fan_out).await?;
        Ok(audience.into_iter().map(|recipient| recipient.participant.name).collect())
    }

    /// Leases whatever is due.
    pub async fn claim(&self) -> StoreResult<Vec<Lease>> {
        self.store.claim(NODE, self.now, LEASE, Room::of(100)).await
    }

    /// Leases the one lane that is due.
    pub async fn lease(&self) -> StoreResult<Lease> {
        match self.claim().await?[..] {
            [lease] => Ok(lease),
            ref other => panic!("one lane is due, not {other:?}"),
        }
    }

    /// What a lane has to do.
    pub async fn work(&self, lease: Lease) -> StoreResult<LaneWork> {
        self.store.work(lease).await
    }

    /// Commits outcomes.
    pub async fn settle(&self, lease: Lease, settlement: impl Into<Settlement>) -> StoreResult<Settled> {
        self.store.settle(lease, std::sync::Arc::new(settlement.into())).await
    }
}

pub(crate) fn to_tell(member: Member) -> Option<Recipient> {
    match member {
        Member::ToTell(recipient) => Some(recipient),
        Member::Erased(_) => None,
    }
}
