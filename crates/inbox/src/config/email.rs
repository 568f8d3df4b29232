//! The settings of an `email` handler.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use handlers::{
    CalendarWords, EmailSettings, Languages, MailAddress, MailServer, MailTls, Template, TemplateError, Templates,
    Texts,
};

use super::section::Section;

/// For servers that check a mail while it is given.
const PATIENCE_DEFAULT: Duration = Duration::from_secs(20);
/// Longer than any attempt of a handler should take.
const PATIENCE_MAX: Duration = Duration::from_secs(300);
const SERVER_MEND: &str =
    "write such as \"smtp://name:password@mail.example:587\", or name where it stands: \"env:MAIL_SERVER\"";
const FROM_MEND: &str = "write who the mails are from, such as \"My School <hello@school.example>\"";

/// The settings, unless something in them is wrong.
pub(super) fn read(section: &Section<'_>, templates: &Templates) -> Option<EmailSettings> {
    // Everything is read before anything is missed, so that all mistakes are told at once.
    let server = server(section);
    let insecure = section.switch("insecure").unwrap_or_default();
    let tls = tls(section, server.as_ref(), insecure);
    let patience = patience(section);
    let certificate = optional(section, "certificate", || parse_secret(section, "certificate"));
    section.required_text("from", FROM_MEND);
    let from = section.parse::<MailAddress>("from");
    let reply_to = optional(section, "reply-to", || section.parse::<MailAddress>("reply-to"));
    let bcc = optional(section, "bcc", || section.parse::<MailAddress>("bcc"));
    let to = optional(section, "to", || template(section, "to", |text| templates.text(text)));
    let language = optional(section, "language", || template(section, "language", |text| templates.text(text)));
    let texts = languages(section, templates, language.as_ref().is_some_and(Option::is_some));
    let invite = if section.has("invite") { section.switch("invite") } else { Some(true) };
    let calendar = optional(section, "calendar", || section.text("calendar").map(str::to_owned));
    Some(EmailSettings {
        server: server?,
        tls: tls?,
        insecure,
        patience: patience?,
        certificate: certificate?,
        from: from?,
        reply_to: reply_to?,
        bcc: bcc?,
        to: to?,
        language: language?,
        texts: texts?,
        invite: invite?,
        calendar: calendar?,
    })
}

/// A part that may be left out: `Some(None)` where it is, `None` where it is wrong.
fn optional<T>(section: &Section<'_>, key: &'static str, read: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
    if section.has(key) { read().map(Some) } else { Some(None) }
}

fn parse_secret<T: std::str::FromStr<Err: Display>>(section: &Section<'_>, key: &'static str) -> Option<T> {
    let text = section.secret(key)?;
    text.trim().parse().map_err(|error: T::Err| section.refuse(key, error)).ok()
}

fn server(section: &Section<'_>) -> Option<MailServer> {
    section.required_text("server", SERVER_MEND)?;
    parse_secret(section, "server")
}

fn tls(section: &Section<'_>, server: Option<&MailServer>, insecure: bool) -> Option<MailTls> {
    let asked = optional(section, "tls", || section.parse::<MailTls>("tls"))?;
    let server = server?;
    let usual = server.usual_tls();
    let Some(tls) = asked else { return Some(usual) };
    if usual == MailTls::Implicit {
        section.refuse("tls", "smtps:// is protected from its first byte already; leave this out");
        return None;
    }
    let may_be_plain = matches!(tls, MailTls::Opportunistic | MailTls::None);
    if may_be_plain && !server.is_this_machine() && !insecure {
        section.refuse(
            "tls",
            "would let name, password and mails go through the net in the clear; write \"required\", or add \
             insecure = true if that is what you want",
        );
        return None;
    }
    Some(tls)
}

fn patience(section: &Section<'_>) -> Option<Duration> {
    if !section.has("patience") {
        return Some(PATIENCE_DEFAULT);
    }
    let patience = section.duration("patience")?;
    if patience.is_zero() || patience > PATIENCE_MAX {
        section.refuse("patience", "write more than nothing and at most \"5m\"");
        return None;
    }
    Some(patience)
}

fn languages(section: &Section<'_>, templates: &Templates, is_chosen: bool) -> Option<Languages> {
    let usual = texts(section, templates);
    let mut others = BTreeMap::new();
    let mut is_whole = true;
    for (tag, table) in section.named_sections("languages") {
        let is_tag = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_tag {
            section.refuse("languages", format!("{tag:?} is no language; name tables such as [handler.languages.hi]"));
            is_whole = false;
        }
        match texts(&table, templates) {
            Some(texts) => drop(others.insert(tag.to_owned(), texts)),
            None => is_whole = false,
        }
        table.refuse_the_rest();
    }
    if !others.is_empty() && !is_chosen {
        section.refuse(
            "languages",
            "are never used: add language, which says whose language it is, such as language = \"{{ body.lang | default('') }}\"",
        );
        return None;
    }
    let usual = usual?;
    is_whole.then(|| Languages::new(templates, usual, others))
}

fn texts(section: &Section<'_>, templates: &Templates) -> Option<Texts> {
    let subject = optional(section, "subject", || template(section, "subject", |text| templates.text(text)));
    let text = optional(section, "text", || template(section, "text", |text| templates.text(text)));
    let html = optional(section, "html", || template(section, "html", |text| templates.html(text)));
    let months = names(section, "months", 12, "January to December");
    let days = names(section, "days", 7, "Monday to Sunday");
    let date_format = format(section, templates, "date-format");
    let time_format = format(section, templates, "time-format");
    let calendar = CalendarWords { months: months?, days: days?, date_format: date_format?, time_format: time_format? };
    let texts = Texts { subject: subject?, text: text?, html: html?, calendar };
    if texts.html.is_some() && texts.text.is_none() {
        section.refuse("html", "needs text beside it, for readers without HTML");
        return None;
    }
    Some(texts)
}

/// A template as it stands, or from a file.
fn template(
    section: &Section<'_>,
    key: &'static str,
    compile: impl FnOnce(&str) -> Result<Template, TemplateError>,
) -> Option<Template> {
    let text = section.secret(key)?;
    compile(&text).map_err(|error| section.refuse(key, error)).ok()
}

fn names(section: &Section<'_>, key: &'static str, count: usize, which: &str) -> Option<Vec<String>> {
    if !section.has(key) {
        return Some(Vec::new());
    }
    let names = section.texts(key)?;
    if names.len() != count {
        section.refuse(key, format!("has {} names; give {count}, {which}", names.len()));
        return None;
    }
    Some(names.into_iter().map(str::to_owned).collect())
}

/// A format of strftime, tried on a moment.
fn format(section: &Section<'_>, templates: &Templates, key: &'static str) -> Option<Option<String>> {
    if !section.has(key) {
        return Some(None);
    }
    let format = section.text(key)?;
    let tried = templates.text("{{ '2024-03-15T15:30:00+05:30' | date(format) }}");
    let tried = tried.and_then(|template| template.fill(&serde_json::json!({ "format": format })));
    match tried {
        Ok(_) => Some(Some(format.to_owned())),
        Err(_) => {
            section.refuse(key, "is no format of strftime; write such as \"%-d %B %Y\" or \"%H:%M\"");
            None
        }
    }
}

#[cfg(test)]
mod tests;
