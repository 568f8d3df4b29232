//! The inbox in SQL. Accepting is one statement for a new message; only a duplicate takes more.

use async_trait::async_trait;
use receiver::Verified;
use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use store::{
    Acceptance, DuplicateContent, Inbox, Message, MessageContent, MessageCounts, MessageFilter, MessageNumber, Page,
    SecretPlace, SourceKey, SourceRecord, StoreError, StoreResult, Vault,
};
use wire::{AccountId, SourceId};
use zeroize::Zeroizing;

use crate::SqliteStore;
use crate::columns::{AccountColumn, Id, Millis, change, find, limit_and_one, list, millis, number, run};
use crate::sealing;

const SOURCE: &str = "select source, account, name, preset, sealed_keys, created_at from source";
pub(crate) const MESSAGE: &str = "select m.number, m.source, m.message_id, m.headers, m.received_at,
    coalesce(d.copies, 0), coalesce(d.conflicts, 0), length(m.body), m.emptied";
pub(crate) const MESSAGE_FROM: &str = "from message as m
    left join message_duplicate as d on d.account = m.account and d.number = m.number where m.account = ?1";

pub(crate) const FIND_DUPLICATE: &str =
    "select number, digest = ?4 from message where account = ?1 and source = ?2 and dedupe_key = ?3";

#[async_trait]
impl Inbox for SqliteStore {
    async fn create_source(&self, source: SourceRecord) -> StoreResult<()> {
        let vault = self.vault.clone();
        let sql = "insert into source (account, source, name, preset, sealed_keys, created_at)
                   values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing";
        self.writer
            .write(move |connection| {
                let keys = seal_keys(connection, &vault, (source.account, source.id), &source.keys)?;
                let SourceRecord { id, account, name, preset, created_at, .. } = &source;
                let values = (number(*account), id.as_bytes(), name, preset, keys, millis(*created_at));
                match change(connection, sql, values)? {
                    0 => Err(StoreError::Exists("a source with this id")),
                    _ => Ok(()),
                }
            })
            .await
    }

    async fn sources(&self, account: AccountId) -> StoreResult<Vec<SourceRecord>> {
        let sql = format!("{SOURCE} where account = ?1 order by created_at, source");
        let vault = self.vault.clone();
        self.readers
            .read(move |connection| list(connection, &sql, [number(account)], |row| read_source(row, &vault)))
            .await
    }

    async fn set_source_keys(&self, account: AccountId, id: SourceId, keys: Vec<SourceKey>) -> StoreResult<bool> {
        let vault = self.vault.clone();
        let sql = "update source set sealed_keys = ?3 where account = ?1 and source = ?2";
        self.writer
            .write(move |connection| {
                let key = (number(account), id.as_bytes());
                let known =
                    find(connection, "select 1 from source where account = ?1 and source = ?2", key, |_| Ok(()))?;
                // Sealing may bring a key into use, which the audit log would take for a change.
                if known.is_none() {
                    return Ok(false);
                }
                let keys = seal_keys(connection, &vault, (account, id), &keys)?;
                Ok(change(connection, sql, (number(account), id.as_bytes(), keys))? > 0)
            })
            .await
    }

    async fn source(&self, id: SourceId) -> StoreResult<Option<SourceRecord>> {
        let sql = format!("{SOURCE} where source = ?1");
        let vault = self.vault.clone();
        self.readers
            .read(move |connection| find(connection, &sql, [id.as_bytes()], |row| read_source(row, &vault)))
            .await
    }

    async fn accept(&self, message: Verified) -> StoreResult<Acceptance> {
        let bytes = message.body().len();
        self.writer.write_or_refuse(bytes, move |connection| accept(connection, &message)).await
    }

    async fn messages(
        &self,
        account: AccountId,
        filter: MessageFilter,
        after: Option<MessageNumber>,
        limit: usize,
    ) -> StoreResult<Page<Message, MessageNumber>> {
        let sql = messages_sql();
        let before = after.map_or(i64::MAX, u64::cast_signed);
        let source = filter.source.map(|id| id.as_bytes().to_vec());
        let (from, to) = (filter.from.map(millis), filter.to.map(millis));
        self.readers
            .read(move |connection| {
                let values = (number(account), before, source, limit_and_one(limit), from, to);
                Ok(Page::cut(list(connection, &sql, values, read_message)?, limit, |message| message.number))
            })
            .await
    }

    async fn message(&self, account: AccountId, wanted: MessageNumber) -> StoreResult<Option<Message>> {
        let sql = format!("{MESSAGE}, m.body {MESSAGE_FROM} and m.number = ?2");
        self.readers
            .read(move |connection| find(connection, &sql, (number(account), wanted.cast_signed()), read_message))
            .await
    }

    async fn message_counts(&self, account: AccountId) -> StoreResult<MessageCounts> {
        let sql = "select (select count(*) from message where account = ?1),
                          (select coalesce(sum(copies), 0) from message_duplicate where account = ?1)";
        self.readers
            .read(move |connection| {
                let counts = find(connection, sql, [number(account)], |row| {
                    Ok(MessageCounts {
                        stored: row.get::<_, i64>(0)?.unsigned_abs(),
                        duplicates: row.get::<_, i64>(1)?.unsigned_abs(),
                    })
                })?;
                Ok(counts.unwrap_or_default())
            })
            .await
    }
}

pub(crate) fn messages_sql() -> String {
    format!(
        "{MESSAGE}, x'' {MESSAGE_FROM} and m.number < ?2 and (?3 is null or m.source = ?3)
         and (?5 is null or m.received_at >= ?5) and (?6 is null or m.received_at < ?6)
         order by m.number desc limit ?4"
    )
}

fn accept(connection: &Connection, message: &Verified) -> StoreResult<Acceptance> {
    let inserted = change(
        connection,
        "insert into message (account, source, dedupe_key, digest, message_id, headers, received_at, body)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) on conflict (account, source, dedupe_key) do nothing",
        (
            number(message.account()),
            message.source().as_bytes(),
            message.dedupe_key().as_bytes(),
            message.content_digest().as_bytes(),
            message.message_id(),
            message.headers().as_text(),
            millis(message.received_at()),
            message.body().as_ref(),
        ),
    )?;
    if inserted > 0 {
        return Ok(Acceptance::Stored(connection.last_insert_rowid().unsigned_abs()));
    }
    note_duplicate(connection, message)
}

/// One statement again, so that a failure leaves nothing half-done.
fn note_duplicate(connection: &Connection, message: &Verified) -> StoreResult<Acceptance> {
    let (account, source) = (number(message.account()), message.source());
    let key = (account, source.as_bytes(), message.dedupe_key().as_bytes(), message.content_digest());
    let key = (key.0, key.1, key.2, key.3.as_bytes());
    let (of, is_same) =
        find(connection, FIND_DUPLICATE, key, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)))?
            .ok_or(StoreError::Missing("the message just found"))?;
    run(
        connection,
        "insert into message_duplicate (account, number, copies, conflicts, last_at) values (?1, ?2, 1, ?3, ?4)
         on conflict (account, number) do update
         set copies = copies + 1, conflicts = conflicts + excluded.conflicts, last_at = excluded.last_at",
        (account, of, u8::from(!is_same), millis(message.received_at())),
    )?;
    let content = if is_same { DuplicateContent::Same } else { DuplicateContent::Different };
    Ok(Acceptance::Duplicate { of: of.unsigned_abs(), content })
}

/// The keys of a source as they are stored: a list in JSON, sealed.
fn seal_keys(
    connection: &Connection,
    vault: &Vault,
    (account, id): (AccountId, SourceId),
    keys: &[SourceKey],
) -> StoreResult<String> {
    let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    let keys = Zeroizing::new(serde_json::to_string(&keys).map_err(StoreError::broken)?);
    sealing::seal(connection, vault, SecretPlace::Source(account, id), &keys)
}

fn read_source(row: &Row<'_>, vault: &Vault) -> rusqlite::Result<SourceRecord> {
    let (id, account) = (row.get::<_, Id<SourceId>>(0)?.0, row.get::<_, AccountColumn>(1)?.0);
    let keys = sealing::open(row, 4, vault, SecretPlace::Source(account, id))?;
    let keys: Vec<String> = serde_json::from_str(&keys)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(4, Type::Text, error.into()))?;
    Ok(SourceRecord {
        id,
        account,
        name: row.get(2)?,
        preset: row.get(3)?,
        keys: keys.into_iter().map(Zeroizing::new).collect(),
        created_at: row.get::<_, Millis>(5)?.0,
    })
}

pub(crate) fn read_message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        number: row.get::<_, i64>(0)?.unsigned_abs(),
        source: row.get::<_, Id<_>>(1)?.0,
        message_id: row.get(2)?,
        headers: row.get(3)?,
        received_at: row.get::<_, Millis>(4)?.0,
        duplicates: row.get::<_, i64>(5)?.unsigned_abs(),
        conflicts: row.get::<_, i64>(6)?.unsigned_abs(),
        body_length: row.get::<_, i64>(7)?.unsigned_abs(),
        content: match row.get_ref(8)?.as_str_or_null()? {
            None => MessageContent::Kept,
            Some("erased") => MessageContent::Erased,
            Some(_) => MessageContent::Expired,
        },
        body: row.get(9)?,
    })
}
