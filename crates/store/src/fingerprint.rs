//! Where stores look for a message's repetition: one rule for all of them, so that what one has kept another may take over.

use aws_lc_rs::digest::{Context, SHA256};
use receiver::Verified;

/// The bits of a slot in which neighbours differ.
const NEIGHBOURS: u64 = 0xffff;

/// The place of a message's slot: 48 bits of a SHA-256 of account, source and slot, so that nobody can aim at another's
/// place, and the last 16 of the slot, by which ids that follow each other are neighbours: one commit then writes few pages.
/// It decides nothing: what is found there is compared.
#[must_use]
pub fn fingerprint(message: &Verified) -> i64 {
    let mut context = Context::new(&SHA256);
    context.update(&message.account().as_u32().to_be_bytes());
    context.update(message.source().as_bytes());
    context.update(&(message.dedupe_slot() & !NEIGHBOURS).to_be_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&context.finish().as_ref()[..8]);
    (u64::from_be_bytes(first) & !NEIGHBOURS | message.dedupe_slot() & NEIGHBOURS).cast_signed()
}
