//! What a benchmark of deliveries needs first: an account with people, endpoints, a series, and lanes to work on them.

use std::sync::Arc;

use egress::{Egress, Limits, SystemResolver};
use provider::target::TargetPolicy;
use store::{Account, Chance, Clock, Ending, Group, Mango, NewEvent, NewMember, NewSubscription, SaveSeries, Store};
use tokio::sync::Notify;
use webinar::{EventType, MangoId, Participant, Series, SeriesDraft, SeriesId, SeriesPart, Trigger, Zones};
use wire::{AccountId, EndpointId, EventId, SigningSecret, SubscriptionId};
use workers::{Bounds, Context};

use crate::clock::{SystemChance, SystemClock};
use crate::progress::Progress;

/// One account of a benchmark.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) store: Arc<dyn Store>,
    pub(super) account: AccountId,
}

const MANGO: MangoId = MangoId::from_bytes([1; 12]);
pub(super) const MANGO_NAME: &str = "Bench";
const ENROL_AT_ONCE: u64 = 1_000;

impl Stage {
    /// Makes the account, and this many people in one mango.
    pub(super) async fn people(&self, participants: u64) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let key = provider::api_key::ApiKey::from_chance(chance().bytes(), [1; 32]).to_stored();
        let timezone = "Asia/Kolkata".into();
        let account = Account { id: self.account, name: "Bench".into(), timezone, created_at: now };
        self.store.create_account(account, key).await?;
        self.store.create_mango(self.account, Mango { id: MANGO, name: MANGO_NAME.into(), created_at: now }).await?;
        let progress = Progress::start("participants", participants);
        let zones = Zones::bundled();
        let mut enrolled = 0;
        while enrolled < participants {
            let upto = participants.min(enrolled + ENROL_AT_ONCE);
            let members: Vec<NewMember> =
                (enrolled + 1..=upto).map(|number| member(number, &zones)).collect::<Result<_, _>>()?;
            self.store.enrol(self.account, Group::Mango(MANGO), members).await?;
            enrolled = upto;
            progress.set(enrolled);
        }
        progress.finish();
        Ok(())
    }

    /// Subscribes a URL to every recurring webinar.
    pub(super) async fn subscribe(&self, url: &str) -> anyhow::Result<EndpointId> {
        let now = SystemClock.now();
        let id = chance().id_bytes(now);
        let subscription = NewSubscription {
            id: SubscriptionId::from_bytes(id),
            url: url.to_owned(),
            endpoint: EndpointId::from_bytes(id),
            secret: SigningSecret::from_random(chance().bytes()).into(),
            event: EventType::WebinarCreatedRecurring,
            webinar: None,
            now,
        };
        self.store.subscribe(self.account, subscription).await?;
        Ok(EndpointId::from_bytes(id))
    }

    /// A version of the one series, from 1.
    pub(super) fn version(&self, number: u32) -> anyhow::Result<SaveSeries> {
        let zones = Zones::bundled();
        let series = series(&zones)?;
        let part = SeriesPart::render(series.sessions(), &[MANGO_NAME]);
        let now = SystemClock.now();
        let event = NewEvent {
            id: EventId::from_bytes(chance().id_bytes(now)),
            event: EventType::WebinarCreatedRecurring,
            trigger: if number == 1 { Trigger::Created } else { Trigger::Updated },
            series_part: part.as_bytes().to_vec().into(),
            attendee_instant: part.attendee_instant(),
            tzdb_version: zones.version().to_owned(),
        };
        Ok(SaveSeries { series, from_version: number - 1, ending: Ending::GoesOn, event, now })
    }

    /// For lanes that may call this machine alone.
    pub(super) fn context(&self) -> anyhow::Result<Context> {
        let targets = TargetPolicy { allow: vec!["127.0.0.0/8".parse()?], ..TargetPolicy::default() };
        let egress = Egress::new(targets.clone(), Limits::default(), Arc::new(SystemResolver::from_system()?))?;
        Ok(Context {
            lanes: self.store.clone(),
            egress: Arc::new(egress),
            targets: Arc::new(targets),
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
            hint: Arc::new(Notify::new()),
            bounds: Bounds::default(),
        })
    }
}

fn chance() -> &'static dyn Chance {
    &SystemChance
}

/// The one series. Two sessions make a body of about 900 bytes.
pub(super) fn series(zones: &Zones) -> anyhow::Result<Series> {
    let draft: SeriesDraft = serde_json::from_value(serde_json::json!({
        "title": "Introduction to Digital Marketing", "link": "https://meet.google.com/abc-defg-hij",
        "timezone": "Asia/Kolkata", "start": "2026-12-04T15:30", "durationMinutes": 60,
        "recurrence": "FREQ=WEEKLY;COUNT=2", "mangoes": [MANGO.to_string()],
    }))?;
    Series::parse(SeriesId::from_bytes([2; 12]), draft, zones)
        .map_err(|invalid| anyhow::anyhow!("{:?}", invalid.errors()))
}

fn member(number: u64, zones: &Zones) -> anyhow::Result<NewMember> {
    Ok(NewMember { participant: participant(number, zones)?, attributes: None })
}

/// Somebody whom no other number is.
pub(super) fn participant(number: u64, zones: &Zones) -> anyhow::Result<Participant> {
    let zone = ["Asia/Kolkata", "Europe/London", "America/New_York", ""][(number % 4) as usize];
    let phone = format!("+9198{number:08}");
    Participant::parse(
        &format!("Participant {number}"),
        &format!("participant{number}@example.com"),
        &phone,
        zone,
        zones,
    )
    .map_err(|invalid| anyhow::anyhow!("{:?}", invalid.errors()))
}
