//! The inbox, in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use receiver::{ContentDigest, DedupeKey, Verified};
use store::{
    Acceptance, Arrivals, DuplicateContent, FanOutPlace, Inbox, Message, MessageContent, MessageCounts, MessageFilter,
    MessageNumber, Page, SourceKey, SourceRecord, StoreError, StoreResult,
};
use wire::{AccountId, FanOutId, SourceId};

use super::Model;
use super::tables::Tables;

#[derive(Debug)]
pub(super) struct MessageRow {
    pub(super) account: AccountId,
    slot: u64,
    key: DedupeKey,
    place: Option<FanOutPlace>,
    digest: ContentDigest,
    pub(super) message: Message,
}

#[async_trait]
impl Inbox for Model {
    async fn create_source(&self, source: SourceRecord) -> StoreResult<()> {
        let mut tables = self.tables();
        tables.require_account(source.account)?;
        if tables.sources.iter().any(|known| known.id == source.id) {
            return Err(StoreError::Exists("a source with this id"));
        }
        tables.sources.push(source);
        Ok(())
    }

    async fn sources(&self, account: AccountId) -> StoreResult<Vec<SourceRecord>> {
        let tables = self.tables();
        let mut sources: Vec<_> = tables.sources.iter().filter(|source| source.account == account).cloned().collect();
        sources.sort_by_key(|source| (source.created_at, source.id));
        Ok(sources)
    }

    async fn set_source_keys(&self, account: AccountId, id: SourceId, keys: Vec<SourceKey>) -> StoreResult<bool> {
        let mut tables = self.tables();
        let found = tables.sources.iter_mut().find(|source| source.account == account && source.id == id);
        Ok(found.map(|source| source.keys = keys).is_some())
    }

    async fn source(&self, id: SourceId) -> StoreResult<Option<SourceRecord>> {
        Ok(self.tables().sources.iter().find(|source| source.id == id).cloned())
    }

    async fn accept(&self, message: Verified) -> StoreResult<Acceptance> {
        let mut tables = self.tables();
        let (account, source) = (message.account(), message.source());
        let slot = message.dedupe_slot();
        let is_there = |row: &&mut MessageRow| (row.account, row.message.source, row.slot) == (account, source, slot);
        let newest = tables.messages.iter_mut().rev().find(is_there);
        let begin = self.window.begin(message.received_at());
        let is_repeated = |row: &&mut MessageRow| row.key == *message.dedupe_key() && row.message.received_at >= begin;
        if let Some(row) = newest.filter(is_repeated) {
            let is_same = row.digest == message.content_digest();
            row.message.duplicates += 1;
            row.message.conflicts += u64::from(!is_same);
            let content = if is_same { DuplicateContent::Same } else { DuplicateContent::Different };
            return Ok(Acceptance::Duplicate { of: row.message.number, content });
        }
        tables.last_message += 1;
        let number = tables.last_message;
        tables.messages.push(MessageRow {
            account,
            slot,
            key: *message.dedupe_key(),
            place: FanOutPlace::from_headers(message.headers()),
            digest: message.content_digest(),
            message: Message {
                number,
                source,
                message_id: message.message_id().map(str::to_owned),
                headers: message.headers().as_text().to_owned(),
                received_at: message.received_at(),
                duplicates: 0,
                conflicts: 0,
                body_length: message.body().len() as u64,
                body: message.body().to_vec(),
                content: MessageContent::Kept,
            },
        });
        Ok(Acceptance::Stored(number))
    }

    async fn messages(
        &self,
        account: AccountId,
        filter: MessageFilter,
        after: Option<MessageNumber>,
        limit: usize,
    ) -> StoreResult<Page<Message, MessageNumber>> {
        let tables = self.tables();
        let of_account = tables.messages.iter().rev().filter(|row| row.account == account).map(|row| &row.message);
        let found = of_account
            .filter(|message| after.is_none_or(|after| message.number < after))
            .filter(|message| filter.source.is_none_or(|source| message.source == source))
            .filter(|message| filter.from.is_none_or(|from| message.received_at >= from))
            .filter(|message| filter.to.is_none_or(|to| message.received_at < to))
            .take(limit + 1)
            .map(|message| Message { body: Vec::new(), ..message.clone() });
        Ok(Page::cut(found.collect(), limit, |message| message.number))
    }

    async fn message(&self, account: AccountId, number: MessageNumber) -> StoreResult<Option<Message>> {
        let tables = self.tables();
        let found = tables.messages.iter().find(|row| row.account == account && row.message.number == number);
        Ok(found.map(|row| row.message.clone()))
    }

    async fn message_counts(&self, account: AccountId) -> StoreResult<MessageCounts> {
        let tables = self.tables();
        let of_account = || tables.messages.iter().filter(|row| row.account == account);
        let duplicates = of_account().map(|row| row.message.duplicates).sum();
        Ok(MessageCounts { stored: of_account().count() as u64, duplicates })
    }

    async fn arrivals(&self, account: AccountId, fan_out: FanOutId) -> StoreResult<Option<Arrivals>> {
        Ok(self.tables().arrivals(account, fan_out))
    }

    async fn fan_outs_seen(&self, account: AccountId, limit: usize) -> StoreResult<Vec<(FanOutId, Arrivals)>> {
        let tables = self.tables();
        let places = tables.messages.iter().filter(|row| row.account == account).filter_map(|row| row.place);
        let fan_outs: BTreeSet<_> = places.map(|place| place.fan_out).collect();
        let newest = fan_outs.into_iter().rev().take(limit);
        Ok(newest.filter_map(|fan_out| Some((fan_out, tables.arrivals(account, fan_out)?))).collect())
    }
}

impl Tables {
    fn arrivals(&self, account: AccountId, fan_out: FanOutId) -> Option<Arrivals> {
        let places = self.messages.iter().filter(|row| row.account == account).filter_map(|row| row.place);
        let of_it = places.filter(|place| place.fan_out == fan_out).map(|place| (place.index, place.total));
        let of_it: BTreeSet<_> = of_it.collect();
        let (_, total) = of_it.last().copied()?;
        Some(Arrivals::between(of_it.into_iter().map(|(index, _)| index), total))
    }
}
