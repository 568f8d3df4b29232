//! What is signed: the bytes `{id}.{timestamp}.{body}`, where the body is exactly as it travels.

use std::io::Write;

use aws_lc_rs::hmac;

use crate::webhook_id::{WEBHOOK_ID_BYTES_MAX, WebhookId};

/// The longest decimal form of an `i64`, with its sign.
const TIMESTAMP_BYTES_MAX: usize = 20;
const HEAD_BYTES_MAX: usize = WEBHOOK_ID_BYTES_MAX + 1 + TIMESTAMP_BYTES_MAX + 1;

/// The signed content, in two pieces so that the body need not be copied.
pub(crate) struct SignedContent<'a> {
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    body: &'a [u8],
}

impl<'a> SignedContent<'a> {
    pub(crate) fn new(id: WebhookId<'_>, timestamp: i64, body: &'a [u8]) -> Self {
        let mut head = [0; HEAD_BYTES_MAX];
        let mut free = head.as_mut_slice();
        write!(free, "{}.{timestamp}.", id.as_str()).expect("the longest id and time fit the head");
        let head_len = HEAD_BYTES_MAX - free.len();
        Self { head, head_len, body }
    }

    pub(crate) fn hmac(&self, key: &hmac::Key) -> hmac::Tag {
        let mut context = hmac::Context::with_key(key);
        context.update(self.head());
        context.update(self.body);
        context.sign()
    }

    /// Both pieces in one: Ed25519 reads the content twice and so wants it whole.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        [self.head(), self.body].concat()
    }

    fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }
}
