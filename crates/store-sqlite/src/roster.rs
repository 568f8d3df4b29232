//! Mangoes, participants and membership, in SQL.

use async_trait::async_trait;
use provider::frontier::Place;
use rusqlite::{Connection, Row};
use store::{
    Enrolled, Group, LateRegistration, Mango, NewMember, Page, ParticipantRecord, Roster, StoreError, StoreResult,
    Targets,
};
use webinar::{MangoId, Zones};
use wire::{AccountId, ParticipantNumber};

use crate::SqliteStore;
use crate::announce::{Announcing, announce};
use crate::audience::{Audience, team};
use crate::columns::{Id, Millis, ParticipantReader, change, find, limit_and_one, list, millis, number, run};

#[async_trait]
impl Roster for SqliteStore {
    async fn create_mango(&self, account: AccountId, mango: Mango) -> StoreResult<()> {
        let sql = "insert into mango (account, mango, name, created_at) values (?1, ?2, ?3, ?4) on conflict do nothing";
        self.writer
            .write(move |connection| {
                let values = (number(account), mango.id.as_bytes(), &mango.name, millis(mango.created_at));
                match change(connection, sql, values)? {
                    0 => Err(StoreError::Exists("a mango with this id")),
                    _ => Ok(()),
                }
            })
            .await
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
                           where m.account = mango.account and m.team = cast(x'6d' || mango.mango as blob) and m.ended is null)
                   from mango where account = ?1 and mango > ?2 order by mango limit ?3";
        self.readers
            .read(move |connection| {
                let found = list(connection, sql, (number(account), after, limit_and_one(limit)), |row| {
                    Ok((read_mango(row)?, row.get::<_, i64>(3)?.unsigned_abs()))
                })?;
                Ok(Page::cut(found, limit, |(mango, _)| mango.id))
            })
            .await
    }

    async fn mangoes_named(&self, account: AccountId, ids: &[MangoId]) -> StoreResult<Vec<Mango>> {
        let ids = ids.to_vec();
        let sql = "select mango, name, created_at from mango where account = ?1 and mango = ?2";
        self.readers
            .read(move |connection| {
                let found = ids.iter().map(|id| find(connection, sql, (number(account), id.as_bytes()), read_mango));
                found.filter_map(Result::transpose).collect()
            })
            .await
    }

    async fn enrol(&self, account: AccountId, group: Group, members: Vec<NewMember>) -> StoreResult<Enrolled> {
        self.writer.write(move |connection| Ok(enrol_all(connection, account, group, &members)?.0)).await
    }

    async fn register_late(&self, account: AccountId, late: LateRegistration) -> StoreResult<Enrolled> {
        self.writer.write(move |connection| register_late(connection, account, &late)).await
    }

    async fn leave(&self, account: AccountId, group: Group, participant: u64) -> StoreResult<bool> {
        self.writer
            .write(move |connection| {
                let revision = next_revision(connection, account)?;
                let sql = "update membership set ended = ?4
                           where account = ?1 and team = ?2 and participant = ?3 and ended is null";
                let values = (number(account), team(group), participant.cast_signed(), revision);
                Ok(change(connection, sql, values)? > 0)
            })
            .await
    }

    async fn participant(&self, account: AccountId, wanted: u64) -> StoreResult<Option<ParticipantRecord>> {
        let zones = self.zones.clone();
        self.readers.read(move |connection| record(connection, account, wanted, &zones)).await
    }

    async fn participant_by_email(&self, account: AccountId, email: &str) -> StoreResult<Option<ParticipantRecord>> {
        let (zones, email) = (self.zones.clone(), email.to_owned());
        let sql = "select participant, name, email, phone, timezone, attributes from participant
                   where account = ?1 and email = ?2";
        self.readers
            .read(move |connection| find(connection, sql, (number(account), email), |row| read_record(row, &zones)))
            .await
    }

    async fn preview(&self, account: AccountId, targets: Targets) -> StoreResult<(u64, Option<ParticipantRecord>)> {
        let zones = self.zones.clone();
        self.readers
            .read(move |connection| {
                let audience = Audience {
                    account,
                    series: targets.series,
                    mangoes: targets.mangoes,
                    excluded: targets.excluded,
                    revision: revision(connection, account)?,
                    listed: None,
                };
                let mut reader = ParticipantReader::new(&zones);
                let first = audience.page(connection, Place::default(), 1, &mut reader)?.pop();
                let first = first.map(|member| record(connection, account, member.place().participant, &zones));
                Ok((audience.count(connection)?, first.transpose()?.flatten()))
            })
            .await
    }
}

fn record(
    connection: &Connection,
    account: AccountId,
    wanted: u64,
    zones: &Zones,
) -> StoreResult<Option<ParticipantRecord>> {
    let sql = "select participant, name, email, phone, timezone, attributes from participant
               where account = ?1 and participant = ?2";
    find(connection, sql, (number(account), wanted.cast_signed()), |row| read_record(row, zones))
}

fn read_mango(row: &Row<'_>) -> rusqlite::Result<Mango> {
    Ok(Mango { id: row.get::<_, Id<_>>(0)?.0, name: row.get(1)?, created_at: row.get::<_, Millis>(2)?.0 })
}

fn read_record(row: &Row<'_>, zones: &Zones) -> rusqlite::Result<ParticipantRecord> {
    Ok(ParticipantRecord {
        number: row.get::<_, i64>(0)?.unsigned_abs(),
        participant: ParticipantReader::new(zones).read(row, 1)?,
        attributes: row.get(5)?,
    })
}

/// The account's revision now: what an event freezes its audience at.
pub(crate) fn revision(connection: &Connection, account: AccountId) -> StoreResult<i64> {
    let sql = "select revision from account where account = ?1";
    find(connection, sql, [number(account)], |row| row.get(0))?.ok_or(StoreError::Missing("the account"))
}

/// Begins a change of the roster: events saved before it do not see it.
pub(crate) fn next_revision(connection: &Connection, account: AccountId) -> StoreResult<i64> {
    let sql = "update account set revision = revision + 1 where account = ?1 returning revision";
    find(connection, sql, [number(account)], |row| row.get(0))?.ok_or(StoreError::Missing("the account"))
}

/// What it came to, and the numbers of those who were not in the group.
fn enrol_all(
    connection: &Connection,
    account: AccountId,
    group: Group,
    members: &[NewMember],
) -> StoreResult<(Enrolled, Vec<i64>)> {
    require_group(connection, account, group)?;
    let revision = next_revision(connection, account)?;
    let team = team(group);
    let (mut enrolled, mut added) = (Enrolled::default(), Vec::new());
    for member in members {
        let (participant, is_changed) = upsert(connection, account, member)?;
        let joined = change(
            connection,
            "insert into membership (account, team, participant, joined)
             select ?1, ?2, ?3, ?4 where not exists (
                 select 1 from membership where account = ?1 and team = ?2 and participant = ?3 and ended is null)",
            (number(account), &team, participant, revision),
        )?;
        match (joined, is_changed) {
            (1.., _) => {
                enrolled.added += 1;
                added.push(participant);
            }
            (0, Changed::Yes) => enrolled.updated += 1,
            (0, Changed::No) => enrolled.unchanged += 1,
        }
    }
    Ok((enrolled, added))
}

fn register_late(connection: &Connection, account: AccountId, late: &LateRegistration) -> StoreResult<Enrolled> {
    let (series, id) = (&late.series, late.series.id());
    let sql = "select version from series where account = ?1 and series = ?2";
    let found: u32 = find(connection, sql, (number(account), id.as_bytes()), |row| row.get(0))?
        .ok_or(StoreError::Missing("the webinar"))?;
    if found != late.version {
        return Err(StoreError::VersionConflict { expected: late.version, found });
    }
    let (enrolled, added) = enrol_all(connection, account, Group::Series(id), &late.members)?;
    let audience = Audience {
        account,
        series: id,
        mangoes: series.mangoes().to_vec(),
        excluded: series.excluded_mangoes().to_vec(),
        revision: revision(connection, account)?,
        listed: None,
    };
    let newcomers = audience.newcomers(connection, &added)?;
    if !newcomers.is_empty() {
        let announcing = Announcing {
            series,
            event: &late.event,
            version: found,
            former_sessions: &[],
            listed: Some(&newcomers),
            now: late.now,
        };
        announce(connection, account, &announcing)?;
    }
    Ok(enrolled)
}

fn require_group(connection: &Connection, account: AccountId, group: Group) -> StoreResult<()> {
    let (sql, id, name) = match &group {
        Group::Mango(id) => ("select 1 from mango where account = ?1 and mango = ?2", id.as_bytes(), "the mango"),
        Group::Series(id) => ("select 1 from series where account = ?1 and series = ?2", id.as_bytes(), "the webinar"),
    };
    find(connection, sql, (number(account), id), |_| Ok(()))?.ok_or(StoreError::Missing(name))
}

enum Changed {
    Yes,
    No,
}

/// Adds or corrects the person with this e-mail address; their number.
fn upsert(connection: &Connection, account: AccountId, member: &NewMember) -> StoreResult<(i64, Changed)> {
    let person = &member.participant;
    let phone = person.phone.as_ref().map(ToString::to_string);
    let timezone = person.timezone.as_ref().map(ToString::to_string);
    let known = find(
        connection,
        "select participant, name is ?3 and phone is ?4 and timezone is ?5 and attributes is coalesce(?6, attributes)
         from participant where account = ?1 and email = ?2",
        (number(account), &person.email, &person.name, &phone, &timezone, &member.attributes),
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)),
    )?;
    match known {
        Some((participant, true)) => Ok((participant, Changed::No)),
        Some((participant, false)) => {
            run(
                connection,
                "update participant
                 set name = ?3, phone = ?4, timezone = ?5, attributes = coalesce(?6, attributes)
                 where account = ?1 and participant = ?2",
                (number(account), participant, &person.name, &phone, &timezone, &member.attributes),
            )?;
            Ok((participant, Changed::Yes))
        }
        None => {
            let participant = next_participant(connection, account)?;
            run(
                connection,
                "insert into participant (account, participant, name, email, phone, timezone, attributes)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (number(account), participant, &person.name, &person.email, &phone, &timezone, &member.attributes),
            )?;
            Ok((participant, Changed::Yes))
        }
    }
}

fn next_participant(connection: &Connection, account: AccountId) -> StoreResult<i64> {
    let sql = "update account set participants = participants + 1 where account = ?1 returning participants";
    let next: i64 =
        find(connection, sql, [number(account)], |row| row.get(0))?.ok_or(StoreError::Missing("the account"))?;
    // Message ids have room for this many people of one account.
    ParticipantNumber::new(next.unsigned_abs()).map_err(StoreError::broken)?;
    Ok(next)
}
