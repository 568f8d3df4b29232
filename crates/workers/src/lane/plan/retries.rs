//! Reading what is due again, with the letters it is of.

use std::sync::Arc;

use jiff::Timestamp;
use store::{Due, Lanes, Lease, StoreResult};

use super::{Fetched, LETTERS_KEPT_MAX, Letters};
use crate::lane::sender::Letter;

/// Retries that are due, each with the letter of its fan-out.
pub(super) async fn read_retries(
    lanes: Arc<dyn Lanes>,
    lease: Lease,
    (now, limit): (Timestamp, usize),
    mut letters: Letters,
    reading: u64,
) -> StoreResult<Fetched> {
    let (mut found, mut loaded) = (Vec::new(), 0);
    let Due { retries, signal } = lanes.due_retries(lease, now, limit).await?;
    let mut more_from = (retries.len() >= limit).then_some(now);
    for retry in retries {
        let letter = match letters.get(&retry.fan_out) {
            Some(letter) => letter.clone(),
            None if loaded >= LETTERS_KEPT_MAX => {
                more_from = Some(now);
                break;
            }
            None => {
                // A fan-out goes only after the last of its rows, so this row is gone too by now.
                let Some(fan_out) = lanes.fan_out(lease.account, retry.fan_out).await? else { continue };
                let letter = Arc::new(Letter::new(fan_out));
                letters.insert(retry.fan_out, letter.clone());
                loaded += 1;
                letter
            }
        };
        found.push((letter, retry));
    }
    Ok(Fetched::Retries { signal, reading, found, more_from })
}
