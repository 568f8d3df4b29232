//! Verifies by a declaration. Nothing of the body is parsed before the signature is right, and the time is looked at last.

use jiff::Timestamp;

use super::found::Found;
use super::keys::Keys;
use super::template::{Filling, Template, is_of_signed_id};
use super::{Algorithm, Declaration, IdPlace, Proof, Rejection, TimePlace, TimeRule, TimeUnit};
use crate::SourceError;

/// The most entries of a signature header; each may cost a hash of the body for every key.
const SIGNATURES_MAX: usize = 16;
/// As long as the ids of Standard Webhooks.
const ID_BYTES_MAX: usize = 256;

const SIGNATURE: usize = 0;
const TIME: usize = 1;
const ID: usize = 2;

/// A declaration that makes sense, with its keys.
#[derive(Debug)]
pub(super) struct Verifier {
    declaration: Declaration,
    content: Option<Template>,
    keys: Keys,
}

impl Verifier {
    pub(super) fn new<'k>(
        declaration: Declaration,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<Self, SourceError> {
        let declaration = with_names_in_lower_case(declaration)?;
        let content = match declaration.algorithm {
            Algorithm::Token => None,
            _ => Some(Template::parse(&declaration.content, declaration.public_url.as_deref())?),
        };
        check(&declaration, content.as_ref())?;
        let keys = Keys::read(declaration.algorithm, declaration.key_encoding, keys)?;
        Ok(Self { declaration, content, keys })
    }

    pub(super) fn header(&self) -> &str {
        &self.declaration.header
    }

    pub(super) fn hmac(&self, key_index: usize, message: &[u8]) -> Option<aws_lc_rs::hmac::Tag> {
        self.keys.hmac(key_index, message)
    }

    pub(super) fn check<'n, 'v>(
        &self,
        headers: impl IntoIterator<Item = (&'n str, &'v [u8])>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Proof, Rejection> {
        let found = Found::find([Some(self.header()), self.time_header(), self.id_header()], headers)?;
        let header_id = found.text_if_there(ID)?;
        if header_id.is_some_and(|id| !self.is_id(id)) {
            return Err(Rejection::MalformedId(found.name(ID)));
        }
        let key_index = match &self.content {
            None => self.check_token(&found)?,
            Some(content) => self.check_signature(&found, content, body, now)?,
        };
        let message_id = match &self.declaration.id {
            IdPlace::Content => None,
            IdPlace::Header(_) => header_id.map(str::to_owned),
            IdPlace::Pointer(pointer) => id_in_body(body, pointer),
        };
        Ok(Proof { key_index: Some(key_index), message_id })
    }

    fn check_token(&self, found: &Found<'_, '_, 3>) -> Result<usize, Rejection> {
        let value = found.bytes(SIGNATURE)?;
        let token = value.split_at_checked(self.declaration.prefix.len());
        // The names of HTTP's own schemes have no case (RFC 9110, section 11.1).
        let token = token.filter(|(prefix, _)| prefix.eq_ignore_ascii_case(self.declaration.prefix.as_bytes()));
        let key_index = token.and_then(|(_, token)| self.keys.find_token(token));
        key_index.ok_or_else(|| Rejection::WrongToken(found.name(SIGNATURE)))
    }

    fn check_signature(
        &self,
        found: &Found<'_, '_, 3>,
        content: &Template,
        body: &[u8],
        now: Timestamp,
    ) -> Result<usize, Rejection> {
        let header = found.text(SIGNATURE)?;
        if self.entries(header).count() > SIGNATURES_MAX {
            return Err(Rejection::TooManySignatures(found.name(SIGNATURE)));
        }
        let timestamp = match &self.declaration.time {
            None => "",
            Some(TimeRule { place: TimePlace::Header(_), .. }) => found.text(TIME)?,
            Some(TimeRule { place: TimePlace::Parameter(name), .. }) => self.parameter(header, name)?,
        };
        let time = self.declaration.time.as_ref().map(|rule| parse_time(timestamp).map(|time| (rule, time)));
        let time = time.transpose()?;
        let id = if content.has_id() { found.text(ID)? } else { "" };
        let signatures = self.entries(header).filter_map(|entry| entry.strip_prefix(&*self.declaration.prefix));
        let filling = Filling { id, timestamp, key: &[], body };
        let key_index = self.keys.find_signer(signatures, self.declaration.encoding, content, filling)?;
        let key_index = key_index.ok_or_else(|| Rejection::NoUsableSignature(found.name(SIGNATURE)))?;
        // After the signature, so that a stranger learns nothing from the clock.
        if let Some((rule, time)) = time {
            check_time(rule, time, now)?;
        }
        Ok(key_index)
    }

    fn entries<'h>(&self, header: &'h str) -> impl Iterator<Item = &'h str> + Clone {
        // A header without a separator is one entry: an empty one matches nothing in it.
        let separator = self.declaration.separator.as_deref().unwrap_or("\n");
        header.split(separator).map(str::trim_ascii).filter(|entry| !entry.is_empty())
    }

    /// The only parameter of this name.
    fn parameter<'h>(&self, header: &'h str, name: &str) -> Result<&'h str, Rejection> {
        let mut values = self.entries(header).filter_map(|entry| entry.strip_prefix(name));
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) | (Some(_), Some(_)) => Err(Rejection::MalformedTime),
        }
    }

    fn time_header(&self) -> Option<&str> {
        match &self.declaration.time.as_ref()?.place {
            TimePlace::Header(name) => Some(name),
            TimePlace::Parameter(_) => None,
        }
    }

    fn id_header(&self) -> Option<&str> {
        match &self.declaration.id {
            IdPlace::Header(name) => Some(name),
            IdPlace::Content | IdPlace::Pointer(_) => None,
        }
    }

    fn is_id(&self, id: &str) -> bool {
        let is_signed = self.content.as_ref().is_some_and(Template::has_id);
        let may = |c: char| if is_signed { is_of_signed_id(c) } else { c.is_ascii_graphic() };
        (1..=ID_BYTES_MAX).contains(&id.len()) && id.chars().all(may)
    }
}

/// Only the one form a sender writes, because the content holds it in just that form.
fn parse_time(text: &str) -> Result<u64, Rejection> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let time = is_plain.then(|| text.parse().ok()).flatten();
    time.ok_or(Rejection::MalformedTime)
}

fn check_time(rule: &TimeRule, time: u64, now: Timestamp) -> Result<(), Rejection> {
    let (now, per_second) = match rule.unit {
        TimeUnit::Seconds => (now.as_second(), 1),
        TimeUnit::Milliseconds => (now.as_millisecond(), 1_000),
    };
    let now = now.max(0).unsigned_abs();
    let (off, tolerance_seconds) = (now.abs_diff(time), rule.tolerance.as_secs());
    if off <= tolerance_seconds.saturating_mul(per_second) {
        return Ok(());
    }
    let off_seconds = off.div_ceil(per_second);
    Err(if time < now {
        Rejection::TooOld { off_seconds, tolerance_seconds }
    } else {
        Rejection::TooNew { off_seconds, tolerance_seconds }
    })
}

/// A text or a whole number at this place of a verified body; anything else is no id.
fn id_in_body(body: &[u8], pointer: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let id = match json.pointer(pointer)? {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) if !number.is_f64() => number.to_string(),
        _ => return None,
    };
    let is_id = (1..=ID_BYTES_MAX).contains(&id.len()) && !id.chars().any(char::is_control);
    is_id.then_some(id)
}

fn with_names_in_lower_case(declaration: Declaration) -> Result<Declaration, SourceError> {
    let Declaration { header, time, id, .. } = &declaration;
    let header = header_name("header", header)?;
    let time = match time {
        Some(TimeRule { place: TimePlace::Header(name), unit, tolerance }) => {
            let place = TimePlace::Header(header_name("timestamp-header", name)?);
            Some(TimeRule { place, unit: *unit, tolerance: *tolerance })
        }
        other => other.clone(),
    };
    let id = match id {
        IdPlace::Header(name) => IdPlace::Header(header_name("id-header", name)?),
        other => other.clone(),
    };
    Ok(Declaration { header, time, id, ..declaration })
}

/// A header's name in lower case, if it can be one (RFC 9110, section 5.1).
fn header_name(field: &'static str, name: &str) -> Result<String, SourceError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_token) {
        return Err(SourceError::field(field, "is no name of a header; write it such as \"x-signature\""));
    }
    Ok(name.to_ascii_lowercase())
}

/// Refuses what could never match, and what would leave a part unsigned that is relied on.
fn check(declaration: &Declaration, content: Option<&Template>) -> Result<(), SourceError> {
    let refuse = |field, problem: &str| Err(SourceError::field(field, problem));
    let Declaration { time, id, separator, .. } = declaration;
    if separator.as_deref() == Some("") {
        return refuse("separator", "is empty; leave it out where the header holds one signature");
    }
    if matches!(id, IdPlace::Pointer(pointer) if !pointer.starts_with('/')) {
        return refuse("id-pointer", "is no JSON pointer; write it such as \"/id\" or \"/data/id\"");
    }
    let names = [Some(declaration.header.as_str()), header_of_time(time.as_ref()), header_of_id(id)];
    let names: Vec<_> = names.into_iter().flatten().collect();
    if names.iter().enumerate().any(|(place, name)| names[..place].contains(name)) {
        return refuse("header", "is named twice; signature, time and id each have a header of their own");
    }
    let Some(content) = content else {
        return match time {
            Some(_) => refuse("timestamp-header", "is not signed where the header holds a token; leave it out"),
            None => Ok(()),
        };
    };
    match (time, content.has_timestamp()) {
        (Some(_), false) => refuse("content", "has no {timestamp}, so anybody could change the time; add it"),
        (None, true) => {
            refuse("content", "has {timestamp}; say where it stands: timestamp-header or timestamp-parameter")
        }
        (Some(TimeRule { place: TimePlace::Parameter(name), .. }), true) if name.is_empty() || separator.is_none() => {
            refuse("timestamp-parameter", "needs a beginning such as \"t=\", and a separator between entries")
        }
        _ if content.has_id() && header_of_id(id).is_none() => {
            refuse("content", "has {id}; say which header holds it: id-header")
        }
        _ if content.id_runs_into_others() => {
            refuse("content", "has {id} without a dot, colon or the like beside it; then its end could be moved")
        }
        _ if content.has_key() != (declaration.algorithm == Algorithm::Sha256) => {
            refuse("content", "has to have {key} with the algorithm sha256, and only with it")
        }
        _ => Ok(()),
    }
}

fn header_of_time(time: Option<&TimeRule>) -> Option<&str> {
    match &time?.place {
        TimePlace::Header(name) => Some(name),
        TimePlace::Parameter(_) => None,
    }
}

fn header_of_id(id: &IdPlace) -> Option<&str> {
    match id {
        IdPlace::Header(name) => Some(name),
        IdPlace::Content | IdPlace::Pointer(_) => None,
    }
}
