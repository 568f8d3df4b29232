//! The inbox in SQL: sources, and messages as people see them. Accepting one is in `dedupe`, how complete a fan-out is in
//! `arrivals`.

use async_trait::async_trait;
use receiver::Verified;
use store::{
    Acceptance, Arrivals, Inbox, Message, MessageContent, MessageCounts, MessageFilter, MessageNumber, Page,
    SecretPlace, SourceKey, SourceRecord, StoreError, StoreResult, Vault,
};
use tokio_postgres::Row;
use wire::{AccountId, FanOutId, SourceId};
use zeroize::Zeroizing;

use crate::PostgresStore;
use crate::columns::{Columns, Id, change, find, limit_and_one, list, lock_account, millis, number, values};
use crate::session::Session;
use crate::{arrivals, sealing};

const SOURCE: &str = "select source, account, name, preset, sealed_keys, created_at from source";
pub(crate) const MESSAGE: &str = "select m.number, m.source, m.message_id, m.headers, m.received_at,
    coalesce(d.copies, 0), coalesce(d.conflicts, 0), octet_length(m.body)::bigint, m.emptied";
pub(crate) const MESSAGE_FROM: &str = "from message as m
    left join message_duplicate as d on d.account = m.account and d.number = m.number where m.account = $1";

#[async_trait]
impl Inbox for PostgresStore {
    async fn create_source(&self, source: SourceRecord) -> StoreResult<()> {
        let session = self.begin().await?;
        lock_account(&session, source.account).await?;
        let keys = seal_keys(&session, &self.vault, (source.account, source.id), &source.keys).await?;
        let SourceRecord { id, account, name, preset, created_at, .. } = source;
        let added = change(
            &session,
            "insert into source (account, source, name, preset, sealed_keys, created_at)
             values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
            values![number(account), id.bytes(), name, preset, keys, millis(created_at)],
        )
        .await?;
        match added {
            0 => Err(StoreError::Exists("a source with this id")),
            _ => session.commit().await,
        }
    }

    async fn sources(&self, account: AccountId) -> StoreResult<Vec<SourceRecord>> {
        let sql = format!("{SOURCE} where account = $1 order by created_at, source");
        list(&self.session().await?, &sql, values![number(account)], |row| read_source(row, &self.vault)).await
    }

    async fn set_source_keys(&self, account: AccountId, id: SourceId, keys: Vec<SourceKey>) -> StoreResult<bool> {
        let session = self.begin().await?;
        // Sealing may bring a key into use, which the audit log would take for a change.
        let sql = "select 1 from source where account = $1 and source = $2 for no key update";
        if find(&session, sql, values![number(account), id.bytes()], |_| Ok(())).await?.is_none() {
            return Ok(false);
        }
        let keys = seal_keys(&session, &self.vault, (account, id), &keys).await?;
        let sql = "update source set sealed_keys = $3 where account = $1 and source = $2";
        let changed = change(&session, sql, values![number(account), id.bytes(), keys]).await?;
        session.commit().await?;
        Ok(changed > 0)
    }

    async fn source(&self, id: SourceId) -> StoreResult<Option<SourceRecord>> {
        let sql = format!("{SOURCE} where source = $1");
        find(&self.session().await?, &sql, values![id.bytes()], |row| read_source(row, &self.vault)).await
    }

    async fn accept(&self, message: Verified) -> StoreResult<Acceptance> {
        self.accepting.accept(message, self.window).await
    }

    async fn messages(
        &self,
        account: AccountId,
        filter: MessageFilter,
        after: Option<MessageNumber>,
        limit: usize,
    ) -> StoreResult<Page<Message, MessageNumber>> {
        let before = after.map_or(i64::MAX, saturated);
        let source = filter.source.as_ref().map(Id::bytes);
        let (from, to) = (filter.from.map_or(i64::MIN, millis), filter.to.map_or(i64::MAX, millis));
        let values = values![number(account), before, source, limit_and_one(limit), from, to];
        let found = list(&self.session().await?, &messages_sql(), values, read_message).await?;
        Ok(Page::cut(found, limit, |message| message.number))
    }

    async fn message(&self, account: AccountId, wanted: MessageNumber) -> StoreResult<Option<Message>> {
        let sql = format!("{MESSAGE}, m.body {MESSAGE_FROM} and m.number = $2");
        find(&self.session().await?, &sql, values![number(account), saturated(wanted)], read_message).await
    }

    async fn message_counts(&self, account: AccountId) -> StoreResult<MessageCounts> {
        let sql = "select (select count(*) from message where account = $1),
                          (select coalesce(sum(copies), 0)::bigint from message_duplicate where account = $1)";
        let session = self.session().await?;
        let counts = find(&session, sql, values![number(account)], |row| {
            Ok(MessageCounts { stored: row.count(0)?, duplicates: row.count(1)? })
        })
        .await?;
        Ok(counts.unwrap_or_default())
    }

    async fn arrivals(&self, account: AccountId, fan_out: FanOutId) -> StoreResult<Option<Arrivals>> {
        arrivals::of(&self.look().await?, account, fan_out).await
    }

    async fn fan_outs_seen(&self, account: AccountId, limit: usize) -> StoreResult<Vec<(FanOutId, Arrivals)>> {
        arrivals::newest(&self.look().await?, account, limit).await
    }
}

/// The messages of a page are chosen by what stands in the index of their numbers.
pub(crate) fn messages_sql() -> String {
    format!(
        "{MESSAGE}, ''::bytea from (
             select number from message
             where account = $1 and number < $2 and received_at >= $5 and received_at < $6
             and ($3::bytea is null or source = $3)
             order by number desc limit $4
         ) as chosen
         join message as m on m.account = $1 and m.number = chosen.number
         left join message_duplicate as d on d.account = m.account and d.number = m.number
         order by m.number desc"
    )
}

/// The keys of a source as they are stored: a list in JSON, sealed.
async fn seal_keys(
    session: &Session,
    vault: &Vault,
    (account, id): (AccountId, SourceId),
    keys: &[SourceKey],
) -> StoreResult<String> {
    let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
    let keys = Zeroizing::new(serde_json::to_string(&keys).map_err(StoreError::broken)?);
    sealing::seal(session, vault, SecretPlace::Source(account, id), &keys).await
}

fn read_source(row: &Row, vault: &Vault) -> StoreResult<SourceRecord> {
    let (id, account) = (row.id(0)?, row.account(1)?);
    let keys = sealing::open(row, 4, vault, SecretPlace::Source(account, id))?;
    let keys: Vec<String> = serde_json::from_str(&keys).map_err(StoreError::broken)?;
    Ok(SourceRecord {
        id,
        account,
        name: row.value(2)?,
        preset: row.value(3)?,
        keys: keys.into_iter().map(Zeroizing::new).collect(),
        created_at: row.moment(5)?,
    })
}

/// A message of the columns of [`MESSAGE`] and its body, or what stands in for that.
pub(crate) fn read_message(row: &Row) -> StoreResult<Message> {
    Ok(Message {
        number: row.count(0)?,
        source: row.id(1)?,
        message_id: row.value(2)?,
        headers: row.value(3)?,
        received_at: row.moment(4)?,
        duplicates: row.count(5)?,
        conflicts: row.count(6)?,
        body_length: row.count(7)?,
        content: match row.value::<Option<&str>>(8)? {
            None => MessageContent::Kept,
            Some("erased") => MessageContent::Erased,
            Some(_) => MessageContent::Expired,
        },
        body: row.value(9)?,
    })
}

/// Numbers come from requests, versions from headers that nobody has signed; PostgreSQL counts to 2^63.
pub(crate) fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
