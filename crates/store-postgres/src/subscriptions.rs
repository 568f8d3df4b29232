//! Endpoints and subscriptions, in SQL.

use std::collections::HashMap;
use std::str::FromStr;

use async_trait::async_trait;
use jiff::Timestamp;
use provider::attempt::Reason;
use provider::lane::LaneState;
use provider::pace::Rate;
use provider::settings::{EndpointSettings, OlderVersions};
use provider::subscription::{Subscription, WebinarFilter};
use store::{
    Endpoint, EndpointChange, EndpointSwitch, LastFailure, NewSubscription, Page, StoreError, StoreResult, Subscribed,
    SubscriptionRecord, Subscriptions, Vault,
};
use tokio_postgres::Row;
use webinar::EventType;
use wire::{AccountId, EndpointId, SubscriptionId};

use crate::PostgresStore;
use crate::columns::{
    Columns, Id, change, find, limit_and_one, list, lock_account, millis, number, run, unknown, values,
};
use crate::session::Session;
use crate::{due, secrets};

const SUBSCRIPTION: &str =
    "select subscription, endpoint, event_type, webinar, created_at from subscription where account = $1";
const ENDPOINT: &str = "select e.endpoint, e.url, e.switch, e.created_at,
    l.health, l.failures, l.slow_window, l.open_until, l.failing_since, l.ended_since,
    e.rate_per_minute, e.burst, e.concurrency_max, e.older_versions,
    l.last_failure_at, l.last_failure
    from endpoint as e join lane as l on l.account = e.account and l.endpoint = e.endpoint where e.account = $1";

#[async_trait]
impl Subscriptions for PostgresStore {
    async fn subscribe(&self, account: AccountId, new: NewSubscription) -> StoreResult<Subscribed> {
        let session = self.begin().await?;
        lock_account(&session, account).await?;
        let subscribed = subscribe(&session, &self.vault, account, &new).await?;
        session.commit().await?;
        Ok(subscribed)
    }

    async fn subscriptions(
        &self,
        account: AccountId,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> StoreResult<Page<SubscriptionRecord, SubscriptionId>> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let sql = format!("{SUBSCRIPTION} and subscription > $2 order by subscription limit $3");
        let values = values![number(account), after, limit_and_one(limit)];
        let found = list(&self.session().await?, &sql, values, read_subscription).await?;
        Ok(Page::cut(found, limit, |record| record.subscription.id))
    }

    async fn subscription(&self, account: AccountId, id: SubscriptionId) -> StoreResult<Option<SubscriptionRecord>> {
        let sql = format!("{SUBSCRIPTION} and subscription = $2");
        find(&self.session().await?, &sql, values![number(account), id.bytes()], read_subscription).await
    }

    async fn unsubscribe(&self, account: AccountId, id: SubscriptionId) -> StoreResult<bool> {
        let session = self.begin().await?;
        // Once this is answered, no save that is still under way tells the endpoint of its event.
        lock_account(&session, account).await?;
        let sql = "delete from subscription where account = $1 and subscription = $2";
        let ended = change(&session, sql, values![number(account), id.bytes()]).await?;
        session.commit().await?;
        Ok(ended > 0)
    }

    async fn endpoints(
        &self,
        account: AccountId,
        after: Option<EndpointId>,
        limit: usize,
    ) -> StoreResult<Page<Endpoint, EndpointId>> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let sql = format!("{ENDPOINT} and e.endpoint > $2 order by e.endpoint limit $3");
        let session = self.look().await?;
        let values = values![number(account), after, limit_and_one(limit)];
        let mut found = list(&session, &sql, values, read_endpoint).await?;
        let ids: Vec<EndpointId> = found.iter().map(|endpoint| endpoint.id).collect();
        let mut secrets: HashMap<EndpointId, Vec<_>> = HashMap::new();
        for (endpoint, secret) in secrets::of_endpoints(&session, &self.vault, account, &ids).await? {
            secrets.entry(endpoint).or_default().push(secret);
        }
        for endpoint in &mut found {
            endpoint.secrets = secrets.remove(&endpoint.id).unwrap_or_default();
        }
        Ok(Page::cut(found, limit, |endpoint| endpoint.id))
    }

    async fn endpoint(&self, account: AccountId, id: EndpointId) -> StoreResult<Option<Endpoint>> {
        endpoint(&self.session().await?, &self.vault, account, id).await
    }

    async fn change_endpoint(
        &self,
        account: AccountId,
        id: EndpointId,
        change: EndpointChange,
        now: Timestamp,
    ) -> StoreResult<Option<Endpoint>> {
        let session = self.begin().await?;
        lock_account(&session, account).await?;
        // The lane first: one at work on it goes by what its endpoint says.
        due::signal_all(&session, account, &[id]).await?;
        match change {
            EndpointChange::Pause => set_switch(&session, account, id, "paused").await?,
            EndpointChange::Resume => {
                due::forgive(&session, account, id).await?;
                set_switch(&session, account, id, "on").await?;
            }
            EndpointChange::Serve(settings) => set_settings(&session, account, id, settings).await?,
        }
        due::reschedule_all(&session, account, &[id], self.lease_now(now)).await?;
        let changed = endpoint(&session, &self.vault, account, id).await?;
        session.commit().await?;
        Ok(changed)
    }
}

async fn set_switch(session: &Session, account: AccountId, id: EndpointId, switch: &str) -> StoreResult<()> {
    let sql = "update endpoint set switch = $3 where account = $1 and endpoint = $2";
    run(session, sql, values![number(account), id.bytes(), switch]).await
}

async fn set_settings(
    session: &Session,
    account: AccountId,
    id: EndpointId,
    settings: EndpointSettings,
) -> StoreResult<()> {
    let rate = settings.rate.map(|rate| (i64::from(rate.per_minute()), i64::from(rate.burst())));
    let (rate, burst) = rate.unzip();
    let older_versions = match settings.older_versions {
        OlderVersions::Deliver => "deliver",
        OlderVersions::Supersede => "supersede",
    };
    let sql = "update endpoint set rate_per_minute = $3, burst = $4, concurrency_max = $5, older_versions = $6
               where account = $1 and endpoint = $2";
    let concurrency = i64::from(settings.concurrency_max);
    run(session, sql, values![number(account), id.bytes(), rate, burst, concurrency, older_versions]).await
}

/// Under the lock of the account, so that a URL subscribed twice at once is one endpoint.
async fn subscribe(
    session: &Session,
    vault: &Vault,
    account: AccountId,
    new: &NewSubscription,
) -> StoreResult<Subscribed> {
    let sql = "select endpoint from endpoint where account = $1 and url = $2";
    let known = find(session, sql, values![number(account), new.url], |row| row.id::<EndpointId>(0)).await?;
    let endpoint_id = match known {
        Some(id) => id,
        None => add_endpoint(session, vault, account, new).await?,
    };
    let (event, webinar) = (new.event.as_str(), filter_bytes(new.webinar));
    let added = change(
        session,
        "insert into subscription (account, subscription, endpoint, event_type, webinar, created_at)
         values ($1, $2, $3, $4, $5, $6) on conflict (account, event_type, endpoint, webinar) do nothing",
        values![number(account), new.id.bytes(), endpoint_id.bytes(), event, webinar, millis(new.now)],
    )
    .await?;
    let sql = format!("{SUBSCRIPTION} and endpoint = $2 and event_type = $3 and webinar = $4");
    let values = values![number(account), endpoint_id.bytes(), event, webinar];
    let record = find(session, &sql, values, read_subscription).await?;
    let endpoint = endpoint(session, vault, account, endpoint_id).await?;
    let (Some(record), Some(endpoint)) = (record, endpoint) else {
        return Err(StoreError::Missing("the subscription just made"));
    };
    let endpoint = Box::new(endpoint);
    Ok(match (added, known) {
        (0, _) => Subscribed::Already(record, endpoint),
        (_, Some(_)) => Subscribed::AtKnownEndpoint(record, endpoint),
        (_, None) => Subscribed::WithNewEndpoint(record, endpoint),
    })
}

async fn add_endpoint(
    session: &Session,
    vault: &Vault,
    account: AccountId,
    new: &NewSubscription,
) -> StoreResult<EndpointId> {
    let (owner, id) = (number(account), new.endpoint.bytes());
    let sql = "insert into endpoint (account, endpoint, url, created_at) values ($1, $2, $3, $4)";
    run(session, sql, values![owner, id, new.url, millis(new.now)]).await?;
    secrets::add(session, vault, (account, new.endpoint), &new.secret, new.now).await?;
    run(session, "insert into lane (account, endpoint) values ($1, $2)", values![owner, id]).await?;
    Ok(new.endpoint)
}

fn filter_bytes(filter: Option<WebinarFilter>) -> Vec<u8> {
    filter.map_or(Vec::new(), |filter| filter.as_bytes().to_vec())
}

/// The subscriptions of an account to one type of event: what a save matches against.
pub(crate) async fn to_event(
    session: &Session,
    account: AccountId,
    event: EventType,
) -> StoreResult<Vec<Subscription>> {
    let sql = format!("{SUBSCRIPTION} and event_type = $2");
    list(session, &sql, values![number(account), event.as_str()], |row| Ok(read_subscription(row)?.subscription)).await
}

pub(crate) async fn endpoint(
    session: &Session,
    vault: &Vault,
    account: AccountId,
    id: EndpointId,
) -> StoreResult<Option<Endpoint>> {
    let sql = format!("{ENDPOINT} and e.endpoint = $2");
    let (values, ids) = (values![number(account), id.bytes()], [id]);
    let (found, secrets) = tokio::try_join!(
        find(session, &sql, values, read_endpoint),
        secrets::of_endpoints(session, vault, account, &ids)
    )?;
    let secrets = secrets.into_iter().map(|(_, secret)| secret).collect();
    Ok(found.map(|endpoint| Endpoint { secrets, ..endpoint }))
}

/// A column that holds the text form of a value.
pub(crate) fn read_text<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    row: &Row,
    at: usize,
) -> StoreResult<T> {
    row.value::<&str>(at)?.parse().map_err(StoreError::broken)
}

fn read_subscription(row: &Row) -> StoreResult<SubscriptionRecord> {
    let filter: &[u8] = row.value(3)?;
    Ok(SubscriptionRecord {
        subscription: Subscription {
            id: row.id(0)?,
            endpoint: row.id(1)?,
            event: read_text(row, 2)?,
            webinar: filter.try_into().ok().map(WebinarFilter::from_bytes),
        },
        created_at: row.moment(4)?,
    })
}

fn read_endpoint(row: &Row) -> StoreResult<Endpoint> {
    Ok(Endpoint {
        id: row.id(0)?,
        url: row.value(1)?,
        switch: match row.value(2)? {
            "paused" => EndpointSwitch::Paused,
            "on" => EndpointSwitch::On,
            other => return Err(unknown("an endpoint's switch", other)),
        },
        created_at: row.moment(3)?,
        health: read_health(row, 4)?,
        settings: read_settings(row, 10)?,
        secrets: Vec::new(),
        last_failure: read_last_failure(row, 14)?,
    })
}

/// The columns `rate_per_minute, burst, concurrency_max, older_versions`, the first at `at`.
fn read_settings(row: &Row, at: usize) -> StoreResult<EndpointSettings> {
    let rate = row.small_if_any(at)?.zip(row.small_if_any(at + 1)?);
    Ok(EndpointSettings {
        rate: rate.and_then(|(per_minute, burst)| Rate::new(per_minute, burst).ok()),
        concurrency_max: row.small(at + 2)?,
        older_versions: match row.value(at + 3)? {
            "supersede" => OlderVersions::Supersede,
            "deliver" => OlderVersions::Deliver,
            other => return Err(unknown("what happens to older versions", other)),
        },
    })
}

/// The columns `last_failure_at, last_failure`, the first at `at`.
fn read_last_failure(row: &Row, at: usize) -> StoreResult<Option<LastFailure>> {
    let Some(ended) = row.moment_if_any(at)? else { return Ok(None) };
    Ok(Some(LastFailure { at: ended, reason: Reason::of_text(row.value(at + 1)?) }))
}

/// The columns `health, failures, slow_window, open_until, failing_since, ended_since`, the first at `at`.
fn read_health(row: &Row, at: usize) -> StoreResult<LaneState> {
    let failures = row.small(at + 1)?;
    match row.value(at)? {
        "healthy" => Ok(LaneState::Healthy { failures }),
        "slow_start" => Ok(LaneState::SlowStart { window: row.small(at + 2)?, failures }),
        "open" => Ok(LaneState::Open { failures, until: row.moment(at + 3)?, since: row.moment(at + 4)? }),
        "gone" => Ok(LaneState::Gone { since: row.moment(at + 5)? }),
        "disabled" => Ok(LaneState::Disabled { since: row.moment(at + 5)? }),
        other => Err(unknown("a lane's health", other)),
    }
}
