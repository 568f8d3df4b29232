//! One endpoint as seen from here: its URL made ready for requests, its idle connections, `post` for what leaves in
//! thousands and `send` for everything else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Request, Uri};
use http_body_util::Full;
use provider::target::TargetUrl;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, timeout_at};

use crate::Egress;
use crate::call::{Call, Method};
use crate::dial::dial;
use crate::exchange::{Answer, Exchange, Progress};
use crate::failure::{Failure, FailureKind, Phase};
use crate::idle::Idle;
use crate::link::{Afterwards, Link, Unanswered};
use crate::tls;

/// The way to one URL. Clones share the idle connections, which the last one closes when dropped.
#[derive(Clone)]
pub struct Origin(Arc<Inner>);

struct Inner {
    egress: Egress,
    url: TargetUrl,
    request_target: Uri,
    host: HeaderValue,
    server_name: Option<ServerName<'static>>,
    idle: Idle,
}

impl Origin {
    pub(crate) fn new(egress: Egress, url: TargetUrl) -> Result<Self, Failure> {
        let unfit = |error: http::Error| Failure::new(FailureKind::InvalidTarget, error.to_string());
        let request_target = Uri::try_from(url.path_and_query()).map_err(|error| unfit(error.into()))?;
        let host = HeaderValue::from_str(url.authority()).map_err(|error| unfit(error.into()))?;
        let server_name = if url.is_tls() { Some(tls::server_name(&url)?) } else { None };
        Ok(Self(Arc::new(Inner { egress, url, request_target, host, server_name, idle: Idle::default() })))
    }

    /// Whom it posts to.
    #[must_use]
    pub fn url(&self) -> &TargetUrl {
        &self.0.url
    }

    /// Posts to the URL and reads the answer, within `total` or [`crate::Limits::total`], whichever is shorter.
    /// `Host` and `Content-Length` are set here; all other headers are the caller's. Nothing is sent twice: only a
    /// request of which no byte was written moves from a stale connection to another one.
    pub async fn post(&self, headers: HeaderMap, body: Bytes, total: Duration) -> Exchange {
        self.bounded(self.request(Method::Post, self.0.request_target.clone(), headers, body), total).await
    }

    /// Sends any request as [`post`](Self::post) does. A call to another scheme, host or port than this origin's fails
    /// as [`FailureKind::InvalidTarget`] and nothing is dialled.
    pub async fn send(&self, call: Call, total: Duration) -> Exchange {
        match self.request_target(call.url.as_ref()) {
            Ok(target) => self.bounded(self.request(call.method, target, call.headers, call.body), total).await,
            Err(failure) => Exchange { result: Err(failure), phases: Progress::new().phases, peer: None },
        }
    }

    fn request_target(&self, url: Option<&TargetUrl>) -> Result<Uri, Failure> {
        let ours = &self.0.url;
        let Some(url) = url else { return Ok(self.0.request_target.clone()) };
        if (url.is_tls(), url.authority()) != (ours.is_tls(), ours.authority()) {
            return Err(Failure::new(FailureKind::InvalidTarget, format!("{url:?} is not of {ours:?}")));
        }
        let unfit = |error: http::uri::InvalidUri| Failure::new(FailureKind::InvalidTarget, error.to_string());
        Uri::try_from(url.path_and_query()).map_err(unfit)
    }

    async fn bounded(&self, request: Request<Full<Bytes>>, total: Duration) -> Exchange {
        let started = Instant::now();
        let total = total.min(self.0.egress.limits().total);
        let deadline = started + total;
        let mut progress = Progress::new();
        let result = match timeout_at(deadline, self.attempt(request, started, &mut progress)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::timeout(progress.phase, total)),
        };
        let Progress { mut phases, peer, .. } = progress;
        phases.total = started.elapsed();
        if let Err(failure) = &result {
            tracing::debug!(origin = ?self.0.url, code = failure.code(), detail = %failure.detail, "no answer");
        }
        Exchange { result, phases, peer }
    }

    async fn attempt(
        &self,
        mut request: Request<Full<Bytes>>,
        started: Instant,
        progress: &mut Progress,
    ) -> Result<Answer, Failure> {
        let inner = &*self.0;
        let limits = inner.egress.limits();
        // Each round uses up one idle connection, so the rounds are bounded.
        while let Some(mut link) = inner.idle.take(limits, started) {
            progress.phases.reused = true;
            progress.peer = Some(link.peer);
            match self.exchange(&mut link, request, progress).await {
                Ok((answer, afterwards)) => return Ok(self.part(link, answer, afterwards)),
                Err(Unanswered::Sent(failure)) => return Err(failure),
                Err(Unanswered::Unsent(returned, _)) => request = *returned,
            }
        }
        progress.phases.reused = false;
        progress.peer = None;
        let mut link = dial(&inner.egress, &inner.url, inner.server_name.as_ref(), progress).await?;
        match self.exchange(&mut link, request, progress).await {
            Ok((answer, afterwards)) => Ok(self.part(link, answer, afterwards)),
            Err(Unanswered::Sent(failure) | Unanswered::Unsent(_, failure)) => Err(failure),
        }
    }

    fn request(&self, method: Method, target: Uri, mut headers: HeaderMap, body: Bytes) -> Request<Full<Bytes>> {
        headers.insert(HOST, self.0.host.clone());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.into();
        *request.uri_mut() = target;
        *request.headers_mut() = headers;
        request
    }

    async fn exchange(
        &self,
        link: &mut Link,
        request: Request<Full<Bytes>>,
        progress: &mut Progress,
    ) -> Result<(Answer, Afterwards), Unanswered> {
        progress.phase = Phase::Head;
        let started = Instant::now();
        let response = link.send(request).await?;
        progress.phases.first_byte = Some(started.elapsed());
        link.read_answer(response, progress).await.map_err(Unanswered::Sent)
    }

    fn part(&self, link: Link, answer: Answer, afterwards: Afterwards) -> Answer {
        match afterwards {
            Afterwards::Keep => self.0.idle.park(link, self.0.egress.limits(), Instant::now()),
            Afterwards::Drop => drop(link),
        }
        answer
    }
}
