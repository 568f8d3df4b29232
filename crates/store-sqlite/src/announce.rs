//! An event and its fan-outs, in SQL: one row for each endpoint that is told, however many people that is.

use jiff::Timestamp;
use provider::fan_out::fan_out_id;
use provider::subscription::Announcement;
use rusqlite::Connection;
use store::{NewEvent, StoreError, StoreResult};
use webinar::{MangoId, Series, SessionId};
use wire::{AccountId, EndpointId, FanOutId};

use crate::backlog::supersede;
use crate::columns::{broken, find, millis, number, run};
use crate::{due, roster, subscriptions};

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
}

/// Writes the event, frozen at the account's revision of now, and a fan-out to each endpoint it concerns.
pub(crate) fn announce(
    connection: &Connection,
    account: AccountId,
    announcing: &Announcing<'_>,
) -> StoreResult<Vec<(FanOutId, EndpointId)>> {
    save_event(connection, account, announcing)?;
    let sql = "update account set events = events + 1 where account = ?1 returning events";
    let position: Option<i64> = find(connection, sql, [number(account)], |row| row.get(0))?;
    let event = announcing.event.id;
    let told = endpoints_told(connection, account, announcing)?;
    let fan_outs: Vec<_> = told.into_iter().map(|endpoint| (fan_out_id(event, endpoint), endpoint)).collect();
    for (fan_out, endpoint) in &fan_outs {
        let (id, to) = (fan_out.as_bytes(), endpoint.as_bytes());
        run(
            connection,
            "insert into fan_out (account, fan_out, event, endpoint, position, series, version, created_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                number(account),
                id,
                event.as_bytes(),
                to,
                position,
                announcing.series.id().as_bytes(),
                announcing.version,
                millis(announcing.now),
            ),
        )?;
        // An announcement to a few newcomers says nothing to the others.
        if announcing.listed.is_none() {
            supersede(connection, account, *fan_out, announcing.now)?;
        }
        due::wake(connection, account, *endpoint, announcing.now)?;
    }
    Ok(fan_outs)
}

fn endpoints_told(
    connection: &Connection,
    account: AccountId,
    announcing: &Announcing<'_>,
) -> StoreResult<Vec<EndpointId>> {
    let mut sessions: Vec<SessionId> = announcing.series.sessions().iter().map(|session| session.id).collect();
    sessions.extend(announcing.former_sessions);
    let event = announcing.event.event;
    let announcement = Announcement { event, series: announcing.series.id(), sessions: &sessions };
    let mut told: Vec<EndpointId> = subscriptions::to_event(connection, account, event)?
        .iter()
        .filter(|subscription| subscription.concerns(&announcement))
        .map(|subscription| subscription.endpoint)
        .collect();
    // Two subscriptions of one endpoint that both match are one wish.
    told.sort_unstable();
    told.dedup();
    Ok(told)
}

fn save_event(connection: &Connection, account: AccountId, announcing: &Announcing<'_>) -> StoreResult<()> {
    let (event, series) = (announcing.event, announcing.series);
    let joined = |ids: &[MangoId]| ids.iter().flat_map(|id| id.as_bytes().to_vec()).collect::<Vec<u8>>();
    let revision = roster::revision(connection, account)?;
    let listed = announcing.listed.map(serde_json::to_string).transpose().map_err(StoreError::broken)?;
    connection
        .prepare_cached(
            "insert into event (account, event, type, cause, series, version, title, mangoes, excluded, revision,
                                listed, series_part, attendee_instant, tzdb_version, created_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )
        .and_then(|mut statement| {
            statement.execute(rusqlite::params![
                number(account),
                event.id.as_bytes(),
                event.event.as_str(),
                event.trigger.as_str(),
                series.id().as_bytes(),
                announcing.version,
                series.title(),
                joined(series.mangoes()),
                joined(series.excluded_mangoes()),
                revision,
                listed,
                event.series_part.as_ref(),
                event.attendee_instant.map(millis),
                event.tzdb_version,
                millis(announcing.now),
            ])
        })
        .map(drop)
        .map_err(broken)
}
