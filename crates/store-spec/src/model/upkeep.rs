//! Letting go of what is old, in memory: everything at once, without regard to the limit.

use async_trait::async_trait;
use jiff::Timestamp;
use store::{DedupeWindow, ErasureState, ExceptionState, MessageContent, Prunable, Retention, StoreResult, Upkeep};
use wire::AccountId;

use super::Model;
use super::tables::{FanOutRow, Tables};

#[async_trait]
impl Upkeep for Model {
    async fn retention(&self, account: AccountId) -> StoreResult<Retention> {
        Ok(self.tables().retentions.get(&account).copied().unwrap_or_default())
    }

    async fn set_retention(&self, account: AccountId, retention: Retention) -> StoreResult<()> {
        let mut tables = self.tables();
        tables.require_account(account)?;
        tables.retentions.insert(account, retention);
        Ok(())
    }

    async fn prune(&self, account: AccountId, what: Prunable, before: Timestamp, _limit: usize) -> StoreResult<usize> {
        let mut tables = self.tables();
        Ok(match what {
            Prunable::Bodies => tables.expire_bodies(account, before),
            Prunable::Log => tables.forget_log(account, before),
            Prunable::Messages => {
                let before_it = tables.messages.len();
                tables.messages.retain(|row| row.account != account || row.message.received_at >= before);
                tables.forget_runs(account);
                before_it - tables.messages.len()
            }
            Prunable::Events => tables.forget_events(account, before),
            Prunable::Erasures => {
                let is_old = |state| matches!(state, ErasureState::Done { at } if at < before);
                let before_it = tables.erasures.len();
                tables.erasures.retain(|row| row.account != account || !is_old(row.erasure.state));
                before_it - tables.erasures.len()
            }
            // Nothing here keeps what nobody can ask for.
            Prunable::Versions | Prunable::Memberships => 0,
        })
    }

    fn dedupe_window(&self) -> DedupeWindow {
        self.window
    }

    async fn forget_keys(&self, _now: Timestamp, _limit: usize) -> StoreResult<usize> {
        Ok(0)
    }
}

impl Tables {
    fn expire_bodies(&mut self, account: AccountId, before: Timestamp) -> usize {
        let of_account = self.messages.iter_mut().filter(|row| row.account == account).map(|row| &mut row.message);
        let old = of_account.filter(|message| message.received_at < before && message.content == MessageContent::Kept);
        old.map(|message| message.empty(MessageContent::Expired)).count()
    }

    fn forget_log(&mut self, account: AccountId, before: Timestamp) -> usize {
        let events = &self.events;
        let is_old = |row: &FanOutRow| {
            let of_replay = row.repeats.as_ref().map(|repeats| repeats.created_at);
            let of_event = events.get(&(account, row.event)).map(|event| event.detail.summary.created_at);
            of_replay.or(of_event).is_some_and(|created_at| created_at < before)
        };
        let of_account = self.fan_outs.iter_mut().filter(|((owner, _), _)| *owner == account).map(|(_, row)| row);
        let mut gone = 0;
        for row in of_account.filter(|row| is_old(row) && row.is_logged && row.has_ended()) {
            let rows = row.entries.len() + row.exceptions.len();
            row.entries.retain(|entry| entry.finished_ms >= before.as_millisecond());
            let FanOutRow { exceptions, forgotten, .. } = row;
            exceptions.retain(|_, exception| {
                let is_kept = exception.last.is_some_and(|(_, at)| at >= before);
                if !is_kept {
                    match exception.state {
                        ExceptionState::Erased { .. } => forgotten.erased += 1,
                        ExceptionState::Superseded { .. } | ExceptionState::Skipped { .. } => forgotten.called_off += 1,
                        ExceptionState::Abandoned { .. }
                        | ExceptionState::Retrying { .. }
                        | ExceptionState::Held { .. } => forgotten.abandoned += 1,
                    }
                }
                is_kept
            });
            gone += rows - row.entries.len() - row.exceptions.len();
            row.is_logged = !(row.entries.is_empty() && row.exceptions.is_empty());
        }
        gone
    }

    fn forget_events(&mut self, account: AccountId, before: Timestamp) -> usize {
        let fan_outs = &self.fan_outs;
        let is_logged =
            |event| fan_outs.iter().any(|((owner, _), row)| *owner == account && row.event == event && row.is_logged);
        let old = self.events.iter().filter(|((owner, event), row)| {
            *owner == account && row.detail.summary.created_at < before && !is_logged(*event)
        });
        let old: Vec<_> = old.map(|((_, event), _)| *event).collect();
        self.fan_outs.retain(|(owner, _), row| *owner != account || !old.contains(&row.event));
        self.events.retain(|(owner, event), _| *owner != account || !old.contains(event));
        old.len()
    }
}
