//! Frozen audiences by what they belong to: how many people they are, and page by page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use store::{StoreError, StoreResult};
use tokio_postgres::Row;
use webinar::MangoId;
use wire::{AccountId, EventId, FanOutId};

use crate::audience::Audience;
use crate::columns::{Columns, Id, List, find, list, number, run, values};
use crate::session::Session;

/// Audiences that are kept at hand: a few hundred bytes each.
const KNOWN_MAX: usize = 4_096;

/// The audiences of the fan-outs in hand: they are frozen, so that whoever reads a page need not read first whose.
#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<(AccountId, FanOutId), Arc<Audience>>>);

impl Known {
    /// The audience of a fan-out.
    pub(super) async fn of(
        &self,
        session: &Session,
        account: AccountId,
        fan_out: FanOutId,
    ) -> StoreResult<Arc<Audience>> {
        let key = (account, fan_out);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = audience_of(session, account, fan_out).await?.ok_or(StoreError::Missing("the fan-out"))?;
        let found = Arc::new(found);
        // Lists may be long, and are soon read.
        if found.listed.is_none() {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(key, found.clone());
        }
        Ok(found)
    }
}

const AUDIENCE: &str =
    "select e.event, e.series, e.mangoes, e.excluded, e.revision, e.listed from event as e where e.account = $1";

/// The frozen audience of a fan-out: its event's, or the few it lists.
async fn audience_of(session: &Session, account: AccountId, fan_out: FanOutId) -> StoreResult<Option<Audience>> {
    let sql = "select e.event, e.series, e.mangoes, e.excluded, e.revision, coalesce(f.listed, e.listed)
        from fan_out as f join event as e on e.account = f.account and e.event = f.event
        where f.account = $1 and f.fan_out = $2";
    find(session, sql, values![number(account), fan_out.bytes()], |row| read_audience(row, account)).await
}

/// The frozen audience of an event.
pub(crate) async fn audience_of_event(
    session: &Session,
    account: AccountId,
    event: EventId,
) -> StoreResult<Option<Audience>> {
    let sql = format!("{AUDIENCE} and e.event = $2");
    find(session, &sql, values![number(account), event.bytes()], |row| read_audience(row, account)).await
}

/// Counts those of events that nobody has counted meanwhile.
pub(super) async fn count_audiences(session: &Session, account: AccountId, events: &[EventId]) -> StoreResult<()> {
    let sql = format!("{AUDIENCE} and e.event = any($2) and e.audience is null order by e.event");
    let events = List(events.iter().map(Id::bytes).collect());
    let read = |row: &Row| Ok((row.id::<EventId>(0)?, read_audience(row, account)?));
    let uncounted = list(session, &sql, values![number(account), events], read).await?;
    for (event, audience) in uncounted {
        let count = audience.count(session).await?.cast_signed();
        let sql = "update event set audience = $3 where account = $1 and event = $2 and audience is null";
        run(session, sql, values![number(account), event.bytes(), count]).await?;
    }
    Ok(())
}

fn read_audience(row: &Row, account: AccountId) -> StoreResult<Audience> {
    let split = |bytes: &[u8]| {
        bytes.chunks_exact(12).filter_map(|id| id.try_into().ok().map(MangoId::from_bytes)).collect::<Vec<_>>()
    };
    Ok(Audience {
        account,
        series: row.id(1)?,
        mangoes: split(row.value(2)?),
        excluded: split(row.value(3)?),
        revision: row.value(4)?,
        listed: row.value(5)?,
    })
}
