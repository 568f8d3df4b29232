//! What a save would do: how many webhooks would leave, and one of them to look at. Nothing is kept.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use provider::subscription::Announcement;
use serde::Serialize;
use serde_json::value::RawValue;
use store::{PAGE_SIZE_MAX, ParticipantRecord, SubscriptionRecord, Targets};
use webinar::{DiffCounts, Series, SessionId, diff, write_body};
use wire::{AccountId, EndpointId, headers};

use super::proposal::Proposal;
use super::view::{SessionView, sessions};
use crate::app::App;
use crate::problem::Problem;

/// What a save would do.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DryRunView {
    dry_run: bool,
    /// Webhooks that would leave: audience times endpoints.
    webhooks: u64,
    audience: u64,
    endpoints: Vec<String>,
    event: &'static str,
    trigger: &'static str,
    version: u32,
    changes: ChangesView,
    sessions: Vec<SessionView>,
    /// The webhook of the first participant; null where the audience is empty.
    sample: Option<SampleView>,
}

#[derive(Serialize)]
struct ChangesView {
    added: usize,
    moved: usize,
    changed: usize,
    cancelled: usize,
    unchanged: usize,
}

/// One webhook. Ids that are made at the save, times and signatures are not there yet.
#[derive(Serialize)]
struct SampleView {
    participant: u64,
    headers: BTreeMap<&'static str, String>,
    body: Box<RawValue>,
}

pub(super) async fn of(app: &App, account: AccountId, proposal: &Proposal) -> Result<DryRunView, Problem> {
    let series = &proposal.series;
    let targets = Targets {
        series: series.id(),
        mangoes: series.mangoes().to_vec(),
        excluded: series.excluded_mangoes().to_vec(),
    };
    let (audience, first) = app.store().preview(account, targets).await?;
    let endpoints = endpoints_told(app, account, proposal).await?;
    Ok(DryRunView {
        dry_run: true,
        webhooks: audience * endpoints.len() as u64,
        audience,
        endpoints: endpoints.iter().map(ToString::to_string).collect(),
        event: proposal.event.as_str(),
        trigger: proposal.trigger().as_str(),
        version: proposal.from_version + 1,
        changes: changes(proposal),
        sessions: sessions(series),
        sample: first.and_then(|person| sample(proposal, &person, audience, app.now())),
    })
}

fn changes(proposal: &Proposal) -> ChangesView {
    let counts = match &proposal.last {
        Some(last) => diff(last, &proposal.series).counts(),
        None => {
            let added = proposal.series.sessions().iter().filter(|session| session.is_scheduled()).count();
            DiffCounts { added, ..DiffCounts::default() }
        }
    };
    let DiffCounts { added, moved, changed, cancelled, unchanged } = counts;
    ChangesView { added, moved, changed, cancelled, unchanged }
}

/// The endpoints whose subscriptions concern the proposal, as the store would find them.
async fn endpoints_told(app: &App, account: AccountId, proposal: &Proposal) -> Result<BTreeSet<EndpointId>, Problem> {
    let last = proposal.last.iter().flat_map(Series::sessions);
    let ids: Vec<SessionId> = proposal.series.sessions().iter().chain(last).map(|session| session.id).collect();
    let announcement = Announcement { event: proposal.event, series: proposal.series.id(), sessions: &ids };
    let mut told = BTreeSet::new();
    let mut after = None;
    loop {
        let page = app.store().subscriptions(account, after, PAGE_SIZE_MAX).await?;
        let concerned =
            page.items.iter().filter(|record: &&SubscriptionRecord| record.subscription.concerns(&announcement));
        told.extend(concerned.map(|record| record.subscription.endpoint));
        after = page.next;
        if after.is_none() {
            return Ok(told);
        }
    }
}

fn sample(proposal: &Proposal, person: &ParticipantRecord, audience: u64, now: Timestamp) -> Option<SampleView> {
    let at = proposal.attendee_instant(now);
    let offset = person.participant.timezone.as_ref().map(|zone| zone.offset_at(at));
    let mut body = Vec::new();
    write_body(&mut body, &person.participant, offset, proposal.part.as_bytes());
    let body = RawValue::from_string(String::from_utf8(body).ok()?).ok()?;
    let headers = BTreeMap::from([
        ("content-type", "application/json".to_owned()),
        (headers::FANFARE_EVENT, proposal.event.to_string()),
        (headers::FANFARE_TRIGGER, proposal.trigger().as_str().to_owned()),
        (headers::FANFARE_SERIES, proposal.series.id().to_string()),
        (headers::FANFARE_SERIES_VERSION, (proposal.from_version + 1).to_string()),
        (headers::FANFARE_INDEX, "1".to_owned()),
        (headers::FANFARE_TOTAL, audience.to_string()),
        (headers::FANFARE_ATTEMPT, "1".to_owned()),
    ]);
    Some(SampleView { participant: person.number, headers, body })
}
