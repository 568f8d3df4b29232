//! What happens in the demo, in order; everything a user could do is done by the call a user would make.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use hyper::Method;
use jiff::ToSpan;
use jiff::civil::{DateTime, Weekday, time};
use serde_json::{Value, json};
use store::{Chance, Clock, Store};
use tokio::time::{Instant, sleep};
use webinar::Zones;
use wire::SourceId;

use super::audience::{MANGOES, MemberList};
use super::counts::{Counts, Seen};
use super::http::Client;
use super::reachable;
use crate::clock::{SystemChance, SystemClock, cpu_time};
use crate::commands::account::add_account;
use crate::output::{counted, say};
use crate::progress::Progress;

const ZONE: &str = "Asia/Kolkata";
const SESSIONS: u32 = 4;
/// Often enough for a smooth bar, rarely enough not to be part of what is measured.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Where nothing more arrives for so long, the rest counts as lost.
const STANDSTILL_MAX: Duration = Duration::from_secs(60);

/// The demo on a running server.
pub(super) struct Story {
    store: Arc<dyn Store>,
    zones: Zones,
    address: SocketAddr,
    participants: u64,
    wall: Duration,
    cpu: Duration,
}

/// How an announcement stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    delivered: u64,
    retrying: u64,
    abandoned: u64,
}

impl Story {
    pub(super) fn new(store: Arc<dyn Store>, zones: Zones, address: SocketAddr, participants: u64) -> Story {
        let address = reachable(address);
        Story { store, zones, address, participants, wall: Duration::ZERO, cpu: Duration::ZERO }
    }

    pub(super) async fn tell(&mut self) -> anyhow::Result<Counts> {
        let people = counted(self.participants, "person", "people");
        let webhooks = counted(self.participants, "webhook", "webhooks");
        say(&format!("Fanfare: one change of a webinar series becomes one signed webhook for each of {people}.\n"));

        say(&format!("1  An account, {} mangoes (paid plans) and their members, from CSV", MANGOES.len()));
        let (account, key) = add_account(&*self.store, "Demo school", ZONE).await?;
        let client = Client::new(self.address, key.reveal().to_owned());
        let mangoes = self.bring_members(&client).await?;

        say("2  A receiver registers its URL: POST /api/v1/integration/webhook/webhook");
        self.register_receiver(&client).await?;

        let first = self.first_session()?;
        let series = weekly_series(first, &mangoes);
        say(&format!("3  A weekly series is created ({SESSIONS} sessions): one request, {webhooks}"));
        let saved = self.announce(&client, Method::POST, "/api/v1/webinars", &series).await?;
        let (created, webinar) = (saved.standing, text_at(&saved.answer, "/id")?);

        let moved = json!({ "overrides": [move_of_second_session(first)] });
        say(&format!("4  One session moves by three hours: one request, {webhooks}"));
        let saved = self.announce(&client, Method::PATCH, &format!("/api/v1/webinars/{webinar}"), &moved).await?;

        let inbox = self.store.message_counts(account).await?;
        let both = [created, saved.standing];
        Ok(Counts::of(&Seen {
            participants: self.participants,
            sent: both.iter().map(Standing::tried).sum(),
            answered: both.iter().map(|standing| standing.delivered).sum(),
            stored: inbox.stored,
            duplicates: inbox.duplicates,
            wall: self.wall,
            cpu: self.cpu,
        }))
    }

    async fn bring_members(&self, client: &Client) -> anyhow::Result<Vec<String>> {
        let progress = Arc::new(Progress::start("participants", self.participants));
        let mut ids = Vec::new();
        let mut told = 0;
        for (index, name) in MANGOES.iter().enumerate() {
            let mango = client.send_json(Method::POST, "/api/v1/mangoes", &json!({ "name": name })).await?;
            let id = text_at(&mango, "/id")?;
            let list = MemberList::new(index, self.participants, told, progress.clone());
            let path = format!("/api/v1/mangoes/{id}/members");
            let report = client.send(Method::POST, &path, Some("text/csv"), list).await?;
            ensure!(report.pointer("/rejected") == Some(&json!(0)), "members were refused: {report}");
            told += MemberList::own_members(index, self.participants);
            progress.set(told);
            ids.push(id);
        }
        progress.finish();
        Ok(ids)
    }

    /// The receiver's path is chosen before the secret is known, as with any receiver; the secret that the registration
    /// returns then becomes the source's key.
    async fn register_receiver(&self, client: &Client) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let id = SourceId::from_bytes((&SystemChance as &dyn Chance).id_bytes(now));
        let url = format!("http://{}/in/{id}", self.address);
        let wish = json!({ "hookUrl": url, "event": "webinar.created.recurring" });
        let answer = client.send_json(Method::POST, "/api/v1/integration/webhook/webhook", &wish).await?;
        let secret = text_at(&answer, "/result/signingSecret")?;
        let source = json!({ "id": id.to_string(), "name": "Demo receiver", "keys": [secret] });
        client.send_json(Method::POST, "/api/v1/sources", &source).await?;
        say(&format!("  {url} is told of webinar.created.recurring"));
        Ok(())
    }

    /// The next Friday afternoon where the creator lives.
    fn first_session(&self) -> anyhow::Result<DateTime> {
        let today = self.zones.zone(ZONE)?.at(SystemClock.now()).wall().date();
        Ok(today.nth_weekday(1, Weekday::Friday)?.to_datetime(time(15, 30, 0, 0)))
    }

    /// Saves a version and waits until everyone has been told, or nothing moves any more.
    async fn announce(&mut self, client: &Client, method: Method, path: &str, body: &Value) -> anyhow::Result<Saved> {
        let progress = Progress::start("delivered", self.participants);
        let (started, cpu_before) = (Instant::now(), cpu_time());
        let answer = client.send_json(method, path, body).await?;
        let event = format!("/api/v1/events/{}", text_at(&answer, "/event/id")?);
        let (mut standing, mut last_change) = (Standing::default(), Instant::now());
        while standing.finished() < self.participants && last_change.elapsed() < STANDSTILL_MAX {
            sleep(LOOK_AGAIN_AFTER).await;
            let now = Standing::read(&client.get(&event).await?)?;
            if now != standing {
                (standing, last_change) = (now, Instant::now());
                progress.set(standing.delivered);
            }
        }
        self.wall += started.elapsed();
        self.cpu += cpu_time() - cpu_before;
        progress.finish();
        Ok(Saved { answer, standing })
    }
}

struct Saved {
    answer: Value,
    standing: Standing,
}

impl Standing {
    /// Adds up the endpoints of an event as the API tells it.
    fn read(event: &Value) -> anyhow::Result<Standing> {
        let endpoints = event.get("endpoints").and_then(Value::as_array).context("the event has no endpoints")?;
        let sum = |field: &str| endpoints.iter().filter_map(|endpoint| endpoint.get(field)?.as_u64()).sum();
        Ok(Standing { delivered: sum("delivered"), retrying: sum("retrying"), abandoned: sum("abandoned") })
    }

    fn finished(&self) -> u64 {
        self.delivered + self.abandoned
    }

    fn tried(&self) -> u64 {
        self.finished() + self.retrying
    }
}

fn weekly_series(first: DateTime, mangoes: &[String]) -> Value {
    json!({
        "title": "Introduction to Digital Marketing",
        "link": "https://meet.google.com/abc-defg-hij",
        "timezone": ZONE,
        "start": wall(first),
        "durationMinutes": 60,
        "recurrence": format!("FREQ=WEEKLY;COUNT={SESSIONS}"),
        "mangoes": mangoes,
    })
}

fn move_of_second_session(first: DateTime) -> Value {
    let second = first.saturating_add(1.week());
    json!({ "session": wall(second), "start": wall(second.saturating_add(3.hours())) })
}

/// A wall-clock time as the API takes it.
fn wall(at: DateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

fn text_at(answer: &Value, pointer: &str) -> anyhow::Result<String> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    Ok(text.with_context(|| format!("the answer has no {pointer}"))?.to_owned())
}
