//! What a sender is answered when it asks whether this is its receiver. Strict: Zoom and Slack sign the question like any
//! webhook, Meta shows the token typed into its form, and Graph has to know the path.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

use crate::scheme::to_hex;
use crate::{Source, SourceError, Verified};

#[cfg(test)]
mod tests;

/// Challenges are some dozen characters; Graph's are the longest, about 200.
const CHALLENGE_BYTES_MAX: usize = 1_024;

/// How a sender asks.
#[derive(Debug)]
pub enum Challenge {
    /// `endpoint.url_validation`, signed; answered with an HMAC of what it holds.
    Zoom,
    /// `url_verification`, signed; answered with what it holds.
    Slack,
    /// GET with `hub.*`.
    Meta(VerifyToken),
    /// POST with `validationToken` in the query.
    Graph,
}

/// The hash of what the owner typed into a sender's form.
pub struct VerifyToken([u8; 32]);

/// What to answer with 200; nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeAnswer {
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Challenge {
    /// Meta's, with the token typed into its form.
    pub fn meta(verify_token: &str) -> Result<Self, SourceError> {
        match verify_token.trim() {
            "" => {
                Err(SourceError::field("verify-token", "is empty; give the text you type into Meta's form, a long one"))
            }
            token => Ok(Self::Meta(VerifyToken(hash(token)))),
        }
    }
}

/// The answer to a question that is in the query alone, before anything is read or verified. `None` where it is none, or
/// none that is believed: go on as if it had not been looked at.
#[must_use]
pub fn challenge_in_query(source: &Source, method: &str, query: Option<&str>) -> Option<ChallengeAnswer> {
    match (source.scheme().challenge()?, method) {
        (Challenge::Meta(token), "GET") => {
            let query = query?;
            let is_known = token.is(&parameter(query, "hub.verify_token")?);
            let asks = parameter(query, "hub.mode")? == "subscribe";
            (is_known && asks).then(|| echo(parameter(query, "hub.challenge")?)).flatten()
        }
        (Challenge::Graph, "POST") => echo(parameter(query?, "validationToken")?),
        (Challenge::Zoom | Challenge::Slack | Challenge::Meta(_) | Challenge::Graph, _) => None,
    }
}

/// The answer to a question that came as a webhook. `None` where the webhook is no question: accept it.
#[must_use]
pub fn challenge_in_body(source: &Source, message: &Verified) -> Option<ChallengeAnswer> {
    match source.scheme().challenge()? {
        Challenge::Zoom => zoom(source, message),
        Challenge::Slack => slack(message.body()),
        Challenge::Meta(_) | Challenge::Graph => None,
    }
}

fn zoom(source: &Source, message: &Verified) -> Option<ChallengeAnswer> {
    #[derive(Deserialize)]
    struct Question {
        event: String,
        payload: Payload,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        plain_token: String,
    }
    let question: Question = read_if_it_has(message.body(), b"endpoint.url_validation")?;
    let token = question.payload.plain_token;
    if question.event != "endpoint.url_validation" || token.len() > CHALLENGE_BYTES_MAX {
        return None;
    }
    // With the key that verified the question, so that each of two can be checked while they are exchanged.
    let encrypted = source.scheme().hmac(message.matched()?, token.as_bytes())?;
    let body = serde_json::json!({ "plainToken": token, "encryptedToken": to_hex(encrypted.as_ref()) });
    Some(ChallengeAnswer { content_type: "application/json", body: body.to_string() })
}

fn slack(body: &[u8]) -> Option<ChallengeAnswer> {
    #[derive(Deserialize)]
    struct Question {
        r#type: String,
        challenge: String,
    }
    let question: Question = read_if_it_has(body, b"url_verification")?;
    if question.r#type == "url_verification" { echo(question.challenge) } else { None }
}

/// Most webhooks are no question, and need not be parsed to see it.
fn read_if_it_has<T: for<'de> Deserialize<'de>>(body: &[u8], mark: &[u8]) -> Option<T> {
    body.windows(mark.len()).any(|part| part == mark).then(|| serde_json::from_slice(body).ok())?
}

fn echo(text: String) -> Option<ChallengeAnswer> {
    let may = (1..=CHALLENGE_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    may.then_some(ChallengeAnswer { content_type: "text/plain; charset=utf-8", body: text })
}

/// The only parameter of this name, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut values = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .filter(|(key, _)| decoded(key).as_deref() == Some(name));
    match (values.next(), values.next()) {
        (Some((_, value)), None) => decoded(value),
        (None, _) | (Some(_), Some(_)) => None,
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16).map(|value| value as u8);
                digit()? << 4 | digit()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

impl VerifyToken {
    fn is(&self, offered: &str) -> bool {
        verify_slices_are_equal(&self.0, &hash(offered)).is_ok()
    }
}

impl std::fmt::Debug for VerifyToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VerifyToken(hidden)")
    }
}

fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}
