//! An event and its fan-outs, in SQL: one row for each endpoint that is told, however many people that is. What is done for
//! each endpoint is done for all in one statement: a save does not get slow where thousands are told.

use jiff::Timestamp;
use provider::fan_out::fan_out_id;
use provider::subscription::Announcement;
use store::{NewEvent, StoreError, StoreResult};
use webinar::{MangoId, Series, SessionId};
use wire::{AccountId, EndpointId, FanOutId};

use crate::columns::{Columns, Id, List, find, millis, number, run, values};
use crate::session::Session;
use crate::{backlog, due, subscriptions};

/// A version to be announced.
pub(crate) struct Announcing<'a> {
    pub(crate) series: &'a Series,
    pub(crate) event: &'a NewEvent,
    pub(crate) version: u32,
    /// Sessions of the version before: who asked for one of them hears that it is gone.
    pub(crate) former_sessions: &'a [SessionId],
    /// The numbers of those it concerns; `None` for the whole audience.
    pub(crate) listed: Option<&'a [i64]>,
    pub(crate) now: Timestamp,
    /// `now` for the clock of leases.
    pub(crate) lease_now: Option<i64>,
}

/// Writes the event, frozen at the account's revision of now, and a fan-out to each endpoint it concerns. The caller holds
/// the account.
pub(crate) async fn announce(
    session: &Session,
    account: AccountId,
    announcing: &Announcing<'_>,
) -> StoreResult<Vec<(FanOutId, EndpointId)>> {
    let told = endpoints_told(session, account, announcing).await?;
    let position = save_event(session, account, announcing).await?;
    let event = announcing.event.id;
    let fan_outs: Vec<_> = told.iter().map(|endpoint| (fan_out_id(event, *endpoint), *endpoint)).collect();
    if fan_outs.is_empty() {
        return Ok(fan_outs);
    }
    save_fan_outs(session, account, announcing, (&fan_outs, position)).await?;
    // Lanes are locked here, in order, and before any row of their fan-outs: a commit of a lane does so too.
    due::wake_told(session, account, &told, announcing.lease_now).await?;
    // An announcement to a few newcomers says nothing to the others.
    if announcing.listed.is_none() {
        let newest = (announcing.series.id(), announcing.version);
        backlog::supersede_all(session, account, &told, newest, announcing.lease_now).await?;
    }
    Ok(fan_outs)
}

async fn endpoints_told(
    session: &Session,
    account: AccountId,
    announcing: &Announcing<'_>,
) -> StoreResult<Vec<EndpointId>> {
    let mut sessions: Vec<SessionId> = announcing.series.sessions().iter().map(|session| session.id).collect();
    sessions.extend(announcing.former_sessions);
    let event = announcing.event.event;
    let announcement = Announcement { event, series: announcing.series.id(), sessions: &sessions };
    let mut told: Vec<EndpointId> = subscriptions::to_event(session, account, event)
        .await?
        .iter()
        .filter(|subscription| subscription.concerns(&announcement))
        .map(|subscription| subscription.endpoint)
        .collect();
    // Two subscriptions of one endpoint that both match are one wish.
    told.sort_unstable();
    told.dedup();
    Ok(told)
}

/// Its position among the account's events.
async fn save_event(session: &Session, account: AccountId, announcing: &Announcing<'_>) -> StoreResult<i64> {
    let sql = "update account set events = events + 1 where account = $1 returning events, revision";
    let counted = find(session, sql, values![number(account)], |row| Ok((row.value(0)?, row.value(1)?))).await?;
    let (position, revision): (i64, i64) = counted.ok_or(StoreError::Missing("the account"))?;
    let (event, series) = (announcing.event, announcing.series);
    let joined = |ids: &[MangoId]| ids.iter().flat_map(|id| id.as_bytes().to_vec()).collect::<Vec<u8>>();
    run(
        session,
        "insert into event (account, event, type, cause, series, version, title, mangoes, excluded, revision,
                            listed, series_part, attendee_instant, tzdb_version, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        values![
            number(account),
            event.id.bytes(),
            event.event.as_str(),
            event.trigger.as_str(),
            series.id().bytes(),
            i64::from(announcing.version),
            series.title(),
            joined(series.mangoes()),
            joined(series.excluded_mangoes()),
            revision,
            announcing.listed.map(|listed| List(listed.to_vec())),
            event.series_part.as_ref(),
            event.attendee_instant.map(millis),
            event.tzdb_version,
            millis(announcing.now),
        ],
    )
    .await?;
    Ok(position)
}

async fn save_fan_outs(
    session: &Session,
    account: AccountId,
    announcing: &Announcing<'_>,
    (fan_outs, position): (&[(FanOutId, EndpointId)], i64),
) -> StoreResult<()> {
    let (ids, endpoints): (Vec<&[u8]>, Vec<&[u8]>) = fan_outs.iter().map(|(id, to)| (id.bytes(), to.bytes())).unzip();
    run(
        session,
        "insert into fan_out (account, fan_out, event, endpoint, position, series, version, created_at)
         select $1, told.fan_out, $2, told.endpoint, $3, $4, $5, $6
         from unnest($7::bytea[], $8::bytea[]) as told (fan_out, endpoint)",
        values![
            number(account),
            announcing.event.id.bytes(),
            position,
            announcing.series.id().bytes(),
            i64::from(announcing.version),
            millis(announcing.now),
            List(ids),
            List(endpoints),
        ],
    )
    .await
}
