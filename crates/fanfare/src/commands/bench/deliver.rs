//! `bench deliver`: one series, N participants, one endpoint: from the save to the last outcome on disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use egress::{Egress, Limits, SystemResolver};
use jiff::Timestamp;
use provider::concurrency::{CONCURRENCY_MAX, CONCURRENCY_MAX_DEFAULT};
use provider::settings::EndpointSettings;
use provider::target::TargetPolicy;
use store::{
    Account, Accounts, Catalog, Chance, Clock, Ending, EndpointChange, FanOutState, Group, Mango, NewEvent, NewMember,
    NewSubscription, Roster, SaveSeries, Subscriptions,
};
use store_sqlite::SqliteStore;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use webinar::{EventType, MangoId, Participant, Series, SeriesDraft, SeriesId, SeriesPart, Trigger, Zones};
use wire::{AccountId, EndpointId, EventId, NodeId, SigningSecret, SubscriptionId};
use workers::{Bounds, Context, LaneSupervisor};

use super::Counterpart;
use super::meter::Meter;
use crate::clock::{SystemChance, SystemClock};
use crate::progress::Progress;

/// How much to deliver.
#[derive(Debug, Args)]
pub(crate) struct DeliverArgs {
    /// People to tell.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    participants: u64,
    /// Requests in flight at most.
    #[arg(long, default_value_t = CONCURRENCY_MAX_DEFAULT, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(CONCURRENCY_MAX)))]
    window: u32,
    /// Where to put the temporary database; its disk is part of what is measured.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

const ACCOUNT: AccountId = AccountId::from_u32(1);
const ENDPOINT: EndpointId = EndpointId::from_bytes([1; 16]);
const MANGO: MangoId = MangoId::from_bytes([1; 12]);
const ENROL_AT_ONCE: u64 = 1_000;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

pub(super) async fn run(args: DeliverArgs) -> anyhow::Result<()> {
    let mut sink = Counterpart::start(&["sink".to_owned()])?;
    let address = sink.next_line().await?;
    let directory = match &args.directory {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .context("no temporary directory")?;
    let path = directory.path().join("bench.db");
    let store = SqliteStore::open(&path, Zones::bundled())?;
    prepare(&store, args.participants, &address).await?;
    let settings = EndpointSettings { concurrency_max: args.window, ..EndpointSettings::default() };
    store.change_endpoint(ACCOUNT, ENDPOINT, EndpointChange::Serve(settings), SystemClock.now()).await?;
    store.checkpoint().await?;

    let meter = Meter::start(&path, store.commit_stats());
    let save = first_version()?;
    let event = save.event.id;
    let publishing = Instant::now();
    store.save_series(ACCOUNT, save).await?;
    let publish_millis = publishing.elapsed().as_secs_f64() * 1e3;

    let (stop, stopped) = watch::channel(false);
    let supervisor = LaneSupervisor::new(context(&store)?, NodeId::from_bytes([1; 16]), stopped);
    let lanes = tokio::spawn(supervisor.run(Duration::from_secs(35)));
    wait_until_delivered(&store, event, args.participants).await?;
    let reading = meter.stop();
    stop.send(true)?;
    lanes.await?;
    store.checkpoint().await?;

    let mut figures = meter.figures("deliver", args.participants, &reading, &path, store.commit_stats());
    figures.publish_millis = Some(publish_millis);
    figures.print(args.json)
}

async fn prepare(store: &SqliteStore, participants: u64, sink: &str) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let key = provider::api_key::ApiKey::from_chance([1; 8], [1; 32]).to_stored();
    let account = Account { id: ACCOUNT, name: "Bench".into(), timezone: "Asia/Kolkata".into(), created_at: now };
    store.create_account(account, key).await?;
    store.create_mango(ACCOUNT, Mango { id: MANGO, name: "Bench".into(), created_at: now }).await?;
    let progress = Progress::start("participants", participants);
    let zones = Zones::bundled();
    let mut enrolled = 0;
    while enrolled < participants {
        let upto = participants.min(enrolled + ENROL_AT_ONCE);
        let members: Vec<NewMember> =
            (enrolled + 1..=upto).map(|number| member(number, &zones)).collect::<Result<_, _>>()?;
        store.enrol(ACCOUNT, Group::Mango(MANGO), members).await?;
        enrolled = upto;
        progress.set(enrolled);
    }
    progress.finish();
    let subscription = NewSubscription {
        id: SubscriptionId::from_bytes([1; 16]),
        url: format!("http://{sink}/hook"),
        endpoint: ENDPOINT,
        secret: SigningSecret::from_random((&SystemChance as &dyn Chance).bytes()).into(),
        event: EventType::WebinarCreatedRecurring,
        webinar: None,
        now,
    };
    store.subscribe(ACCOUNT, subscription).await?;
    Ok(())
}

fn member(number: u64, zones: &Zones) -> anyhow::Result<NewMember> {
    let zone = ["Asia/Kolkata", "Europe/London", "America/New_York", ""][(number % 4) as usize];
    let phone = format!("+9198{number:08}");
    let participant = Participant::parse(
        &format!("Participant {number}"),
        &format!("participant{number}@example.com"),
        &phone,
        zone,
        zones,
    )
    .map_err(|invalid| anyhow::anyhow!("{:?}", invalid.errors()))?;
    Ok(NewMember { participant, attributes: None })
}

/// Two sessions make a body of about 900 bytes.
fn first_version() -> anyhow::Result<SaveSeries> {
    let zones = Zones::bundled();
    let draft: SeriesDraft = serde_json::from_value(serde_json::json!({
        "title": "Introduction to Digital Marketing", "link": "https://meet.google.com/abc-defg-hij",
        "timezone": "Asia/Kolkata", "start": "2026-12-04T15:30", "durationMinutes": 60,
        "recurrence": "FREQ=WEEKLY;COUNT=2", "mangoes": [MANGO.to_string()],
    }))?;
    let series = Series::parse(SeriesId::from_bytes([2; 12]), draft, &zones)
        .map_err(|invalid| anyhow::anyhow!("{:?}", invalid.errors()))?;
    let part = SeriesPart::render(series.sessions(), &["Bench"]);
    let now: Timestamp = SystemClock.now();
    let event = NewEvent {
        id: EventId::from_bytes((&SystemChance as &dyn Chance).id_bytes(now)),
        event: EventType::WebinarCreatedRecurring,
        trigger: Trigger::Created,
        series_part: part.as_bytes().to_vec().into(),
        attendee_instant: part.attendee_instant(),
        tzdb_version: zones.version().to_owned(),
    };
    Ok(SaveSeries { series, from_version: 0, ending: Ending::GoesOn, event, now })
}

fn context(store: &SqliteStore) -> anyhow::Result<Context> {
    let targets = TargetPolicy { allow: vec!["127.0.0.0/8".parse()?], ..TargetPolicy::default() };
    let egress = Egress::new(targets.clone(), Limits::default(), Arc::new(SystemResolver::from_system()?))?;
    Ok(Context {
        lanes: Arc::new(store.clone()),
        egress: Arc::new(egress),
        targets: Arc::new(targets),
        clock: Arc::new(SystemClock),
        chance: Arc::new(SystemChance),
        hint: Arc::new(Notify::new()),
        bounds: Bounds::default(),
    })
}

async fn wait_until_delivered(store: &SqliteStore, event: EventId, participants: u64) -> anyhow::Result<()> {
    let progress = Progress::start("deliveries", participants);
    loop {
        let detail = store.event(ACCOUNT, event).await?.context("the event that was just saved is missing")?;
        let fan_out = detail.summary.fan_outs.first().context("nobody was subscribed")?;
        progress.set(fan_out.delivered);
        anyhow::ensure!(fan_out.abandoned == 0, "{} deliveries were refused by the sink", fan_out.abandoned);
        if fan_out.state == FanOutState::Swept && fan_out.delivered == participants {
            progress.finish();
            return Ok(());
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}
