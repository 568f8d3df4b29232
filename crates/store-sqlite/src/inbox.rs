//! The inbox in SQL: sources, and messages as people see them. Accepting one is in `dedupe`, how complete a fan-out is in
//! `arrivals`.

use async_trait::async_trait;
use receiver::Verified;
use rusqlite::types::Type;
use rusqlite::{Connection, Row};
use store::{
    Acceptance, Arrivals, Inbox, Message, MessageContent, MessageCounts, MessageFilter, MessageNumber, Page,
    SecretPlace, SourceKey, SourceRecord, StoreError, StoreResult, Vault,
};
use wire::{AccountId, FanOutId, SourceId};
use zeroize::Zeroizing;

use crate::SqliteStore;
use crate::arrivals;
use crate::columns::{AccountColumn, Id, Millis, change, find, limit_and_one, list, millis, number};
use crate::dedupe::accept;
use crate::sealing;

const SOURCE: &str = "select source, account, name, preset, sealed_keys, created_at from source";
pub(crate) const MESSAGE: &str = "select m.number, m.source, m.message_id, m.headers, m.received_at,
    coalesce(d.copies, 0), coalesce(d.conflicts, 0), length(m.body), m.emptied";
pub(crate) const MESSAGE_FROM: &str = "from message as m
    left join message_duplicate as d on d.account = m.account and d.number = m.number where m.account = ?1";

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
        let (bytes, window) = (message.body().len(), self.window);
        self.writer.write_or_refuse(bytes, move |connection| accept(connection, &message, window)).await
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
        let (from, to) = (filter.from.map_or(i64::MIN, millis), filter.to.map_or(i64::MAX, millis));
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

    async fn arrivals(&self, account: AccountId, fan_out: FanOutId) -> StoreResult<Option<Arrivals>> {
        self.readers.read(move |connection| arrivals::of(connection, account, fan_out)).await
    }

    async fn fan_outs_seen(&self, account: AccountId, limit: usize) -> StoreResult<Vec<(FanOutId, Arrivals)>> {
        self.readers.read(move |connection| arrivals::newest(connection, account, limit)).await
    }
}

pub(crate) fn messages_sql() -> String {
    format!(
        "{MESSAGE}, x'' {MESSAGE_FROM} and m.number < ?2 and m.received_at >= ?5 and m.received_at < ?6
         and (?3 is null or m.source = ?3)
         order by m.number desc limit ?4"
    )
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
