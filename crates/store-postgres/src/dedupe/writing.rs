//! What a batch of messages writes, in SQL.

use store::StoreResult;

use super::batch::Batch;
use crate::columns::{run, values};
use crate::session::Session;

const KEEP: &str = "insert into message (account, number, source, dedupe_key, digest, message_id, headers, received_at,
                                         fan_out, fan_out_index, fan_out_total, body)
    select * from unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::text[],
                         $8::bigint[], $9::bytea[], $10::bigint[], $11::bigint[], $12::bytea[])";
const TAKE_SLOTS: &str = "insert into message_seen (account, fingerprint, number)
    select * from unnest($1::bigint[], $2::bigint[], $3::bigint[])
    on conflict (account, fingerprint) do update set number = excluded.number";
const NOTE_DUPLICATES: &str = "insert into message_duplicate as known (account, number, copies, conflicts, last_at)
    select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
    on conflict (account, number) do update
    set copies = known.copies + excluded.copies, conflicts = known.conflicts + excluded.conflicts,
        last_at = excluded.last_at";
const COUNT_ON: &str = "update message_counter as counter set newest = counted.newest
    from unnest($1::bigint[], $2::bigint[]) as counted (account, newest) where counter.account = counted.account";

/// Writes what has become of a batch. The statements do not need each other, so all of them are sent at once.
pub(super) async fn write(session: &Session, batch: &Batch<'_>) -> StoreResult<()> {
    let keep = async {
        if batch.kept.is_empty() {
            return Ok(());
        }
        let column = batch.columns();
        let values = values![
            column.accounts,
            column.numbers,
            column.sources,
            column.keys,
            column.digests,
            column.message_ids,
            column.headers,
            column.received_at,
            column.fan_outs,
            column.indexes,
            column.totals,
            column.bodies,
        ];
        run(session, KEEP, values).await
    };
    let take_slots = async {
        let (accounts, fingerprints, numbers) = batch.slots_taken();
        if accounts.0.is_empty() {
            return Ok(());
        }
        run(session, TAKE_SLOTS, values![accounts, fingerprints, numbers]).await
    };
    let count_on = async {
        let (accounts, newest) = batch.counted();
        if batch.kept.is_empty() {
            return Ok(());
        }
        run(session, COUNT_ON, values![accounts, newest]).await
    };
    let note_duplicates = async {
        if batch.duplicates.is_empty() {
            return Ok(());
        }
        let [accounts, numbers, copies, conflicts, last_at] = batch.duplicates_noted();
        run(session, NOTE_DUPLICATES, values![accounts, numbers, copies, conflicts, last_at]).await
    };
    tokio::try_join!(keep, take_slots, count_on, note_duplicates).map(drop)
}
