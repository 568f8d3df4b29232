//! `[source.verify]`: a sender's way of signing, declared.

use std::time::Duration;

use receiver::{
    Algorithm, Challenge, Declaration, IdPlace, KeyEncoding, Scheme, SignatureEncoding, SourceError, TimePlace,
    TimeRule, TimeUnit,
};
use wire::TOLERANCE_DEFAULT;

use super::super::section::Section;
use super::{required, texts};

/// Wider than this, a recorded webhook could be sent again for hours.
const TOLERANCE_MAX: Duration = Duration::from_secs(24 * 3_600);

const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("hmac-sha256", Algorithm::HmacSha256),
    ("hmac-sha1", Algorithm::HmacSha1),
    ("sha256", Algorithm::Sha256),
    ("ed25519", Algorithm::Ed25519),
    ("token", Algorithm::Token),
];
const ENCODINGS: [(&str, SignatureEncoding); 3] = [
    ("hex", SignatureEncoding::Hex),
    ("base64", SignatureEncoding::Base64),
    ("base64url", SignatureEncoding::Base64Url),
];
const KEY_ENCODINGS: [(&str, KeyEncoding); 4] = [
    ("raw", KeyEncoding::Raw),
    ("base64", KeyEncoding::Base64),
    ("hex", KeyEncoding::Hex),
    ("whsec", KeyEncoding::Whsec),
];
const UNITS: [(&str, TimeUnit); 2] = [("s", TimeUnit::Seconds), ("ms", TimeUnit::Milliseconds)];

/// The scheme that a source's `verify` table and its `keys` declare.
pub(super) fn read(source: &Section<'_>) -> Option<Scheme> {
    let keys = required(source, "keys", "give what the sender signs with: keys = [\"env:NAME\"]");
    if !source.has("verify") {
        let mend = "is missing; the preset custom needs a [source.verify] table that says how the sender signs";
        source.refuse("verify", mend);
        return None;
    }
    let section = source.section("verify")?;
    let declaration = read_declaration(&section);
    let challenge = read_challenge(&section);
    section.refuse_the_rest();
    let scheme = Scheme::declared(declaration?, texts(&keys?)).map_err(|error| match &error {
        SourceError::Field { field, problem } => section.refuse(field, problem),
        _ => source.refuse("keys", error),
    });
    match challenge? {
        Some(challenge) => Some(scheme.ok()?.with_challenge(challenge)),
        None => scheme.ok(),
    }
}

fn read_declaration(section: &Section<'_>) -> Option<Declaration> {
    let header = section.required_text("header", "name the header with the signature, such as \"x-signature\"");
    let algorithm = one_of(section, "algorithm", &ALGORITHMS, Algorithm::HmacSha256);
    let encoding = one_of(section, "encoding", &ENCODINGS, SignatureEncoding::Hex);
    let key_encoding = one_of(section, "key-encoding", &KEY_ENCODINGS, KeyEncoding::Raw);
    let (prefix, separator) = (section.text("prefix"), section.text("separator"));
    let (content, public_url) = (section.text("content"), section.text("public-url"));
    let (time, id) = (read_time(section), read_id(section));
    if algorithm == Some(Algorithm::Token) && section.has("content") {
        section.refuse("content", "is not signed where the header holds a token; leave it out");
    }
    Some(Declaration {
        prefix: prefix.unwrap_or_default().to_owned(),
        separator: separator.map(str::to_owned),
        encoding: encoding?,
        algorithm: algorithm?,
        key_encoding: key_encoding?,
        content: content.unwrap_or("{body}").to_owned(),
        public_url: public_url.map(str::to_owned),
        time: time?,
        id: id?,
        header: header?.to_owned(),
    })
}

/// `Some(None)` where there is none.
fn read_time(section: &Section<'_>) -> Option<Option<TimeRule>> {
    let (header, parameter) = (section.text("timestamp-header"), section.text("timestamp-parameter"));
    let unit = one_of(section, "timestamp-unit", &UNITS, TimeUnit::Seconds);
    let tolerance = match section.has("tolerance") {
        true => section.duration("tolerance"),
        false => Some(TOLERANCE_DEFAULT),
    };
    let place = match (header, parameter) {
        (None, None) => {
            for key in ["timestamp-unit", "tolerance"].into_iter().filter(|key| section.has(key)) {
                section.refuse(key, "means nothing without timestamp-header or timestamp-parameter");
            }
            return Some(None);
        }
        (Some(_), Some(_)) => {
            section.refuse("timestamp-parameter", "stands beside timestamp-header; leave one of the two out");
            return None;
        }
        (Some(name), None) => TimePlace::Header(name.to_owned()),
        (None, Some(name)) => TimePlace::Parameter(name.to_owned()),
    };
    let tolerance = tolerance?;
    if !(Duration::from_secs(1)..=TOLERANCE_MAX).contains(&tolerance) {
        section.refuse("tolerance", "give 1s to 24h; within it a recorded webhook can be sent again");
        return None;
    }
    Some(Some(TimeRule { place, unit: unit?, tolerance }))
}

fn read_id(section: &Section<'_>) -> Option<IdPlace> {
    match (section.text("id-header"), section.text("id-pointer")) {
        (None, None) => Some(IdPlace::Content),
        (Some(name), None) => Some(IdPlace::Header(name.to_owned())),
        (None, Some(pointer)) => Some(IdPlace::Pointer(pointer.to_owned())),
        (Some(_), Some(_)) => {
            section.refuse("id-pointer", "stands beside id-header; leave one of the two out");
            None
        }
    }
}

/// `Some(None)` where there is none.
fn read_challenge(section: &Section<'_>) -> Option<Option<Challenge>> {
    let token = section.secret("verify-token");
    if !section.has("challenge") {
        return Some(None);
    }
    Some(Some(match section.text("challenge")? {
        "zoom" => Challenge::Zoom,
        "slack" => Challenge::Slack,
        "meta" => match token {
            Some(token) => Challenge::meta(&token).map_err(|error| section.refuse("verify-token", error)).ok()?,
            None => {
                section.refuse("verify-token", "is missing; give the token you type into the sender's form");
                return None;
            }
        },
        other => {
            section.refuse("challenge", format!("{other:?} is none; there are zoom, slack and meta"));
            return None;
        }
    }))
}

fn one_of<T: Copy>(section: &Section<'_>, key: &'static str, known: &[(&str, T)], default: T) -> Option<T> {
    if !section.has(key) {
        return Some(default);
    }
    let text = section.text(key)?;
    let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        section.refuse(key, format!("{text:?} is none; there are {}", names.join(", ")));
    }
    found
}
