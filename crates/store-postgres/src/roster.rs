//! Mangoes, participants and membership, in SQL. What a batch of members comes to is decided in `roster/roll.rs`.

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
    Columns, Id, List, ParticipantReader, change, find, limit_and_one, list, lock_account, millis, number, run, values,
};
use crate::session::Session;
use roll::{Known, Person, Roll};

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
        let ids = List(ids.iter().map(|id| id.bytes()).collect::<Vec<_>>());
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

/// Enrols a batch in a handful of statements, however many it is.
async fn enrol_all(session: &Session, account: AccountId, group: Group, members: Vec<NewMember>) -> StoreResult<Roll> {
    let revision = next_revision(session, account).await?;
    require_group(session, account, group).await?;
    let members: Vec<Person> = members.into_iter().map(Person::of).collect();
    let (known, last) = tokio::try_join!(known(session, account, group, &members), last_number(session, account))?;
    let roll = Roll::call(known, last, members)?;
    tokio::try_join!(
        write_people(session, account, &roll),
        write_memberships(session, account, group, (&roll.added, revision)),
        set_last_number(session, account, (last, roll.last)),
    )?;
    Ok(roll)
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

async fn require_group(session: &Session, account: AccountId, group: Group) -> StoreResult<()> {
    let (sql, id, name) = match &group {
        Group::Mango(id) => ("select 1 from mango where account = $1 and mango = $2", id.bytes(), "the mango"),
        Group::Series(id) => ("select 1 from series where account = $1 and series = $2", id.bytes(), "the webinar"),
    };
    let found = find(session, sql, values![number(account), id], |_| Ok(())).await?;
    found.ok_or(StoreError::Missing(name))
}

/// Those of a batch who have a row.
async fn known(session: &Session, account: AccountId, group: Group, members: &[Person]) -> StoreResult<Vec<Known>> {
    // The inner limits make the planner look each person up, where it might read everybody to find some.
    let sql = "select p.participant, p.name, p.email, p.phone, p.timezone, p.attributes, m.is_member is not null
        from (select distinct lower(email collate \"C\") as email from unnest($3::text[]) as asked (email)) as asked
        cross join lateral (
            select * from participant as p
            where p.account = $1 and lower(p.email collate \"C\") = asked.email limit 1) as p
        left join lateral (
            select true as is_member from membership as m
            where m.account = $1 and m.team = $2 and m.participant = p.participant and m.ended is null limit 1) as m on true";
    let emails = List(members.iter().map(|member| member.email.as_str()).collect::<Vec<_>>());
    list(session, sql, values![number(account), team(group), emails], |row| {
        let person = Person {
            name: row.value(1)?,
            email: row.value(2)?,
            phone: row.value(3)?,
            timezone: row.value(4)?,
            attributes: row.value(5)?,
        };
        Ok(Known { participant: row.value(0)?, person, is_member: row.value(6)? })
    })
    .await
}

/// The highest number that was given to anybody of the account.
async fn last_number(session: &Session, account: AccountId) -> StoreResult<i64> {
    let sql = "select participants from account where account = $1";
    let found = find(session, sql, values![number(account)], |row| row.value(0)).await?;
    found.ok_or(StoreError::Missing("the account"))
}

async fn set_last_number(session: &Session, account: AccountId, (before, last): (i64, i64)) -> StoreResult<()> {
    if last == before {
        return Ok(());
    }
    run(session, "update account set participants = $2 where account = $1", values![number(account), last]).await
}

/// Writes who is new and who has changed. Rows are found by their key, so that many are not joined with everybody.
async fn write_people(session: &Session, account: AccountId, roll: &Roll) -> StoreResult<()> {
    let people: Vec<&Known> = roll.to_be_written().collect();
    if people.is_empty() {
        return Ok(());
    }
    let optional = |pick: fn(&Person) -> &Option<String>| {
        List(people.iter().map(|known| pick(&known.person).as_deref()).collect::<Vec<_>>())
    };
    run(
        session,
        "insert into participant (account, participant, name, email, phone, timezone, attributes)
         select $1, written.* from unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) as written
         on conflict (account, participant) do update set name = excluded.name, phone = excluded.phone,
             timezone = excluded.timezone, attributes = excluded.attributes",
        values![
            number(account),
            List(people.iter().map(|known| known.participant).collect::<Vec<_>>()),
            List(people.iter().map(|known| known.person.name.as_str()).collect::<Vec<_>>()),
            List(people.iter().map(|known| known.person.email.as_str()).collect::<Vec<_>>()),
            optional(|person| &person.phone),
            optional(|person| &person.timezone),
            optional(|person| &person.attributes),
        ],
    )
    .await
}

async fn write_memberships(
    session: &Session,
    account: AccountId,
    group: Group,
    (added, revision): (&[i64], i64),
) -> StoreResult<()> {
    if added.is_empty() {
        return Ok(());
    }
    let sql = "insert into membership (account, team, participant, joined)
               select $1, $2, participant, $4 from unnest($3::bigint[]) as added (participant)";
    run(session, sql, values![number(account), team(group), List(added.to_vec()), revision]).await
}
