//! The mail itself: headers, texts and calendar parts, as Gmail, Outlook and Apple Mail look for them: the invitation as an
//! alternative to the text, and as a file for those that only take files.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};

use super::settings::EmailSettings;
use super::texts::Written;
use crate::ics::Method;

/// A mail and what it is made of.
pub(super) struct Parts<'a> {
    pub(super) settings: &'a EmailSettings,
    pub(super) to: Mailbox,
    pub(super) written: &'a Written,
    /// Calendar objects, the most important first.
    pub(super) calendars: Vec<(Method, String)>,
    /// The same for every attempt, so that readers and servers can recognise a mail that went twice.
    pub(super) key: &'a str,
    /// What all mails about one series have in common for one person.
    pub(super) thread: Option<&'a str>,
    pub(super) now: Timestamp,
}

/// Says that a machine wrote it, so that no machine answers (RFC 3834, section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<AutoSubmitted, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(AutoSubmitted::name(), "auto-generated".to_owned())
    }
}

impl Parts<'_> {
    /// Headers and body, ready to go.
    pub(super) fn write(self) -> Result<Vec<u8>, lettre::error::Error> {
        let from = &self.settings.from.0;
        let domain = from.email.domain();
        let mut builder = Message::builder()
            .from(from.clone())
            .to(self.to.clone())
            .subject(self.written.subject.clone())
            .date(self.now.into())
            .message_id(Some(format!("<{}@{domain}>", self.key)))
            .header(AutoSubmitted);
        if let Some(reply_to) = &self.settings.reply_to {
            builder = builder.reply_to(reply_to.0.clone());
        }
        if let Some(thread) = self.thread {
            // No mail has this id. Those that refer to it are shown as one conversation all the same.
            builder = builder.references(format!("<{}@{domain}>", short_hash(thread)));
        }
        Ok(builder.multipart(self.body())?.formatted())
    }

    fn body(&self) -> MultiPart {
        // Bodies are encoded so that no line of theirs begins with two hyphens and this.
        let boundary = |part: &str| format!("=_{part}_{}", &self.key[..self.key.len().min(24)]);
        let texts = [
            self.written.text.as_ref().map(|text| encoded("text/plain; charset=utf-8", text)),
            self.written.html.as_ref().map(|html| encoded("text/html; charset=utf-8", html)),
        ];
        // The best comes last (RFC 2046, section 5.1.4).
        let mut alternatives = MultiPart::alternative().boundary(boundary("a")).build();
        for part in texts.into_iter().flatten() {
            alternatives = alternatives.singlepart(part);
        }
        let Some((method, first)) = self.calendars.first() else { return alternatives };
        let kind = format!("text/calendar; charset=utf-8; method={}", method.as_str());
        alternatives = alternatives.singlepart(encoded(&kind, first));
        let mut body = MultiPart::mixed().boundary(boundary("m")).multipart(alternatives);
        for (method, calendar) in &self.calendars {
            let (name, kind) = match method {
                Method::Request => ("invite.ics", "text/calendar; charset=utf-8; method=REQUEST; name=invite.ics"),
                Method::Cancel => ("cancel.ics", "text/calendar; charset=utf-8; method=CANCEL; name=cancel.ics"),
            };
            let file = Attachment::new(name.to_owned());
            body = body.singlepart(file.body(base64(calendar), content_type(kind)));
        }
        body
    }
}

fn encoded(kind: &str, text: &str) -> SinglePart {
    SinglePart::builder().content_type(content_type(kind)).body(base64(text))
}

/// Always base64: lines stay short, line ends stay as they are, and nothing in between may change a byte.
fn base64(text: &str) -> lettre::message::Body {
    let encoding = lettre::message::header::ContentTransferEncoding::Base64;
    lettre::message::Body::new_with_encoding(text.to_owned(), encoding).unwrap_or_else(lettre::message::Body::new)
}

fn content_type(text: &str) -> ContentType {
    ContentType::parse(text).expect("our own media types can be read")
}

fn short_hash(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
