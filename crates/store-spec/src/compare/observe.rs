//! Looking at everything a store shows: for both accounts, through every question, with ids of either.

use std::fmt::Write;
use std::time::Duration;

use provider::frontier::Place;
use store::{
    DeliveryFilter, DeliveryStatus, EventSummary, Message, MessageFilter, NoticeSubject, Page, Store, StoreResult,
    Targets,
};
use webinar::NoticeKind;
use wire::{AccountId, DeliveryId, ParticipantNumber};

use super::player::{Player, mangoes, plan, series, told};

/// More people than there are.
const PEOPLE: u64 = 12;

/// The version of a tz database that nothing was announced by.
pub(super) const NEWER_TZDB: &str = "2999a";

/// Reads a list to its end in pages and tells all of it.
macro_rules! walk {
    ($after:ident => $page:expr) => {{
        let (mut after, mut listed) = (None, Vec::new());
        loop {
            let $after = after;
            match $page.await {
                Ok(Page { items, next }) => {
                    listed.extend(items);
                    after = next;
                }
                Err(error) => break told(StoreResult::<()>::Err(error)),
            }
            if after.is_none() {
                break told(Ok(listed));
            }
        }
    }};
}

impl<S: Store> Player<S> {
    pub(super) async fn observe(&self) -> String {
        let store = &self.world.store;
        let mut seen = told(store.accounts().await);
        for account in self.accounts.clone() {
            let _ = writeln!(seen, "\n=== {account}");
            for part in [
                self.people(account).await,
                self.series_and_events(account).await,
                self.lanes(account).await,
                self.log(account).await,
                self.replays(account).await,
                self.inbox(account).await,
                self.handling(account).await,
                self.notices(account).await,
            ] {
                seen.push_str(&part);
            }
        }
        seen
    }

    async fn people(&self, account: AccountId) -> String {
        let store = &self.world.store;
        let mut seen = told(store.keys(account).await);
        seen += &walk!(after => store.audit_log(account, after, 2));
        seen += &walk!(after => store.mangoes(account, after, 2));
        seen += &told(store.mangoes_named(account, &mangoes(0b101)).await);
        for number in 0..=PEOPLE {
            seen += &told(store.participant(account, number).await);
            seen += &told(store.participant_by_email(account, &format!("P{number}@example.com")).await);
        }
        for (invited, excluded) in [(0, 0), (0b001, 0b110), (0b010, 0b001), (0b111, 0)] {
            let (mangoes, excluded) = (mangoes(invited), mangoes(excluded));
            seen += &told(store.preview(account, Targets { series: series(0), mangoes, excluded }).await);
        }
        seen
    }

    async fn series_and_events(&self, account: AccountId) -> String {
        let store = &self.world.store;
        let mut seen = walk!(after => store.series_list(account, after, 2));
        for index in 0..3 {
            seen += &told(store.series(account, series(index)).await);
            seen += &told(store.announced(account, series(index)).await);
            for session in plan(index).with_sessions(4).session_ids(&self.world.zones) {
                seen += &told(store.series_of_session(account, session).await);
            }
        }
        seen += &walk!(after => store.series_to_compare(NEWER_TZDB, self.world.now(), after, 2));
        seen += &walk!(after => store.events(account, after, 2));
        for event in self.events_of_either().await {
            seen += &told(store.event(account, event.id).await);
        }
        seen
    }

    async fn events_of_either(&self) -> Vec<EventSummary> {
        let mut events = Vec::new();
        for account in &self.accounts {
            events.extend(self.world.store.events(*account, None, 100).await.map_or(Vec::new(), |page| page.items));
        }
        events
    }

    async fn lanes(&self, account: AccountId) -> String {
        let (store, now) = (&self.world.store, self.world.now());
        let mut seen = walk!(after => store.subscriptions(account, after, 2));
        for id in &self.subscriptions {
            seen += &told(store.subscription(account, *id).await);
        }
        seen += &walk!(after => store.endpoints(account, after, 2));
        for id in &self.endpoints {
            seen += &told(store.endpoint(account, *id).await);
        }
        for (_, _, fan_out) in &self.fan_outs {
            seen += &told(store.fan_out(account, *fan_out).await);
            seen += &told(store.audience_page(account, *fan_out, Place::default(), 2).await);
            let after = Place { participant: 2, index: 2 };
            seen += &told(store.audience_page(account, *fan_out, after, 100).await);
        }
        for lease in self.leases.iter().filter(|lease| lease.account == account) {
            seen += &told(store.due_retries(*lease, now, 2).await);
            seen += &told(store.due_retries(*lease, now + Duration::from_secs(3_600), 100).await);
        }
        seen
    }

    async fn log(&self, account: AccountId) -> String {
        let store = &self.world.store;
        let all = DeliveryFilter::default();
        let mut filters = vec![all, DeliveryFilter { participant: Some(2), ..all }];
        for status in DeliveryStatus::ALL {
            filters.push(DeliveryFilter { status: Some(status), ..all });
        }
        filters.extend(self.endpoints.first().map(|id| DeliveryFilter { endpoint: Some(*id), ..all }));
        let events = self.events_of_either().await;
        filters.extend(events.last().map(|event| DeliveryFilter { event: Some(event.id), ..all }));
        let mut seen = String::new();
        for filter in filters {
            let _ = writeln!(seen, "\n--- {filter:?}");
            let in_threes = walk!(after => store.deliveries(account, filter, after, 3));
            let at_once = told(store.deliveries(account, filter, None, 1_000).await.map(|page| page.items));
            assert_eq!(in_threes, at_once, "pages make the same list");
            seen += &in_threes;
        }
        for (_, _, fan_out) in &self.fan_outs {
            for number in (1..=PEOPLE).filter_map(|number| ParticipantNumber::new(number).ok()) {
                seen += &told(store.delivery(account, DeliveryId::new(*fan_out, number)).await);
            }
        }
        seen
    }

    async fn inbox(&self, account: AccountId) -> String {
        let store = &self.world.store;
        let mut seen = told(store.sources(account).await);
        seen += &told(store.message_counts(account).await);
        for id in &self.erasures {
            seen += &told(store.erasure(account, *id).await);
        }
        for sender in &self.senders {
            seen += &told(store.source(sender.source()).await);
            let filter = MessageFilter { source: Some(sender.source()), ..MessageFilter::default() };
            let page = store.messages(account, filter, None, 2).await;
            seen +=
                &told(page.map(|page| page.items.into_iter().map(|one| self.ranked(account, one)).collect::<Vec<_>>()));
        }
        for (_, number) in self.messages.iter().filter(|(owner, _)| *owner == account) {
            seen += &told(store.message(account, *number).await.map(|one| one.map(|one| self.ranked(account, one))));
        }
        seen
    }

    async fn notices(&self, account: AccountId) -> String {
        let store = &self.world.store;
        let mut seen = walk!(after => store.notices(account, after, 2));
        seen += &told(store.unread_notices(account).await);
        for id in &self.notices {
            seen += &told(store.notice(account, *id).await);
        }
        let subjects = self.endpoints.iter().map(|id| NoticeSubject::Endpoint(*id));
        for subject in subjects.chain([NoticeSubject::Series(series(0))]) {
            for kind in NoticeKind::ALL {
                seen += &told(store.latest_notice(account, kind, subject).await);
            }
        }
        seen
    }

    /// A message with its rank for a number.
    fn ranked(&self, account: AccountId, message: Message) -> (Option<usize>, Message) {
        (self.rank(account, message.number), Message { number: 0, ..message })
    }
}
