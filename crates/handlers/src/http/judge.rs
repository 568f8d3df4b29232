//! From an answer, or none, to what follows: done, another attempt, a rest for the whole handler, or nothing more.

use std::time::Duration;

use egress::{Answer, Exchange, Failure, FailureKind, Phase};
use jiff::Timestamp;
use provider::judge::read_retry_after;
use receiver::{RunFailure, RunFailureKind};
use serde_json::{Value, json};

use super::presets::Preset;
use super::settings::Success;
use crate::words::tame;

/// How much of a refusal is kept where that is wanted, characters.
const ANSWER_CHARS_MAX: usize = 200;
/// The longest word taken for an error code, characters.
const CODE_CHARS_MAX: usize = 48;

/// By what an answer is judged.
pub(crate) struct Rules<'h> {
    /// Host and port, for words.
    pub(crate) target: &'h str,
    pub(crate) success: &'h Success,
    pub(crate) preset: Preset,
    /// Then a 404 is not this message's fault, and would meet all others too.
    pub(crate) is_always_the_same_url: bool,
    pub(crate) keeps_answers: bool,
}

/// Decides what follows a call.
pub(crate) fn judge(exchange: &Exchange, rules: &Rules<'_>, now: Timestamp) -> Result<String, RunFailure> {
    match &exchange.result {
        Ok(answer) => judge_answer(answer, rules, now),
        Err(failure) => Err(of_failure(failure, rules)),
    }
}

fn judge_answer(answer: &Answer, rules: &Rules<'_>, now: Timestamp) -> Result<String, RunFailure> {
    let status = answer.status;
    let is_success = match rules.success.statuses.as_slice() {
        [] => (200..300).contains(&status),
        listed => listed.contains(&status),
    };
    let body = serde_json::from_slice::<Value>(&answer.body_head).ok();
    if is_success {
        return match &rules.success.condition {
            Some(condition) => {
                let text = || Value::String(String::from_utf8_lossy(&answer.body_head).into_owned());
                let seen = json!({ "status": status, "body": body.clone().unwrap_or_else(text) });
                match condition.takes(&seen) {
                    Ok(true) => Ok(format!("{} answered {status}", rules.target)),
                    _ => Err(failed(RETRY, "success-if does not hold for the answer", answer, &body, rules)),
                }
            }
            None => Ok(format!("{} answered {status}", rules.target)),
        };
    }
    let asked = answer.retry_after.as_deref().and_then(|text| read_retry_after(text, now));
    let (kind, what) = of_status(status, asked, rules);
    let kind = code_of(body.as_ref(), answer).and_then(|code| rules.preset.kind_of(&code)).unwrap_or(kind);
    let what = if (300..400).contains(&status) { redirect(answer) } else { what.to_owned() };
    Err(failed(kind, &what, answer, &body, rules))
}

const RETRY: RunFailureKind = RunFailureKind::Retry { after: None };

/// What a status means for the message and for the others that wait.
fn of_status(status: u16, asked: Option<Duration>, rules: &Rules<'_>) -> (RunFailureKind, &'static str) {
    let (retry, target) = (RunFailureKind::Retry { after: asked }, RunFailureKind::Target { after: asked });
    let hopeless = RunFailureKind::Hopeless;
    match status {
        401 | 403 => (target, "the credentials were refused; check the token and what it may do"),
        402 => (target, "the service wants to be paid first"),
        404 | 405 | 410 if rules.is_always_the_same_url => (
            target,
            "there is nothing at this URL that takes the request; check url and method, and that it is switched on",
        ),
        404 | 405 | 410 => (hopeless, "there is nothing at this URL for this message"),
        407 => (target, "a proxy stands before it and wants credentials"),
        408 | 425 => (retry, "it wants the request again, later"),
        // draft-ietf-httpapi-idempotency-key-header, section 2.6: an earlier attempt is still being worked on.
        409 => (retry, "it is at odds with something, perhaps an earlier attempt that is still being worked on"),
        413 => (hopeless, "the body is too large for it"),
        429 => (target, "it asks for fewer requests; set rate"),
        503 => (target, "it cannot take requests at the moment"),
        500.. => (retry, "it failed"),
        300..400 => (hopeless, "it redirects"),
        400..500 => (hopeless, "it refused the request"),
        _ => (retry, "this counts as a failure"),
    }
}

/// Paths may be secret, so a redirect's is not repeated.
fn redirect(answer: &Answer) -> String {
    let place = answer.location.as_deref().unwrap_or_default();
    let whereto = match place.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => {
            let host = rest.split(['/', '?', '#', '@']).next().unwrap_or_default();
            format!("{scheme}://{}/…", tame(host, 80))
        }
        _ => "another path of the same host".to_owned(),
    };
    format!("redirects are not followed; use the URL it points to: {whereto}")
}

fn failed(kind: RunFailureKind, what: &str, answer: &Answer, body: &Option<Value>, rules: &Rules<'_>) -> RunFailure {
    let code = code_of(body.as_ref(), answer).map(|code| format!(" ({code})")).unwrap_or_default();
    let mut reason = format!("{} answered {}{code}: {what}", rules.target, answer.status);
    if rules.keeps_answers && !answer.body_head.is_empty() {
        let said = tame(&String::from_utf8_lossy(&answer.body_head), ANSWER_CHARS_MAX);
        reason.push_str(&format!("; it said: {said}"));
    } else if kind == RunFailureKind::Hopeless && !answer.body_head.is_empty() {
        reason.push_str("; set keep-answer = true to see what it says");
    }
    RunFailure { kind, reason }
}

/// The error code of an answer: where APIs usually have it, and only if it looks like one, so that nothing that names a
/// person passes for it.
fn code_of(body: Option<&Value>, answer: &Answer) -> Option<String> {
    let Some(body) = body else {
        // Slack answers with nothing but the code.
        let text = std::str::from_utf8(&answer.body_head).ok()?.trim();
        return text.contains('_').then(|| is_code(text).then(|| text.to_owned())).flatten();
    };
    let places =
        ["/error/code", "/error/type", "/error/status", "/code", "/error_code", "/errorCode", "/error", "/type"];
    places.into_iter().find_map(|place| match body.pointer(place)? {
        Value::Number(number) => number.as_u64().filter(|code| *code < 10_000_000).map(|code| code.to_string()),
        Value::String(text) if is_code(text) => Some(text.clone()),
        _ => None,
    })
}

/// A word such as `invalid_payload` or `132000`: no address, no name with spaces, no phone number.
fn is_code(text: &str) -> bool {
    let is_short = (1..=CODE_CHARS_MAX).contains(&text.len());
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    is_short && digits <= 6 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn of_failure(failure: &Failure, rules: &Rules<'_>) -> RunFailure {
    let target = rules.target;
    let (kind, reason) = match failure.kind {
        FailureKind::InvalidTarget => {
            let mend = "open its network in the server's settings by allow-target, if it is yours";
            (RunFailureKind::Target { after: None }, format!("{target} was not called: {failure}; {mend}"))
        }
        FailureKind::Dns
        | FailureKind::Connect
        | FailureKind::Tls
        | FailureKind::Timeout(Phase::Dns | Phase::Connect | Phase::Tls) => {
            (RunFailureKind::Target { after: None }, format!("{target} was not reached: {failure}"))
        }
        FailureKind::Timeout(Phase::Head | Phase::Body)
        | FailureKind::ConnectionLost
        | FailureKind::BadAnswer
        | FailureKind::TooLarge => (RETRY, format!("{target} may have acted, but: {failure}")),
    };
    RunFailure { kind, reason }
}
