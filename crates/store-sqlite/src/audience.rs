//! Frozen audiences: who belonged to a series' teams at a revision, each once, in order of participant.

use provider::frontier::Place;
use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};
use store::{Group, Member, Recipient, StoreError, StoreResult};
use webinar::{MangoId, SeriesId};
use wire::AccountId;

use crate::columns::{ParticipantReader, find, list, number};

/// An audience, frozen at a revision of its account.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    pub(crate) account: AccountId,
    pub(crate) series: SeriesId,
    pub(crate) mangoes: Vec<MangoId>,
    pub(crate) excluded: Vec<MangoId>,
    pub(crate) revision: i64,
    /// A JSON list of numbers in the place of everyone.
    pub(crate) listed: Option<String>,
}

/// Marks in `membership.team` which kind of group it is.
const MANGO: u8 = b'm';
const SERIES: u8 = b's';

/// A group as `membership.team` holds it.
pub(crate) fn team(group: Group) -> Vec<u8> {
    let (mark, id) = match &group {
        Group::Mango(mango) => (MANGO, mango.as_bytes()),
        Group::Series(series) => (SERIES, series.as_bytes()),
    };
    [&[mark], id.as_slice()].concat()
}

impl Audience {
    pub(crate) fn count(&self, connection: &Connection) -> StoreResult<u64> {
        let (sql, params) = self.count_query();
        let count: i64 = find(connection, &sql, rusqlite::params_from_iter(params), |row| row.get(0))?.unwrap_or(0);
        Ok(count.unsigned_abs())
    }

    /// The next `limit` places after `after`, with the contact data of now.
    pub(crate) fn page(
        &self,
        connection: &Connection,
        after: Place,
        limit: usize,
        reader: &mut ParticipantReader,
    ) -> StoreResult<Vec<Member>> {
        let (sql, params) = self.page_query(after.participant, limit);
        let mut index = after.index;
        list(connection, &sql, rusqlite::params_from_iter(params), |row| {
            index += 1;
            let place = Place { participant: row.get::<_, i64>(0)?.unsigned_abs(), index };
            Ok(match row.get_ref(1)? {
                ValueRef::Null => Member::Erased(place),
                _ => Member::ToTell(Recipient { place, participant: reader.read(row, 1)? }),
            })
        })
    }

    pub(crate) fn count_query(&self) -> (String, Vec<Value>) {
        let (people, params) = self.people(0);
        (format!("select count(*) from ({people})"), params)
    }

    pub(crate) fn page_query(&self, after: u64, limit: usize) -> (String, Vec<Value>) {
        let (people, mut params) = self.people(after);
        params.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
        // `left` keeps those who were erased; and keeps the page outside, where with many teams SQLite would rather walk
        // through all the account's people.
        let sql = format!(
            "select person.participant, p.name, p.email, p.phone, p.timezone
             from ({people} order by 1 limit ?{}) as person
             left join participant as p on p.account = ?1 and p.participant = person.participant
             order by 1",
            params.len()
        );
        (sql, params)
    }

    /// Those of `numbers` who belong to this audience and did not before its revision.
    pub(crate) fn newcomers(&self, connection: &Connection, numbers: &[i64]) -> StoreResult<Vec<i64>> {
        let numbers = serde_json::to_string(numbers).map_err(StoreError::broken)?;
        let mut params = vec![Value::from(number(self.account)), Value::from(self.revision), Value::from(numbers)];
        let mut bind = |mango: &MangoId| {
            params.push(Value::from(team(Group::Mango(*mango))));
            format!("?{}", params.len())
        };
        let invited: Vec<String> = self.mangoes.iter().map(&mut bind).collect();
        let excluded: Vec<String> = self.excluded.iter().map(&mut bind).collect();
        let sql = format!(
            "select m.participant from (select value as participant from json_each(?3)) as m
             where not exists (
                 select 1 from membership as before indexed by membership_by_participant
                 where before.account = ?1 and before.participant = m.participant and before.team in ({})
                 and before.joined < ?2 and before.ended is null){}
             order by 1",
            invited.join(", "),
            not_only_in(&excluded)
        );
        list(connection, &sql, rusqlite::params_from_iter(params), |row| row.get(0))
    }

    /// A query for the numbers of the people after `after`, and its parameters: account, revision, `after`, teams.
    /// With one branch for each team SQLite merges the branches in index order and never sorts.
    fn people(&self, after: u64) -> (String, Vec<Value>) {
        let mut params = vec![
            Value::from(number(self.account)),
            Value::from(self.revision),
            Value::from(i64::try_from(after).unwrap_or(i64::MAX)),
        ];
        if let Some(listed) = &self.listed {
            params.push(Value::from(listed.clone()));
            return ("select value as participant from json_each(?4) where value > ?3".to_owned(), params);
        }
        let mut bind = |group| {
            params.push(Value::from(team(group)));
            format!("?{}", params.len())
        };
        let excluded: Vec<String> = self.excluded.iter().map(|mango| bind(Group::Mango(*mango))).collect();
        let groups = self.mangoes.iter().map(|mango| Group::Mango(*mango)).chain([Group::Series(self.series)]);
        let unless_excluded = not_only_in(&excluded);
        let branches: Vec<String> = groups
            .map(|group| {
                let team = bind(group);
                format!(
                    "select m.participant from membership as m
                     where m.account = ?1 and m.team = {team} and m.participant > ?3
                     and m.joined <= ?2 and (m.ended is null or m.ended > ?2){unless_excluded}"
                )
            })
            .collect();
        (branches.join(" union "), params)
    }
}

/// Leaves out those who are in some mango, and in none but the excluded ones.
fn not_only_in(excluded: &[String]) -> String {
    if excluded.is_empty() {
        return String::new();
    }
    // Left to itself, SQLite looks at every membership of every mango for each person.
    let mangoes_held = "select 1 from membership as held indexed by membership_by_participant
        where held.account = ?1 and held.participant = m.participant and held.team >= x'6d' and held.team < x'6e'
        and held.joined <= ?2 and (held.ended is null or held.ended > ?2)";
    let others = excluded.join(", ");
    format!(" and (not exists ({mangoes_held}) or exists ({mangoes_held} and held.team not in ({others})))")
}
