//! Erasing people, in memory.

use async_trait::async_trait;
use jiff::Timestamp;
use store::{
    Erase, Erasure, ErasureState, Erasures, ExceptionState, Message, MessageContent, MessageNumber, Search, Searched,
    StoreResult, Whom,
};
use wire::{AccountId, ErasureId};

use super::Model;
use super::tables::Tables;

#[derive(Debug)]
pub(super) struct ErasureRow {
    pub(super) account: AccountId,
    pub(super) erasure: Erasure,
    email: String,
    phone: Option<String>,
    read_to: MessageNumber,
    last: MessageNumber,
}

#[async_trait]
impl Erasures for Model {
    async fn erase(&self, account: AccountId, request: Erase) -> StoreResult<Option<Erasure>> {
        let mut tables = self.tables();
        tables.require_account(account)?;
        let known = match &request.whom {
            Whom::Number(number) => tables.people.get(&(account, *number)),
            Whom::Email(email) => tables.by_email(account, email),
        };
        let person = known.map(|person| (person.number, person.participant.clone()));
        let (participant, email, phone) = match (person, request.whom) {
            (Some((number, person)), _) => {
                (Some(number), person.email, person.phone.map(|phone| phone.digits().to_owned()))
            }
            (None, Whom::Email(email)) => (None, email, None),
            (None, Whom::Number(_)) => return Ok(None),
        };
        let (memberships, retries) = participant.map_or((0, 0), |number| tables.remove_person(account, number));
        let of_account = || tables.messages.iter().filter(|row| row.account == account);
        let erasure = Erasure {
            id: request.id,
            participant,
            memberships,
            retries,
            messages: of_account().count() as u64,
            searched: 0,
            emptied: 0,
            state: ErasureState::Searching,
            requested_at: request.now,
        };
        let last = of_account().map(|row| row.message.number).max().unwrap_or(0);
        tables.forget_agendas(account, &email, last);
        tables.erasures.push(ErasureRow { account, erasure: erasure.clone(), email, phone, read_to: 0, last });
        Ok(Some(erasure))
    }

    async fn erasure(&self, account: AccountId, id: ErasureId) -> StoreResult<Option<Erasure>> {
        let tables = self.tables();
        let found = tables.erasures.iter().find(|row| row.account == account && row.erasure.id == id);
        Ok(found.map(|row| row.erasure.clone()))
    }

    async fn searches(&self, limit: usize) -> StoreResult<Vec<Search>> {
        let tables = self.tables();
        let mut open: Vec<_> =
            tables.erasures.iter().filter(|row| row.erasure.state == ErasureState::Searching).collect();
        open.sort_by_key(|row| row.erasure.id);
        let search = |row: &ErasureRow| Search {
            account: row.account,
            id: row.erasure.id,
            email: row.email.clone(),
            phone: row.phone.clone(),
            read_to: row.read_to,
        };
        Ok(open.into_iter().take(limit).map(search).collect())
    }

    async fn messages_to_search(&self, search: &Search, limit: usize) -> StoreResult<Vec<Message>> {
        let tables = self.tables();
        let Some(row) = tables.erasures.iter().find(|row| row.erasure.id == search.id) else { return Ok(Vec::new()) };
        let of_account = tables.messages.iter().filter(|message| message.account == search.account);
        let left = of_account.filter(|one| (search.read_to + 1..=row.last).contains(&one.message.number));
        Ok(left.take(limit).map(|one| one.message.clone()).collect())
    }

    async fn note_search(&self, search: Search, searched: Searched) -> StoreResult<()> {
        let mut tables = self.tables();
        let Tables { erasures, messages, .. } = &mut *tables;
        let is_it = |row: &&mut ErasureRow| {
            row.erasure.id == search.id && row.read_to == search.read_to && row.erasure.state == ErasureState::Searching
        };
        let Some(row) = erasures.iter_mut().find(is_it) else { return Ok(()) };
        let is_named = |row: &&mut super::inbox::MessageRow| {
            row.account == search.account && searched.naming.contains(&row.message.number)
        };
        for message in messages.iter_mut().filter(is_named) {
            message.message.empty(MessageContent::Erased);
            row.erasure.emptied += 1;
        }
        row.erasure.searched += searched.count;
        match searched.read_to {
            Some(read_to) => row.read_to = read_to,
            None => {
                row.erasure.state = ErasureState::Sealing;
                let (email, last) = (row.email.clone(), row.last);
                // What a run that was under way has kept since.
                tables.forget_agendas(search.account, &email, last);
            }
        }
        Ok(())
    }

    async fn seal(&self, now: Timestamp) -> StoreResult<usize> {
        let mut tables = self.tables();
        let waiting = tables.erasures.iter_mut().filter(|row| row.erasure.state == ErasureState::Sealing);
        Ok(waiting.map(|row| row.erasure.state = ErasureState::Done { at: now }).count())
    }
}

impl Tables {
    /// Takes a person off the roster: how many memberships ended, and how many retries were called off.
    fn remove_person(&mut self, account: AccountId, number: u64) -> (u64, u64) {
        self.people.remove(&(account, number));
        let of_account = self.endpoints.iter_mut().filter(|((owner, _), _)| *owner == account).map(|(_, row)| row);
        of_account.filter(|row| row.lease_until.is_some()).for_each(|row| row.signal += 1);
        let before = self.members.len();
        self.members.retain(|(owner, _, member)| (*owner, *member) != (account, number));
        let of_account = self.fan_outs.iter_mut().filter(|((owner, _), _)| *owner == account);
        let mut retries = 0;
        for exception in of_account.filter_map(|(_, row)| row.exceptions.get_mut(&number)) {
            if let ExceptionState::Retrying { attempt, .. } | ExceptionState::Held { attempt, .. } = exception.state {
                exception.state = ExceptionState::Erased { attempts: attempt - 1 };
                retries += 1;
            }
        }
        ((before - self.members.len()) as u64, retries)
    }
}
