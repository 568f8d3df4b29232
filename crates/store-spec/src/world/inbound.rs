//! Somebody who sends webhooks to an inbox, signed as the inbox wants them.

use jiff::Timestamp;
use receiver::{RawRequest, Scheme, Source, Verified, verify};
use store::{Acceptance, SourceRecord, Store, StoreResult};
use wire::{AccountId, Signer, SigningSecret, SourceId, WebhookId};

use super::World;

/// A sender, and the source its webhooks come in at.
pub struct Sender {
    source: Source,
    signer: Signer,
}

impl Sender {
    /// A sender to a source that may not be stored yet.
    pub fn new(id: SourceId, account: AccountId) -> (Sender, SourceRecord) {
        let secret = SigningSecret::from_random([9; 32]);
        let keys = vec![secret.reveal()];
        let scheme = Scheme::standard_webhooks(keys.iter().map(|key| key.as_str())).expect("a key");
        let source = Source::new(id, account, "courses", scheme).expect("a source");
        let (name, preset) = ("courses".to_owned(), "standard-webhooks".to_owned());
        let record = SourceRecord { id, account, name, preset, keys, created_at: Timestamp::UNIX_EPOCH };
        (Sender { source, signer: Signer::new([secret]).expect("a signer") }, record)
    }

    /// The source's id.
    pub fn source(&self) -> SourceId {
        self.source.id()
    }

    /// A webhook as it arrives.
    pub fn message(&self, id: &str, body: &str, now: Timestamp) -> Verified {
        self.message_with(id, body, &[], now)
    }

    /// One with further headers.
    pub fn message_with(&self, id: &str, body: &str, further: &[(&str, String)], now: Timestamp) -> Verified {
        let timestamp = now.as_second();
        let signature = self.signer.sign(WebhookId::new(id).expect("an id"), timestamp, body.as_bytes());
        let timestamp = timestamp.to_string();
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", &timestamp),
            ("webhook-signature", &signature),
            ("content-type", "application/json"),
        ];
        let further = further.iter().map(|(name, value)| (*name, value.as_str()));
        let headers = headers.into_iter().chain(further).map(|(name, value)| (name, value.as_bytes()));
        verify(&self.source, RawRequest { headers, body: body.as_bytes().to_vec().into() }, now).expect("signed")
    }
}

impl<S: Store> World<S> {
    /// A new source, and who sends to it.
    pub async fn sender(&mut self, account: AccountId) -> StoreResult<Sender> {
        let (sender, mut record) = Sender::new(SourceId::from_bytes(self.id()), account);
        record.created_at = self.now();
        self.store.create_source(record).await?;
        Ok(sender)
    }

    /// Accepts a webhook.
    pub async fn accept(&self, sender: &Sender, id: &str, body: &str) -> StoreResult<Acceptance> {
        self.store.accept(sender.message(id, body, self.now())).await
    }
}
