//! Agendas and the addresses of calendars, in SQL.

use async_trait::async_trait;
use rusqlite::{Connection, Row};
use store::{Agenda, Agendas, Calendar, CalendarOf, StoreResult};
use wire::AccountId;

use crate::SqliteStore;
use crate::columns::{AccountColumn, change, find, list, number, run};

pub(crate) const OF_PERSON: &str = "select person, series, version, number, entries from agenda
    where account = ?1 and person = ?2 and handler = ?3 order by series";
pub(crate) const OF_SERIES: &str = "select person, series, version, number, entries from agenda
    where account = ?1 and person = '' and handler = ?2 and series = ?3";
const KEEP: &str = "insert into agenda (account, person, handler, series, version, number, entries)
    select ?1, ?2, ?3, ?4, ?5, ?6, ?7
    where not exists (select 1 from message where account = ?1 and number = ?6 and emptied = 'erased')
    on conflict (account, person, handler, series) do update
    set version = excluded.version, number = excluded.number, entries = excluded.entries
    where (excluded.version, excluded.number) >= (agenda.version, agenda.number)";
pub(crate) const TOKEN: &str =
    "select token from calendar where account = ?1 and person = ?2 and series = ?3 and handler = ?4";
const CALENDAR: &str = "select account, person, series, handler from calendar where token = ?1";
pub(crate) const FORGET_AGENDAS: &str = "delete from agenda where account = ?1 and person = ?2 and number <= ?3";
pub(crate) const FORGET_CALENDARS: &str = "delete from calendar where account = ?1 and person = ?2";

#[async_trait]
impl Agendas for SqliteStore {
    async fn agendas(&self, account: AccountId, handler: &str, person: &str) -> StoreResult<Vec<Agenda>> {
        let (handler, person) = (handler.to_owned(), person.to_owned());
        self.readers.read(move |connection| of_person(connection, account, &handler, &person)).await
    }

    async fn series_agenda(&self, account: AccountId, handler: &str, series: &str) -> StoreResult<Option<Agenda>> {
        let (handler, series) = (handler.to_owned(), series.to_owned());
        self.readers.read(move |connection| of_series(connection, account, &handler, &series)).await
    }

    async fn keep_agendas(&self, account: AccountId, handler: &str, agendas: Vec<Agenda>) -> StoreResult<()> {
        let handler = handler.to_owned();
        self.writer
            .write(move |connection| {
                for Agenda { person, series, version, entries } in &agendas {
                    let version = (saturated(version.0), saturated(version.1));
                    let values = (number(account), person, &handler, series, version.0, version.1, entries);
                    run(connection, KEEP, values)?;
                }
                Ok(())
            })
            .await
    }

    async fn calendar_token(
        &self,
        account: AccountId,
        handler: &str,
        of: CalendarOf,
        fresh: [u8; 20],
    ) -> StoreResult<[u8; 20]> {
        let (person, series) = match of {
            CalendarOf::Person(person) => (person, String::new()),
            CalendarOf::Series(series) => (String::new(), series),
        };
        let key = (number(account), person, series, handler.to_owned());
        let known = key.clone();
        let known = self.readers.read(move |connection| find(connection, TOKEN, known, |row| row.get(0))).await?;
        if let Some(known) = known {
            return Ok(known);
        }
        let sql = "insert into calendar (account, person, series, handler, token) values (?1, ?2, ?3, ?4, ?5)
                   on conflict (account, person, series, handler) do nothing";
        self.writer
            .write(move |connection| {
                let (account, person, series, handler) = &key;
                run(connection, sql, (account, person, series, handler, fresh))?;
                Ok(find(connection, TOKEN, key, |row| row.get(0))?.unwrap_or(fresh))
            })
            .await
    }

    async fn calendar(&self, token: [u8; 20]) -> StoreResult<Option<Calendar>> {
        self.readers
            .read(move |connection| {
                let found = find(connection, CALENDAR, [token], |row| {
                    Ok((
                        row.get::<_, AccountColumn>(0)?.0,
                        row.get::<_, String>(1)?,
                        row.get::<_, String>(2)?,
                        row.get(3)?,
                    ))
                })?;
                let Some((account, person, series, handler)) = found else { return Ok(None) };
                let handler: String = handler;
                if person.is_empty() {
                    let agendas = of_series(connection, account, &handler, &series)?.into_iter().collect();
                    return Ok(Some(Calendar { of: CalendarOf::Series(series), agendas }));
                }
                let agendas = of_person(connection, account, &handler, &person)?;
                Ok(Some(Calendar { of: CalendarOf::Person(person), agendas }))
            })
            .await
    }
}

/// Forgets what a person has been told by messages up to `last`, in which address calendars are kept under.
pub(crate) fn forget(connection: &Connection, account: AccountId, email: &str, last: i64) -> StoreResult<()> {
    let person = email.to_lowercase();
    if person.is_empty() {
        return Ok(());
    }
    change(connection, FORGET_AGENDAS, (number(account), &person, last))?;
    change(connection, FORGET_CALENDARS, (number(account), &person)).map(drop)
}

fn of_person(connection: &Connection, account: AccountId, handler: &str, person: &str) -> StoreResult<Vec<Agenda>> {
    list(connection, OF_PERSON, (number(account), person, handler), read_agenda)
}

fn of_series(connection: &Connection, account: AccountId, handler: &str, series: &str) -> StoreResult<Option<Agenda>> {
    find(connection, OF_SERIES, (number(account), handler, series), read_agenda)
}

fn read_agenda(row: &Row<'_>) -> rusqlite::Result<Agenda> {
    let version = (row.get::<_, i64>(2)?.unsigned_abs(), row.get::<_, i64>(3)?.unsigned_abs());
    Ok(Agenda { person: row.get(0)?, series: row.get(1)?, version, entries: row.get(4)? })
}

/// Versions come from headers that nobody has signed; SQLite counts to 2^63.
pub(crate) fn saturated(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}
