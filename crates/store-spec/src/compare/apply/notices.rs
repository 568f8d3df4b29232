//! Doing one operation to a store's notices.

use std::time::Duration;

use provider::judge::Verdict;
use store::{DisabledBecause, NewNotice, NoticeAttempt, NoticeSubject, Store};
use webinar::NoticeKind;
use wire::{EndpointId, NoticeId};

use super::NOTHING;
use crate::compare::operation::{NoticeEnd, Operation};
use crate::compare::player::{Player, pick, series, told};
use crate::world::{LEASE, refused};

impl<S: Store> Player<S> {
    pub(super) async fn apply_to_notices(&mut self, operation: &Operation) -> String {
        let now = self.world.now();
        match operation {
            Operation::Raise { account, about } => self.raise(*account, *about).await,
            Operation::ClaimNotices { limit } => {
                let claimed = self.world.store.claim_notices(now, LEASE, *limit).await;
                self.notice_leases.extend(claimed.iter().flatten().map(|errand| errand.lease));
                told(claimed)
            }
            Operation::SettleNotice { nth, end } => {
                let Some(lease) = pick(&self.notice_leases, *nth) else { return NOTHING.to_owned() };
                let verdict = match *end {
                    NoticeEnd::Delivered => Verdict::Delivered,
                    NoticeEnd::Retrying { wait } => {
                        Verdict::RetryAt { due: now + Duration::from_secs(wait), charged: 1 }
                    }
                    NoticeEnd::Abandoned => Verdict::Abandon,
                };
                let attempt = NoticeAttempt { outcome: refused(), verdict, now };
                told(self.world.store.settle_notice(lease, attempt).await)
            }
            Operation::ReadNotice { account, nth } => {
                let id = pick(&self.notices, *nth).unwrap_or(NoticeId::from_bytes([9; 16]));
                told(self.world.store.mark_notice_read(self.accounts[*account], id, now).await)
            }
            other => unreachable!("{other:?} is for another part"),
        }
    }

    /// About an endpoint, or about a series.
    async fn raise(&mut self, account: usize, about: Option<usize>) -> String {
        let (id, now) = (NoticeId::from_bytes(self.world.id()), self.world.now());
        let notice = match about {
            Some(nth) => {
                let endpoint = pick(&self.endpoints, nth).unwrap_or(EndpointId::from_bytes([9; 16]));
                NewNotice::endpoint_disabled(id, endpoint, DisabledBecause::FailingSince(now), now)
            }
            None => {
                let (kind, subject) = (NoticeKind::RulesChanged, NoticeSubject::Series(series(0)));
                NewNotice { id, kind, subject, details: "{}".to_owned(), now }
            }
        };
        let raised = self.world.store.raise_notice(self.accounts[account], notice).await;
        self.notices.push(id);
        told(raised)
    }
}
