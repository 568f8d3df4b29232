//! Agendas and the addresses of calendars, in memory.

use async_trait::async_trait;
use store::{Agenda, Agendas, Calendar, CalendarOf, MessageContent, StoreResult};
use wire::AccountId;

use super::Model;
use super::tables::Tables;

#[derive(Debug)]
pub(super) struct AgendaRow {
    account: AccountId,
    handler: String,
    agenda: Agenda,
}

#[derive(Debug)]
pub(super) struct CalendarRow {
    token: [u8; 20],
    account: AccountId,
    handler: String,
    of: CalendarOf,
}

#[async_trait]
impl Agendas for Model {
    async fn agendas(&self, account: AccountId, handler: &str, person: &str) -> StoreResult<Vec<Agenda>> {
        Ok(self.tables().agendas_of(account, handler, |agenda| agenda.person == person))
    }

    async fn series_agenda(&self, account: AccountId, handler: &str, series: &str) -> StoreResult<Option<Agenda>> {
        let is_it = |agenda: &Agenda| agenda.person.is_empty() && agenda.series == series;
        Ok(self.tables().agendas_of(account, handler, is_it).pop())
    }

    async fn keep_agendas(&self, account: AccountId, handler: &str, agendas: Vec<Agenda>) -> StoreResult<()> {
        let mut tables = self.tables();
        for agenda in agendas {
            let is_erased = |row: &super::inbox::MessageRow| {
                (row.account, row.message.number) == (account, agenda.version.1)
                    && row.message.content == MessageContent::Erased
            };
            if tables.messages.iter().any(is_erased) {
                continue;
            }
            tables.require_account(account)?;
            let is_it = |row: &&mut AgendaRow| {
                (row.account, row.handler.as_str()) == (account, handler)
                    && (&row.agenda.person, &row.agenda.series) == (&agenda.person, &agenda.series)
            };
            match tables.agendas.iter_mut().find(is_it) {
                Some(row) if row.agenda.version > agenda.version => {}
                Some(row) => row.agenda = agenda,
                None => tables.agendas.push(AgendaRow { account, handler: handler.to_owned(), agenda }),
            }
        }
        Ok(())
    }

    async fn calendar_token(
        &self,
        account: AccountId,
        handler: &str,
        of: CalendarOf,
        fresh: [u8; 20],
    ) -> StoreResult<[u8; 20]> {
        let mut tables = self.tables();
        let is_it = |row: &&CalendarRow| (row.account, row.handler.as_str(), &row.of) == (account, handler, &of);
        if let Some(known) = tables.calendars.iter().find(is_it) {
            return Ok(known.token);
        }
        tables.require_account(account)?;
        tables.calendars.push(CalendarRow { token: fresh, account, handler: handler.to_owned(), of });
        Ok(fresh)
    }

    async fn calendar(&self, token: [u8; 20]) -> StoreResult<Option<Calendar>> {
        let tables = self.tables();
        let Some(row) = tables.calendars.iter().find(|row| row.token == token) else { return Ok(None) };
        let agendas = match &row.of {
            CalendarOf::Person(person) => {
                tables.agendas_of(row.account, &row.handler, |agenda| agenda.person == *person)
            }
            CalendarOf::Series(series) => tables
                .agendas_of(row.account, &row.handler, |agenda| agenda.person.is_empty() && agenda.series == *series),
        };
        Ok(Some(Calendar { of: row.of.clone(), agendas }))
    }
}

impl Tables {
    fn agendas_of(&self, account: AccountId, handler: &str, is_wanted: impl Fn(&Agenda) -> bool) -> Vec<Agenda> {
        let of_handler = self.agendas.iter().filter(|row| (row.account, row.handler.as_str()) == (account, handler));
        let mut found: Vec<_> = of_handler.filter(|row| is_wanted(&row.agenda)).map(|row| row.agenda.clone()).collect();
        found.sort_by(|one, other| one.series.cmp(&other.series));
        found
    }

    /// Forgets what a person has been told by messages up to `last`, and the addresses of their calendars.
    pub(super) fn forget_agendas(&mut self, account: AccountId, email: &str, last: u64) {
        let person = email.to_lowercase();
        self.agendas.retain(|row| row.account != account || row.agenda.person != person || row.agenda.version.1 > last);
        let of = CalendarOf::Person(person);
        self.calendars.retain(|row| row.account != account || row.of != of);
    }
}
