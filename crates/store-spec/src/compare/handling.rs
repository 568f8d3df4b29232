//! Handlers at work in random operations, and what is seen of them. Messages are told by rank, since stores may leave gaps
//! between their numbers.

use std::time::Duration;

use receiver::{HandlerStart, Subject};
use store::{
    Agenda, CalendarOf, HandlerLease, RunFilter, RunOrder, RunPiece, RunRecord, RunSettlement, RunStanding, RunState,
    RunsWanted, SettledRun, SkipReason, Store, StoreResult,
};
use wire::{AccountId, NodeId};

use super::apply::NOTHING;
use super::operation::{Operation, OrderPick, RunFate, RunPick};
use super::player::{Player, told};
use crate::world::LEASE;

const HANDLERS: [&str; 2] = ["crm", "mail"];
const PEOPLE: [&str; 3] = ["p0@example.com", "p3@example.com", ""];

impl<S: Store> Player<S> {
    pub(super) async fn apply_to_handlers(&mut self, operation: &Operation) -> String {
        let now = self.world.now();
        match operation {
            Operation::Introduce { account, handler, is_from_now } => {
                let start = if *is_from_now { HandlerStart::Now } else { HandlerStart::Oldest };
                told(self.world.store.introduce_handler(self.accounts[*account], HANDLERS[*handler], start).await)
            }
            Operation::ClaimHandler { account, handler, node } => {
                let (account, node) = (self.accounts[*account], NodeId::from_bytes([*node; 16]));
                let claimed = self.world.store.claim_handler(account, HANDLERS[*handler], node, now, LEASE).await;
                self.handler_leases.extend(claimed.iter().flatten().cloned());
                told(claimed.map(|lease| lease.map(|lease| (lease.epoch, self.passed(lease.account, lease.cursor)))))
            }
            Operation::RenewHandler { nth, gives_back } => match self.handler_lease(*nth) {
                Some(lease) => {
                    let lease_for = if *gives_back { None } else { Some(LEASE) };
                    told(self.world.store.renew_handler(&lease, now, lease_for).await)
                }
                None => NOTHING.to_owned(),
            },
            Operation::SettleRuns { nth, cursor, runs } => match self.handler_lease(*nth) {
                Some(lease) => {
                    let cursor = cursor.and_then(|nth| self.picked(lease.account, nth)).unwrap_or(0);
                    let cursor = if self.rank(lease.account, cursor).is_some() { cursor } else { 0 };
                    let runs = runs.iter().filter_map(|run| self.settled(lease.account, run)).collect();
                    told(self.world.store.settle_runs(&lease, RunSettlement { cursor, runs, now }).await)
                }
                None => NOTHING.to_owned(),
            },
            Operation::OrderRuns { account, handler, scope, order, limit } => {
                self.order(self.accounts[*account], HANDLERS[*handler], (*scope, *order, *limit)).await
            }
            Operation::KeepAgenda { account, person, version, message } => {
                let number = self.picked(self.accounts[*account], *message).unwrap_or(0);
                let (person, series) = (PEOPLE[*person].to_owned(), "s1".to_owned());
                let agenda = Agenda { person, series, version: (*version, number), entries: format!("[{version}]") };
                told(self.world.store.keep_agendas(self.accounts[*account], HANDLERS[0], vec![agenda]).await)
            }
            Operation::CalendarToken { account, person } => {
                let of = match PEOPLE[*person] {
                    "" => CalendarOf::Series("s1".to_owned()),
                    person => CalendarOf::Person(person.to_owned()),
                };
                let mut fresh = [0; 20];
                fresh[..16].copy_from_slice(&self.world.id());
                let account = self.accounts[*account];
                let token = self.world.store.calendar_token(account, HANDLERS[0], of, fresh).await;
                self.calendar_tokens.extend(token.iter().map(|token| (account, *token)));
                told(token)
            }
            other => unreachable!("{other:?} is for another part"),
        }
    }

    fn handler_lease(&self, nth: usize) -> Option<HandlerLease> {
        self.handler_leases.iter().rev().nth(nth.checked_rem(self.handler_leases.len())?).cloned()
    }

    fn settled(&self, account: AccountId, run: &RunPick) -> Option<SettledRun> {
        let number = self.picked(account, run.message)?;
        let reason = "no answer".to_owned();
        let state = match run.fate {
            RunFate::Waiting { wait } => {
                RunState::Waiting { due: self.world.now() + Duration::from_secs(wait), reason }
            }
            RunFate::Done => RunState::Done,
            RunFate::Outdated => RunState::Skipped(SkipReason::Outdated),
            RunFate::Parked => RunState::Parked { reason },
        };
        let handled = run.handled.map(|(subject, version)| (Subject(subject), version));
        Some(SettledRun { number, attempts: run.generation + 1, generation: run.generation, state, handled })
    }

    async fn order(&self, account: AccountId, handler: &str, what: (OrderPick, usize, usize)) -> String {
        let (pick_of, order, limit) = what;
        let mut scope = crate::world::everything(handler);
        match pick_of {
            OrderPick::Everything => {}
            OrderPick::Message(nth) => scope.message = self.picked(account, nth),
            OrderPick::Source(sender) => scope.source = Some(self.senders[sender].source()),
            OrderPick::Standing(nth) => scope.standing = Some(STANDINGS[nth]),
            OrderPick::Lately(seconds) => scope.from = Some(self.world.now() - Duration::from_secs(seconds)),
        }
        let now = self.world.now();
        let order = match order {
            0 => RunOrder::Count,
            1 => RunOrder::Drop,
            _ => RunOrder::Rerun { first: now + Duration::from_secs(5), spacing: Duration::from_secs(3) },
        };
        let (mut after, mut seen) = (0, String::new());
        loop {
            let ordered = self.world.store.order_runs(account, &scope, order, RunPiece { after, limit, now }).await;
            let next = ordered.as_ref().ok().and_then(|ordered| ordered.next);
            let rank = next.and_then(|next| self.rank(account, next));
            seen += &told(ordered.map(|ordered| (ordered.runs, rank)));
            match next {
                Some(next) => after = next,
                None => return seen,
            }
        }
    }

    pub(super) async fn handling(&self, account: AccountId) -> String {
        let store = &self.world.store;
        let standings = store.handlers(account).await.map(|standings| {
            let ranked = standings.into_iter().map(|one| {
                let cursor = self.passed(account, one.cursor);
                (cursor, store::HandlerStanding { cursor: 0, ..one })
            });
            ranked.collect::<Vec<_>>()
        });
        let mut seen = told(standings);
        seen += &self.listed(account, RunFilter::default()).await;
        for standing in STANDINGS {
            seen += &self.listed(account, RunFilter { standing: Some(standing), ..RunFilter::default() }).await;
        }
        for handler in HANDLERS {
            let filter = RunFilter { handler: Some(handler.to_owned()), ..RunFilter::default() };
            seen += &self.listed(account, filter).await;
            for person in PEOPLE {
                let agendas = store.agendas(account, handler, person).await;
                seen += &told(agendas.map(|agendas| self.ranked_agendas(account, agendas)));
            }
            let agenda = store.series_agenda(account, handler, "s1").await;
            seen += &told(agenda.map(|agenda| self.ranked_agendas(account, agenda.into_iter().collect())));
        }
        for (_, message) in self.messages.iter().filter(|(owner, _)| *owner == account) {
            let filter = RunFilter { message: Some(*message), ..RunFilter::default() };
            seen += &self.listed(account, filter).await;
        }
        for lease in self.handler_leases.iter().filter(|lease| lease.account == account) {
            seen += &self.due(lease).await;
        }
        for (_, token) in self.calendar_tokens.iter().filter(|(owner, _)| *owner == account) {
            let calendar = store.calendar(*token).await;
            let shown = calendar.map(|one| one.map(|one| (one.of, self.ranked_agendas(account, one.agendas))));
            seen += &told(shown);
        }
        seen
    }

    async fn due(&self, lease: &HandlerLease) -> String {
        let mut seen = String::new();
        for (limit, bytes_max) in [(2, 1 << 20), (100, 20), (100, 1 << 20)] {
            for wait in [0, 60] {
                let now = self.world.now() + Duration::from_secs(wait);
                let ours =
                    |nth: usize| self.messages.iter().filter(|one| one.0 == lease.account).nth(nth).map(|one| one.1);
                let (busy, after) = (ours(0).into_iter().collect(), ours(1).unwrap_or(0));
                let due = self.world.store.due_runs(lease, now, RunsWanted { after, busy, limit, bytes_max }).await;
                let ranked = due.map(|due| {
                    let told = due.into_iter().map(|run| {
                        (
                            self.rank(lease.account, run.message.number),
                            run.message.body.len(),
                            run.attempts,
                            run.generation,
                        )
                    });
                    told.collect::<Vec<_>>()
                });
                seen += &told(ranked);
            }
        }
        let subjects = (0..3).map(Subject).collect();
        let newest = self.world.store.newest_handled(lease, subjects).await;
        let ranked = newest.map(|newest| {
            let told =
                newest.into_iter().map(|one| one.map(|(version, number)| (version, self.rank(lease.account, number))));
            told.collect::<Vec<_>>()
        });
        seen + &told(ranked)
    }

    async fn listed(&self, account: AccountId, filter: RunFilter) -> String {
        let (mut after, mut listed) = (None, Vec::new());
        loop {
            match self.world.store.runs(account, filter.clone(), after, 2).await {
                Ok(page) => {
                    let ranked = |run: RunRecord| (self.rank(account, run.number), RunRecord { number: 0, ..run });
                    listed.extend(page.items.into_iter().map(ranked));
                    after = page.next;
                }
                Err(error) => return told(StoreResult::<()>::Err(error)),
            }
            if after.is_none() {
                return told(Ok(listed));
            }
        }
    }

    fn ranked_agendas(&self, account: AccountId, agendas: Vec<Agenda>) -> Vec<(Option<usize>, Agenda)> {
        let ranked = |agenda: Agenda| {
            (self.rank(account, agenda.version.1), Agenda { version: (agenda.version.0, 0), ..agenda })
        };
        agendas.into_iter().map(ranked).collect()
    }
}

const STANDINGS: [RunStanding; 4] =
    [RunStanding::Waiting, RunStanding::Done, RunStanding::Skipped, RunStanding::Parked];
