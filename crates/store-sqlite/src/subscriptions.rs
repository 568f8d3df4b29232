//! Endpoints and subscriptions, in SQL.

use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::attempt::Reason;
use provider::lane::LaneState;
use provider::pace::Rate;
use provider::settings::{EndpointSettings, OlderVersions};
use provider::subscription::{Subscription, WebinarFilter};
use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use store::{
    Endpoint, EndpointChange, EndpointSwitch, LastFailure, NewSubscription, Page, StoreResult, Subscribed,
    SubscriptionRecord, Subscriptions, Vault,
};
use webinar::EventType;
use wire::{AccountId, EndpointId, SubscriptionId};

use crate::SqliteStore;
use crate::columns::{Id, Millis, change, find, limit_and_one, list, millis, number, run, unknown};
use crate::{due, secrets};

const SUBSCRIPTION: &str =
    "select subscription, endpoint, event_type, webinar, created_at from subscription where account = ?1";
const ENDPOINT: &str = "select e.endpoint, e.url, e.switch, e.created_at,
    l.health, l.failures, l.slow_window, l.open_until, l.failing_since, l.ended_since,
    e.rate_per_minute, e.burst, e.concurrency_max, e.older_versions,
    l.last_failure_at, l.last_failure
    from endpoint as e join lane as l on l.account = e.account and l.endpoint = e.endpoint where e.account = ?1";

#[async_trait]
impl Subscriptions for SqliteStore {
    async fn subscribe(&self, account: AccountId, new: NewSubscription) -> StoreResult<Subscribed> {
        let vault = self.vault.clone();
        self.writer.write(move |connection| subscribe(connection, &vault, account, &new)).await
    }

    async fn subscriptions(
        &self,
        account: AccountId,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> StoreResult<Page<SubscriptionRecord, SubscriptionId>> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let sql = format!("{SUBSCRIPTION} and subscription > ?2 order by subscription limit ?3");
        self.readers
            .read(move |connection| {
                let values = (number(account), after, limit_and_one(limit));
                let found = list(connection, &sql, values, read_subscription)?;
                Ok(Page::cut(found, limit, |record| record.subscription.id))
            })
            .await
    }

    async fn subscription(&self, account: AccountId, id: SubscriptionId) -> StoreResult<Option<SubscriptionRecord>> {
        let sql = format!("{SUBSCRIPTION} and subscription = ?2");
        self.readers
            .read(move |connection| find(connection, &sql, (number(account), id.as_bytes()), read_subscription))
            .await
    }

    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId) -> StoreResult<bool> {
        let sql = "delete from subscription where account = ?1 and subscription = ?2";
        self.writer.write(move |connection| Ok(change(connection, sql, (number(account), id.as_bytes()))? > 0)).await
    }

    async fn endpoints(
        &self,
        account: AccountId,
        after: Option<EndpointId>,
        limit: usize,
    ) -> StoreResult<Page<Endpoint, EndpointId>> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let sql = format!("{ENDPOINT} and e.endpoint > ?2 order by e.endpoint limit ?3");
        let vault = self.vault.clone();
        self.readers
            .read(move |connection| {
                let values = (number(account), after, limit_and_one(limit));
                let mut found = list(connection, &sql, values, read_endpoint)?;
                for endpoint in &mut found {
                    endpoint.secrets = secrets::of_endpoint(connection, &vault, account, endpoint.id)?;
                }
                Ok(Page::cut(found, limit, |endpoint| endpoint.id))
            })
            .await
    }

    async fn endpoint(&self, account: AccountId, id: EndpointId) -> StoreResult<Option<Endpoint>> {
        let vault = self.vault.clone();
        self.readers.read(move |connection| endpoint(connection, &vault, account, id)).await
    }

    async fn change_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        change: EndpointChange,
        now: Timestamp,
    ) -> StoreResult<Option<Endpoint>> {
        let vault = self.vault.clone();
        self.writer
            .write(move |connection| {
                match change {
                    EndpointChange::Pause => set_switch(connection, account, id, "paused")?,
                    EndpointChange::Resume => {
                        due::forgive(connection, account, id)?;
                        set_switch(connection, account, id, "on")?;
                    }
                    EndpointChange::Serve(settings) => set_settings(connection, account, id, settings)?,
                }
                due::signal(connection, account, id)?;
                due::reschedule(connection, account, id, now)?;
                endpoint(connection, &vault, account, id)
            })
            .await
    }
}

fn set_switch(connection: &Connection, account: AccountId, id: EndpointId, switch: &str) -> StoreResult<()> {
    let sql = "update endpoint set switch = ?3 where account = ?1 and endpoint = ?2";
    run(connection, sql, (number(account), id.as_bytes(), switch))
}

fn set_settings(
    connection: &Connection,
    account: AccountId,
    id: EndpointId,
    settings: EndpointSettings,
) -> StoreResult<()> {
    let (rate, burst) = settings.rate.map(|rate| (rate.per_minute(), rate.burst())).unzip();
    let older_versions = match settings.older_versions {
        OlderVersions::Deliver => "deliver",
        OlderVersions::Supersede => "supersede",
    };
    let sql = "update endpoint set rate_per_minute = ?3, burst = ?4, concurrency_max = ?5, older_versions = ?6
               where account = ?1 and endpoint = ?2";
    let values = (number(account), id.as_bytes(), rate, burst, settings.concurrency_max, older_versions);
    run(connection, sql, values)
}

fn subscribe(
    connection: &Connection,
    vault: &Vault,
    account: AccountId,
    new: &NewSubscription,
) -> StoreResult<Subscribed> {
    let known = find(
        connection,
        "select endpoint from endpoint where account = ?1 and url = ?2",
        (number(account), &new.url),
        |row| row.get::<_, Id<EndpointId>>(0),
    )?;
    let endpoint_id = match &known {
        Some(id) => id.0,
        None => add_endpoint(connection, vault, account, new)?,
    };
    let added = change(
        connection,
        "insert into subscription (account, subscription, endpoint, event_type, webinar, created_at)
         values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (account, event_type, endpoint, webinar) do nothing",
        (
            number(account),
            new.id.as_bytes(),
            endpoint_id.as_bytes(),
            new.event.as_str(),
            filter_bytes(new.webinar),
            millis(new.now),
        ),
    )?;
    let sql = format!("{SUBSCRIPTION} and endpoint = ?2 and event_type = ?3 and webinar = ?4");
    let values = (number(account), endpoint_id.as_bytes(), new.event.as_str(), filter_bytes(new.webinar));
    let record = find(connection, &sql, values, read_subscription)?;
    let endpoint = endpoint(connection, vault, account, endpoint_id)?;
    let (Some(record), Some(endpoint)) = (record, endpoint) else {
        return Err(store::StoreError::Missing("the subscription just made"));
    };
    let endpoint = Box::new(endpoint);
    Ok(match (added, known) {
        (0, _) => Subscribed::Already(record, endpoint),
        (_, Some(_)) => Subscribed::AtKnownEndpoint(record, endpoint),
        (_, None) => Subscribed::WithNewEndpoint(record, endpoint),
    })
}

fn add_endpoint(
    connection: &Connection,
    vault: &Vault,
    account: AccountId,
    new: &NewSubscription,
) -> StoreResult<EndpointId> {
    let (owner, id, now) = (number(account), new.endpoint.as_bytes(), millis(new.now));
    let sql = "insert into endpoint (account, endpoint, url, created_at) values (?1, ?2, ?3, ?4)";
    run(connection, sql, (owner, id, &new.url, now))?;
    secrets::add(connection, vault, (account, new.endpoint), &new.secret, new.now)?;
    run(connection, "insert into lane (account, endpoint) values (?1, ?2)", (owner, id))?;
    Ok(new.endpoint)
}

fn filter_bytes(filter: Option<WebinarFilter>) -> Vec<u8> {
    filter.map_or(Vec::new(), |filter| filter.as_bytes().to_vec())
}

pub(crate) fn to_event_sql() -> String {
    format!("{SUBSCRIPTION} and event_type = ?2")
}

/// The subscriptions of an account to one type of event: what a save matches against.
pub(crate) fn to_event(
    connection: &Connection,
    account: AccountId,
    event: EventType,
) -> StoreResult<Vec<Subscription>> {
    let found = list(connection, &to_event_sql(), (number(account), event.as_str()), read_subscription)?;
    Ok(found.into_iter().map(|record| record.subscription).collect())
}

pub(crate) fn endpoint(
    connection: &Connection,
    vault: &Vault,
    account: AccountId,
    id: EndpointId,
) -> StoreResult<Option<Endpoint>> {
    let sql = format!("{ENDPOINT} and e.endpoint = ?2");
    let mut found = find(connection, &sql, (number(account), id.as_bytes()), read_endpoint)?;
    if let Some(endpoint) = &mut found {
        endpoint.secrets = secrets::of_endpoint(connection, vault, account, id)?;
    }
    Ok(found)
}

/// A column that holds the text form of a value.
pub(crate) fn read_text<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &Row<'_>,
    at: usize,
) -> rusqlite::Result<T> {
    let text: String = row.get(at)?;
    text.parse().map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}

fn read_subscription(row: &Row<'_>) -> rusqlite::Result<SubscriptionRecord> {
    let filter: Vec<u8> = row.get(3)?;
    Ok(SubscriptionRecord {
        subscription: Subscription {
            id: row.get::<_, Id<_>>(0)?.0,
            endpoint: row.get::<_, Id<_>>(1)?.0,
            event: read_text(row, 2)?,
            webinar: filter.try_into().ok().map(WebinarFilter::from_bytes),
        },
        created_at: row.get::<_, Millis>(4)?.0,
    })
}

fn read_endpoint(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    Ok(Endpoint {
        id: row.get::<_, Id<_>>(0)?.0,
        url: row.get(1)?,
        switch: match row.get_ref(2)?.as_str()? {
            "paused" => EndpointSwitch::Paused,
            "on" => EndpointSwitch::On,
            other => return Err(unknown("an endpoint's switch", other)),
        },
        created_at: row.get::<_, Millis>(3)?.0,
        health: read_health(row, 4)?,
        settings: read_settings(row, 10)?,
        secrets: Vec::new(),
        last_failure: read_last_failure(row, 14)?,
    })
}

/// The columns `rate_per_minute, burst, concurrency_max, older_versions`, the first at `at`.
fn read_settings(row: &Row<'_>, at: usize) -> rusqlite::Result<EndpointSettings> {
    let rate = row.get::<_, Option<u32>>(at)?.zip(row.get(at + 1)?);
    Ok(EndpointSettings {
        rate: rate.and_then(|(per_minute, burst)| Rate::new(per_minute, burst).ok()),
        concurrency_max: row.get(at + 2)?,
        older_versions: match row.get_ref(at + 3)?.as_str()? {
            "supersede" => OlderVersions::Supersede,
            "deliver" => OlderVersions::Deliver,
            other => return Err(unknown("what happens to older versions", other)),
        },
    })
}

/// The columns `last_failure_at, last_failure`, the first at `at`.
fn read_last_failure(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<LastFailure>> {
    let Some(Millis(ended)) = row.get(at)? else { return Ok(None) };
    Ok(Some(LastFailure { at: ended, reason: Reason::of_text(row.get_ref(at + 1)?.as_str()?) }))
}

/// The columns `health, failures, slow_window, open_until, failing_since, ended_since`, the first at `at`.
fn read_health(row: &Row<'_>, at: usize) -> rusqlite::Result<LaneState> {
    let failures = row.get(at + 1)?;
    match row.get_ref(at)?.as_str()? {
        "healthy" => Ok(LaneState::Healthy { failures }),
        "slow_start" => Ok(LaneState::SlowStart { window: row.get(at + 2)?, failures }),
        "open" => {
            let (until, since) = (row.get::<_, Millis>(at + 3)?.0, row.get::<_, Millis>(at + 4)?.0);
            Ok(LaneState::Open { failures, until, since })
        }
        "gone" => Ok(LaneState::Gone { since: row.get::<_, Millis>(at + 5)?.0 }),
        "disabled" => Ok(LaneState::Disabled { since: row.get::<_, Millis>(at + 5)?.0 }),
        other => Err(unknown("a lane's health", other)),
    }
}
