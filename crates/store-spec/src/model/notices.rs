//! Notices and their deliveries, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::judge::Verdict;
use provider::lane::LaneState;
use store::{
    EndpointSwitch, NewNotice, NoticeAttempt, NoticeDelivery, NoticeDeliveryState, NoticeErrand, NoticeLease,
    NoticeRecord, NoticeSubject, Notices, Page, StoreError, StoreResult,
};
use webinar::{EventType, NoticeKind};
use wire::{AccountId, EndpointId, NoticeId};

use super::Model;
use super::tables::{Tables, newest_first};

#[derive(Debug)]
pub(super) struct NoticeRow {
    record: NoticeRecord,
    /// With how often each was taken.
    deliveries: BTreeMap<EndpointId, (NoticeDelivery, u64)>,
}

#[async_trait]
impl Notices for Model {
    async fn raise_notice(&self, account: AccountId, notice: NewNotice) -> StoreResult<()> {
        self.tables().raise(account, notice)
    }

    async fn notices(
        &self,
        account: AccountId,
        after: Option<NoticeId>,
        limit: usize,
    ) -> StoreResult<Page<NoticeRecord, NoticeId>> {
        Ok(newest_first(&self.tables().notices, account, after, limit, |row| row.record.clone()))
    }

    async fn notice(
        &self,
        account: AccountId,
        id: NoticeId,
    ) -> StoreResult<Option<(NoticeRecord, Vec<NoticeDelivery>)>> {
        let deliveries = |row: &NoticeRow| row.deliveries.values().map(|(delivery, _)| delivery.clone()).collect();
        Ok(self.tables().notices.get(&(account, id)).map(|row| (row.record.clone(), deliveries(row))))
    }

    async fn latest_notice(
        &self,
        account: AccountId,
        kind: NoticeKind,
        subject: NoticeSubject,
    ) -> StoreResult<Option<NoticeRecord>> {
        let tables = self.tables();
        let records = tables.notices_of(account).rev();
        Ok(records.map(|row| &row.record).find(|one| one.kind == kind && one.subject == subject).cloned())
    }

    async fn unread_notices(&self, account: AccountId) -> StoreResult<u64> {
        Ok(self.tables().notices_of(account).filter(|row| row.record.read_at.is_none()).count() as u64)
    }

    async fn mark_notice_read(&self, account: AccountId, id: NoticeId, now: Timestamp) -> StoreResult<bool> {
        let mut tables = self.tables();
        let row = tables.notices.get_mut(&(account, id));
        Ok(row.map(|row| row.record.read_at.get_or_insert(now)).is_some())
    }

    async fn claim_notices(&self, now: Timestamp, lease_for: Duration, limit: usize) -> StoreResult<Vec<NoticeErrand>> {
        let mut tables = self.tables();
        let mut turns = BTreeMap::<AccountId, usize>::new();
        let mut due = tables.due_notices(now);
        due.sort();
        let mut ranked: Vec<_> = due
            .into_iter()
            .map(|(due, account, notice, endpoint)| {
                let turn = turns.entry(account).or_default();
                *turn += 1;
                (*turn, due, account, notice, endpoint)
            })
            .collect();
        ranked.sort();
        ranked.truncate(limit);
        let mut taken: Vec<_> =
            ranked.into_iter().map(|(_, _, account, id, endpoint)| (account, id, endpoint)).collect();
        taken.sort();
        let errands = taken.into_iter().filter_map(|key| tables.take(key, now + lease_for));
        Ok(errands.collect())
    }

    async fn settle_notice(&self, lease: NoticeLease, attempt: NoticeAttempt) -> StoreResult<()> {
        let mut tables = self.tables();
        let row = tables.notices.get_mut(&(lease.account, lease.notice)).ok_or(StoreError::Fenced)?;
        let (delivery, epoch) = row.deliveries.get_mut(&lease.endpoint).ok_or(StoreError::Fenced)?;
        if *epoch != lease.epoch || !matches!(delivery.state, NoticeDeliveryState::Waiting(_)) {
            return Err(StoreError::Fenced);
        }
        delivery.attempts += 1;
        delivery.last = Some((attempt.outcome, attempt.now));
        delivery.state = match attempt.verdict {
            Verdict::Delivered => NoticeDeliveryState::Delivered,
            Verdict::RetryAt { due, .. } => NoticeDeliveryState::Waiting(due),
            Verdict::Abandon => NoticeDeliveryState::Abandoned,
        };
        Ok(())
    }
}

impl Tables {
    fn notices_of(&self, account: AccountId) -> impl DoubleEndedIterator<Item = &NoticeRow> {
        self.notices.iter().filter(move |((owner, _), _)| *owner == account).map(|(_, row)| row)
    }

    fn due_notices(&self, now: Timestamp) -> Vec<(Timestamp, AccountId, NoticeId, EndpointId)> {
        let mut found = Vec::new();
        for ((account, id), row) in &self.notices {
            for (delivery, _) in row.deliveries.values() {
                if let NoticeDeliveryState::Waiting(due) = delivery.state
                    && due <= now
                    && self.may_be_told(*account, delivery.endpoint)
                {
                    found.push((due, *account, *id, delivery.endpoint));
                }
            }
        }
        found
    }

    fn may_be_told(&self, account: AccountId, endpoint: EndpointId) -> bool {
        self.endpoints.get(&(account, endpoint)).is_some_and(|row| {
            let has_ended = matches!(row.endpoint.health, LaneState::Gone { .. } | LaneState::Disabled { .. });
            row.endpoint.switch == EndpointSwitch::On && !has_ended
        })
    }

    fn take(
        &mut self,
        (account, notice, endpoint): (AccountId, NoticeId, EndpointId),
        until: Timestamp,
    ) -> Option<NoticeErrand> {
        let row = self.notices.get_mut(&(account, notice))?;
        let (delivery, epoch) = row.deliveries.get_mut(&endpoint)?;
        delivery.state = NoticeDeliveryState::Waiting(until);
        *epoch += 1;
        Some(NoticeErrand {
            lease: NoticeLease { account, notice, endpoint, epoch: *epoch },
            notice: row.record.clone(),
            endpoint: self.endpoints.get(&(account, endpoint))?.endpoint.clone(),
            attempts: delivery.attempts,
        })
    }
}

impl Tables {
    pub(super) fn raise(&mut self, account: AccountId, notice: NewNotice) -> StoreResult<()> {
        self.require_account(account)?;
        if self.notices.contains_key(&(account, notice.id)) {
            return Err(StoreError::Exists("a notice with this id"));
        }
        let wishes = self.subscriptions.iter().filter(|((owner, _), _)| *owner == account);
        let asking = wishes.filter(|(_, wish)| wish.subscription.event == EventType::Notice(notice.kind));
        let told: BTreeSet<EndpointId> = asking.map(|(_, wish)| wish.subscription.endpoint).collect();
        let others = told.into_iter().filter(|endpoint| notice.subject != NoticeSubject::Endpoint(*endpoint));
        let state = NoticeDeliveryState::Waiting(notice.now);
        let owed = others.map(|endpoint| (endpoint, (NoticeDelivery { endpoint, state, attempts: 0, last: None }, 0)));
        let deliveries = owed.collect();
        let NewNotice { id, kind, subject, details, now } = notice;
        let record = NoticeRecord { id, kind, subject, details, created_at: now, read_at: None };
        self.notices.insert((account, id), NoticeRow { record, deliveries });
        Ok(())
    }
}
