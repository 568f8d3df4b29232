//! One webhook sent because an owner asks: through the same gate, with the same body, signature and limits as any other,
//! but about nobody, once, now, and in no log. Works while the endpoint is paused or failing: it is how a mend is tried.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use provider::attempt::TestReport;
use provider::frontier::Place;
use store::{Chance, Endpoint, FanOut, StoreError, StoreResult};
use webinar::{EventType, SAMPLE_MANGO, SeriesId, SeriesPart, Trigger, Zones, sample_participant, sample_series};
use wire::{EventId, FanOutId, headers};

use crate::Context;
use crate::lane::sender::{Attempted, Errand, Letter, Sender};

/// The one person it is about, whom no roster has.
const NOBODY: Place = Place { participant: 1, index: 1 };

/// Sends test webhooks.
#[derive(Clone)]
pub struct TestSender {
    context: Context,
    zones: Zones,
}

impl TestSender {
    /// Sends through the way out of `context`.
    pub fn new(context: Context, zones: Zones) -> TestSender {
        TestSender { context, zones }
    }

    /// Sends one webhook and waits for what comes back, 30 s at most.
    ///
    /// # Errors
    /// Only where the endpoint's own record cannot be used; whatever the receiver does is in the report.
    pub async fn send(&self, endpoint: &Endpoint) -> StoreResult<TestReport> {
        let sender = Sender::new(&self.context, endpoint)?;
        let errand = self.errand()?;
        let (mut headers, body) =
            sender.request(&errand).ok_or_else(|| StoreError::broken("an id that is no header"))?;
        headers.insert(headers::FANFARE_TEST, HeaderValue::from_static("true"));
        let (sent, content) = (shown(&headers), body.to_vec());
        let Attempted { outcome, phases, reason, .. } = sender.try_once(headers, body).await;
        Ok(TestReport { headers: sent, body: content, outcome, phases, reason })
    }

    fn errand(&self) -> StoreResult<Errand> {
        let now = self.context.clock.now();
        let chance: &dyn Chance = &*self.context.chance;
        let series =
            sample_series(SeriesId::from_bytes(chance.bytes()), &self.zones, now).map_err(StoreError::broken)?;
        let part = SeriesPart::render(series.sessions(), &[SAMPLE_MANGO]);
        let id = FanOutId::from_bytes(chance.id_bytes(now));
        let fan_out = FanOut {
            id,
            origin: id,
            replay: None,
            rate: None,
            event: EventId::from_bytes(chance.id_bytes(now)),
            event_type: EventType::WebinarCreatedRecurring,
            trigger: Trigger::Created,
            series: series.id(),
            version: 1,
            attendee_instant: part.attendee_instant(),
            series_part: Bytes::copy_from_slice(part.as_bytes()),
            audience: 1,
        };
        let participant = sample_participant(&self.zones).map_err(StoreError::broken)?;
        Ok(Errand { letter: Arc::new(Letter::new(fan_out)), place: NOBODY, participant, attempt: 1, charged: 0 })
    }
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
