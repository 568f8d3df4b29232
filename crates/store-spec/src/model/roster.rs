//! Mangoes, participants and membership, in memory.

use async_trait::async_trait;
use store::{
    Enrolled, Group, LateRegistration, Mango, NewMember, Page, ParticipantRecord, Roster, StoreError, StoreResult,
    Targets,
};
use webinar::{MangoId, Participant};
use wire::AccountId;

use super::Model;
use super::catalog::{Announcing, targets_of};
use super::tables::{Tables, oldest_first};

#[async_trait]
impl Roster for Model {
    async fn create_mango(&self, account: AccountId, mango: Mango) -> StoreResult<()> {
        let mut tables = self.tables();
        tables.require_account(account)?;
        if tables.mangoes.contains_key(&(account, mango.id)) {
            return Err(StoreError::Exists("a mango with this id"));
        }
        tables.mangoes.insert((account, mango.id), mango);
        Ok(())
    }

    async fn mangoes(
        &self,
        account: AccountId,
        after: Option<MangoId>,
        limit: usize,
    ) -> StoreResult<Page<(Mango, u64), MangoId>> {
        let tables = self.tables();
        Ok(oldest_first(&tables.mangoes, account, after, limit, |mango| {
            let is_in =
                |(owner, group, _): &&(AccountId, Group, u64)| *owner == account && *group == Group::Mango(mango.id);
            (mango.clone(), tables.members.iter().filter(is_in).count() as u64)
        }))
    }

    async fn mangoes_named(&self, account: AccountId, ids: &[MangoId]) -> StoreResult<Vec<Mango>> {
        let tables = self.tables();
        Ok(ids.iter().filter_map(|id| tables.mangoes.get(&(account, *id)).cloned()).collect())
    }

    async fn enrol(&self, account: AccountId, group: Group, members: Vec<NewMember>) -> StoreResult<Enrolled> {
        Ok(self.tables().enrol(account, group, members)?.0)
    }

    async fn register_late(&self, account: AccountId, late: LateRegistration) -> StoreResult<Enrolled> {
        let mut tables = self.tables();
        let id = late.series.id();
        let found = tables.series.get(&(account, id)).ok_or(StoreError::Missing("the webinar"))?.record.version;
        if found != late.version {
            return Err(StoreError::VersionConflict { expected: late.version, found });
        }
        let targets = targets_of(&late.series);
        let before = tables.people_of(account, &targets);
        let (enrolled, added) = tables.enrol(account, Group::Series(id), late.members)?;
        let now_told = tables.people_of(account, &targets);
        let is_new = |number: &u64| added.contains(number) && !before.contains(number);
        let newcomers: Vec<u64> = now_told.into_iter().filter(is_new).collect();
        if !newcomers.is_empty() {
            let (series, event) = (&late.series, &late.event);
            let announced = Announcing { series, event, version: found, is_for_everyone: false, now: late.now };
            tables.announce(account, &announced, &[], newcomers);
        }
        Ok(enrolled)
    }

    async fn leave(&self, account: AccountId, group: Group, participant: u64) -> StoreResult<bool> {
        let mut tables = self.tables();
        tables.require_account(account)?;
        Ok(tables.members.remove(&(account, group, participant)))
    }

    async fn participant(&self, account: AccountId, number: u64) -> StoreResult<Option<ParticipantRecord>> {
        Ok(self.tables().people.get(&(account, number)).cloned())
    }

    async fn participant_by_email(&self, account: AccountId, email: &str) -> StoreResult<Option<ParticipantRecord>> {
        Ok(self.tables().by_email(account, email).cloned())
    }

    async fn preview(&self, account: AccountId, targets: Targets) -> StoreResult<(u64, Option<ParticipantRecord>)> {
        let tables = self.tables();
        tables.require_account(account)?;
        let people = tables.people_of(account, &targets);
        let first = people.first().and_then(|number| tables.people.get(&(account, *number)).cloned());
        Ok((people.len() as u64, first))
    }
}

impl Tables {
    /// What it came to, and the numbers of those who were not in the group.
    fn enrol(
        &mut self,
        account: AccountId,
        group: Group,
        members: Vec<NewMember>,
    ) -> StoreResult<(Enrolled, Vec<u64>)> {
        let exists = match group {
            Group::Mango(mango) => self.mangoes.contains_key(&(account, mango)),
            Group::Series(series) => self.series.contains_key(&(account, series)),
        };
        if !exists {
            return Err(StoreError::Missing("the group"));
        }
        let (mut enrolled, mut added) = (Enrolled::default(), Vec::new());
        for member in members {
            let (number, is_changed) = self.upsert(account, member);
            match (self.members.insert((account, group, number)), is_changed) {
                (true, _) => {
                    enrolled.added += 1;
                    added.push(number);
                }
                (false, true) => enrolled.updated += 1,
                (false, false) => enrolled.unchanged += 1,
            }
        }
        Ok((enrolled, added))
    }

    pub(super) fn by_email(&self, account: AccountId, email: &str) -> Option<&ParticipantRecord> {
        let of_account = self.people.iter().filter(|((owner, _), _)| *owner == account).map(|(_, person)| person);
        of_account.into_iter().find(|person| person.participant.email.eq_ignore_ascii_case(email))
    }

    /// Adds or corrects the person with this address; their number, and whether anything changed.
    fn upsert(&mut self, account: AccountId, member: NewMember) -> (u64, bool) {
        let Some(known) = self.by_email(account, &member.participant.email).cloned() else {
            let last = self.last_participants.entry(account).or_default();
            *last += 1;
            let number = *last;
            let NewMember { participant, attributes } = member;
            self.people.insert((account, number), ParticipantRecord { number, participant, attributes });
            return (number, true);
        };
        let corrected = ParticipantRecord {
            number: known.number,
            participant: Participant { email: known.participant.email.clone(), ..member.participant },
            attributes: member.attributes.or_else(|| known.attributes.clone()),
        };
        let is_changed = corrected != known;
        self.people.insert((account, known.number), corrected);
        (known.number, is_changed)
    }
}
