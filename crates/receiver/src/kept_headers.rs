//! The headers of a webhook worth keeping beside its body, as one text: a single column, a single allocation.
//!
//! They are not signed, so they are for showing, searching and forwarding, never for deciding what somebody may do.

use wire::headers;

#[cfg(test)]
mod tests;

/// Kept before all others, in this order.
const FIRST: [&str; 13] = [
    "content-type",
    headers::WEBHOOK_ID,
    headers::FANFARE_EVENT,
    headers::FANFARE_TRIGGER,
    headers::FANFARE_SERIES,
    headers::FANFARE_SERIES_VERSION,
    headers::FANFARE_FANOUT,
    headers::FANFARE_INDEX,
    headers::FANFARE_TOTAL,
    headers::FANFARE_ATTEMPT,
    headers::FANFARE_REPLAY,
    headers::FANFARE_TEST,
    headers::FANFARE_HOPS,
];

/// Of a connection and not of the message, of proxies, or secret.
const NEVER: [&str; 33] = [
    "token",
    "secret",
    "password",
    "signature",
    "signature-input",
    "apikey",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
    "host",
    "content-length",
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "authorization",
    "cookie",
    "x-api-key",
    "api-key",
    headers::WEBHOOK_TIMESTAMP,
    "svix-timestamp",
    "x-hub-signature-256",
    "x-cal-signature-256",
    "x-shopify-hmac-sha256",
];
const NEVER_BEGINNING: [&str; 1] = ["x-forwarded-"];
/// Tokens and signatures of whatever scheme: of no use to a reader, and not for a database.
const NEVER_ENDING: [&str; 12] = [
    "-signature",
    "-token",
    "-secret",
    "-password",
    "-api-key",
    "-apikey",
    "-authorization",
    "-hmac",
    "-auth",
    "-jwt",
    "-auth-key",
    "-subscription-key",
];

/// Our longest value is an event type of 60; anything longer than this is somebody trying something.
const VALUE_BYTES_MAX_OF_FIRST: usize = 200;
const VALUE_BYTES_MAX: usize = 1_024;
const NAME_BYTES_MAX: usize = 64;
const HEADERS_MAX: usize = 64;
/// All lines together.
const BYTES_MAX: usize = 4 * 1_024;

/// The headers that were kept: lines of `name: value`, names in lower case, each name at most once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptHeaders {
    lines: String,
}

impl KeptHeaders {
    /// What [`as_text`](Self::as_text) gave, back from a store.
    #[must_use]
    pub const fn from_text(lines: String) -> Self {
        Self { lines }
    }

    /// The lines, for a store.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.lines
    }

    /// The value of a header named in lower case, if it was kept.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(kept, _)| *kept == name).map(|(_, value)| value)
    }

    /// Names and values: ours, then the others as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.lines().filter_map(|line| line.split_once(": "))
    }
}

/// The headers of one request while they go by; what is kept of them is written once, when all were seen.
pub(crate) struct Gathering<'n, 'v> {
    first: [Option<&'v [u8]>; FIRST.len()],
    others: [(&'n str, &'v [u8]); HEADERS_MAX],
    others_count: usize,
}

impl<'n, 'v> Gathering<'n, 'v> {
    pub(crate) const fn new() -> Self {
        Self { first: [None; FIRST.len()], others: [("", &[]); HEADERS_MAX], others_count: 0 }
    }

    /// Notes a header that can be kept; of a repeated one of ours the first, of others all.
    pub(crate) fn offer(&mut self, name: &'n str, value: &'v [u8]) {
        // Without control characters, which also keeps a line break from forging a further header.
        if value.len() > VALUE_BYTES_MAX || !value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return;
        }
        if let Some(place) = FIRST.iter().position(|first| first.eq_ignore_ascii_case(name)) {
            if value.len() <= VALUE_BYTES_MAX_OF_FIRST {
                self.first[place].get_or_insert(value);
            }
            return;
        }
        let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if is_name && self.others_count < HEADERS_MAX {
            self.others[self.others_count] = (name, value);
            self.others_count += 1;
        }
    }

    /// What is kept, without the header that holds the scheme's own secret or signature.
    pub(crate) fn finish(&self, secret_header: Option<&str>) -> KeptHeaders {
        let others = &self.others[..self.others_count];
        let mut lines = String::with_capacity(self.bytes().min(BYTES_MAX));
        for (name, value) in FIRST.iter().zip(&self.first) {
            if let Some(value) = value {
                push_line(&mut lines, name, [*value].into_iter());
            }
        }
        for (place, (name, _)) in others.iter().enumerate() {
            let is_same = |other: &&(&str, &[u8])| other.0.eq_ignore_ascii_case(name);
            let is_secret = secret_header.is_some_and(|secret| secret.eq_ignore_ascii_case(name));
            if is_secret || is_never_kept(name) || others[..place].iter().any(|other| is_same(&other)) {
                continue;
            }
            push_line(&mut lines, name, others[place..].iter().filter(is_same).map(|(_, value)| *value));
        }
        KeptHeaders { lines }
    }

    fn bytes(&self) -> usize {
        let others = self.others[..self.others_count].iter().map(|(name, value)| name.len() + value.len() + 3);
        let first = FIRST.iter().zip(&self.first).filter_map(|(name, value)| Some(name.len() + (*value)?.len() + 3));
        others.chain(first).sum()
    }
}

/// Writes a line, or nothing where it does not fit.
fn push_line<'v>(lines: &mut String, name: &str, values: impl Iterator<Item = &'v [u8]>) {
    let start = lines.len();
    lines.push_str(name);
    lines[start..].make_ascii_lowercase();
    lines.push_str(": ");
    let value_start = lines.len();
    for (before, value) in values.enumerate() {
        lines.push_str(if before == 0 { "" } else { ", " });
        // Checked when it was noted.
        lines.push_str(std::str::from_utf8(value).unwrap_or_default());
    }
    let fits = lines.len() - value_start <= VALUE_BYTES_MAX && lines.len() < BYTES_MAX;
    if fits {
        lines.push('\n');
    } else {
        lines.truncate(start);
    }
}

fn is_never_kept(name: &str) -> bool {
    let (name, is) = (name.as_bytes(), |part: &[u8], known: &str| part.eq_ignore_ascii_case(known.as_bytes()));
    let begins = |known: &&str| name.get(..known.len()).is_some_and(|part| is(part, known));
    let ends = |known: &&str| name.len().checked_sub(known.len()).is_some_and(|at| is(&name[at..], known));
    NEVER.iter().any(|known| is(name, known)) || NEVER_BEGINNING.iter().any(begins) || NEVER_ENDING.iter().any(ends)
}
