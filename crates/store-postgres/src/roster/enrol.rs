//! Enrolling a batch of members in a handful of statements, however many it is.

use store::{Group, NewMember, StoreError, StoreResult};
use wire::AccountId;

use super::next_revision;
use super::roll::{Known, Person, Roll};
use crate::audience::team;
use crate::columns::{Columns, Id, List, find, list, number, run, values};
use crate::session::Session;

/// Makes people members of a group, as a change of the roster.
pub(super) async fn enrol_all(
    session: &Session,
    account: AccountId,
    group: Group,
    members: Vec<NewMember>,
) -> StoreResult<Roll> {
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
