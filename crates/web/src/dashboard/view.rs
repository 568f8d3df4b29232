//! What the page shows of an account, read from the store and made ready for the template.

use std::collections::HashMap;

use http::Uri;
use jiff::Timestamp;
use serde::Serialize;
use store::{
    Account, AttemptRecord, DeliveryFilter, DeliveryStatus, DeliverySummary, Endpoint, EventSummary, FanOutProgress,
    FanOutState, NoticeRecord, NoticeSubject,
};
use webinar::{EventType, NoticeKind};
use wire::EndpointId;

use super::inbox_view::InboxView;
use crate::app::App;
use crate::endpoints::state_of;
use crate::problem::Problem;

/// Rows of each list: a look, not the whole log.
pub(super) const ROWS: usize = 12;
/// Notices among which the newest that nobody has read is looked for.
const NOTICES_LOOKED_AT: usize = 50;
/// Endpoints whose names are looked up; others are shown by id.
const ENDPOINTS_NAMED_MAX: usize = 200;
/// Characters of an endpoint's name: one line of the table.
const ENDPOINT_CHARS_MAX: usize = 48;

#[derive(Serialize)]
pub(super) struct PageView {
    accounts: Vec<AccountView>,
    hidden_accounts: usize,
    /// What goes on, where anything does, so that the page loads itself again.
    moving: Option<&'static str>,
    has_provider: bool,
    has_receiver: bool,
    origin: String,
    tzdb_version: String,
    version: &'static str,
    now: String,
}

#[derive(Serialize)]
pub(super) struct AccountView {
    id: String,
    name: String,
    timezone: String,
    totals: Totals,
    /// The newest notice nobody has read, and how many there are.
    notice: Option<NoticeRow>,
    events: Vec<EventRow>,
    deliveries: Vec<DeliveryRow>,
    has_endpoints: bool,
    inbox: InboxView,
}

/// Sums over the events shown.
#[derive(Default, Serialize)]
struct Totals {
    delivered: u64,
    retrying: u64,
    abandoned: u64,
    pending: u64,
}

#[derive(Serialize)]
struct NoticeRow {
    id: String,
    what: &'static str,
    subject: String,
    unread: u64,
    at: When,
}

#[derive(Serialize)]
struct EventRow {
    id: String,
    title: String,
    kind: &'static str,
    trigger: &'static str,
    version: u32,
    at: When,
    audience: Option<u64>,
    fan_outs: Vec<FanOutRow>,
}

/// One endpoint's part, as counts and as parts of a bar of 1,000.
#[derive(Serialize)]
struct FanOutRow {
    endpoint: String,
    state: &'static str,
    delivered: u64,
    retrying: u64,
    abandoned: u64,
    pending: u64,
    total: Option<u64>,
    bar_delivered: u64,
    bar_retrying: u64,
    bar_abandoned: u64,
}

#[derive(Serialize)]
struct DeliveryRow {
    id: String,
    status: &'static str,
    outcome: String,
    person: String,
    number: u64,
    endpoint: String,
    attempts: u16,
    latency: Option<String>,
    at: Option<When>,
}

/// An instant for people and for programs.
#[derive(Serialize)]
pub(super) struct When {
    ago: String,
    exact: String,
}

type Endpoints = HashMap<EndpointId, Endpoint>;

impl PageView {
    pub(super) fn new(app: &App, accounts: Vec<AccountView>, hidden_accounts: usize, origin: String) -> PageView {
        let halves = app.context.settings.halves;
        PageView {
            moving: if accounts.iter().any(AccountView::is_delivering) {
                Some("delivering")
            } else {
                accounts.iter().any(|account| account.inbox.is_moving).then_some("handling")
            },
            accounts,
            hidden_accounts,
            has_provider: halves.have_provider(),
            has_receiver: halves.have_receiver(),
            origin,
            tzdb_version: app.context.zones.version().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            now: exact(app.now()),
        }
    }
}

impl AccountView {
    pub(super) async fn read(app: &App, account: &Account) -> Result<AccountView, Problem> {
        let (store, id, now) = (app.store(), account.id, app.now());
        let endpoints = store.endpoints(id, None, ENDPOINTS_NAMED_MAX).await?.items;
        let endpoints: Endpoints = endpoints.into_iter().map(|endpoint| (endpoint.id, endpoint)).collect();
        let events = store.events(id, None, ROWS).await?.items;
        let deliveries = store.deliveries(id, DeliveryFilter::default(), None, ROWS).await?.items;
        let unread = store.unread_notices(id).await?;
        let newest = store.notices(id, None, NOTICES_LOOKED_AT).await?.items;
        let newest = newest.into_iter().find(|notice| notice.read_at.is_none());

        let events: Vec<_> = events.iter().map(|event| EventRow::of(event, &endpoints, now)).collect();
        Ok(AccountView {
            id: id.to_string(),
            name: account.name.clone(),
            timezone: account.timezone.clone(),
            totals: Totals::of(&events),
            notice: newest.map(|notice| NoticeRow::of(&notice, unread, &endpoints, now)),
            events,
            deliveries: deliveries.iter().map(|delivery| DeliveryRow::of(delivery, &endpoints, now)).collect(),
            has_endpoints: !endpoints.is_empty(),
            inbox: InboxView::read(app, id, now).await?,
        })
    }

    fn is_delivering(&self) -> bool {
        self.events.iter().flat_map(|event| &event.fan_outs).any(|fan_out| fan_out.pending > 0)
    }
}

impl Totals {
    fn of(events: &[EventRow]) -> Totals {
        events.iter().flat_map(|event| &event.fan_outs).fold(Totals::default(), |sum, fan_out| Totals {
            delivered: sum.delivered + fan_out.delivered,
            retrying: sum.retrying + fan_out.retrying,
            abandoned: sum.abandoned + fan_out.abandoned,
            pending: sum.pending + fan_out.pending,
        })
    }
}

impl NoticeRow {
    fn of(notice: &NoticeRecord, unread: u64, endpoints: &Endpoints, now: Timestamp) -> NoticeRow {
        NoticeRow {
            id: notice.id.to_string(),
            what: match notice.kind {
                NoticeKind::EndpointDisabled => "An endpoint was disabled:",
                NoticeKind::RulesChanged => "Newer time zone rules move sessions that were announced:",
            },
            subject: match notice.subject {
                NoticeSubject::Endpoint(endpoint) => endpoint_name(endpoint, endpoints),
                NoticeSubject::Series(series) => format!("webinar {series}"),
            },
            unread,
            at: When::of(notice.created_at, now),
        }
    }
}

impl EventRow {
    fn of(event: &EventSummary, endpoints: &Endpoints, now: Timestamp) -> EventRow {
        EventRow {
            id: event.id.to_string(),
            title: event.title.clone(),
            kind: match event.event {
                EventType::WebinarCreatedRecurring => "recurring",
                EventType::WebinarCreatedSingle => "single",
                EventType::Notice(kind) => kind.as_str(),
            },
            trigger: event.trigger.as_str(),
            version: event.version,
            at: When::of(event.created_at, now),
            audience: event.audience,
            fan_outs: event.fan_outs.iter().map(|part| FanOutRow::of(part, event.audience, endpoints)).collect(),
        }
    }
}

impl FanOutRow {
    fn of(part: &FanOutProgress, audience: Option<u64>, endpoints: &Endpoints) -> FanOutRow {
        let tried = part.delivered + part.retrying + part.abandoned + part.erased;
        let pending = match part.state {
            // Until the audience is counted at least somebody is to be told.
            FanOutState::Running => audience.map_or(1, |all| part.untold(all)),
            FanOutState::Paused | FanOutState::Swept | FanOutState::Superseded | FanOutState::Skipped => 0,
        };
        let of_bar = |count: u64| count * 1_000 / (tried + pending).max(1);
        FanOutRow {
            endpoint: endpoint_name(part.endpoint, endpoints),
            state: match part.state {
                FanOutState::Running | FanOutState::Swept => endpoints.get(&part.endpoint).map_or("unknown", state_of),
                called_off => called_off.name(),
            },
            delivered: part.delivered,
            retrying: part.retrying,
            abandoned: part.abandoned,
            pending,
            total: audience,
            bar_delivered: of_bar(part.delivered),
            bar_retrying: of_bar(part.retrying),
            bar_abandoned: of_bar(part.abandoned),
        }
    }
}

impl DeliveryRow {
    fn of(delivery: &DeliverySummary, endpoints: &Endpoints, now: Timestamp) -> DeliveryRow {
        let tenths = delivery.last.as_ref().and_then(|last| last.latency_tenth_ms);
        let email = delivery.person.as_ref().map(|(_, email)| masked(email));
        DeliveryRow {
            id: delivery.id.to_string(),
            status: match delivery.status {
                DeliveryStatus::Retrying if delivery.attempts == 0 => "on its way",
                status => status.name(),
            },
            outcome: delivery.last.as_ref().map(AttemptRecord::in_words).unwrap_or_default(),
            person: email.unwrap_or_else(|| "no longer here".to_owned()),
            number: delivery.participant,
            endpoint: endpoint_name(delivery.endpoint, endpoints),
            attempts: delivery.attempts,
            latency: tenths.map(|tenths| format!("{}.{} ms", tenths / 10, tenths % 10)),
            at: delivery.last.as_ref().map(|last| When::of(last.finished_at, now)),
        }
    }
}

impl When {
    pub(super) fn of(at: Timestamp, now: Timestamp) -> When {
        let seconds = now.duration_since(at).as_secs();
        let ago = match seconds {
            ..5 => "just now".to_owned(),
            5..60 => format!("{seconds} s ago"),
            60..3_600 => format!("{} min ago", seconds / 60),
            3_600..86_400 => format!("{} h ago", seconds / 3_600),
            _ => format!("{} d ago", seconds / 86_400),
        };
        When { ago, exact: exact(at) }
    }
}

fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Host and path, so that two endpoints of one host are told apart; a query is often the receiver's only secret.
fn endpoint_name(id: EndpointId, endpoints: &Endpoints) -> String {
    let uri = endpoints.get(&id).and_then(|endpoint| endpoint.url.parse::<Uri>().ok());
    let name = uri.and_then(|uri| Some(format!("{}{}", uri.authority()?, uri.path().trim_end_matches('/'))));
    name.map_or_else(|| id.to_string(), |name| shortened(&name))
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= ENDPOINT_CHARS_MAX {
        return name.to_owned();
    }
    name.chars().take(ENDPOINT_CHARS_MAX - 1).chain(['…']).collect()
}

/// `asha@example.com` as `a•••@example.com`.
fn masked(email: &str) -> String {
    let (person, host) = email.split_once('@').unwrap_or((email, ""));
    let first: String = person.chars().take(1).collect();
    format!("{first}•••@{host}")
}
