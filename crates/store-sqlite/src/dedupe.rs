//! Accepting a message once, in SQL. A repetition is looked for by a hash of 64 bits, in a table with one small row for each
//! slot; what is found there is compared, so that a hash decides nothing (docs/decisions/0017-inbox-store.md).

mod filling;
mod sweep;

use receiver::Verified;
use rusqlite::{Connection, Row};
use store::{Acceptance, DedupeWindow, DuplicateContent, FanOutPlace, KnownMessage, StoreResult, fingerprint};
use wire::AccountId;

use crate::columns::{find, millis, number, run};

#[cfg(test)]
pub(crate) use sweep::KEYS;
pub(crate) use sweep::forget_keys;

// Two queries: most messages are new, and need the first alone.
pub(crate) const SEEN: &str = "select number from message_seen where fingerprint = ?1";
pub(crate) const KNOWN: &str = "select account, source, dedupe_key, received_at, digest from message where number = ?1";
pub(crate) const KEEP: &str =
    "insert into message (account, source, dedupe_key, digest, message_id, headers, received_at,
                                        fan_out, fan_out_index, fan_out_total, body)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
pub(crate) const TAKE_SLOT: &str = "insert into message_seen (fingerprint, number) values (?1, ?2)
    on conflict (fingerprint) do update set number = excluded.number";

/// Keeps a message, or counts it as a copy of the one it repeats. It fails without a trace.
pub(crate) fn accept(connection: &Connection, message: &Verified, window: DedupeWindow) -> StoreResult<Acceptance> {
    let fingerprint = fingerprint(message);
    let newest = find(connection, SEEN, [fingerprint], |row| row.get::<_, i64>(0))?;
    let repeated = match newest {
        Some(number) => find(connection, KNOWN, [number], |row| compare(row, message, window))?.flatten(),
        None => None,
    };
    match (newest, repeated) {
        (Some(of), Some(content)) => note_duplicate(connection, message, of, content),
        _ => keep(connection, message, fingerprint),
    }
}

/// Whether a message repeats the one of this row, and how it compares with that.
fn compare(row: &Row<'_>, message: &Verified, window: DedupeWindow) -> rusqlite::Result<Option<DuplicateContent>> {
    let known = KnownMessage {
        account: AccountId::from_u32(row.get(0)?),
        source: row.get_ref(1)?.as_blob()?,
        key: row.get_ref(2)?.as_blob()?,
        received_ms: row.get(3)?,
        digest: row.get_ref(4)?.as_blob()?,
    };
    Ok(window.compare(message, &known))
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

fn note_duplicate(
    connection: &Connection,
    message: &Verified,
    of: i64,
    content: DuplicateContent,
) -> StoreResult<Acceptance> {
    let is_same = content == DuplicateContent::Same;
    run(
        connection,
        "insert into message_duplicate (account, number, copies, conflicts, last_at) values (?1, ?2, 1, ?3, ?4)
         on conflict (account, number) do update
         set copies = copies + 1, conflicts = conflicts + excluded.conflicts, last_at = excluded.last_at",
        (number(message.account()), of, u8::from(!is_same), millis(message.received_at())),
    )?;
    Ok(Acceptance::Duplicate { of: of.unsigned_abs(), content })
}
