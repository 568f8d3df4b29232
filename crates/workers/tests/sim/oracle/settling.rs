//! Rules of commits: only what happened, each attempt once and in order, and no cursor beyond what is kept.

use provider::segment::{Entry, unpack};
use store::{Exception, ExceptionState, Lease, Settlement};
use wire::FanOutId;

use super::{End, Held, Key, Oracle, SessionNumber, require};

/// A delivery is refused this often before it is given up.
const ATTEMPTS_BEFORE_THE_END: u16 = 10;

impl Oracle {
    /// A settlement has taken effect.
    pub(crate) fn settled(&mut self, lease: Lease, settlement: &Settlement) -> Held {
        let session = self.owner(lease, "settled")?;
        for (id, segment) in &settlement.segments {
            let entries = unpack(&segment.bytes).map_err(|error| format!("{id}: {error}"))?;
            for entry in &entries {
                self.attempt_is_on_disk(session, *id, entry)?;
            }
            let delivered = entries.iter().filter(|entry| entry.outcome.is_delivered()).count() as u64;
            let counted = settlement.delivered.iter().find(|(of, _)| of == id).map_or(0, |(_, count)| *count);
            require(delivered == counted, || format!("{id}: {delivered} were delivered, but {counted} counted"))?;
        }
        for exception in &settlement.exceptions {
            self.row_is_on_disk(exception)?;
        }
        for (id, number) in &settlement.recovered {
            let end = self.delivery((*id, *number))?.finished;
            require(end == Some(End::Delivered), || format!("the row of ({id}, {number}) went, but it is {end:?}"))?;
        }
        for (id, place) in &settlement.cursors {
            self.cursor_is_on_disk(*id, place.participant)?;
        }
        for id in &settlement.swept {
            self.everyone_has_been_tried(*id, u64::MAX)?;
            self.fan_outs.get_mut(id).ok_or_else(|| format!("{id} is unknown"))?.is_swept = true;
        }
        Ok(())
    }

    fn attempt_is_on_disk(&mut self, session: SessionNumber, id: FanOutId, entry: &Entry) -> Held {
        let key = (id, entry.participant);
        let happened = self.session(session).unsettled.remove(&key);
        let written = (entry.attempt, entry.outcome);
        require(happened == Some(written), || format!("{key:?} was written as {written:?}, but was {happened:?}"))?;
        let delivery = self.delivery(key)?;
        require(entry.attempt == delivery.attempts + 1, || {
            format!("{key:?}: attempt {} was written after {}", entry.attempt, delivery.attempts)
        })?;
        delivery.attempts = entry.attempt;
        delivery.due = None;
        if entry.outcome.is_delivered() {
            require(delivery.acted > 0, || format!("{key:?} is delivered, but nobody got it"))?;
            self.finish(key, End::Delivered)?;
        }
        Ok(())
    }

    fn row_is_on_disk(&mut self, exception: &Exception) -> Held {
        let key = (exception.fan_out, exception.place.participant);
        let delivery = self.delivery(key)?;
        require(delivery.index == exception.place.index, || format!("{key:?} has another index in its row"))?;
        match exception.state {
            ExceptionState::Retrying { due, attempt, .. } => {
                require(attempt == delivery.attempts + 1, || {
                    format!("{key:?} is to be tried as {attempt}, after {} attempts", delivery.attempts)
                })?;
                delivery.due = Some(due);
                Ok(())
            }
            ExceptionState::Abandoned { attempts } => {
                let made = delivery.attempts;
                require(attempts == made && made >= ATTEMPTS_BEFORE_THE_END, || {
                    format!("{key:?} was given up after {made} attempts, {attempts} by its row")
                })?;
                self.finish(key, End::Abandoned)
            }
            ExceptionState::Superseded { attempts } => {
                let made = delivery.attempts;
                require(attempts == made, || format!("{key:?} ended after {made} attempts, {attempts} by its row"))?;
                require(self.has_newer_on_disk(key), || format!("{key:?} was superseded by nothing newer"))?;
                self.finish(key, End::Superseded)
            }
            // Nobody in these runs gives such an order.
            ExceptionState::Held { .. } | ExceptionState::Skipped { .. } | ExceptionState::Erased { .. } => {
                Err(format!("{key:?} is {:?}, which nobody asked for", exception.state))
            }
        }
    }

    fn cursor_is_on_disk(&mut self, id: FanOutId, cursor: u64) -> Held {
        self.everyone_has_been_tried(id, cursor)?;
        let ledger = self.fan_outs.get_mut(&id).ok_or_else(|| format!("{id} is unknown"))?;
        require(cursor > ledger.cursor, || format!("{id}: the cursor went back from {} to {cursor}", ledger.cursor))?;
        ledger.cursor = cursor;
        Ok(())
    }

    /// Up to `last`, everybody is finished or has a row.
    fn everyone_has_been_tried(&self, id: FanOutId, last: u64) -> Held {
        let ledger = self.fan_outs.get(&id).ok_or_else(|| format!("{id} is unknown"))?;
        let forgotten = ledger
            .deliveries
            .range(..=last)
            .find(|(_, delivery)| delivery.finished.is_none() && delivery.due.is_none());
        require(forgotten.is_none(), || {
            let number = forgotten.map(|(number, _)| *number);
            format!("{id} was passed up to {last}, but {number:?} is neither finished nor kept for later")
        })
    }

    /// The same person has a newer version of the series from the same endpoint, by the disk.
    pub(super) fn has_newer_on_disk(&self, key: Key) -> bool {
        self.newer(key).any(|(_, delivery)| delivery.finished == Some(End::Delivered))
    }

    /// The same person's deliveries of newer versions of the series to the same endpoint.
    pub(super) fn newer(&self, (id, number): Key) -> impl Iterator<Item = (Key, &super::Delivery)> {
        let own = &self.fan_outs[&id];
        let is_newer = move |other: &super::FanOutLedger| {
            (other.endpoint, other.series) == (own.endpoint, own.series) && other.version > own.version
        };
        let newer = self.fan_outs.iter().filter(move |(_, other)| is_newer(other));
        newer.filter_map(move |(id, other)| Some(((*id, number), other.deliveries.get(&number)?)))
    }

    fn finish(&mut self, key: Key, end: End) -> Held {
        let delivery = self.delivery(key)?;
        require(delivery.finished.is_none(), || format!("{key:?} ended twice"))?;
        delivery.finished = Some(end);
        self.owed -= 1;
        Ok(())
    }

    fn delivery(&mut self, key: Key) -> Result<&mut super::Delivery, String> {
        let ledger = self.fan_outs.get_mut(&key.0);
        ledger.and_then(|ledger| ledger.deliveries.get_mut(&key.1)).ok_or_else(|| format!("{key:?} was never promised"))
    }

    /// A request has reached its receiver, which takes it for delivered. True where it did so before.
    pub(crate) fn acted(&mut self, key: Key) -> bool {
        let delivery = self.delivery(key).ok();
        delivery.is_some_and(|delivery| {
            delivery.acted += 1;
            delivery.acted > 1
        })
    }

    /// Whether no attempt of it is on disk yet.
    pub(crate) fn is_first_attempt(&self, key: Key) -> bool {
        self.fan_outs.get(&key.0).and_then(|ledger| ledger.deliveries.get(&key.1)).is_none_or(|one| one.attempts == 0)
    }
}
