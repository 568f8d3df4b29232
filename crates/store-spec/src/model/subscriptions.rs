//! Endpoints and subscriptions, in memory.

use async_trait::async_trait;
use jiff::Timestamp;
use provider::lane::LaneState;
use provider::secret::EndpointSecret;
use provider::settings::EndpointSettings;
use provider::subscription::Subscription;
use store::{
    Endpoint, EndpointChange, EndpointSwitch, NewSubscription, Page, StoreError, StoreResult, Subscribed,
    SubscriptionRecord, Subscriptions,
};
use wire::{AccountId, EndpointId, SubscriptionId};

use super::Model;
use super::tables::{EndpointRow, Tables, oldest_first};

#[async_trait]
impl Subscriptions for Model {
    async fn subscribe(&self, account: AccountId, new: NewSubscription) -> StoreResult<Subscribed> {
        let mut tables = self.tables();
        tables.require_account(account)?;
        let known = tables.at_url(account, &new.url);
        let subscription = Subscription {
            id: new.id,
            endpoint: known.as_ref().map_or(new.endpoint, |endpoint| endpoint.id),
            event: new.event,
            webinar: new.webinar,
        };
        if let Some(endpoint) = &known
            && let Some(record) = tables.same_wish(account, &subscription)
        {
            return Ok(Subscribed::Already(record, Box::new(endpoint.clone())));
        }
        let is_taken = tables.subscriptions.contains_key(&(account, new.id))
            || (known.is_none() && tables.endpoints.contains_key(&(account, new.endpoint)));
        if is_taken {
            return Err(StoreError::Exists("a record with this id"));
        }
        let record = SubscriptionRecord { subscription, created_at: new.now };
        tables.subscriptions.insert((account, new.id), record.clone());
        if let Some(endpoint) = known {
            return Ok(Subscribed::AtKnownEndpoint(record, Box::new(endpoint)));
        }
        let endpoint = Endpoint {
            id: new.endpoint,
            url: new.url,
            switch: EndpointSwitch::On,
            health: LaneState::default(),
            settings: EndpointSettings::default(),
            created_at: new.now,
            secrets: vec![EndpointSecret { number: 1, secret: new.secret, created_at: new.now, valid_until: None }],
            last_failure: None,
        };
        let row = EndpointRow {
            endpoint: endpoint.clone(),
            due_at: None,
            lease_until: None,
            epoch: 0,
            signal: 0,
            per_minute: None,
        };
        tables.endpoints.insert((account, endpoint.id), row);
        Ok(Subscribed::WithNewEndpoint(record, Box::new(endpoint)))
    }

    async fn subscriptions(
        &self,
        account: AccountId,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> StoreResult<Page<SubscriptionRecord, SubscriptionId>> {
        Ok(oldest_first(&self.tables().subscriptions, account, after, limit, Clone::clone))
    }

    async fn subscription(&self, account: AccountId, id: SubscriptionId) -> StoreResult<Option<SubscriptionRecord>> {
        Ok(self.tables().subscriptions.get(&(account, id)).cloned())
    }

    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId) -> StoreResult<bool> {
        Ok(self.tables().subscriptions.remove(&(account, id)).is_some())
    }

    async fn endpoints(
        &self,
        account: AccountId,
        after: Option<EndpointId>,
        limit: usize,
    ) -> StoreResult<Page<Endpoint, EndpointId>> {
        Ok(oldest_first(&self.tables().endpoints, account, after, limit, |row| row.endpoint.clone()))
    }

    async fn endpoint(&self, account: AccountId, id: EndpointId) -> StoreResult<Option<Endpoint>> {
        Ok(self.tables().endpoints.get(&(account, id)).map(|row| row.endpoint.clone()))
    }

    async fn change_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        change: EndpointChange,
        now: Timestamp,
    ) -> StoreResult<Option<Endpoint>> {
        let mut tables = self.tables();
        let Some(row) = tables.endpoints.get_mut(&(account, id)) else { return Ok(None) };
        match change {
            EndpointChange::Pause => row.endpoint.switch = EndpointSwitch::Paused,
            EndpointChange::Resume => {
                row.endpoint.switch = EndpointSwitch::On;
                row.endpoint.health = LaneState::default();
            }
            EndpointChange::Serve(settings) => row.endpoint.settings = settings,
        }
        row.signal += 1;
        let endpoint = row.endpoint.clone();
        let due_at = tables.next_due(account, id, now);
        if let Some(row) = tables.endpoints.get_mut(&(account, id)) {
            row.due_at = due_at;
        }
        Ok(Some(endpoint))
    }
}

impl Tables {
    fn at_url(&self, account: AccountId, url: &str) -> Option<Endpoint> {
        let mut of_account = self.endpoints.iter().filter(|((owner, _), _)| *owner == account);
        of_account.find(|(_, row)| row.endpoint.url == url).map(|(_, row)| row.endpoint.clone())
    }

    /// The subscription that asks for the same at the same endpoint.
    fn same_wish(&self, account: AccountId, wish: &Subscription) -> Option<SubscriptionRecord> {
        let of_account = self.subscriptions.iter().filter(|((owner, _), _)| *owner == account);
        of_account
            .map(|(_, record)| record)
            .find(|record| Subscription { id: wish.id, ..record.subscription } == *wish)
            .cloned()
    }
}
