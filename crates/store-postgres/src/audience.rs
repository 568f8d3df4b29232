//! Frozen audiences: who belonged to a series' teams at a revision, each once, in order of participant.
//!
//! A page must cost the same at the end of a million people as at their beginning, whatever the planner believes of tables
//! that have just been filled. So each team is walked in the order of its index and only as far as the page needs, and what
//! is asked for each person is asked by index, never joined.

use provider::frontier::Place;
use store::{Group, Member, Recipient, StoreResult};
use tokio_postgres::Row;
use webinar::{MangoId, SeriesId};
use wire::AccountId;

use crate::columns::{Columns, List, ParticipantReader, find, list, number, values};
use crate::session::Session;

/// An audience, frozen at a revision of its account.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    pub(crate) account: AccountId,
    pub(crate) series: SeriesId,
    pub(crate) mangoes: Vec<MangoId>,
    pub(crate) excluded: Vec<MangoId>,
    pub(crate) revision: i64,
    /// Their numbers, in the place of everyone.
    pub(crate) listed: Option<Vec<i64>>,
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
    pub(crate) async fn count(&self, session: &Session) -> StoreResult<u64> {
        if let Some(listed) = &self.listed {
            return Ok(listed.len() as u64);
        }
        let (teams, excluded) = (self.teams(), self.excluded());
        let sql = count_sql(teams.0.len(), self.excluded.len());
        let values = values![number(self.account), self.revision, 0_i64, teams, excluded];
        Ok(find(session, &sql, values, |row| row.count(0)).await?.unwrap_or(0))
    }

    /// The next `limit` places after `after`, with the contact data of now.
    pub(crate) async fn page(
        &self,
        session: &Session,
        after: Place,
        limit: usize,
        reader: &mut ParticipantReader,
    ) -> StoreResult<Vec<Member>> {
        let mut index = after.index;
        let read = |row: &Row| {
            index += 1;
            let place = Place { participant: row.count(0)?, index };
            Ok(match row.value::<Option<&str>>(1)? {
                None => Member::Erased(place),
                Some(_) => Member::ToTell(Recipient { place, participant: reader.read(row, 1)? }),
            })
        };
        let after = i64::try_from(after.participant).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if let Some(listed) = &self.listed {
            let values = values![number(self.account), List(listed.clone()), after, limit];
            return list(session, &page_sql(LISTED, 4), values, read).await;
        }
        let (teams, excluded) = (self.teams(), self.excluded());
        let sql = page_of_people_sql(teams.0.len(), self.excluded.len());
        let values = values![number(self.account), self.revision, after, teams, excluded, limit];
        list(session, &sql, values, read).await
    }

    /// Those of `numbers` who belong to this audience and did not before its revision.
    pub(crate) async fn newcomers(&self, session: &Session, numbers: &[i64]) -> StoreResult<Vec<i64>> {
        let invited: Vec<Vec<u8>> = self.mangoes.iter().map(|mango| team(Group::Mango(*mango))).collect();
        let sql = format!(
            "select m.participant from unnest($3::bigint[]) as m (participant)
             where (select true from membership as before
                    where before.account = $1 and before.participant = m.participant and before.team = any($4)
                    and before.joined < $2 and before.ended is null limit 1) is null{}
             order by 1",
            unless_excluded(self.excluded.len())
        );
        let excluded = self.excluded();
        let values = values![number(self.account), self.revision, List(numbers.to_vec()), List(invited), excluded];
        list(session, &sql, values, |row| row.value(0)).await
    }

    /// The teams of which an audience is made, that of the series last.
    fn teams(&self) -> List<Vec<u8>> {
        let mangoes = self.mangoes.iter().map(|mango| Group::Mango(*mango));
        List(mangoes.chain([Group::Series(self.series)]).map(team).collect())
    }

    fn excluded(&self) -> List<Vec<u8>> {
        List(self.excluded.iter().map(|mango| team(Group::Mango(*mango))).collect())
    }
}

/// The people of a list, from $2, after $3.
const LISTED: &str = "select participant from unnest($2::bigint[]) as listed (participant) where participant > $3";

/// Adds contact data to people, as many as the parameter at `limit` says. Those who were erased stay, without.
fn page_sql(people: &str, limit: usize) -> String {
    // The inner limit keeps the planner from reading all of an account's people to join them.
    format!(
        "select person.participant, p.name, p.email, p.phone, p.timezone
         from ({people} order by participant limit ${limit}) as person
         left join lateral (
             select name, email, phone, timezone from participant
             where account = $1 and participant = person.participant limit 1) as p on true
         order by person.participant"
    )
}

/// Each of them once. In this form the planner cannot hash a million numbers, and merges them in their order.
const MERGED: &str = "select distinct on (participant) participant";

/// A page of the people of so many teams, of $1 as of $2, after $3; teams are $4, those excluded $5, and $6 is how many are
/// wanted.
pub(crate) fn page_of_people_sql(teams: usize, excluded: usize) -> String {
    // A limit that the planner does not know makes it count on reading a tenth: it never sorts a team then, which would
    // read all of it for each page.
    let as_needed = " limit (select $6::bigint)";
    page_sql(&format!("{MERGED} from ({}) as everyone", branches(teams, excluded, as_needed)), 6)
}

/// How many people so many teams are.
pub(crate) fn count_sql(teams: usize, excluded: usize) -> String {
    format!(
        "select count(*) from ({MERGED} from ({}) as everyone order by participant) as people",
        branches(teams, excluded, "")
    )
}

/// One branch for each team, in order of participant, so that they are merged rather than sorted. To the last column in the
/// order of the primary key: another index also has people in order, but those of all teams.
fn branches(teams: usize, excluded: usize, limit: &str) -> String {
    let unless_excluded = unless_excluded(excluded);
    let branch = |nth| {
        format!(
            "(select m.participant from membership as m
              where m.account = $1 and m.team = ($4::bytea[])[{nth}] and m.participant > $3
              and m.joined <= $2 and (m.ended is null or m.ended > $2){unless_excluded}
              order by m.participant, m.joined{limit})"
        )
    };
    (1..=teams).map(branch).collect::<Vec<_>>().join(" union all ")
}

/// Leaves out those who are in some mango, and in none but the excluded ones: of who is in none, nothing is true or false.
fn unless_excluded(excluded: usize) -> &'static str {
    if excluded == 0 {
        return "";
    }
    " and coalesce((
        select bool_or(held.team <> all($5)) from membership as held
        where held.account = $1 and held.participant = m.participant and held.team >= '\\x6d' and held.team < '\\x6e'
        and held.joined <= $2 and (held.ended is null or held.ended > $2)), true)"
}
