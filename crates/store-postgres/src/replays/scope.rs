//! What a replay's scope holds: which deliveries have failed, which fan-outs are repeated, what it would come to.

use jiff::Timestamp;
use provider::frontier::Place;
use store::{Foreseen, ReplayScope, ReplayWay, StoreError, StoreResult};
use tokio_postgres::Row;
use webinar::Zones;
use wire::{AccountId, DeliveryId, EndpointId, FanOutId, ParticipantNumber};

use crate::columns::{Columns, Id, LEASE_NOW, List, ParticipantReader, find, list, millis, number, values};
use crate::journal;
use crate::lanes::audience_of_event;
use crate::session::Session;

/// Whether the exception `x` may be revived: given up, or waiting for its own next attempt. $5 is the time after which it
/// must have failed, $6 the time up to which, $7 the replay that must not have had it already.
pub(super) fn is_failed() -> String {
    format!(
        "(x.state = 'abandoned' or (x.state = 'retrying' and x.charged > 0 and x.due_at > {LEASE_NOW}))
         and coalesce(x.last_at, 0) between coalesce($5, 0) and $6 and x.replay is distinct from $7
         and exists (select 1 from participant as p where p.account = x.account and p.participant = x.participant)"
    )
}

/// Fan-outs of which something may have failed, from $3 on, each with at most how many. An event that is paused or called
/// off keeps what it has.
fn fan_outs_sql(scope: ReplayScope) -> String {
    let those = match scope {
        ReplayScope::Delivery(_) => "fan_out = $5",
        ReplayScope::Failed { event: Some(_), .. } | ReplayScope::Event { .. } => {
            "event = $2 and ($4::bytea is null or endpoint = $4)"
        }
        ReplayScope::Failed { endpoint: Some(_), .. } => "endpoint = $4",
        ReplayScope::Failed { endpoint: None, .. } => "true",
    };
    format!(
        "select fan_out, endpoint, abandoned + retrying from fan_out
         where account = $1 and {those} and fan_out >= $3 and (abandoned > 0 or retrying > 0)
         and state in ('running', 'swept') order by fan_out limit $6"
    )
}

/// Which failed deliveries are meant.
pub(super) struct Failed {
    pub(super) account: AccountId,
    pub(super) scope: ReplayScope,
    /// Only what had failed by then.
    pub(super) until: Timestamp,
    /// The clock of leases: what is due by it already has its turn without a replay.
    pub(super) now: Option<i64>,
    /// The replay that looks, or no bytes.
    pub(super) replay: Vec<u8>,
}

/// A fan-out of which something may have failed.
#[derive(Clone, Copy)]
pub(super) struct FailedFanOut {
    pub(super) id: FanOutId,
    pub(super) endpoint: EndpointId,
    /// More than this cannot be revived.
    pub(super) failed_max: u64,
}

pub(super) async fn foresee(
    session: &Session,
    (account, scope): (AccountId, ReplayScope),
    now: Timestamp,
    lease_now: Option<i64>,
) -> StoreResult<Option<Foreseen>> {
    if !exists(session, account, scope).await? {
        return Ok(None);
    }
    let failed = Failed { account, scope, until: now, now: lease_now, replay: Vec::new() };
    let revived = match scope {
        ReplayScope::Event { .. } => (0, None),
        ReplayScope::Delivery(_) | ReplayScope::Failed { .. } => failed.count(session).await?,
    };
    if revived.0 > 0 || matches!(scope, ReplayScope::Failed { .. }) {
        let example = example(session, account, revived.1).await?;
        return Ok(Some(Foreseen { deliveries: revived.0, example, way: ReplayWay::Revive, newer: None }));
    }
    let (deliveries, first) = match scope {
        ReplayScope::Delivery(id) => (u64::from(!is_waiting(session, account, id).await?), Some(id)),
        ReplayScope::Failed { .. } | ReplayScope::Event { .. } => everyone(session, account, scope).await?,
    };
    let newer = newer_version(session, account, scope).await?;
    let example = example(session, account, first).await?;
    Ok(Some(Foreseen { deliveries, example, way: ReplayWay::Resend, newer }))
}

async fn exists(session: &Session, account: AccountId, scope: ReplayScope) -> StoreResult<bool> {
    let (event, endpoint) = match scope {
        ReplayScope::Delivery(id) => return Ok(journal::delivery(session, account, id).await?.is_some()),
        ReplayScope::Failed { event, endpoint, .. } => (event, endpoint),
        ReplayScope::Event { event, endpoint } => (Some(event), endpoint),
    };
    let sql = "select 1
        where ($2::bytea is null or exists (select 1 from event where account = $1 and event = $2))
        and ($3::bytea is null or exists (select 1 from endpoint where account = $1 and endpoint = $3))";
    let key = values![number(account), event.as_ref().map(Id::bytes), endpoint.as_ref().map(Id::bytes)];
    Ok(find(session, sql, key, |_| Ok(())).await?.is_some())
}

async fn example(
    session: &Session,
    account: AccountId,
    id: Option<DeliveryId>,
) -> StoreResult<Option<store::DeliverySummary>> {
    let Some(id) = id else { return Ok(None) };
    Ok(journal::delivery(session, account, id).await?.map(|delivery| delivery.summary))
}

/// It has its turn without a replay.
async fn is_waiting(session: &Session, account: AccountId, id: DeliveryId) -> StoreResult<bool> {
    let sql = "select 1 from exception
        where account = $1 and fan_out = $2 and participant = $3 and state in ('retrying', 'held')";
    let fan_out = id.fan_out();
    let key = values![number(account), fan_out.bytes(), id.participant().get().cast_signed()];
    Ok(find(session, sql, key, |_| Ok(())).await?.is_some())
}

/// How many the repeated fan-outs are for together, and the first of them.
async fn everyone(session: &Session, account: AccountId, scope: ReplayScope) -> StoreResult<(u64, Option<DeliveryId>)> {
    let ReplayScope::Event { event, .. } = scope else { return Ok((0, None)) };
    let repeated = repeated(session, account, scope).await?;
    let Some((fan_out, _)) = repeated.first() else { return Ok((0, None)) };
    let audience = audience_of_event(session, account, event).await?.ok_or(StoreError::Missing("the event"))?;
    let sql = "select audience from event where account = $1 and event = $2";
    let counted = find(session, sql, values![number(account), event.bytes()], |row| row.small_if_any(0)).await?;
    let people = match counted.flatten() {
        Some(counted) => counted,
        None => audience.count(session).await?,
    };
    // Nobody's zone is looked at here.
    let mut reader = ParticipantReader::new(&Zones::bundled());
    let first = audience.page(session, Place::default(), 1, &mut reader).await?;
    let number = first.first().and_then(|one| ParticipantNumber::new(one.place().participant).ok());
    Ok((people * repeated.len() as u64, number.map(|number| DeliveryId::new(*fan_out, number))))
}

/// The fan-outs that a replay that resends repeats, in order of their endpoints.
pub(super) async fn repeated(
    session: &Session,
    account: AccountId,
    scope: ReplayScope,
) -> StoreResult<Vec<(FanOutId, EndpointId)>> {
    let read = |row: &Row| Ok((row.id(0)?, row.id(1)?));
    match scope {
        ReplayScope::Delivery(id) => {
            let sql = "select fan_out, endpoint from fan_out where account = $1 and fan_out = $2";
            list(session, sql, values![number(account), id.fan_out().bytes()], read).await
        }
        ReplayScope::Event { event, endpoint } => {
            let sql = "select fan_out, endpoint from fan_out
                where account = $1 and event = $2 and ($3::bytea is null or endpoint = $3) and replay is null
                order by endpoint";
            let key = values![number(account), event.bytes(), endpoint.as_ref().map(Id::bytes)];
            list(session, sql, key, read).await
        }
        ReplayScope::Failed { .. } => Ok(Vec::new()),
    }
}

/// The newest version that one of the endpoints was told of, or is being told of, where it is newer than what would be sent.
pub(super) async fn newer_version(
    session: &Session,
    account: AccountId,
    scope: ReplayScope,
) -> StoreResult<Option<u32>> {
    let repeated = repeated(session, account, scope).await?;
    let fan_outs = List(repeated.iter().map(|(fan_out, _)| fan_out.bytes()).collect());
    let sql = "select max(n.version) from fan_out as f
        join fan_out as n on n.account = f.account and n.endpoint = f.endpoint and n.series = f.series
            and n.version > f.version and (n.delivered > 0 or n.state in ('running', 'paused'))
        where f.account = $1 and f.fan_out = any($2)";
    let newest = find(session, sql, values![number(account), fan_outs], |row| row.small_if_any(0)).await?;
    Ok(newest.flatten())
}

/// Fan-outs looked into in one query.
pub(super) const FAN_OUTS_AT_ONCE: i64 = 64;

impl Failed {
    /// How many there are, and one of them.
    async fn count(&self, session: &Session) -> StoreResult<(u64, Option<DeliveryId>)> {
        let (mut count, mut first, mut from) = (0, None, Vec::new());
        loop {
            let fan_outs = self.fan_outs(session, &from).await?;
            let sql = format!(
                "select x.fan_out, count(*), min(x.participant) from unnest($2::bytea[]) as those (fan_out)
                 join exception as x on x.account = $3 and x.fan_out = those.fan_out
                     and x.participant between $4 and $8
                 where {} group by x.fan_out order by x.fan_out",
                is_failed()
            );
            let read = |row: &Row| Ok((row.id::<FanOutId>(0)?, row.count(1)?, row.count(2)?));
            let ids: Vec<&[u8]> = fan_outs.iter().map(|fan_out| fan_out.id.bytes()).collect();
            let (low, high) = self.participants();
            let values = values![
                self.now,
                List(ids),
                number(self.account),
                low,
                self.since(),
                millis(self.until),
                self.replay,
                high
            ];
            for (fan_out, found, one) in list(session, &sql, values, read).await? {
                count += found;
                let one = ParticipantNumber::new(one).ok();
                first = first.or(one.map(|number| DeliveryId::new(fan_out, number)));
            }
            match fan_outs.last() {
                // The next in the order of bytes.
                Some(last) if fan_outs.len() as i64 == FAN_OUTS_AT_ONCE => from = [last.id.bytes(), &[0]].concat(),
                _ => return Ok((count, first)),
            }
        }
    }

    /// Fan-outs of the scope from `from` on, at most [`FAN_OUTS_AT_ONCE`].
    pub(super) async fn fan_outs(&self, session: &Session, from: &[u8]) -> StoreResult<Vec<FailedFanOut>> {
        let (event, endpoint, fan_out) = match self.scope {
            ReplayScope::Delivery(id) => (None, None, Some(id.fan_out())),
            ReplayScope::Failed { event, endpoint, .. } => (event, endpoint, None),
            ReplayScope::Event { event, endpoint } => (Some(event), endpoint, None),
        };
        let (event, endpoint) = (event.as_ref().map(Id::bytes), endpoint.as_ref().map(Id::bytes));
        let fan_out = fan_out.as_ref().map(Id::bytes);
        let read = |row: &Row| Ok(FailedFanOut { id: row.id(0)?, endpoint: row.id(1)?, failed_max: row.count(2)? });
        let key = values![number(self.account), event, from, endpoint, fan_out, FAN_OUTS_AT_ONCE];
        list(session, &fan_outs_sql(self.scope), key, read).await
    }

    /// The lowest and the highest number that is meant.
    pub(super) fn participants(&self) -> (i64, i64) {
        match self.scope {
            ReplayScope::Delivery(id) => (id.participant().get().cast_signed(), id.participant().get().cast_signed()),
            ReplayScope::Failed { .. } | ReplayScope::Event { .. } => (0, i64::MAX),
        }
    }

    pub(super) fn since(&self) -> Option<i64> {
        match self.scope {
            ReplayScope::Failed { since, .. } => since.map(millis),
            ReplayScope::Delivery(_) | ReplayScope::Event { .. } => None,
        }
    }
}
