//! From an errand to a signed request, and from what came back to an outcome. Runs once for each delivery.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waking, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use egress::{Exchange, FailureKind};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use provider::attempt::{Failure, Outcome, Phases, Reason};
use provider::frontier::Place;
use provider::judge::{AttemptKind, read_retry_after};
use provider::secret::SigningSchedule;
use store::{Clock, Endpoint, FailPoint, FanOut, StoreError, StoreResult};
use webinar::{Participant, write_body};
use wire::{MessageId, ParticipantNumber, headers};

use crate::{Context, Posting, Way};

/// The contract gives a receiver 30 s for everything.
pub(crate) const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(30);
/// Beside the shared part a body holds a name, an address, a number and an offset.
const PERSON_BYTES: usize = 256;

/// One delivery to be attempted.
pub(crate) struct Errand {
    pub(crate) letter: Arc<Letter>,
    pub(crate) place: Place,
    pub(crate) participant: Participant,
    pub(crate) attempt: u16,
    pub(crate) charged: u16,
}

/// What all deliveries of a fan-out share, made ready for sending.
pub(crate) struct Letter {
    pub(crate) fan_out: FanOut,
    headers: HeaderMap,
}

/// An attempt that has ended.
pub(crate) struct Done {
    pub(crate) errand: Errand,
    pub(crate) kind: AttemptKind,
    pub(crate) outcome: Outcome,
    pub(crate) asked_wait: Option<Duration>,
    pub(crate) phases: Phases,
    /// Why it failed; none for a success.
    pub(crate) reason: Option<Reason>,
}

/// What came of a request.
pub(crate) struct Attempted {
    pub(crate) outcome: Outcome,
    pub(crate) asked_wait: Option<Duration>,
    pub(crate) phases: Phases,
    /// Why it failed; none for a success.
    pub(crate) reason: Option<Reason>,
}

/// An attempt under way. A type of its own, so that the boxed request is the only allocation it needs.
pub(crate) struct Attempting {
    /// Taken at the end.
    errand: Option<Errand>,
    kind: AttemptKind,
    /// Or why nothing can be sent.
    posting: Result<Posting, Reason>,
    clock: Arc<dyn Clock>,
}

/// Sends to one endpoint.
pub(crate) struct Sender {
    /// Or why the URL may no longer be called.
    way: Result<Arc<dyn Way>, Reason>,
    signing: SigningSchedule,
    clock: Arc<dyn Clock>,
}

impl Letter {
    pub(crate) fn new(fan_out: FanOut) -> Letter {
        let mut common = HeaderMap::with_capacity(16);
        let mut set = |name: &'static str, text: String| {
            // All of these are our own ids, numbers and names of events.
            if let Ok(value) = HeaderValue::try_from(text) {
                common.insert(HeaderName::from_static(name), value);
            }
        };
        set(headers::FANFARE_EVENT, fan_out.event_type.to_string());
        set(headers::FANFARE_TRIGGER, fan_out.trigger.as_str().to_owned());
        set(headers::FANFARE_SERIES, fan_out.series.to_string());
        set(headers::FANFARE_SERIES_VERSION, fan_out.version.to_string());
        set(headers::FANFARE_FANOUT, fan_out.id.to_string());
        set(headers::FANFARE_TOTAL, fan_out.audience.to_string());
        if let Some(replay) = fan_out.replay {
            set(headers::FANFARE_REPLAY, replay.to_string());
        }
        common.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        common.insert(USER_AGENT, HeaderValue::from_static(concat!("Fanfare/", env!("CARGO_PKG_VERSION"))));
        Letter { fan_out, headers: common }
    }

    fn body(&self, participant: &Participant) -> Bytes {
        let instant = self.fan_out.attendee_instant;
        let offset = participant.timezone.as_ref().zip(instant).map(|(zone, at)| zone.offset_at(at));
        let mut body = Vec::with_capacity(self.fan_out.series_part.len() + PERSON_BYTES);
        write_body(&mut body, participant, offset, &self.fan_out.series_part);
        body.into()
    }
}

impl Sender {
    pub(crate) fn new(context: &Context, endpoint: &Endpoint) -> StoreResult<Sender> {
        let url = context.targets.parse(&endpoint.url).map_err(|error| Reason::of_text(&error.to_string()));
        let unfit = || Reason::of_text("the URL cannot be put into a request");
        let way = url.and_then(|url| context.egress.way_to(&url).ok_or_else(unfit));
        let signing = SigningSchedule::new(&endpoint.secrets).map_err(StoreError::broken)?;
        Ok(Sender { way, signing, clock: context.clock.clone() })
    }

    /// Signs with the secrets of now; what is in flight keeps its signatures.
    pub(crate) fn renew_secrets(&mut self, endpoint: &Endpoint) -> StoreResult<()> {
        self.signing = SigningSchedule::new(&endpoint.secrets).map_err(StoreError::broken)?;
        Ok(())
    }

    /// One attempt, from the body to the outcome.
    pub(crate) fn send(&self, errand: Errand, kind: AttemptKind) -> Attempting {
        let posting = self.post(self.request(&errand));
        Attempting { errand: Some(errand), kind, posting, clock: self.clock.clone() }
    }

    /// One request outside any lane.
    pub(crate) async fn try_once(&self, headers: HeaderMap, body: Bytes) -> Attempted {
        match self.post(Some((headers, body))) {
            Ok(posting) => Attempted::of(posting.await, &*self.clock),
            Err(reason) => Attempted::forbidden(reason),
        }
    }

    fn post(&self, request: Option<(HeaderMap, Bytes)>) -> Result<Posting, Reason> {
        let way = self.way.as_ref().map_err(Clone::clone)?;
        let (headers, body) = request.ok_or_else(|| Reason::of_text("the webhook cannot be put into a request"))?;
        FailPoint::AttemptBeforeSend.pass();
        Ok(way.post(headers, body, ATTEMPT_TIME_MAX))
    }

    /// Head and body, signed afresh for this attempt.
    pub(crate) fn request(&self, errand: &Errand) -> Option<(HeaderMap, Bytes)> {
        let letter = &errand.letter;
        let body = letter.body(&errand.participant);
        // A replay repeats the ids of what it repeats: that is what receivers recognise it by.
        let id = MessageId::new(letter.fan_out.origin, ParticipantNumber::new(errand.place.participant).ok()?).text();
        let now = self.clock.now();
        let timestamp = now.as_second();
        let signature = self.signing.signer_at(now).sign(&id, timestamp, &body);

        let mut all = letter.headers.clone();
        all.insert(HeaderName::from_static(headers::WEBHOOK_ID), HeaderValue::from_str(&id).ok()?);
        all.insert(HeaderName::from_static(headers::WEBHOOK_TIMESTAMP), HeaderValue::from(timestamp));
        all.insert(HeaderName::from_static(headers::WEBHOOK_SIGNATURE), HeaderValue::try_from(signature).ok()?);
        all.insert(HeaderName::from_static(headers::FANFARE_INDEX), HeaderValue::from(errand.place.index));
        all.insert(HeaderName::from_static(headers::FANFARE_ATTEMPT), HeaderValue::from(errand.attempt));
        Some((all, body))
    }
}

impl Future for Attempting {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, waking: &mut Waking<'_>) -> Poll<Done> {
        let attempted = match &mut self.posting {
            Ok(posting) => {
                let exchange = ready!(posting.as_mut().poll(waking));
                FailPoint::AttemptAfterAnswer.pass();
                Attempted::of(exchange, &*self.clock)
            }
            Err(reason) => Attempted::forbidden(reason.clone()),
        };
        // Like every future it is not asked again after its end.
        let Some(errand) = self.errand.take() else { return Poll::Pending };
        let Attempted { outcome, asked_wait, phases, reason } = attempted;
        Poll::Ready(Done { errand, kind: self.kind, outcome, asked_wait, phases, reason })
    }
}

impl Attempted {
    pub(crate) fn of(exchange: Exchange, clock: &dyn Clock) -> Attempted {
        let phases = exchange.phases;
        match exchange.result {
            Ok(answer) => {
                let outcome = Outcome::Answered(answer.status);
                let asked_wait = answer.retry_after.and_then(|text| read_retry_after(&text, clock.now()));
                let refusal = || Reason::of_status(answer.status, answer.location.as_deref());
                Attempted { outcome, asked_wait, phases, reason: (!outcome.is_delivered()).then(refusal) }
            }
            Err(failure) => {
                let reason = Some(Reason::of_text(&failure.to_string()));
                Attempted { outcome: Outcome::Failed(failure_of(failure.kind)), asked_wait: None, phases, reason }
            }
        }
    }

    /// Nothing was sent, for this reason.
    fn forbidden(reason: Reason) -> Attempted {
        let (outcome, phases) = (Outcome::Failed(Failure::ForbiddenTarget), Phases::default());
        Attempted { outcome, asked_wait: None, phases, reason: Some(reason) }
    }
}

fn failure_of(kind: FailureKind) -> Failure {
    match kind {
        FailureKind::Dns => Failure::Dns,
        FailureKind::InvalidTarget => Failure::ForbiddenTarget,
        FailureKind::Connect => Failure::Connect,
        FailureKind::Tls => Failure::Tls,
        FailureKind::Timeout(_) => Failure::Timeout,
        FailureKind::ConnectionLost => Failure::ConnectionLost,
        FailureKind::BadAnswer | FailureKind::TooLarge => Failure::BadAnswer,
    }
}
