//! The settings of a `forward` handler.

use handlers::Templates;
use handlers::forward::ForwardSettings;
use handlers::http::{UrlText, header_name, header_value};
use wire::Secret;

use super::section::{Section, names_a_secret};

/// As many as one header of signatures holds.
const SECRETS_MAX: usize = 8;

/// The settings, unless something in them is wrong.
pub(super) fn read(section: &Section<'_>, templates: &Templates) -> Option<ForwardSettings> {
    let url = url(section, templates);
    let secrets = secrets(section);
    let headers = headers(section);
    let keep_answer = if section.has("keep-answer") { section.switch("keep-answer") } else { Some(false) };
    Some(ForwardSettings { url: url?, secrets: secrets?, headers: headers?, keep_answer: keep_answer? })
}

fn url(section: &Section<'_>, templates: &Templates) -> Option<UrlText> {
    let text = section.required_text("url", "write where to, such as url = \"https://n8n.example.com/webhook/…\"")?;
    let url =
        if names_a_secret(text) { UrlText::secret(&section.secret("url")?) } else { UrlText::parse(text, templates) };
    match url {
        Ok(url) if url.is_constant() => Some(url),
        Ok(_) => {
            section.refuse("url", "forward goes to one place and knows no gaps; write type = \"http\" for {{ … }}");
            None
        }
        Err(error) => {
            section.refuse("url", error);
            None
        }
    }
}

fn secrets(section: &Section<'_>) -> Option<Vec<Secret>> {
    if !section.has("secret") {
        return Some(Vec::new());
    }
    let texts = section.secrets("secret")?;
    if texts.is_empty() || texts.len() > SECRETS_MAX {
        section.refuse("secret", format!("give 1 to {SECRETS_MAX}, or leave it out to forward unsigned"));
        return None;
    }
    let secret = |text: &zeroize::Zeroizing<String>| {
        let mend = "make one with: echo whsec_$(openssl rand -base64 32)";
        text.trim().parse().map_err(|error| section.refuse("secret", format!("{error}; {mend}"))).ok()
    };
    texts.iter().map(secret).collect()
}

fn headers(section: &Section<'_>) -> Option<Vec<(http::HeaderName, http::HeaderValue)>> {
    if !section.has("headers") {
        return Some(Vec::new());
    }
    let header = |(name, text): (&str, &str)| {
        let refuse = |what: &dyn std::fmt::Display| {
            section.refuse("headers", what);
            None
        };
        match header_name(name) {
            Ok(read) if read.as_str().starts_with("webhook-") || read.as_str().starts_with("fanfare-") => {
                refuse(&format_args!("{name:?} is set for each message; leave it out"))
            }
            Ok(read) => match header_value(&section.resolve("headers", text)?) {
                Ok(value) => Some((read, value)),
                Err(error) => refuse(&format_args!("{name}: {error}")),
            },
            Err(error) => refuse(&error),
        }
    };
    section.named_texts("headers")?.into_iter().map(header).collect()
}
