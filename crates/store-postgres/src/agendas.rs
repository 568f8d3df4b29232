//! Agendas and the addresses of calendars, in SQL.

use async_trait::async_trait;
use store::{Agenda, Agendas, Calendar, CalendarOf, StoreError, StoreResult};
use tokio_postgres::Row;
use wire::AccountId;

use crate::PostgresStore;
use crate::columns::{Columns, List, change, find, list, number, run, values};
use crate::inbox::saturated;
use crate::session::Session;

pub(crate) const OF_PERSON: &str = "select person, series, version, number, entries from agenda
    where account = $1 and person = $2 and handler = $3 order by series collate \"C\"";
pub(crate) const OF_SERIES: &str = "select person, series, version, number, entries from agenda
    where account = $1 and person = '' and handler = $2 and series = $3";
/// Of several about the same the newest, and of equals the last.
const KEEP: &str = "insert into agenda (account, person, handler, series, version, number, entries)
    select distinct on (told.person, told.series) $1, told.person, $2, told.series, told.version, told.number, told.entries
    from unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[]) with ordinality
        as told (person, series, version, number, entries, nth)
    where not exists (select 1 from message as m
        where m.account = $1 and m.number = told.number and m.emptied = 'erased')
    order by told.person, told.series, told.version desc, told.number desc, told.nth desc
    on conflict (account, person, handler, series) do update
    set version = excluded.version, number = excluded.number, entries = excluded.entries
    where (excluded.version, excluded.number) >= (agenda.version, agenda.number)";
pub(crate) const TOKEN: &str =
    "select token from calendar where account = $1 and person = $2 and series = $3 and handler = $4";
const CALENDAR: &str = "select account, person, series, handler from calendar where token = $1";
pub(crate) const FORGET_AGENDAS: &str = "delete from agenda where account = $1 and person = $2 and number <= $3";
pub(crate) const FORGET_CALENDARS: &str = "delete from calendar where account = $1 and person = $2";

#[async_trait]
impl Agendas for PostgresStore {
    async fn agendas(&self, account: AccountId, handler: &str, person: &str) -> StoreResult<Vec<Agenda>> {
        of_person(&self.session().await?, account, handler, &key_of(person)).await
    }

    async fn series_agenda(&self, account: AccountId, handler: &str, series: &str) -> StoreResult<Option<Agenda>> {
        of_series(&self.session().await?, account, handler, &key_of(series)).await
    }

    async fn keep_agendas(&self, account: AccountId, handler: &str, agendas: Vec<Agenda>) -> StoreResult<()> {
        let session = self.begin().await?;
        // Shared with others who keep some, but not with who erases somebody, so that nothing is kept of a message that is
        // being emptied.
        let sql = "select 1 from account where account = $1 for share";
        find(&session, sql, values![number(account)], |_| Ok(())).await?.ok_or(StoreError::Missing("the account"))?;
        let values = values![
            number(account),
            handler,
            List(agendas.iter().map(|agenda| key_of(&agenda.person)).collect()),
            List(agendas.iter().map(|agenda| key_of(&agenda.series)).collect()),
            List(agendas.iter().map(|agenda| saturated(agenda.version.0)).collect()),
            List(agendas.iter().map(|agenda| saturated(agenda.version.1)).collect()),
            List(agendas.iter().map(|agenda| storable(&agenda.entries)).collect()),
        ];
        run(&session, KEEP, values).await?;
        session.commit().await
    }

    async fn calendar_token(
        &self,
        account: AccountId,
        handler: &str,
        of: CalendarOf,
        fresh: [u8; 20],
    ) -> StoreResult<[u8; 20]> {
        let (person, series) = match of {
            CalendarOf::Person(person) => (key_of(&person), String::new()),
            CalendarOf::Series(series) => (String::new(), key_of(&series)),
        };
        let session = self.session().await?;
        let key = values![number(account), person, series, handler];
        if let Some(known) = find(&session, TOKEN, key, read_token).await? {
            return Ok(known);
        }
        let sql = "insert into calendar (account, person, series, handler, token) values ($1, $2, $3, $4, $5)
                   on conflict (account, person, series, handler) do nothing";
        change(&session, sql, values![number(account), person, series, handler, fresh.as_slice()]).await?;
        // Another may have been first.
        Ok(find(&session, TOKEN, key, read_token).await?.unwrap_or(fresh))
    }

    async fn calendar(&self, token: [u8; 20]) -> StoreResult<Option<Calendar>> {
        let session = self.look().await?;
        let found = find(&session, CALENDAR, values![token.as_slice()], |row| {
            Ok((row.account(0)?, row.value::<String>(1)?, row.value::<String>(2)?, row.value::<String>(3)?))
        })
        .await?;
        let Some((account, person, series, handler)) = found else { return Ok(None) };
        if person.is_empty() {
            let agendas = of_series(&session, account, &handler, &series).await?.into_iter().collect();
            return Ok(Some(Calendar { of: CalendarOf::Series(series), agendas }));
        }
        let agendas = of_person(&session, account, &handler, &person).await?;
        Ok(Some(Calendar { of: CalendarOf::Person(person), agendas }))
    }
}

/// Forgets what a person has been told by messages up to `last`, in which address calendars are kept under. For a
/// transaction that holds the account.
pub(crate) async fn forget(session: &Session, account: AccountId, email: &str, last: i64) -> StoreResult<()> {
    let person = key_of(&email.to_lowercase());
    if person.is_empty() {
        return Ok(());
    }
    change(session, FORGET_AGENDAS, values![number(account), person, last]).await?;
    change(session, FORGET_CALENDARS, values![number(account), person]).await.map(drop)
}

async fn of_person(session: &Session, account: AccountId, handler: &str, person: &str) -> StoreResult<Vec<Agenda>> {
    list(session, OF_PERSON, values![number(account), person, handler], read_agenda).await
}

async fn of_series(session: &Session, account: AccountId, handler: &str, series: &str) -> StoreResult<Option<Agenda>> {
    find(session, OF_SERIES, values![number(account), handler, series], read_agenda).await
}

fn read_agenda(row: &Row) -> StoreResult<Agenda> {
    let version = (row.count(2)?, row.count(3)?);
    Ok(Agenda { person: row.value(0)?, series: row.value(1)?, version, entries: row.value(4)? })
}

fn read_token(row: &Row) -> StoreResult<[u8; 20]> {
    row.value::<&[u8]>(0)?.try_into().map_err(StoreError::broken)
}

/// Bytes of a name that agendas are kept under. Of each index row, three of them together, a page holds three.
const KEY_MAX: usize = 512;

/// A name as it is kept: of a longer one the beginning, and what tells it from others that begin alike. So it is already one.
fn key_of(name: &str) -> String {
    let name = storable(name);
    if name.len() <= KEY_MAX {
        return name;
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, name.as_bytes());
    let told_apart: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let beginning = &name[..name.floor_char_boundary(KEY_MAX - told_apart.len())];
    format!("{beginning}{told_apart}")
}

/// Text of others as PostgreSQL takes it: it keeps no NUL, which a person's name or a program's last words may hold.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
