//! Erasing people, in SQL: the person's own rows at once, the inbox step by step, and in the end SQLite's log.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Row};
use store::{Erase, Erasure, ErasureState, Erasures, Message, MessageNumber, Search, Searched, StoreResult, Whom};
use webinar::Phone;
use wire::{AccountId, ErasureId};

use crate::SqliteStore;
use crate::agendas;
use crate::columns::{AccountColumn, Id, Millis, broken, change, find, list, millis, number, run};
use crate::inbox::{MESSAGE, MESSAGE_FROM, read_message};
use crate::roster::next_revision;

/// Bytes of bodies that one step of a search reads and may overwrite.
const STEP_BYTES_MAX: usize = 8 * 1024 * 1024;

const ERASURE: &str = "select erasure, participant, memberships, retries, messages, searched, emptied, state,
    finished_at, requested_at from erasure where account = ?1 and erasure = ?2";
pub(crate) const OPEN_SEARCHES: &str = "select account, erasure, email, phone, read_to from erasure
    where state = 'searching' and finished_at is null order by erasure limit ?1";
pub(crate) const TO_BE_SEALED: &str =
    "select account, erasure from erasure where state = 'sealing' and finished_at is null";
pub(crate) const CALL_OFF: &str = "update exception indexed by exception_by_person
    set state = 'erased', due_at = null, attempt = attempt - 1
    where account = ?1 and participant = ?2 and state in ('retrying', 'held')";
pub(crate) const END_MEMBERSHIPS: &str = "update membership indexed by membership_by_participant set ended = ?3
    where account = ?1 and participant = ?2 and ended is null";

#[async_trait]
impl Erasures for SqliteStore {
    async fn erase(&self, account: AccountId, request: Erase) -> StoreResult<Option<Erasure>> {
        // Counted on a reader, since the writer must not walk through a large inbox.
        let sql = "select count(*) from message where account = ?1";
        let messages = self
            .readers
            .read(move |connection| find(connection, sql, [number(account)], |row| row.get::<_, i64>(0)))
            .await?;
        self.writer.write(move |connection| erase(connection, account, &request, messages.unwrap_or(0))).await
    }

    async fn erasure(&self, account: AccountId, id: ErasureId) -> StoreResult<Option<Erasure>> {
        self.readers.read(move |connection| erasure(connection, account, id)).await
    }

    async fn searches(&self, limit: usize) -> StoreResult<Vec<Search>> {
        self.readers
            .read(move |connection| {
                list(connection, OPEN_SEARCHES, [limit as i64], |row| {
                    Ok(Search {
                        account: row.get::<_, AccountColumn>(0)?.0,
                        id: row.get::<_, Id<_>>(1)?.0,
                        email: row.get(2)?,
                        phone: row.get(3)?,
                        read_to: row.get::<_, i64>(4)?.unsigned_abs(),
                    })
                })
            })
            .await
    }

    async fn messages_to_search(&self, search: &Search, limit: usize) -> StoreResult<Vec<Message>> {
        let (account, id, after) = (search.account, search.id, search.read_to);
        self.readers.read(move |connection| messages_to_search(connection, account, id, (after, limit))).await
    }

    async fn note_search(&self, search: Search, searched: Searched) -> StoreResult<()> {
        self.writer.write(move |connection| note_search(connection, &search, &searched)).await
    }

    async fn seal(&self, now: Timestamp) -> StoreResult<usize> {
        let waiting = self
            .readers
            .read(|connection| {
                list(connection, TO_BE_SEALED, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Id<ErasureId>>(1)?.0)))
            })
            .await?;
        if waiting.is_empty() {
            return Ok(0);
        }
        // What was overwritten before this is gone from the log afterwards; what came since waits for the next time.
        self.writer.checkpoint().await?;
        let sql = "update erasure set state = 'done', finished_at = ?3
                   where account = ?1 and erasure = ?2 and state = 'sealing'";
        self.writer
            .write(move |connection| {
                let ended: StoreResult<Vec<usize>> = waiting
                    .iter()
                    .map(|(account, id)| change(connection, sql, (account, id.as_bytes(), millis(now))))
                    .collect();
                Ok(ended?.into_iter().sum())
            })
            .await
    }
}

/// Somebody as the roster knows them.
struct Person {
    number: Option<i64>,
    email: String,
    phone: Option<String>,
}

fn erase(connection: &Connection, account: AccountId, request: &Erase, messages: i64) -> StoreResult<Option<Erasure>> {
    let Some(person) = find_person(connection, account, &request.whom)? else { return Ok(None) };
    let (mut memberships, mut retries) = (0, 0);
    if let Some(participant) = person.number {
        // Ended rather than removed: audiences that are frozen keep a place for the number, so that their counts hold.
        let revision = next_revision(connection, account)?;
        memberships = change(connection, END_MEMBERSHIPS, (number(account), participant, revision))?;
        retries = change(connection, CALL_OFF, (number(account), participant))?;
        let sql = "delete from participant where account = ?1 and participant = ?2";
        run(connection, sql, (number(account), participant))?;
        // Lanes at work may have read the person already.
        let sql = "update lane set signal = signal + 1 where account = ?1 and lease_until is not null";
        run(connection, sql, [number(account)])?;
    }
    let sql = "select max(number) from message where account = ?1";
    let last = find(connection, sql, [number(account)], |row| row.get::<_, Option<i64>>(0))?.flatten();
    agendas::forget(connection, account, &person.email, last.unwrap_or(0))?;
    run(
        connection,
        "insert into erasure (account, erasure, participant, state, email, phone, memberships, retries, messages,
                              last_number, requested_at)
         values (?1, ?2, ?3, 'searching', ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            number(account),
            request.id.as_bytes(),
            person.number,
            &person.email,
            person.phone.as_deref().and_then(|phone| Some(phone.parse::<Phone>().ok()?.digits().to_owned())),
            memberships as i64,
            retries as i64,
            messages,
            last.unwrap_or(0),
            millis(request.now),
        ),
    )?;
    erasure(connection, account, request.id)
}

/// What a run that was under way has kept since.
fn forget_agendas(connection: &Connection, search: &Search) -> StoreResult<()> {
    let sql = "select email, last_number from erasure where account = ?1 and erasure = ?2";
    let key = (number(search.account), search.id.as_bytes());
    let found = find(connection, sql, key, |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    found.map_or(Ok(()), |(email, last)| agendas::forget(connection, search.account, &email, last))
}

fn find_person(connection: &Connection, account: AccountId, whom: &Whom) -> StoreResult<Option<Person>> {
    let read = |row: &Row<'_>| Ok(Person { number: row.get(0)?, email: row.get(1)?, phone: row.get(2)? });
    match whom {
        Whom::Number(wanted) => {
            let sql = "select participant, email, phone from participant where account = ?1 and participant = ?2";
            find(connection, sql, (number(account), wanted.cast_signed()), read)
        }
        Whom::Email(email) => {
            let sql = "select participant, email, phone from participant where account = ?1 and email = ?2";
            let found = find(connection, sql, (number(account), email), read)?;
            Ok(Some(found.unwrap_or_else(|| Person { number: None, email: email.clone(), phone: None })))
        }
    }
}

fn erasure(connection: &Connection, account: AccountId, id: ErasureId) -> StoreResult<Option<Erasure>> {
    find(connection, ERASURE, (number(account), id.as_bytes()), |row| {
        let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(Erasure {
            id: row.get::<_, Id<_>>(0)?.0,
            participant: row.get::<_, Option<i64>>(1)?.map(i64::unsigned_abs),
            memberships: count(2)?,
            retries: count(3)?,
            messages: count(4)?,
            searched: count(5)?,
            emptied: count(6)?,
            state: match (row.get_ref(7)?.as_str()?, row.get::<_, Option<Millis>>(8)?) {
                (_, Some(at)) => ErasureState::Done { at: at.0 },
                ("sealing", None) => ErasureState::Sealing,
                (_, None) => ErasureState::Searching,
            },
            requested_at: row.get::<_, Millis>(9)?.0,
        })
    })
}

pub(crate) fn messages_sql() -> String {
    format!(
        "{MESSAGE}, m.body {MESSAGE_FROM} and m.number > ?3 and m.number <= (
             select last_number from erasure where account = ?1 and erasure = ?2)
         order by m.number limit ?4"
    )
}

fn messages_to_search(
    connection: &Connection,
    account: AccountId,
    id: ErasureId,
    (after, limit): (MessageNumber, usize),
) -> StoreResult<Vec<Message>> {
    let mut statement = connection.prepare_cached(&messages_sql()).map_err(broken)?;
    let values = (number(account), id.as_bytes(), after.cast_signed(), limit as i64);
    let mut rows = statement.query(values).map_err(broken)?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(broken)? {
        let message = read_message(row).map_err(broken)?;
        bytes += message.body.len();
        found.push(message);
        if bytes >= STEP_BYTES_MAX {
            break;
        }
    }
    Ok(found)
}

fn note_search(connection: &Connection, search: &Search, searched: &Searched) -> StoreResult<()> {
    let key = (number(search.account), search.id.as_bytes(), search.read_to.cast_signed());
    let sql = "select 1 from erasure where account = ?1 and erasure = ?2 and read_to = ?3 and state = 'searching'";
    if find(connection, sql, key, |_| Ok(()))?.is_none() {
        // Two processes may search at once; the other was here first.
        return Ok(());
    }
    let sql = "update message set headers = '', body = x'', emptied = 'erased' where account = ?1 and number = ?2";
    let mut emptied = 0;
    for message in &searched.naming {
        emptied += change(connection, sql, (number(search.account), message.cast_signed()))?;
    }
    let state = if searched.read_to.is_some() { "searching" } else { "sealing" };
    if searched.read_to.is_none() {
        forget_agendas(connection, search)?;
    }
    run(
        connection,
        "update erasure set state = ?3, read_to = ?4, searched = searched + ?5, emptied = emptied + ?6,
             email = iif(?3 = 'searching', email, null), phone = iif(?3 = 'searching', phone, null)
         where account = ?1 and erasure = ?2",
        (
            number(search.account),
            search.id.as_bytes(),
            state,
            searched.read_to.unwrap_or(search.read_to).cast_signed(),
            searched.count.cast_signed(),
            emptied as i64,
        ),
    )
}
