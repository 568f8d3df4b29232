//! Webhooks signed and verified by Standard Webhooks, and the ids and header names of Fanfare's own.
//! Pure: no clock, no randomness, no I/O; time and chance are arguments, so every case is a plain test.
#![doc = include_str!("../README.md")]

mod content;
pub mod headers;
mod id;
mod message_id;
mod secret;
mod signature;
mod verify;
mod webhook_id;

pub use id::{
    AccountId, EndpointId, ErasureId, EventId, FanOutId, IdText, InboxMessageId, NodeId, NoticeId, ParseIdError,
    ReplayId, SourceId, SubscriptionId, uuid_v7_bytes,
};
pub use message_id::{DeliveryId, MessageId, ParticipantNumber, ParticipantNumberTooGreat};
pub use secret::{AsymmetricSecret, ParseSecretError, PublicKey, Secret, SigningSecret, VerificationKey};
pub use signature::{KeyCountError, SignatureScheme, Signer};
pub use verify::{KeyRing, Match, Rejection, SignedHeaders, TOLERANCE_DEFAULT};
pub use webhook_id::{WebhookId, WebhookIdError};
