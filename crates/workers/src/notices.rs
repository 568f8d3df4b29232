//! Sends notices: claims what is due, posts it signed under the notice's id, and writes down what came of it. What
//! follows an attempt is decided in `provider::notice`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use provider::attempt::{Failure, Outcome};
use provider::judge::{Attempt, AttemptKind, Jitter, RetryPolicy, Verdict};
use provider::notice::{judge_notice, write_notice};
use provider::secret::SigningSchedule;
use store::{NoticeAttempt, NoticeErrand, Notices, StoreResult};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::headers;

use crate::Context;
use crate::lane::sender::{ATTEMPT_TIME_MAX, Attempted};
use crate::trouble::Trouble;

/// Notices on their way at once: they are few, and each may take as long as a delivery.
const NOTICES_MAX: usize = 32;
/// Nobody waits for a notice as one waits for a webinar; one is noticed within this time.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// An attempt and the commit of its outcome fit in twice. A notice whose sender died is sent again after it.
const LEASE_FOR: Duration = Duration::from_secs(60);

/// Claims notices and sends them.
pub struct NoticeSender {
    notices: Arc<dyn Notices>,
    context: Context,
    stop: watch::Receiver<bool>,
    running: JoinSet<()>,
}

impl NoticeSender {
    /// A sender for this process. It claims nothing more once `stop` holds `true`, or nobody is left to say so.
    pub fn new(notices: Arc<dyn Notices>, context: Context, stop: watch::Receiver<bool>) -> NoticeSender {
        NoticeSender { notices, context, stop, running: JoinSet::new() }
    }

    /// Runs until told to stop; then waits for what is in flight, at most `drain` long. What is not finished by then
    /// stays owed in the store.
    pub async fn run(mut self, drain: Duration) {
        let mut trouble = Trouble::with("notices could not be claimed");
        while !self.is_stopped() {
            trouble.heed(self.turn().await);
            tokio::select! {
                _ = self.stop.changed() => {}
                () = sleep(POLL_INTERVAL) => {}
            }
            while self.running.try_join_next().is_some() {}
        }
        if timeout(drain, self.settled()).await.is_err() {
            tracing::warn!(
                notices = self.running.len(),
                "stopped before all notices had ended; they will be sent again"
            );
        }
    }

    /// One turn: claims what is due, as far as there is room, and starts it. How many were started.
    pub async fn turn(&mut self) -> StoreResult<usize> {
        let room = NOTICES_MAX.saturating_sub(self.running.len());
        if room == 0 || self.is_stopped() {
            return Ok(0);
        }
        let errands = self.notices.claim_notices(self.context.clock.now(), LEASE_FOR, room).await?;
        let started = errands.len();
        for errand in errands {
            self.running.spawn(deliver(self.notices.clone(), self.context.clone(), errand));
        }
        Ok(started)
    }

    /// Waits until every notice started so far has come to its end.
    pub async fn settled(&mut self) {
        while self.running.join_next().await.is_some() {}
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow() || self.stop.has_changed().is_err()
    }
}

/// One attempt, from the body to the disk.
async fn deliver(notices: Arc<dyn Notices>, context: Context, errand: NoticeErrand) {
    let (outcome, asked_wait) = post(&context, &errand).await;
    let now = context.clock.now();
    let attempt = Attempt { charged: errand.attempts, outcome, asked_wait, kind: AttemptKind::Ordinary };
    let jitter = Jitter::from_bits(u64::from_ne_bytes(context.chance.bytes()));
    let verdict = judge_notice(&attempt, &RetryPolicy::default(), now, jitter);
    let (notice, endpoint) = (errand.notice.id, errand.endpoint.id);
    match verdict {
        Verdict::Delivered => tracing::debug!(%notice, %endpoint, "a notice was delivered"),
        Verdict::RetryAt { due, .. } => {
            tracing::info!(%notice, %endpoint, %outcome, %due, "a notice is to be tried again");
        }
        Verdict::Abandon => tracing::warn!(%notice, %endpoint, %outcome, "a notice was given up"),
    }
    if let Err(error) = notices.settle_notice(errand.lease, NoticeAttempt { outcome, verdict, now }).await {
        // Its lease runs out and it is sent again, under the same id.
        tracing::warn!(%notice, %endpoint, %error, "what came of a notice could not be saved");
    }
}

/// Posts it; the outcome, and the wait that was asked for.
async fn post(context: &Context, errand: &NoticeErrand) -> (Outcome, Option<Duration>) {
    let url = context.targets.parse(&errand.endpoint.url).ok();
    let way = url.and_then(|url| context.egress.way_to(&url));
    let (Some(way), Some((head, body))) = (way, request(context, errand)) else {
        return (Outcome::Failed(Failure::ForbiddenTarget), None);
    };
    let attempted = Attempted::of(way.post(head, body, ATTEMPT_TIME_MAX).await, &*context.clock);
    (attempted.outcome, attempted.asked_wait)
}

/// Head and body, signed afresh for this attempt.
fn request(context: &Context, errand: &NoticeErrand) -> Option<(HeaderMap, Bytes)> {
    let notice = &errand.notice;
    let body = Bytes::from(write_notice(notice.kind, notice.created_at, &notice.details));
    let id = notice.id.text();
    let now = context.clock.now();
    let timestamp = now.as_second();
    let signing = SigningSchedule::new(&errand.endpoint.secrets).ok()?;
    let signature = signing.signer_at(now).sign(&id, timestamp, &body);

    let mut head = HeaderMap::with_capacity(8);
    let mut set = |name: &'static str, value: HeaderValue| head.insert(HeaderName::from_static(name), value);
    set(headers::WEBHOOK_ID, HeaderValue::from_str(&id).ok()?);
    set(headers::WEBHOOK_TIMESTAMP, HeaderValue::from(timestamp));
    set(headers::WEBHOOK_SIGNATURE, HeaderValue::try_from(signature).ok()?);
    set(headers::FANFARE_EVENT, HeaderValue::from_static(notice.kind.as_str()));
    set(headers::FANFARE_ATTEMPT, HeaderValue::from(errand.attempts.saturating_add(1)));
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    head.insert(USER_AGENT, HeaderValue::from_static(concat!("Fanfare/", env!("CARGO_PKG_VERSION"))));
    Some((head, body))
}
