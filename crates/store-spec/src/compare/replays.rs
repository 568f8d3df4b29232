//! Operations on replays, and looking at them.

use std::time::Duration;

use provider::pace::Rate;
use provider::replay::Turn;
use store::{NewReplay, OutdatedReplay, ReplayScope, Started, Store};
use wire::{AccountId, DeliveryId, EndpointId, EventId, ParticipantNumber, ReplayId};

use super::apply::NOTHING;
use super::operation::{Operation, ScopePick};
use super::player::{Player, pick, told};

impl<S: Store> Player<S> {
    pub(super) async fn apply_to_replays(&mut self, operation: &Operation) -> String {
        let now = self.world.now();
        match operation {
            Operation::Replay { account, scope, is_slow, outdated } => {
                let account = self.accounts[*account];
                let Some(scope) = self.scope(account, *scope).await else { return NOTHING.to_owned() };
                let foreseen = self.world.store.foresee(account, scope, now).await;
                let Ok(Some(found)) = &foreseen else { return told(foreseen) };
                let new = NewReplay {
                    id: ReplayId::from_bytes(self.world.id()),
                    scope,
                    way: found.way,
                    deliveries: found.deliveries,
                    rate: Rate::steady(60).ok().filter(|_| *is_slow),
                    outdated: if *outdated { OutdatedReplay::Allowed } else { OutdatedReplay::Refused },
                    now,
                };
                let started = self.world.store.start_replay(account, new).await;
                if let Ok(Started::Replay(replay)) = &started {
                    self.replays.push((account, replay.id));
                    self.learn_fan_outs(account).await;
                }
                format!("{} {}", told(foreseen), told(started))
            }
            Operation::SteerReplay { account, nth, steer } => {
                let Some((_, id)) = pick(&self.replays, *nth) else { return NOTHING.to_owned() };
                told(self.world.store.steer_replay(self.accounts[*account], id, *steer, now).await)
            }
            Operation::Revive { deliveries } => {
                let due = self.world.store.due_replays(now, 2).await;
                let mut answer = told(due.as_ref().map_err(|_| store::StoreError::Fenced));
                for due in due.unwrap_or_default() {
                    let turn = Turn { deliveries: *deliveries, next_at: now + Duration::from_secs(1) };
                    answer += &told(self.world.store.revive(due, turn, now).await);
                }
                answer
            }
            other => unreachable!("{other:?} is for another part"),
        }
    }

    /// Fan-outs of replays are worked on as the others are.
    async fn learn_fan_outs(&mut self, account: AccountId) {
        let events = self.world.store.events(account, None, 100).await.map(|page| page.items).unwrap_or_default();
        for fan_out in events.iter().flat_map(|event| &event.fan_outs) {
            let known = (account, fan_out.endpoint, fan_out.id);
            if !self.fan_outs.contains(&known) {
                self.fan_outs.push(known);
            }
        }
    }

    async fn scope(&self, account: AccountId, scope: ScopePick) -> Option<ReplayScope> {
        let events = self.world.store.events(account, None, 20).await.map(|page| page.items).unwrap_or_default();
        let event_of =
            |nth: usize| events.get(nth % events.len().max(1)).map_or(EventId::from_bytes([9; 16]), |event| event.id);
        let endpoint_of = |nth: usize| pick(&self.endpoints, nth).unwrap_or(EndpointId::from_bytes([9; 16]));
        Some(match scope {
            ScopePick::Delivery { fan_out, participant } => {
                let of_account: Vec<_> =
                    self.fan_outs.iter().filter(|(owner, ..)| *owner == account).copied().collect();
                let (.., fan_out) = pick(&of_account, fan_out)?;
                ReplayScope::Delivery(DeliveryId::new(fan_out, ParticipantNumber::new(participant).ok()?))
            }
            ScopePick::Failed { event, endpoint, is_recent } => ReplayScope::Failed {
                event: event.map(event_of),
                endpoint: endpoint.map(endpoint_of),
                since: Some(self.world.now() - Duration::from_secs(10)).filter(|_| is_recent),
            },
            ScopePick::Event { nth, endpoint } => {
                ReplayScope::Event { event: event_of(nth), endpoint: endpoint.map(endpoint_of) }
            }
        })
    }

    pub(super) async fn replays(&self, account: AccountId) -> String {
        let store = &self.world.store;
        let mut seen = told(store.replays(account, None, 100).await);
        for (_, id) in &self.replays {
            seen += &told(store.replay(account, *id).await);
            seen += &told(store.replays(account, Some(*id), 2).await);
        }
        seen + &told(store.due_replays(self.world.now() + Duration::from_secs(3_600), 100).await)
    }
}
