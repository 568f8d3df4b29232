//! What the page shows of an account, read from the store and made ready for the template.

use std::collections::HashMap;

use http::Uri;
use jiff::Timestamp;
use serde::Serialize;
use store::{
    Account, AttemptRecord, DeliveryFilter, DeliveryStatus, DeliverySummary, Endpoint, EventSummary, FanOutProgress,
    FanOutState, Message, MessageFilter, NoticeRecord, NoticeSubject,
};
use webinar::{EventType, NoticeKind};
use wire::{EndpointId, InboxMessageId};

use crate::app::App;
use crate::endpoints::state_of;
use crate::problem::Problem;

/// Rows of each list: a look, not the whole log.
const ROWS: usize = 12;
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
    /// Whether something is on its way, so that the page loads itself again.
    is_moving: bool,
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
    messages: Vec<MessageRow>,
    has_endpoints: bool,
    stored: u64,
    duplicates: u64,
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

#[derive(Serialize)]
struct MessageRow {
    id: String,
    source: String,
    event: String,
    message_id: String,
    duplicates: u64,
    conflicts: u64,
    bytes: u64,
    at: When,
}

/// An instant for people and for programs.
#[derive(Serialize)]
struct When {
    ago: String,
    exact: String,
}

type Endpoints = HashMap<EndpointId, Endpoint>;

impl PageView {
    pub(super) fn new(app: &App, accounts: Vec<AccountView>, hidden_accounts: usize, origin: String) -> PageView {
        let halves = app.context.settings.halves;
        PageView {
            is_moving: accounts.iter().any(AccountView::is_moving),
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
        let messages = store.messages(id, MessageFilter::default(), None, ROWS).await?.items;
        let sources: HashMap<_, _> =
            store.sources(id).await?.into_iter().map(|source| (source.id, source.name)).collect();
        let counts = store.message_counts(id).await?;
        let unread = store.unread_notices(id).await?;
        let newest = store.notices(id, None, NOTICES_LOOKED_AT).await?.items;
        let newest = newest.into_iter().find(|notice| notice.read_at.is_none());

        let events: Vec<_> = events.iter().map(|event| EventRow::of(event, &endpoints, now)).collect();
        let source_name =
            |message: &Message| sources.get(&message.source).cloned().unwrap_or_else(|| message.source.to_string());
        Ok(AccountView {
            id: id.to_string(),
            name: account.name.clone(),
            timezone: account.timezone.clone(),
            totals: Totals::of(&events),
            notice: newest.map(|notice| NoticeRow::of(&notice, unread, &endpoints, now)),
            events,
            deliveries: deliveries.iter().map(|delivery| DeliveryRow::of(delivery, &endpoints, now)).collect(),
            messages: messages.iter().map(|message| MessageRow::of(message, source_name(message), now)).collect(),
            has_endpoints: !endpoints.is_empty(),
            stored: counts.stored,
            duplicates: counts.duplicates,
        })
    }

    fn is_moving(&self) -> bool {
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

impl MessageRow {
    fn of(message: &Message, source: String, now: Timestamp) -> MessageRow {
        let headers = receiver::KeptHeaders::from_text(message.headers.clone());
        MessageRow {
            id: InboxMessageId::from_u64(message.number).to_string(),
            source,
            event: headers.get(wire::headers::FANFARE_EVENT).unwrap_or("webhook").to_owned(),
            message_id: message.message_id.clone().unwrap_or_default(),
            duplicates: message.duplicates,
            conflicts: message.conflicts,
            bytes: message.body_length,
            at: When::of(message.received_at, now),
        }
    }
}

impl When {
    fn of(at: Timestamp, now: Timestamp) -> When {
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
