//! Rules of requests: to whom, with what, when, how many. Each is a function of its own; a new one is added to the list
//! in [`Oracle::sent`].

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;
use provider::attempt::Outcome;
use provider::judge::AttemptKind;
use provider::lane::LaneState;
use store::{EndpointSwitch, LaneWork};
use tokio::time::Instant;
use wire::{EndpointId, KeyRing, MessageId, SignedHeaders, headers};

use super::{Held, Key, Oracle, Session, SessionNumber, require};

/// A request that leaves.
pub(crate) struct Request<'a> {
    pub(crate) session: SessionNumber,
    /// The endpoint whose URL it goes to.
    pub(crate) endpoint: EndpointId,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) keys: &'a KeyRing,
    /// What its machine's clock shows.
    pub(crate) now: Timestamp,
    /// The latest that clock ever showed.
    pub(crate) latest: Timestamp,
    /// What the store's clock shows, where leases run on it.
    pub(crate) lease_now: Option<Timestamp>,
}

/// A lane that has seen this many failures in a row sends probes only.
const FAILURES_TO_CLOSE: u32 = 5;
/// No two probes are nearer to each other: 5 s less a tenth of jitter.
const PROBE_DISTANCE: Duration = Duration::from_millis(4_500);
/// Whoever asks for fewer requests is left alone for this long at least.
const THROTTLE_WAIT: Duration = Duration::from_secs(5);

/// An owner whose lane was taken renews its lease, and so learns of it, every 5 s.
const STALE_MAX: Duration = Duration::from_secs(7);

impl Oracle {
    /// A request leaves. Which delivery it is.
    pub(crate) fn sent(&mut self, request: &Request<'_>) -> Result<Key, String> {
        let key = read_id(request)?;
        self.is_for_somebody_of_the_audience(key, request)?;
        self.says_what_was_promised(key, request)?;
        self.is_sent_under_its_lease(key, request)?;
        match self.session(request.session).superseded_at {
            // It cannot know what the new owner does, and reads what that one has written; so it may repeat it, until
            // it learns that there is one.
            Some(since) => self.is_about_to_notice(since, request.session)?,
            None => {
                self.is_not_in_hand(key, request)?;
                self.is_not_finished(key)?;
                self.is_not_outdated(key, request)?;
                self.is_the_next_attempt_and_due(key, request)?;
            }
        }
        self.is_within_the_window(request)?;
        self.is_wanted_by_the_endpoint(request)?;
        let attempt = text(request.headers, headers::FANFARE_ATTEMPT).parse().map_err(|_| "no attempt".to_owned())?;
        let session = self.session(request.session);
        session.in_flight.push((key, attempt));
        session.probe = session.closed_at.filter(|closed_at| *closed_at < request.now).map(|_| key);
        Ok(key)
    }

    fn is_for_somebody_of_the_audience(&self, key: Key, request: &Request<'_>) -> Held {
        let ledger = self.fan_outs.get(&key.0).ok_or_else(|| format!("{key:?} is of no fan-out we know"))?;
        require(ledger.endpoint == request.endpoint, || format!("{key:?} went to another endpoint"))?;
        require(ledger.deliveries.contains_key(&key.1), || format!("{key:?} went to somebody not in the audience"))
    }

    fn says_what_was_promised(&self, key: Key, request: &Request<'_>) -> Held {
        let ledger = &self.fan_outs[&key.0];
        let expected = [
            (headers::FANFARE_EVENT, "webinar.created.recurring".to_owned()),
            (headers::FANFARE_TRIGGER, ledger.trigger.as_str().to_owned()),
            (headers::FANFARE_SERIES, ledger.series.to_string()),
            (headers::FANFARE_SERIES_VERSION, ledger.version.to_string()),
            (headers::FANFARE_FANOUT, key.0.to_string()),
            (headers::FANFARE_INDEX, ledger.deliveries[&key.1].index.to_string()),
            (headers::FANFARE_TOTAL, ledger.deliveries.len().to_string()),
            ("content-type", "application/json".to_owned()),
        ];
        for (name, expected) in expected {
            let found = text(request.headers, name);
            require(found == expected, || format!("{key:?} has {name}: {found}, which should be {expected}"))?;
        }
        require(self.people.is_body_of(key.1, request.body, &ledger.series_part), || {
            format!("{key:?} has another body than promised: {}", String::from_utf8_lossy(request.body))
        })
    }

    /// Nobody sends once the lease is over, whether anybody else has taken the lane or not.
    fn is_sent_under_its_lease(&self, key: Key, request: &Request<'_>) -> Held {
        let session = &self.sessions[request.session.0];
        let is_over = request.lease_now.is_some_and(|now| session.released || session.until < now);
        require(!is_over, || {
            format!(
                "{key:?} was sent by {:?} at {:?}, after its lease, which lasted until {}",
                session.lease, request.lease_now, session.until
            )
        })
    }

    fn is_about_to_notice(&self, since: Instant, number: SessionNumber) -> Held {
        let session = &self.sessions[number.0];
        let newest = self.newest.get(&session.lease.endpoint).map(|newest| &self.sessions[newest.0]);
        let is_doubled = newest.is_some_and(|newest| newest.is_open && newest.owner == session.owner);
        require(!is_doubled, || "one process works on a lane twice at a time".to_owned())?;
        let stale_for = since.elapsed();
        require(!self.is_store_sound || stale_for <= STALE_MAX, || {
            format!("a lane went on sending {stale_for:?} after another owner had it")
        })
    }

    fn is_not_finished(&self, key: Key) -> Held {
        let finished = self.fan_outs[&key.0].deliveries[&key.1].finished;
        require(finished.is_none(), || format!("{key:?} was sent although the disk says {finished:?}"))
    }

    /// An older version must not follow a newer one.
    fn is_not_outdated(&self, key: Key, request: &Request<'_>) -> Held {
        let came_back = &self.sessions[request.session.0].unsettled;
        let has_arrived = |newer: &Key| came_back.get(newer).is_some_and(|(_, outcome)| outcome.is_delivered());
        let overtaken = self.newer(key).any(|(newer, _)| has_arrived(&newer)) || self.has_newer_on_disk(key);
        require(!overtaken, || format!("{key:?} was sent after a newer version had arrived"))
    }

    fn is_not_in_hand(&mut self, key: Key, request: &Request<'_>) -> Held {
        let session = self.session(request.session);
        let is_on_its_way = session.in_flight.iter().any(|(other, _)| *other == key);
        require(!is_on_its_way, || format!("{key:?} was sent while it was on its way"))?;
        let outcome = session.unsettled.get(&key);
        require(outcome.is_none(), || format!("{key:?} was sent again before {outcome:?} was on disk"))
    }

    fn is_the_next_attempt_and_due(&self, key: Key, request: &Request<'_>) -> Held {
        let delivery = &self.fan_outs[&key.0].deliveries[&key.1];
        let (found, next) = (text(request.headers, headers::FANFARE_ATTEMPT), delivery.attempts + 1);
        require(found == next.to_string(), || format!("{key:?} was sent as attempt {found}, but it is number {next}"))?;
        let is_due = delivery.due.is_none_or(|due| due <= request.latest);
        require(is_due, || format!("{key:?} was sent at {}, but is due at {:?}", request.now, delivery.due))
    }

    fn is_within_the_window(&mut self, request: &Request<'_>) -> Held {
        let window = self.window as usize;
        let in_flight = self.session(request.session).in_flight.len();
        require(in_flight < window, || format!("{in_flight} requests were in flight, and another was sent"))
    }

    fn is_wanted_by_the_endpoint(&mut self, request: &Request<'_>) -> Held {
        let session = self.session(request.session);
        let (now, latest) = (request.now, request.latest);
        require(!session.told_paused, || "a paused endpoint was sent a request".to_owned())?;
        require(!session.is_gone, || "an endpoint that is gone was sent a request".to_owned())?;
        let not_before = session.not_before;
        let has_waited = not_before.is_none_or(|not_before| not_before <= latest);
        require(has_waited, || {
            format!("a request was sent at {now}, but the endpoint was to rest until {not_before:?}")
        })?;
        if let Some(closed_at) = session.closed_at.filter(|closed_at| *closed_at < now) {
            // A clock that went back before the lane closed, and is right again, has waited long enough by itself.
            let from = session.rests_from.min(closed_at);
            let (since, in_flight) = (now.duration_since(from), session.in_flight.len());
            require(in_flight == 0 && since.unsigned_abs() >= PROBE_DISTANCE, || {
                format!("a failing endpoint was sent a request after {since:#}, with {in_flight} others on their way")
            })?;
        }
        Ok(())
    }

    /// What the lane has read of its endpoint.
    pub(crate) fn opened(&mut self, number: SessionNumber, work: &LaneWork) {
        let session = self.session(number);
        session.told_paused = work.endpoint.switch == EndpointSwitch::Paused;
        let is_first = !std::mem::replace(&mut session.is_open, true);
        let has_ordered = std::mem::replace(&mut session.signal, work.signal) != work.signal && !is_first;
        match work.endpoint.health {
            LaneState::Open { until, .. } if is_first => session.find_closed(until),
            LaneState::Gone { .. } | LaneState::Disabled { .. } if is_first => session.is_gone = true,
            // Its owner may have said that it is well again.
            LaneState::Healthy { failures: 0 } if has_ordered => session.find_well(),
            // Read again without an order it is only the lane's own, and older.
            LaneState::Healthy { .. }
            | LaneState::SlowStart { .. }
            | LaneState::Open { .. }
            | LaneState::Gone { .. }
            | LaneState::Disabled { .. } => {}
        }
    }

    /// A request has come back. True where the endpoint has now failed so often that its lane must close.
    pub(crate) fn answered(
        &mut self,
        number: SessionNumber,
        key: Key,
        (outcome, asked_seconds): (Outcome, u64),
        now: Timestamp,
    ) -> bool {
        let session = self.session(number);
        let attempt = session.land(key);
        session.unsettled.insert(key, (attempt, outcome));
        let probe = session.probe.take_if(|probe| *probe == key);
        let kind = probe.map_or(AttemptKind::Ordinary, |_| AttemptKind::Probe);
        session.hear(outcome, asked_seconds, now, kind)
    }

    /// A request was dropped before it had come back. That takes a reason.
    pub(crate) fn dropped(&mut self, number: SessionNumber, key: Key) -> Held {
        let session = self.session(number);
        session.land(key);
        require(session.excuse.is_some(), || format!("{key:?} was dropped in mid-flight without a reason"))
    }
}

impl Session {
    /// The endpoint was failing before this owner's time, and may get its next probe then.
    fn find_closed(&mut self, until: Timestamp) {
        self.not_before = Some(until);
        self.failures_in_row = FAILURES_TO_CLOSE;
        (self.closed_at, self.rests_from) = (Some(until - PROBE_DISTANCE), until - PROBE_DISTANCE);
    }

    /// From here on only the lane knows since when its endpoint fails: it believes its owner where it had written that
    /// the endpoint was failing, and itself where it had not.
    fn find_well(&mut self) {
        (self.closed_at, self.not_before, self.is_gone, self.is_trusted) = (None, None, false, true);
    }

    /// A request is no longer on its way; the number of its attempt.
    fn land(&mut self, key: Key) -> u16 {
        let place = self.in_flight.iter().position(|(other, _)| *other == key);
        place.map_or(0, |place| self.in_flight.swap_remove(place).1)
    }

    fn hear(&mut self, outcome: Outcome, asked_seconds: u64, now: Timestamp, kind: AttemptKind) -> bool {
        match outcome {
            Outcome::Answered(410) => self.is_gone = true,
            Outcome::Answered(429) => {
                let until = now + THROTTLE_WAIT.max(Duration::from_secs(asked_seconds));
                self.not_before = self.not_before.max(Some(until));
            }
            Outcome::Answered(408 | 425 | 500..) | Outcome::Failed(_) => {
                if self.failures_in_row == 0 {
                    self.rests_from = now;
                }
                self.failures_in_row += 1;
                let asks_for_time = asked_seconds > 0 && matches!(outcome, Outcome::Answered(502..=504));
                let is_enough = asks_for_time || self.failures_in_row >= FAILURES_TO_CLOSE;
                let is_closing = is_enough && self.closed_at.is_none() && !self.is_trusted;
                // From a slow start the first failure closes a lane, and the others were on their way: so the first wait
                // is counted from there.
                if is_closing {
                    self.closed_at = Some(now);
                } else if kind == AttemptKind::Probe && !self.is_trusted {
                    (self.closed_at, self.rests_from) = (Some(now), now);
                }
                return is_closing;
            }
            Outcome::Answered(_) => (self.failures_in_row, self.closed_at) = (0, None),
        }
        false
    }
}

fn read_id(request: &Request<'_>) -> Result<Key, String> {
    let pairs = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let signed = SignedHeaders::find_in(pairs).map_err(|error| format!("a request without signature: {error}"))?;
    let verified = request.keys.verify(&signed, request.body, request.now.as_second());
    verified.map_err(|error| format!("a request that cannot be verified: {error}"))?;
    let id = text(request.headers, headers::WEBHOOK_ID);
    let id: MessageId = id.parse().map_err(|error| format!("{id} is no id of ours: {error}"))?;
    Ok((id.fan_out(), id.participant().get()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
