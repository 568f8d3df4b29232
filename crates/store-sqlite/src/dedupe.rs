//! Accepting a message once, in SQL. A repetition is looked for by a hash of 64 bits, in a table with one small row for each
//! slot; what is found there is compared, so that a hash decides nothing (docs/decisions/0017-inbox-store.md).

mod filling;
mod sweep;

use aws_lc_rs::digest::{Context, SHA256};
use receiver::Verified;
use rusqlite::Connection;
use store::{Acceptance, DedupeWindow, DuplicateContent, FanOutPlace, StoreResult};

use crate::columns::{find, millis, number, run};

#[cfg(test)]
pub(crate) use sweep::KEYS;
pub(crate) use sweep::forget_keys;

pub(crate) const SEEN: &str = "select m.number, m.digest = ?6 from message_seen as s
    join message as m on m.number = s.number
    where s.fingerprint = ?1 and m.account = ?2 and m.source = ?3 and m.dedupe_key = ?4 and m.received_at >= ?5";
const KEEP: &str = "insert into message (account, source, dedupe_key, digest, message_id, headers, received_at,
                                        fan_out, fan_out_index, fan_out_total, body)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const TAKE_SLOT: &str = "insert into message_seen (fingerprint, number) values (?1, ?2)
    on conflict (fingerprint) do update set number = excluded.number";

/// The bits of a slot in which neighbours differ.
const NEIGHBOURS: u64 = 0xffff;

/// Keeps a message, or counts it as a copy of the one it repeats. It fails without a trace.
pub(crate) fn accept(connection: &Connection, message: &Verified, window: DedupeWindow) -> StoreResult<Acceptance> {
    let (fingerprint, source, digest) = (fingerprint(message), message.source(), message.content_digest());
    let values = (
        fingerprint,
        number(message.account()),
        source.as_bytes(),
        message.dedupe_key().as_bytes(),
        millis(window.begin(message.received_at())),
        digest.as_bytes(),
    );
    let seen = find(connection, SEEN, values, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)))?;
    match seen {
        Some((of, is_same)) => note_duplicate(connection, message, (of, is_same)),
        None => keep(connection, message, fingerprint),
    }
}

fn keep(connection: &Connection, message: &Verified, fingerprint: i64) -> StoreResult<Acceptance> {
    let place = FanOutPlace::from_headers(message.headers());
    run(
        connection,
        KEEP,
        (
            number(message.account()),
            message.source().as_bytes(),
            message.dedupe_key().as_bytes(),
            message.content_digest().as_bytes(),
            message.message_id(),
            message.headers().as_text(),
            millis(message.received_at()),
            place.as_ref().map(|place| place.fan_out.as_bytes()),
            place.map(|place| place.index.cast_signed()),
            place.map(|place| place.total.cast_signed()),
            message.body().as_ref(),
        ),
    )?;
    let kept = connection.last_insert_rowid();
    if let Err(error) = run(connection, TAKE_SLOT, (fingerprint, kept)) {
        // The sender is told that it was not taken and comes again; others of the batch are committed. Where this fails
        // too, the disk has taken back the whole batch.
        run(connection, "delete from message where number = ?1", [kept])?;
        return Err(error);
    }
    Ok(Acceptance::Stored(kept.unsigned_abs()))
}

fn note_duplicate(connection: &Connection, message: &Verified, (of, is_same): (i64, bool)) -> StoreResult<Acceptance> {
    run(
        connection,
        "insert into message_duplicate (account, number, copies, conflicts, last_at) values (?1, ?2, 1, ?3, ?4)
         on conflict (account, number) do update
         set copies = copies + 1, conflicts = conflicts + excluded.conflicts, last_at = excluded.last_at",
        (number(message.account()), of, u8::from(!is_same), millis(message.received_at())),
    )?;
    let content = if is_same { DuplicateContent::Same } else { DuplicateContent::Different };
    Ok(Acceptance::Duplicate { of: of.unsigned_abs(), content })
}

/// Where a message's repetition is looked for: 48 bits of a SHA-256, so that nobody can aim at another's place, and the last
/// 16 of the slot, by which ids that follow each other are neighbours: one commit then writes few pages.
fn fingerprint(message: &Verified) -> i64 {
    let mut context = Context::new(&SHA256);
    context.update(&message.account().as_u32().to_be_bytes());
    context.update(message.source().as_bytes());
    context.update(&(message.dedupe_slot() & !NEIGHBOURS).to_be_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&context.finish().as_ref()[..8]);
    (u64::from_be_bytes(first) & !NEIGHBOURS | message.dedupe_slot() & NEIGHBOURS).cast_signed()
}
