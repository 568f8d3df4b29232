//! Mangoes, participants and membership, in SQL. `roster/enrol.rs` writes a batch of members, and `roster/roll.rs` decides
//! what it comes to.

mod enrol;
mod roll;

use async_trait::async_trait;
use provider::frontier::Place;
use store::{
    Enrolled, Group, LateRegistration, Mango, NewMember, Page, ParticipantRecord, Roster, StoreError, StoreResult,
    Targets,
};
use tokio_postgres::Row;
use webinar::{MangoId, Zones};
use wire::AccountId;

use crate::PostgresStore;
use crate::announce::{Announcing, announce};
use crate::audience::{Audience, team};
use crate::columns::{
    Columns, Id, List, ParticipantReader, change, find, limit_and_one, list, lock_account, millis, number, values,
};
use crate::session::Session;
use enrol::enrol_all;

const PARTICIPANT: &str =
    "select participant, name, email, phone, timezone, attributes from participant where account = $1";

#[async_trait]
impl Roster for PostgresStore {
    async fn create_mango(&self, account: AccountId, mango: Mango) -> StoreResult<()> {
        let session = self.begin().await?;
        let sql = "insert into mango (account, mango, name, created_at) values ($1, $2, $3, $4) on conflict do nothing";
        let values = values![number(account), mango.id.bytes(), mango.name, millis(mango.created_at)];
        if change(&session, sql, values).await? == 0 {
            return Err(StoreError::Exists("a mango with this id"));
        }
        session.commit().await
    }

    async fn mangoes(
        &self,
        account: AccountId,
        after: Option<MangoId>,
        limit: usize,
    ) -> StoreResult<Page<(Mango, u64), MangoId>> {
        let after = after.map_or(Vec::new(), |id| id.as_bytes().to_vec());
        let sql = "select mango, name, created_at,
                          (select count(*) from membership as m
                           where m.account = mango.account and m.team = '\\x6d'::bytea || mango.mango and m.ended is null)
                   from mango where account = $1 and mango > $2 order by mango limit $3";
        let values = values![number(account), after, limit_and_one(limit)];
        let read = |row: &Row| Ok((read_mango(row)?, row.count(3)?));
        let found = list(&self.session().await?, sql, values, read).await?;
        Ok(Page::cut(found, limit, |(mango, _)| mango.id))
    }

    async fn mangoes_named(&self, account: AccountId, ids: &[MangoId]) -> StoreResult<Vec<Mango>> {
        let sql =
            "select m.mango, m.name, m.created_at from unnest($2::bytea[]) with ordinality as asked (mango, place)
                   join mango as m on m.account = $1 and m.mango = asked.mango order by asked.place";
        let ids = List(ids.iter().map(Id::bytes).collect::<Vec<_>>());
        list(&self.session().await?, sql, values![number(account), ids], read_mango).await
    }

    async fn enrol(&self, account: AccountId, group: Group, members: Vec<NewMember>) -> StoreResult<Enrolled> {
        let session = self.begin().await?;
        let roll = enrol_all(&session, account, group, members).await?;
        session.commit().await?;
        Ok(roll.enrolled)
    }

    async fn register_late(&self, account: AccountId, late: LateRegistration) -> StoreResult<Enrolled> {
        let session = self.begin().await?;
        let now = self.lease_now(late.now);
        let enrolled = register_late(&session, account, late, now).await?;
        session.commit().await?;
        Ok(enrolled)
    }

    async fn leave(&self, account: AccountId, group: Group, participant: u64) -> StoreResult<bool> {
        let session = self.begin().await?;
        let revision = next_revision(&session, account).await?;
        let sql = "update membership set ended = $4
                   where account = $1 and team = $2 and participant = $3 and ended is null";
        let values = values![number(account), team(group), participant.cast_signed(), revision];
        if change(&session, sql, values).await? == 0 {
            return Ok(false);
        }
        session.commit().await?;
        Ok(true)
    }

    async fn participant(&self, account: AccountId, wanted: u64) -> StoreResult<Option<ParticipantRecord>> {
        record(&self.session().await?, account, wanted, &self.zones).await
    }

    async fn participant_by_email(&self, account: AccountId, email: &str) -> StoreResult<Option<ParticipantRecord>> {
        let sql = format!("{PARTICIPANT} and lower(email collate \"C\") = lower($2::text collate \"C\")");
        let read = |row: &Row| read_record(row, &self.zones);
        find(&self.session().await?, &sql, values![number(account), email], read).await
    }

    async fn preview(&self, account: AccountId, targets: Targets) -> StoreResult<(u64, Option<ParticipantRecord>)> {
        let session = self.look().await?;
        let audience = Audience {
            account,
            series: targets.series,
            mangoes: targets.mangoes,
            excluded: targets.excluded,
            revision: revision(&session, account).await?,
            listed: None,
        };
        let mut reader = ParticipantReader::new(&self.zones);
        let count = audience.count(&session).await?;
        let first = audience.page(&session, Place::default(), 1, &mut reader).await?.pop();
        match first {
            Some(member) => Ok((count, record(&session, account, member.place().participant, &self.zones).await?)),
            None => Ok((count, None)),
        }
    }
}

async fn record(
    session: &Session,
    account: AccountId,
    wanted: u64,
    zones: &Zones,
) -> StoreResult<Option<ParticipantRecord>> {
    let sql = format!("{PARTICIPANT} and participant = $2");
    let values = values![number(account), wanted.cast_signed()];
    find(session, &sql, values, |row| read_record(row, zones)).await
}

fn read_mango(row: &Row) -> StoreResult<Mango> {
    Ok(Mango { id: row.id(0)?, name: row.value(1)?, created_at: row.moment(2)? })
}

fn read_record(row: &Row, zones: &Zones) -> StoreResult<ParticipantRecord> {
    Ok(ParticipantRecord {
        number: row.count(0)?,
        participant: ParticipantReader::new(zones).read(row, 1)?,
        attributes: row.value(5)?,
    })
}

/// The account's revision now: what an event freezes its audience at.
pub(crate) async fn revision(session: &Session, account: AccountId) -> StoreResult<i64> {
    let sql = "select revision from account where account = $1";
    let found = find(session, sql, values![number(account)], |row| row.value(0)).await?;
    found.ok_or(StoreError::Missing("the account"))
}

/// Begins a change of the roster: events saved before it do not see it. Holds the account, as `lock_account` does: no event
/// is saved between this and the commit, so none has a revision of which it sees only a part.
pub(crate) async fn next_revision(session: &Session, account: AccountId) -> StoreResult<i64> {
    let sql = "update account set revision = revision + 1 where account = $1 returning revision";
    let found = find(session, sql, values![number(account)], |row| row.value(0)).await?;
    found.ok_or(StoreError::Missing("the account"))
}

async fn register_late(
    session: &Session,
    account: AccountId,
    late: LateRegistration,
    lease_now: Option<i64>,
) -> StoreResult<Enrolled> {
    lock_account(session, account).await?;
    let (series, id) = (&late.series, late.series.id());
    let sql = "select version from series where account = $1 and series = $2";
    let found = find(session, sql, values![number(account), id.bytes()], |row| row.small(0)).await?;
    let found: u32 = found.ok_or(StoreError::Missing("the webinar"))?;
    if found != late.version {
        return Err(StoreError::VersionConflict { expected: late.version, found });
    }
    let roll = enrol_all(session, account, Group::Series(id), late.members).await?;
    let audience = Audience {
        account,
        series: id,
        mangoes: series.mangoes().to_vec(),
        excluded: series.excluded_mangoes().to_vec(),
        revision: revision(session, account).await?,
        listed: None,
    };
    let newcomers = audience.newcomers(session, &roll.added).await?;
    if !newcomers.is_empty() {
        let announcing = Announcing {
            series,
            event: &late.event,
            version: found,
            former_sessions: &[],
            listed: Some(&newcomers),
            now: late.now,
            lease_now,
        };
        announce(session, account, &announcing).await?;
    }
    Ok(roll.enrolled)
}
