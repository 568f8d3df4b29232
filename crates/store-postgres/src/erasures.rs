//! Erasing people, in SQL: the person's own rows at once, the inbox step by step, and in the end the versions of rows that
//! PostgreSQL still keeps beside the new ones.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use store::{Erase, Erasure, ErasureState, Erasures, Message, Search, Searched, StoreError, StoreResult, Whom};
use tokio::time::sleep;
use tokio_postgres::Row;
use webinar::Phone;
use wire::{AccountId, ErasureId};

use crate::agendas::{self, storable};
use crate::columns::{Columns, Id, List, change, find, list, lock_account, millis, number, run, unknown, values};
use crate::due::wait_for_every_lane;
use crate::inbox::{MESSAGE, MESSAGE_FROM, read_message};
use crate::roster::next_revision;
use crate::session::Session;
use crate::{PostgresStore, inbox};

/// Bytes of bodies that one step of a search reads and may overwrite; but for a first that is longer.
const STEP_BYTES_MAX: i64 = 8 * 1024 * 1024;
/// Where rows of people and messages are.
const PERSONAL: [&str; 5] = ["participant", "message", "agenda", "calendar", "erasure"];
/// Most who read are through in a moment; for the others the next turn waits.
const LOOKS: u32 = 10;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// For one table. A large inbox is read from end to end, at the pace that `vacuum_cost_delay` allows.
const VACUUM_TIME_MAX: Duration = Duration::from_secs(3_600);

const ERASURE: &str = "select erasure, participant, memberships, retries, messages, searched, emptied, state,
    finished_at, requested_at from erasure where account = $1 and erasure = $2";
const CALL_OFF: &str = "update exception set state = 'erased', due_at = null, attempt = attempt - 1
    where account = $1 and participant = $2 and state in ('retrying', 'held')";
const END_MEMBERSHIPS: &str = "update membership set ended = $3
    where account = $1 and participant = $2 and ended is null";
/// Erasures that wait for old versions to go, and whether somebody may still read what one has overwritten: a transaction
/// that began before its last step, also one that is prepared; or a standby, which belongs to no database, or a copy that has
/// not come so far.
const TO_BE_SEALED: &str = "select e.account, e.erasure,
    exists (select 1 from pg_stat_activity as other
            where (other.datname = current_database() or other.backend_type = 'walsender')
            and other.pid <> pg_backend_pid() and other.backend_type <> 'autovacuum worker'
            and greatest(age(other.backend_xid), age(other.backend_xmin)) >= age(e.xmin))
    or exists (select 1 from pg_replication_slots as slot where age(slot.xmin) >= age(e.xmin))
    or exists (select 1 from pg_prepared_xacts as prepared
               where prepared.database = current_database() and age(prepared.transaction) >= age(e.xmin))
    from erasure as e where e.state = 'sealing' and e.finished_at is null";

#[async_trait]
impl Erasures for PostgresStore {
    async fn erase(&self, account: AccountId, request: Erase) -> StoreResult<Option<Erasure>> {
        // Counted first, since nobody's lanes may wait while a large inbox is walked through.
        let sql = "select count(*) from message where account = $1";
        let messages = find(&self.session().await?, sql, values![number(account)], |row| row.value(0)).await?;
        let session = self.begin().await?;
        match (lock_account(&session, account).await, &request.whom) {
            (Err(StoreError::Missing(_)), Whom::Number(_)) => return Ok(None),
            (held, _) => held?,
        }
        let erased = erase(&session, account, &request, messages.unwrap_or(0)).await?;
        if erased.is_some() {
            session.commit().await?;
        }
        Ok(erased)
    }

    async fn erasure(&self, account: AccountId, id: ErasureId) -> StoreResult<Option<Erasure>> {
        erasure(&self.session().await?, account, id).await
    }

    async fn searches(&self, limit: usize) -> StoreResult<Vec<Search>> {
        let sql = "select account, erasure, email, phone, read_to from erasure
            where state = 'searching' and finished_at is null order by erasure limit $1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        list(&self.session().await?, sql, values![limit], |row| {
            Ok(Search {
                account: row.account(0)?,
                id: row.id(1)?,
                email: row.value(2)?,
                phone: row.value(3)?,
                read_to: row.count(4)?,
            })
        })
        .await
    }

    async fn messages_to_search(&self, search: &Search, limit: usize) -> StoreResult<Vec<Message>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values =
            values![number(search.account), search.id.bytes(), inbox::saturated(search.read_to), limit, STEP_BYTES_MAX];
        list(&self.session().await?, &messages_sql(), values, read_message).await
    }

    async fn note_search(&self, search: Search, searched: Searched) -> StoreResult<()> {
        let session = self.begin().await?;
        lock_account(&session, search.account).await?;
        note_search(&session, &search, &searched).await?;
        session.commit().await
    }

    async fn seal(&self, now: Timestamp) -> StoreResult<usize> {
        let Some(unread) = self.overwritten_for_all().await? else { return Ok(0) };
        if unread.is_empty() {
            return Err(StoreError::Busy(0));
        }
        self.pool.execute_at_length(&PERSONAL.map(|table| format!("vacuum {table}")), VACUUM_TIME_MAX).await?;
        let session = self.begin().await?;
        let sql = "update erasure as e set state = 'done', finished_at = $3
            from unnest($1::bigint[], $2::bytea[]) as those (account, erasure)
            where e.account = those.account and e.erasure = those.erasure and e.state = 'sealing'";
        let accounts = List(unread.iter().map(|(account, _)| number(*account)).collect());
        let ids = List(unread.iter().map(|(_, id)| id.bytes()).collect());
        let ended = change(&session, sql, values![accounts, ids, millis(now)]).await?;
        session.commit().await?;
        Ok(usize::try_from(ended).unwrap_or(usize::MAX))
    }
}

impl PostgresStore {
    /// The erasures that wait to be sealed and of which nobody can read any more what they have overwritten; `None` where
    /// none waits.
    async fn overwritten_for_all(&self) -> StoreResult<Option<Vec<(AccountId, ErasureId)>>> {
        let session = self.session().await?;
        let read = |row: &Row| Ok(((row.account(0)?, row.id(1)?), row.value(2)?));
        for _ in 0..LOOKS {
            let waiting: Vec<(_, bool)> = list(&session, TO_BE_SEALED, values![], read).await?;
            if waiting.is_empty() {
                return Ok(None);
            }
            let unread: Vec<_> = waiting.into_iter().filter(|(_, is_read)| !is_read).map(|(id, _)| id).collect();
            if !unread.is_empty() {
                return Ok(Some(unread));
            }
            sleep(BETWEEN_LOOKS).await;
        }
        Ok(Some(Vec::new()))
    }
}

/// Somebody as the roster knows them.
struct Person {
    number: Option<i64>,
    email: String,
    phone: Option<String>,
}

/// Erases within a transaction that holds the account.
async fn erase(session: &Session, account: AccountId, request: &Erase, messages: i64) -> StoreResult<Option<Erasure>> {
    let Some(person) = find_person(session, account, &request.whom).await? else { return Ok(None) };
    let (mut memberships, mut retries) = (0, 0);
    if let Some(participant) = person.number {
        // No lane may write down a retry for the person between the rows that are called off here and our commit.
        wait_for_every_lane(session, account).await?;
        // Ended rather than removed: audiences that are frozen keep a place for the number, so that their counts hold.
        let revision = next_revision(session, account).await?;
        memberships = change(session, END_MEMBERSHIPS, values![number(account), participant, revision]).await?;
        retries = change(session, CALL_OFF, values![number(account), participant]).await?;
        let sql = "delete from participant where account = $1 and participant = $2";
        run(session, sql, values![number(account), participant]).await?;
        // Lanes at work may have read the person already.
        let sql = "update lane set signal = signal + 1 where account = $1 and lease_until is not null";
        run(session, sql, values![number(account)]).await?;
    }
    let sql = "select coalesce(max(number), 0) from message where account = $1";
    let last = find(session, sql, values![number(account)], |row| row.value(0)).await?.unwrap_or(0);
    agendas::forget(session, account, &person.email, last).await?;
    run(
        session,
        "insert into erasure (account, erasure, participant, state, email, phone, memberships, retries, messages,
                              last_number, requested_at)
         values ($1, $2, $3, 'searching', $4, $5, $6, $7, $8, $9, $10)",
        values![
            number(account),
            request.id.bytes(),
            person.number,
            person.email,
            person.phone.as_deref().and_then(|phone| Some(phone.parse::<Phone>().ok()?.digits().to_owned())),
            memberships.cast_signed(),
            retries.cast_signed(),
            messages,
            last,
            millis(request.now),
        ],
    )
    .await?;
    erasure(session, account, request.id).await
}

async fn find_person(session: &Session, account: AccountId, whom: &Whom) -> StoreResult<Option<Person>> {
    let read = |row: &Row| Ok(Person { number: row.value(0)?, email: row.value(1)?, phone: row.value(2)? });
    match whom {
        Whom::Number(wanted) => {
            let sql = "select participant, email, phone from participant where account = $1 and participant = $2";
            find(session, sql, values![number(account), inbox::saturated(*wanted)], read).await
        }
        Whom::Email(email) => {
            let email = storable(email);
            let sql = "select participant, email, phone from participant
                where account = $1 and lower(email collate \"C\") = lower($2 collate \"C\")";
            let found = find(session, sql, values![number(account), email], read).await?;
            Ok(Some(found.unwrap_or(Person { number: None, email, phone: None })))
        }
    }
}

async fn erasure(session: &Session, account: AccountId, id: ErasureId) -> StoreResult<Option<Erasure>> {
    find(session, ERASURE, values![number(account), id.bytes()], |row| {
        Ok(Erasure {
            id: row.id(0)?,
            participant: row.value::<Option<i64>>(1)?.map(i64::unsigned_abs),
            memberships: row.count(2)?,
            retries: row.count(3)?,
            messages: row.count(4)?,
            searched: row.count(5)?,
            emptied: row.count(6)?,
            state: match (row.value(7)?, row.moment_if_any(8)?) {
                (_, Some(at)) => ErasureState::Done { at },
                ("sealing", None) => ErasureState::Sealing,
                ("searching", None) => ErasureState::Searching,
                (other, None) => return Err(unknown("an erasure's state", other)),
            },
            requested_at: row.moment(9)?,
        })
    })
    .await
}

/// The next messages of the erasure $2 behind the number $3: as many as $4, and as $5 bytes hold.
fn messages_sql() -> String {
    format!(
        "{MESSAGE}, m.body {MESSAGE_FROM} and m.number in (
             select number from (
                 select number, sum(octet_length(body)) over (order by number) - octet_length(body) as before
                 from message where account = $1 and number > $3 and number <= (
                     select last_number from erasure where account = $1 and erasure = $2)
                 order by number limit $4) as next
             where before < $5)
         order by m.number"
    )
}

async fn note_search(session: &Session, search: &Search, searched: &Searched) -> StoreResult<()> {
    let sql = "select email, last_number from erasure
        where account = $1 and erasure = $2 and read_to = $3 and state = 'searching'";
    let key = values![number(search.account), search.id.bytes(), inbox::saturated(search.read_to)];
    let found = find(session, sql, key, |row| Ok((row.value::<String>(0)?, row.value(1)?))).await?;
    // Two processes may search at once; the other was here first.
    let Some((email, last_number)) = found else { return Ok(()) };
    let sql = "update message set headers = '', body = ''::bytea, emptied = 'erased'
        where account = $1 and number = any($2)";
    let naming = List(searched.naming.iter().map(|number| inbox::saturated(*number)).collect());
    let emptied = change(session, sql, values![number(search.account), naming]).await?;
    let state = if searched.read_to.is_some() { "searching" } else { "sealing" };
    if searched.read_to.is_none() {
        // What a run that was under way has kept since.
        agendas::forget(session, search.account, &email, last_number).await?;
    }
    run(
        session,
        "update erasure set state = $3, read_to = $4, searched = searched + $5, emptied = emptied + $6,
             email = case when $3 = 'searching' then email end, phone = case when $3 = 'searching' then phone end
         where account = $1 and erasure = $2",
        values![
            number(search.account),
            search.id.bytes(),
            state,
            inbox::saturated(searched.read_to.unwrap_or(search.read_to)),
            searched.count.cast_signed(),
            emptied.cast_signed(),
        ],
    )
    .await
}
