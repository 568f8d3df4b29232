//! Our expansion of recurrence rules against python-dateutil's (scripts/make-recurrence-vectors.py).

use jiff::ToSpan;
use jiff::civil::{Date, DateTime};
use webinar::{Rule, Zones};

/// Rule, start, first date, days from each session to the next.
type Vector = (String, DateTime, Date, Vec<i32>);

const VECTORS: &str = include_str!("recurrence-vectors.json");

#[test]
fn every_generated_rule_falls_on_the_dates_python_dateutil_gives() {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).unwrap();
    let utc = Zones::bundled().zone("UTC").unwrap();
    assert!(vectors.len() >= 2_000);
    for (text, start, first, steps) in vectors {
        let mut expected = vec![first.to_datetime(start.time())];
        for days in steps {
            expected.push(expected[expected.len() - 1] + days.days());
        }
        let found = Rule::parse(&text).and_then(|rule| rule.starts(start, &utc));
        assert_eq!(found.as_ref(), Ok(&expected), "{text} from {start}");
    }
}
