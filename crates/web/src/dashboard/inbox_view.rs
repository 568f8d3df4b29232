//! What the page shows of an inbox: how far its handlers are, what they gave up, and the newest messages with what they
//! say.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use receiver::KeptHeaders;
use serde::Serialize;
use store::{
    HandlerStanding, Message, MessageContent, MessageFilter, MessageNumber, PAGE_SIZE_MAX, RunFilter, RunRecord,
    RunStanding, RunState,
};
use wire::{AccountId, InboxMessageId};

use super::view::{ROWS, When};
use crate::app::App;
use crate::problem::Problem;
use crate::source_labels::SourceLabels;

/// Dead letters shown: enough to see what they have in common.
const DEAD_SHOWN: usize = 6;
/// A larger body is not read for the sake of one word.
const BODY_BYTES_READ_MAX: u64 = 256 * 1024;
/// A backlog older than this is not about to go by itself, so the page need not load itself again for it.
const MOVING_WITHIN: SignedDuration = SignedDuration::from_mins(10);

#[derive(Serialize)]
pub(super) struct InboxView {
    stored: u64,
    duplicates: u64,
    parked: u64,
    handlers: Vec<HandlerRow>,
    dead: Vec<DeadRow>,
    /// Dead letters that are not shown.
    dead_hidden: u64,
    messages: Vec<MessageRow>,
    #[serde(skip)]
    pub(super) is_moving: bool,
}

/// One handler, as counts and as parts of a bar of 1,000.
#[derive(Serialize)]
struct HandlerRow {
    name: String,
    done: u64,
    skipped: u64,
    waiting: u64,
    ahead: u64,
    oldest: Option<When>,
    parked: u64,
    bar_done: u64,
    bar_waiting: u64,
    bar_parked: u64,
}

#[derive(Serialize)]
struct DeadRow {
    message: String,
    handler: String,
    attempts: u32,
    reason: String,
    at: When,
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
    runs: Vec<RunTag>,
    at: When,
}

/// What one handler made of a message.
#[derive(Serialize)]
struct RunTag {
    handler: String,
    /// `ahead`, or how its run stands.
    state: &'static str,
    /// For whoever does not see colours.
    mark: &'static str,
    reason: String,
}

impl InboxView {
    pub(super) async fn read(app: &App, account: AccountId, now: Timestamp) -> Result<InboxView, Problem> {
        let store = app.store();
        let counts = store.message_counts(account).await?;
        let standings = store.handlers(account).await?;
        let parked = RunFilter { standing: Some(RunStanding::Parked), ..RunFilter::default() };
        let dead = store.runs(account, parked, None, DEAD_SHOWN).await?.items;
        let parked = standings.iter().map(|standing| standing.parked).sum::<u64>();
        let is_fresh = |at: Timestamp| now.duration_since(at) < MOVING_WITHIN;
        Ok(InboxView {
            stored: counts.stored,
            duplicates: counts.duplicates,
            parked,
            dead_hidden: parked.saturating_sub(dead.len() as u64),
            dead: dead.iter().map(|run| DeadRow::of(run, now)).collect(),
            messages: newest(app, account, &standings, now).await?,
            is_moving: standings.iter().filter_map(|standing| standing.oldest_ahead).any(is_fresh),
            handlers: standings.into_iter().map(|standing| HandlerRow::of(standing, now)).collect(),
        })
    }
}

async fn newest(
    app: &App,
    account: AccountId,
    standings: &[HandlerStanding],
    now: Timestamp,
) -> Result<Vec<MessageRow>, Problem> {
    let store = app.store();
    let labels = SourceLabels::of(app, account).await?;
    let mut rows = Vec::with_capacity(ROWS);
    for mut message in store.messages(account, MessageFilter::default(), None, ROWS).await?.items {
        let filter = RunFilter { message: Some(message.number), ..RunFilter::default() };
        let runs = match standings {
            [] => Vec::new(),
            _ => store.runs(account, filter, None, PAGE_SIZE_MAX).await?.items,
        };
        if needs_its_body(&message)
            && let Some(whole) = store.message(account, message.number).await?
        {
            message = whole;
        }
        let event = labels.read(&message).event().unwrap_or_default().to_owned();
        rows.push(MessageRow {
            id: InboxMessageId::from_u64(message.number).to_string(),
            source: labels.name(message.source),
            event,
            message_id: message.message_id.clone().unwrap_or_default(),
            duplicates: message.duplicates,
            conflicts: message.conflicts,
            bytes: message.body_length,
            runs: tags(message.number, standings, &runs),
            at: When::of(message.received_at, now),
        });
    }
    Ok(rows)
}

/// Whether only the body can say what a message is.
fn needs_its_body(message: &Message) -> bool {
    let headers = KeptHeaders::from_text(message.headers.clone());
    message.content == MessageContent::Kept
        && message.body_length <= BODY_BYTES_READ_MAX
        && headers.get(wire::headers::FANFARE_EVENT).is_none()
}

/// What became of a message by each handler that has to do with it.
fn tags(number: MessageNumber, standings: &[HandlerStanding], runs: &[RunRecord]) -> Vec<RunTag> {
    let of: HashMap<&str, &RunRecord> = runs.iter().map(|run| (run.handler.as_str(), run)).collect();
    let tag = |standing: &HandlerStanding| {
        let run = of.get(standing.handler.as_str());
        let (state, mark) = match run.map(|run| &run.state) {
            Some(RunState::Done) => ("done", "✓"),
            Some(RunState::Waiting { .. }) => ("waiting", "↻"),
            Some(RunState::Parked { .. }) => ("parked", "✕"),
            Some(RunState::Skipped(_)) => ("skipped", "–"),
            None if number > standing.cursor => ("ahead", "…"),
            // Passed over: it does not take such messages, or began later.
            None => return None,
        };
        let reason = run.and_then(|run| run.state.reason()).unwrap_or_default().to_owned();
        Some(RunTag { handler: standing.handler.clone(), state, mark, reason })
    };
    standings.iter().filter_map(tag).collect()
}

impl HandlerRow {
    fn of(standing: HandlerStanding, now: Timestamp) -> HandlerRow {
        let HandlerStanding { handler, ahead, oldest_ahead, waiting, parked, done, skipped, .. } = standing;
        let total = (ahead + waiting + parked + done + skipped).max(1);
        let of_bar = |count: u64| count * 1_000 / total;
        HandlerRow {
            name: handler,
            oldest: oldest_ahead.map(|at| When::of(at, now)),
            bar_done: of_bar(done + skipped),
            bar_waiting: of_bar(waiting),
            bar_parked: of_bar(parked),
            done,
            skipped,
            waiting,
            ahead,
            parked,
        }
    }
}

impl DeadRow {
    fn of(run: &RunRecord, now: Timestamp) -> DeadRow {
        DeadRow {
            message: InboxMessageId::from_u64(run.number).to_string(),
            handler: run.handler.clone(),
            attempts: run.attempts,
            reason: run.state.reason().unwrap_or_default().to_owned(),
            at: When::of(run.changed_at, now),
        }
    }
}
