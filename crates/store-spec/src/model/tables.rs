//! What the model holds, and the questions more than one trait asks of it.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use provider::attempt::FailureDetail;
use provider::frontier::Place;
use provider::lane::LaneState;
use provider::pace::Rate;
use provider::segment::Entry;
use store::{
    Account, AuditRecord, Endpoint, EndpointSwitch, EventDetail, Exception, ExceptionState, FanOutState, Group,
    KeyRecord, Mango, NodeRecord, OutdatedReplay, Page, ParticipantRecord, Retention, SeriesRecord, SourceRecord,
    StoreError, StoreResult, SubscriptionRecord, Targets,
};
use webinar::{Announced, MangoId, SeriesId, SessionId};
use wire::{AccountId, EndpointId, EventId, FanOutId, NodeId, NoticeId, ReplayId, SubscriptionId};

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) accounts: BTreeMap<AccountId, Account>,
    pub(super) keys: Vec<KeyRecord>,
    pub(super) audit: Vec<(AccountId, AuditRecord)>,
    pub(super) mangoes: BTreeMap<(AccountId, MangoId), Mango>,
    pub(super) people: BTreeMap<(AccountId, u64), ParticipantRecord>,
    pub(super) members: HashSet<(AccountId, Group, u64)>,
    pub(super) series: BTreeMap<(AccountId, SeriesId), SeriesRow>,
    pub(super) events: BTreeMap<(AccountId, EventId), EventRow>,
    pub(super) endpoints: BTreeMap<(AccountId, EndpointId), EndpointRow>,
    pub(super) subscriptions: BTreeMap<(AccountId, SubscriptionId), SubscriptionRecord>,
    pub(super) fan_outs: BTreeMap<(AccountId, FanOutId), FanOutRow>,
    pub(super) notices: BTreeMap<(AccountId, NoticeId), super::notices::NoticeRow>,
    pub(super) replays: BTreeMap<(AccountId, ReplayId), super::replays::ReplayRow>,
    pub(super) sources: Vec<SourceRecord>,
    pub(super) messages: Vec<super::inbox::MessageRow>,
    /// The last number given to a message.
    pub(super) last_message: u64,
    /// The last number given to a participant of each account.
    pub(super) last_participants: BTreeMap<AccountId, u64>,
    /// The number of events there ever were.
    pub(super) events_ever: usize,
    pub(super) handlers: BTreeMap<(AccountId, String), super::runs::HandlerRow>,
    pub(super) agendas: Vec<super::agendas::AgendaRow>,
    pub(super) calendars: Vec<super::agendas::CalendarRow>,
    pub(super) erasures: Vec<super::erasures::ErasureRow>,
    pub(super) retentions: BTreeMap<AccountId, Retention>,
    pub(super) nodes: BTreeMap<NodeId, NodeRecord>,
}

#[derive(Debug)]
pub(super) struct SeriesRow {
    pub(super) record: SeriesRecord,
    /// Those of the newest version.
    pub(super) sessions: Vec<SessionId>,
    /// Those of all versions.
    pub(super) sessions_ever: Vec<SessionId>,
    pub(super) announced: Announced,
    /// When its last session is over, as announced.
    pub(super) ends_at: Timestamp,
    /// The version of the tz database it was last compared with.
    pub(super) compared: String,
}

#[derive(Debug)]
pub(super) struct EventRow {
    /// `summary.fan_outs` stays empty: they are asked for when needed.
    pub(super) detail: EventDetail,
    /// The people it concerns, in order: frozen by writing them all down.
    pub(super) audience: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct EndpointRow {
    pub(super) endpoint: Endpoint,
    pub(super) due_at: Option<Timestamp>,
    pub(super) lease_until: Option<Timestamp>,
    pub(super) epoch: u64,
    pub(super) signal: u64,
    pub(super) per_minute: Option<u32>,
}

#[derive(Debug)]
pub(super) struct FanOutRow {
    pub(super) event: EventId,
    pub(super) endpoint: EndpointId,
    /// Of a replay: which, what it repeats, and whom.
    pub(super) repeats: Option<Repeats>,
    /// Rows that a replay has put into the queue.
    pub(super) revived: BTreeMap<u64, ReplayId>,
    /// The number of its event or its replay among all.
    pub(super) position: usize,
    pub(super) state: FanOutState,
    pub(super) cursor: Place,
    pub(super) delivered: u64,
    pub(super) entries: Vec<Entry>,
    pub(super) exceptions: BTreeMap<u64, Exception>,
    /// What is kept of failures, by participant, attempt and end.
    pub(super) failures: BTreeMap<(u64, u16, Timestamp), FailureDetail>,
    /// Whether its log is still kept.
    pub(super) is_logged: bool,
    /// Deliveries that are counted, but no longer in the log.
    pub(super) forgotten: Forgotten,
}

/// What a fan-out of a replay has of its own.
#[derive(Clone, Debug)]
pub(super) struct Repeats {
    pub(super) replay: ReplayId,
    pub(super) origin: FanOutId,
    pub(super) listed: Option<u64>,
    pub(super) rate: Option<Rate>,
    pub(super) outdated: OutdatedReplay,
    pub(super) created_at: Timestamp,
}

impl Tables {
    pub(super) fn require_account(&self, account: AccountId) -> StoreResult<()> {
        self.accounts.get(&account).map(|_| ()).ok_or(StoreError::Missing("the account"))
    }

    /// Whom `targets` are now.
    pub(super) fn people_of(&self, account: AccountId, targets: &Targets) -> Vec<u64> {
        let is_in = |group, number| self.members.contains(&(account, group, number));
        let numbers = self.people.keys().filter(|(owner, _)| *owner == account).map(|(_, number)| *number);
        numbers
            .filter(|number| {
                let mangoes = targets.mangoes.iter().map(|mango| Group::Mango(*mango));
                mangoes.chain([Group::Series(targets.series)]).any(|group| is_in(group, *number))
            })
            .filter(|number| {
                let all = self.mangoes.keys().filter(|(owner, _)| *owner == account).map(|(_, mango)| mango);
                let held: Vec<_> = all.filter(|mango| is_in(Group::Mango(**mango), *number)).collect();
                let has_other = held.iter().any(|mango| !targets.excluded.contains(mango));
                targets.excluded.is_empty() || held.is_empty() || has_other
            })
            .collect()
    }

    /// Decides when a lane has something to do next.
    pub(super) fn next_due(&self, account: AccountId, endpoint: EndpointId, now: Timestamp) -> Option<Timestamp> {
        let row = self.endpoints.get(&(account, endpoint))?;
        let not_before = match row.endpoint.health {
            LaneState::Gone { .. } | LaneState::Disabled { .. } => return None,
            LaneState::Open { until, .. } => until,
            LaneState::Healthy { .. } | LaneState::SlowStart { .. } => Timestamp::UNIX_EPOCH,
        };
        let work_at = match row.endpoint.switch {
            EndpointSwitch::Paused => None,
            EndpointSwitch::On if self.fan_outs_to(account, endpoint).any(|(_, row)| row.is_running()) => Some(now),
            EndpointSwitch::On => self.retries_to(account, endpoint).map(|(due, ..)| due).min(),
        };
        work_at.map(|work_at| work_at.max(not_before))
    }

    pub(super) fn fan_outs_to(
        &self,
        account: AccountId,
        endpoint: EndpointId,
    ) -> impl Iterator<Item = (FanOutId, &FanOutRow)> {
        let of_account = self.fan_outs.iter().filter(move |((owner, _), _)| *owner == account);
        of_account.map(|((_, id), row)| (*id, row)).filter(move |(_, row)| row.endpoint == endpoint)
    }

    /// When each retry of a lane is due, of which fan-out and for whom.
    pub(super) fn retries_to(
        &self,
        account: AccountId,
        endpoint: EndpointId,
    ) -> impl Iterator<Item = (Timestamp, FanOutId, u64, &Exception)> {
        self.fan_outs_to(account, endpoint).flat_map(|(id, row)| {
            row.exceptions.iter().filter_map(move |(number, exception)| match exception.state {
                ExceptionState::Retrying { due, .. } => Some((due, id, *number, exception)),
                ExceptionState::Held { .. }
                | ExceptionState::Abandoned { .. }
                | ExceptionState::Superseded { .. }
                | ExceptionState::Skipped { .. }
                | ExceptionState::Erased { .. } => None,
            })
        })
    }
}

impl EndpointRow {
    /// Neither failing nor ended, nor paused.
    pub(super) fn is_at_work(&self) -> bool {
        let is_well = matches!(self.endpoint.health, LaneState::Healthy { .. } | LaneState::SlowStart { .. });
        is_well && self.endpoint.switch == EndpointSwitch::On
    }

    /// People reached in a minute by a fan-out that may reach `at_most`, while anything leaves.
    pub(super) fn per_minute(&self, at_most: Option<Rate>) -> Option<u32> {
        let expected = match (self.per_minute, at_most.map(Rate::per_minute)) {
            (Some(measured), Some(at_most)) => Some(measured.min(at_most)),
            (None, Some(at_most)) => Some(at_most),
            (measured, None) => measured.or(self.endpoint.settings.rate.map(Rate::per_minute)),
        };
        expected.filter(|_| self.is_at_work())
    }
}

/// Deliveries that are counted only.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    pub(super) abandoned: u64,
    pub(super) called_off: u64,
    pub(super) erased: u64,
}

impl FanOutRow {
    /// Every delivery has come to its end.
    pub(super) fn has_ended(&self) -> bool {
        let is_open = |state| matches!(state, ExceptionState::Retrying { .. } | ExceptionState::Held { .. });
        !matches!(self.state, FanOutState::Running | FanOutState::Paused)
            && !self.exceptions.values().any(|exception| is_open(exception.state))
    }

    pub(super) fn rate(&self) -> Option<Rate> {
        self.repeats.as_ref().and_then(|repeats| repeats.rate)
    }

    pub(super) fn listed(&self) -> Option<u64> {
        self.repeats.as_ref().and_then(|repeats| repeats.listed)
    }

    pub(super) fn is_of(&self, replay: ReplayId) -> bool {
        self.repeats.as_ref().is_some_and(|repeats| repeats.replay == replay)
    }

    pub(super) fn is_running(&self) -> bool {
        self.state == FanOutState::Running
    }
}

/// The rows of one account as a page in rising order of their ids.
pub(super) fn oldest_first<K: Copy + Ord, V, T>(
    table: &BTreeMap<(AccountId, K), V>,
    account: AccountId,
    after: Option<K>,
    limit: usize,
    read: impl Fn(&V) -> T,
) -> Page<T, K> {
    let rows = table.iter().filter(|((owner, id), _)| *owner == account && after.is_none_or(|after| *id > after));
    cut(rows, limit, read)
}

/// The rows of one account as a page in falling order of their ids.
pub(super) fn newest_first<K: Copy + Ord, V, T>(
    table: &BTreeMap<(AccountId, K), V>,
    account: AccountId,
    after: Option<K>,
    limit: usize,
    read: impl Fn(&V) -> T,
) -> Page<T, K> {
    let rows = table.iter().rev().filter(|((owner, id), _)| *owner == account && after.is_none_or(|after| *id < after));
    cut(rows, limit, read)
}

fn cut<'a, K: Copy + 'a, V: 'a, T>(
    rows: impl Iterator<Item = (&'a (AccountId, K), &'a V)>,
    limit: usize,
    read: impl Fn(&V) -> T,
) -> Page<T, K> {
    let read = rows.take(limit + 1).map(|((_, id), row)| (*id, read(row))).collect();
    let page = Page::cut(read, limit, |(id, _)| *id);
    Page { items: page.items.into_iter().map(|(_, item)| item).collect(), next: page.next }
}
