//! What people do in a run: they save series, come and go, subscribe and pause. Each change is told to the store and to
//! the oracle, which works out by itself what it promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use provider::api_key::ApiKey;
use provider::fan_out::fan_out_id;
use provider::pace::Rate;
use provider::settings::EndpointSettings;
use store::{
    Account, Accounts, Catalog, Ending, EndpointChange, EndpointSwitch, Group, LateRegistration, Mango, NewEvent,
    NewMember, NewSubscription, Roster, SaveSeries, StoreError, StoreResult, Subscriptions,
};
use webinar::{EventType, LateJoiners, MangoId, Series, SeriesDraft, SeriesId, SeriesPart, Trigger, Zones};
use wire::{AccountId, EndpointId, EventId, FanOutId, SubscriptionId, uuid_v7_bytes};

use crate::network::{endpoint_id, secret, url};
use crate::oracle::FanOutLedger;
use crate::simulation::Simulation;
use crate::sometimes::Sometimes;

pub(crate) const ACCOUNT: AccountId = AccountId::from_u32(1);
/// Sessions of each series: few, since the body is as long as they are many.
const SESSIONS: u32 = 2;

/// The people of a run and what they have done so far.
pub(crate) struct World {
    simulation: Arc<Simulation>,
    zones: Zones,
    /// By series, as far as they were saved.
    versions: BTreeMap<SeriesId, u32>,
    /// By endpoint and filter.
    subscriptions: BTreeMap<(EndpointId, Option<SeriesId>), SubscriptionId>,
    ids: u64,
}

impl World {
    pub(crate) fn new(simulation: Arc<Simulation>, zones: Zones) -> World {
        let mut world = World { simulation, zones, versions: BTreeMap::new(), subscriptions: BTreeMap::new(), ids: 0 };
        world.found();
        world
    }

    /// Makes what is there before the run begins.
    fn found(&mut self) {
        let options = self.simulation.options.clone();
        let now = self.simulation.now();
        let account = Account { id: ACCOUNT, name: "Acme".into(), timezone: "Asia/Kolkata".into(), created_at: now };
        let key = ApiKey::from_chance([1; 8], [1; 32]).to_stored();
        made(self.simulation.store.create_account(account, key));
        for place in 0..options.mangoes {
            let mango = Mango { id: mango(place), name: format!("Mango {place}"), created_at: now };
            made(self.simulation.store.create_mango(ACCOUNT, mango));
        }
        for person in 0..options.people {
            self.join(person % options.mangoes, 1);
        }
        for (place, endpoint) in options.endpoints.iter().enumerate() {
            self.subscribe(place, endpoint.filter);
            let settings = EndpointSettings { concurrency_max: options.window, ..EndpointSettings::default() };
            self.change(endpoint_id(place), EndpointChange::Serve(settings));
        }
    }

    /// Saves the next version of a series, unless the store is too busy.
    pub(crate) fn save(&mut self, place: usize) {
        let is_refused = self.simulation.dice().one_in(self.simulation.store_faults().busy_one_in);
        if !is_refused {
            self.save_surely(place);
        }
    }

    /// Saves the next version of a series.
    pub(crate) fn save_surely(&mut self, place: usize) {
        let (id, from_version) = self.newest(place);
        let (series, event) = self.announcement(place, from_version + 1);
        let save = SaveSeries { series, from_version, ending: Ending::GoesOn, event, now: self.simulation.now() };
        if self.simulation.oracle().owes_series(id) {
            self.simulation.saw(Sometimes::NewVersion);
        }
        let saved = made(self.simulation.store.save_series(ACCOUNT, save.clone()));
        self.versions.insert(id, saved.version);
        let audience = self.simulation.oracle().people.audience(&self.mangoes(), id);
        let mut promised = self.promise(&save.event, id, saved.version, audience);
        let mut found = saved.fan_outs;
        promised.sort();
        found.sort();
        let same = if promised == found { Ok(()) } else { Err(format!("{found:?} are told, not {promised:?}")) };
        self.simulation.require(same);
        if self.simulation.dice().one_in(self.simulation.store_faults().lost_one_in) {
            // Whoever saved was told of an error; saving the same again is refused, which tells them.
            self.simulation.saw(Sometimes::SaveUnheard);
            let again = self.simulation.store.save_series(ACCOUNT, save).now_or_never();
            let is_noticed = matches!(again, Some(Err(StoreError::VersionConflict { .. })));
            self.simulation.require(is_noticed.then_some(()).ok_or_else(|| "a save was made twice".to_owned()));
        }
    }

    /// Registers new people, and one who is there already, for a series; who is new to it is told at once.
    pub(crate) fn register(&mut self, place: usize, count: usize) {
        let (id, version) = self.newest(place);
        if version == 0 {
            return;
        }
        let (series, event) = self.announcement(place, version);
        let known = self.somebody();
        let mut oracle = self.simulation.oracle();
        let before = oracle.people.audience(&self.mangoes(), id);
        let group = Group::Series(id);
        let mut members: Vec<NewMember> = (0..count).map(|_| oracle.people.join(group, &self.zones)).collect();
        members.push(oracle.people.enrol(group, known, &self.zones));
        let newcomers: Vec<u64> = oracle.people.audience(&self.mangoes(), id).difference(&before).copied().collect();
        drop(oracle);
        let late = LateRegistration { series, version, members, event: event.clone(), now: self.simulation.now() };
        made(self.simulation.store.register_late(ACCOUNT, late));
        self.promise(&event, id, version, newcomers);
        self.simulation.saw(Sometimes::LateRegistrant);
    }

    pub(crate) fn join(&mut self, place: usize, count: usize) {
        let group = Group::Mango(mango(place));
        let mut oracle = self.simulation.oracle();
        let members = (0..count).map(|_| oracle.people.join(group, &self.zones)).collect();
        drop(oracle);
        made(self.simulation.store.enrol(ACCOUNT, group, members));
    }

    /// Somebody leaves a mango; what was promised to them is still owed.
    pub(crate) fn leave(&mut self, place: usize) {
        let group = Group::Mango(mango(place));
        let members: Vec<u64> = self.simulation.oracle().people.members(group).iter().copied().collect();
        if members.is_empty() {
            return;
        }
        let number = self.simulation.dice().pick(&members);
        if self.simulation.oracle().owes_person(number) {
            self.simulation.saw(Sometimes::LeftBeforeTold);
        }
        made(self.simulation.store.leave(ACCOUNT, group, number));
        self.simulation.oracle().people.leave(group, number);
    }

    /// Somebody's name is corrected; whoever has not been told yet is told under one or the other.
    pub(crate) fn correct(&mut self) {
        let number = self.somebody();
        let group = Group::Mango(mango(0));
        let mut oracle = self.simulation.oracle();
        let is_owed = oracle.owes_person(number);
        oracle.people.rename(number, &self.zones);
        let member = oracle.people.enrol(group, number, &self.zones);
        drop(oracle);
        if is_owed {
            self.simulation.saw(Sometimes::Corrected);
        }
        made(self.simulation.store.enrol(ACCOUNT, group, vec![member]));
    }

    pub(crate) fn subscribe(&mut self, place: usize, filter: Option<usize>) {
        let (endpoint, filter) = (endpoint_id(place), filter.map(series));
        if self.subscriptions.contains_key(&(endpoint, filter)) {
            return;
        }
        let id = SubscriptionId::from_bytes(self.id());
        let new = NewSubscription {
            id,
            url: url(place),
            endpoint,
            secret: secret(place).into(),
            event: EventType::WebinarCreatedRecurring,
            webinar: filter.map(Into::into),
            now: self.simulation.now(),
        };
        made(self.simulation.store.subscribe(ACCOUNT, new));
        self.subscriptions.insert((endpoint, filter), id);
    }

    pub(crate) fn unsubscribe(&mut self, place: usize) {
        let endpoint = endpoint_id(place);
        let found = self.subscriptions.keys().find(|(of, _)| *of == endpoint).copied();
        let Some(id) = found.and_then(|key| self.subscriptions.remove(&key)) else { return };
        if self.simulation.oracle().owes_endpoint(endpoint) {
            self.simulation.saw(Sometimes::Unsubscribed);
        }
        made(self.simulation.store.unsubscribe(ACCOUNT, id));
    }

    pub(crate) fn pause(&mut self, place: usize) {
        let endpoint = endpoint_id(place);
        if self.simulation.oracle().owes_endpoint(endpoint) {
            self.simulation.saw(Sometimes::PausedWithBacklog);
        }
        self.change(endpoint, EndpointChange::Pause);
    }

    /// Lets every endpoint be told of everything, at so many requests a minute, or as fast as it can.
    pub(crate) fn pace(&mut self, per_minute: Option<u32>) {
        let rate = per_minute.map(|per_minute| Rate::steady(per_minute).expect("a rate"));
        for place in 0..self.simulation.options.endpoints.len() {
            self.subscribe(place, None);
            let concurrency_max = self.simulation.options.window;
            let settings = EndpointSettings { rate, concurrency_max, ..EndpointSettings::default() };
            self.change(endpoint_id(place), EndpointChange::Serve(settings));
            self.change(endpoint_id(place), EndpointChange::Resume);
        }
    }

    /// The owner looks at an endpoint, and resumes it where it is paused or gone.
    pub(crate) fn resume(&mut self, place: usize) {
        let id = endpoint_id(place);
        let Some(endpoint) = made(self.simulation.store.endpoint(ACCOUNT, id)) else { return };
        let is_gone = endpoint.health.is_ended();
        if is_gone || endpoint.switch == EndpointSwitch::Paused {
            self.simulation.saw(if is_gone { Sometimes::GoneForgiven } else { Sometimes::Resumed });
            self.change(id, EndpointChange::Resume);
        }
    }

    fn change(&mut self, endpoint: EndpointId, change: EndpointChange) {
        made(self.simulation.store.change_endpoint(ACCOUNT, endpoint, change, self.simulation.now()));
    }

    /// Tells the oracle of an event, and which fan-outs it must have.
    fn promise(
        &self,
        event: &NewEvent,
        series: SeriesId,
        version: u32,
        audience: impl IntoIterator<Item = u64> + Clone,
    ) -> Vec<(FanOutId, EndpointId)> {
        let mut oracle = self.simulation.oracle();
        let places = 0..self.simulation.options.endpoints.len();
        let told = |endpoint: &EndpointId| {
            let has = |filter| self.subscriptions.contains_key(&(*endpoint, filter));
            has(None) || has(Some(series))
        };
        let (told, untold): (Vec<EndpointId>, Vec<EndpointId>) = places.map(endpoint_id).partition(told);
        if !untold.is_empty() {
            self.simulation.saw(Sometimes::Filtered);
        }
        let mut promised = Vec::new();
        for endpoint in told {
            let id = fan_out_id(event.id, endpoint);
            let ledger = FanOutLedger::new(endpoint, series, version, event.trigger, event.series_part.clone());
            oracle.promise(id, ledger, audience.clone());
            if oracle.fan_outs_owed(endpoint) > store::OPEN_FAN_OUTS_MAX {
                self.simulation.saw(Sometimes::ManyFanOuts);
            }
            promised.push((id, endpoint));
        }
        promised
    }

    /// A version of a series, and the event that announces it.
    fn announcement(&mut self, place: usize, version: u32) -> (Series, NewEvent) {
        let draft = SeriesDraft {
            title: format!("Design clinic {place}.{version}"),
            link: "https://meet.example/room".to_owned(),
            timezone: "Asia/Kolkata".to_owned(),
            start: "2026-12-04T15:30".to_owned(),
            duration_minutes: 60,
            recurrence: Some(format!("FREQ=WEEKLY;COUNT={SESSIONS}")),
            except: Vec::new(),
            overrides: Vec::new(),
            mangoes: self.mangoes().iter().map(ToString::to_string).collect(),
            exclude_mangoes: Vec::new(),
            late_joiners: LateJoiners::Announce,
        };
        let series = Series::parse(series(place), draft, &self.zones).expect("a series");
        let part = SeriesPart::render(series.sessions(), &["Gold"]);
        let event = NewEvent {
            id: EventId::from_bytes(self.id()),
            event: EventType::WebinarCreatedRecurring,
            trigger: if version == 1 { Trigger::Created } else { Trigger::Updated },
            series_part: part.as_bytes().to_vec().into(),
            attendee_instant: part.attendee_instant(),
            tzdb_version: self.zones.version().to_owned(),
        };
        (series, event)
    }

    fn newest(&self, place: usize) -> (SeriesId, u32) {
        let id = series(place);
        (id, self.versions.get(&id).copied().unwrap_or(0))
    }

    fn mangoes(&self) -> Vec<MangoId> {
        (0..self.simulation.options.mangoes).map(mango).collect()
    }

    fn somebody(&self) -> u64 {
        let count = self.simulation.oracle().people.count() as u64;
        self.simulation.dice().between(1, count)
    }

    fn id(&mut self) -> [u8; 16] {
        self.ids += 1;
        let mut chance = [0; 10];
        chance[2..].copy_from_slice(&self.ids.to_be_bytes());
        uuid_v7_bytes(self.simulation.now().as_millisecond().unsigned_abs(), chance)
    }
}

fn mango(place: usize) -> MangoId {
    MangoId::from_bytes([0xa0 + place as u8; 12])
}

fn series(place: usize) -> SeriesId {
    SeriesId::from_bytes([0xb0 + place as u8; 12])
}

/// The model answers at once, and what people ask for here is always right.
pub(crate) fn made<T>(answer: impl Future<Output = StoreResult<T>>) -> T {
    answer.now_or_never().expect("the model never waits").expect("what people ask for is right")
}
