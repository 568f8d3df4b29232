//! What the demo came to, from what both halves say, and how it is shown.

use std::time::Duration;

use serde::Serialize;

use crate::output::{self, grouped};

/// What came of it. Each webhook is one participant of one event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counts {
    participants: u64,
    events: u64,
    sent: u64,
    received: u64,
    verified: u64,
    stored: u64,
    duplicates: u64,
    lost: u64,
    seconds: f64,
    per_second: f64,
    cpu_micros_per_delivery: f64,
}

/// What was seen on either side.
pub(super) struct Seen {
    pub(super) participants: u64,
    /// Webhooks the provider has sent, whatever came of them.
    pub(super) sent: u64,
    /// Webhooks of which the provider knows that they arrived.
    pub(super) answered: u64,
    /// Different webhooks in the inbox.
    pub(super) stored: u64,
    /// Further copies that came to the inbox.
    pub(super) duplicates: u64,
    /// Wall time of the announcements.
    pub(super) wall: Duration,
    /// CPU time of this process, both halves, in that time.
    pub(super) cpu: Duration,
}

impl Counts {
    /// Events of the demo: the series created, one session moved.
    pub(super) const EVENTS: u64 = 2;

    pub(super) fn of(seen: &Seen) -> Counts {
        let each = |total: f64| if seen.sent == 0 { 0.0 } else { total / seen.sent as f64 };
        let seconds = seen.wall.as_secs_f64();
        Counts {
            participants: seen.participants,
            events: Counts::EVENTS,
            sent: seen.sent,
            received: seen.answered,
            // The inbox holds nothing whose signature it has not verified, so what it knows of it has verified.
            verified: seen.stored + seen.duplicates,
            stored: seen.stored,
            duplicates: seen.duplicates,
            lost: (seen.participants * Counts::EVENTS).saturating_sub(seen.stored),
            seconds: rounded(seconds, 1_000.0),
            per_second: if seconds > 0.0 { rounded(seen.sent as f64 / seconds, 1.0) } else { 0.0 },
            cpu_micros_per_delivery: rounded(each(seen.cpu.as_secs_f64() * 1e6), 10.0),
        }
    }

    /// Whether everyone got everything once.
    pub(super) fn are_perfect(&self) -> bool {
        self.lost == 0 && self.duplicates == 0 && self.stored == self.participants * self.events
    }

    /// Prints the result: one JSON object, or a table.
    pub(super) fn print(&self, as_json: bool) -> anyhow::Result<()> {
        if as_json {
            return output::print_json(self);
        }
        output::print_line("");
        for (name, count, meaning) in [
            ("sent", self.sent, format!("{} participants × {} events", grouped(self.participants), self.events)),
            ("received", self.received, "answered 200 by the inbox".to_owned()),
            ("verified", self.verified, "signature checked on the raw body".to_owned()),
            ("stored", self.stored, "on disk before the answer".to_owned()),
            ("duplicates", self.duplicates, "recognised by their message id".to_owned()),
            ("lost", self.lost, "of what everyone should have got".to_owned()),
        ] {
            output::print_line(&format!("  {name:<10} {:>11}  {meaning}", grouped(count)));
        }
        output::print_line(&format!(
            "\n  {} a second; {:.1} µs of CPU for each, sender and receiver together",
            grouped(self.per_second as u64),
            self.cpu_micros_per_delivery
        ));
        Ok(())
    }
}

/// Figures of a run are not exact; digits beyond this say nothing.
fn rounded(value: f64, per_unit: f64) -> f64 {
    (value * per_unit).round() / per_unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(stored: u64, duplicates: u64) -> Seen {
        Seen {
            participants: 50,
            sent: 100,
            answered: 100,
            stored,
            duplicates,
            wall: Duration::from_millis(500),
            cpu: Duration::from_millis(10),
        }
    }

    #[test]
    fn the_object_has_exactly_the_promised_keys() {
        let json = serde_json::to_string(&Counts::of(&seen(100, 0))).unwrap();
        assert_eq!(
            json,
            r#"{"participants":50,"events":2,"sent":100,"received":100,"verified":100,"stored":100,"duplicates":0,"lost":0,"seconds":0.5,"perSecond":200.0,"cpuMicrosPerDelivery":100.0}"#
        );
    }

    #[test]
    fn a_webhook_that_is_missing_or_came_twice_is_no_success() {
        assert!(Counts::of(&seen(100, 0)).are_perfect());
        assert!(!Counts::of(&seen(99, 0)).are_perfect());
        assert!(!Counts::of(&seen(100, 1)).are_perfect());
        assert_eq!(Counts::of(&seen(99, 1)).lost, 1);
    }
}
