//! The settings of the receiving half: `[inbox]`, `[[source]]` and `[[handler]]` of a TOML file. Everything wrong is told
//! at once, each with its line and its mend.

mod calendar;
mod email;
mod exec;
mod forward;
mod handler;
mod http;
mod kinds;
mod section;
mod source;
mod sql;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use handlers::{Filter, Templates};
use receiver::{HandlerRules, Source};
use store::DedupeWindow;
use toml::de::DeTable;
use wire::AccountId;

pub use kinds::HandlerKind;
use section::Report;
pub use section::{Mistake, Secrets, Section};

/// The settings of the receiving half, checked.
pub struct InboxConfig {
    /// How long a message is recognised when it comes again.
    pub dedupe_window: DedupeWindow,
    /// Where this server is reached from outside, without a slash at the end.
    pub public_url: Option<String>,
    /// Where webhooks are accepted.
    pub sources: Vec<Source>,
    /// What is done with them.
    pub handlers: Vec<HandlerConfig>,
}

/// One `[[handler]]`.
pub struct HandlerConfig {
    /// What is common to all handlers.
    pub rules: HandlerRules,
    /// Which events it takes, beyond their names.
    pub filter: Option<Filter>,
    /// What it does.
    pub kind: HandlerKind,
}

impl InboxConfig {
    /// Reads the parts of `text` that are the receiving half's; keys in `others` are somebody else's. Sources will be
    /// `account`'s. Fails with all mistakes, in the order of the file.
    pub fn read(
        text: &str,
        others: &[&'static str],
        account: AccountId,
        secrets: &Secrets<'_>,
    ) -> Result<InboxConfig, Vec<Mistake>> {
        let report = Report::new(text, secrets);
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                report.add(error.span().unwrap_or_default(), "the file".to_owned(), error.message());
                return Err(report.finish());
            }
        };
        let whole = Section::new(table.get_ref(), table.span(), String::new(), &report);
        let config = InboxConfig::of(&whole, account);
        for other in others {
            whole.has(other);
        }
        whole.refuse_the_rest();
        let mistakes = report.finish();
        if mistakes.is_empty() { Ok(config) } else { Err(mistakes) }
    }

    /// The account that `[inbox]` of a file names, which must be known before the rest is read.
    pub fn account_in(text: &str) -> Option<String> {
        let table = DeTable::parse(text).ok()?;
        Some(table.get_ref().get("inbox")?.get_ref().get("account")?.get_ref().as_str()?.to_owned())
    }

    /// All mistakes as one error.
    pub fn told(mistakes: Vec<Mistake>) -> anyhow::Error {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the settings have mistakes:\n{}", lines.join("\n"))
    }

    /// Whether the file asks for nothing of this half.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.handlers.is_empty()
    }

    /// What is whole; the rest has been noted.
    fn of(whole: &Section<'_>, account: AccountId) -> InboxConfig {
        let mut dedupe_window = DedupeWindow::default();
        let mut public_url = None;
        if let Some(inbox) = whole.section("inbox") {
            inbox.text("account");
            let days = inbox.number("dedupe-days", 1..=u64::from(DedupeWindow::DAYS_MAX));
            let window = days.and_then(|days| DedupeWindow::new(u16::try_from(days).ok()?).ok());
            dedupe_window = window.unwrap_or_default();
            public_url = read_public_url(&inbox);
            inbox.refuse_the_rest();
        }
        let sections = whole.sections("source");
        let names: Vec<&str> = sections.iter().filter_map(|section| section.text("name")).collect();
        let sources = source::read_all(sections, account);
        let handlers = read_handlers(whole, &names, public_url.as_deref());
        InboxConfig { dedupe_window, public_url, sources, handlers }
    }
}

fn read_public_url(inbox: &Section<'_>) -> Option<String> {
    let text = inbox.text("public-url")?.trim_end_matches('/');
    if !text.starts_with("https://") && !text.starts_with("http://") {
        inbox
            .refuse("public-url", "write where this server is reached from outside, such as \"https://hooks.example\"");
        return None;
    }
    Some(text.to_owned())
}

fn read_handlers(whole: &Section<'_>, sources: &[&str], public_url: Option<&str>) -> Vec<HandlerConfig> {
    let templates = Templates::default();
    let sections = whole.sections("handler");
    let is_calendar = |section: &&Section<'_>| section.text("type") == Some("calendar");
    let calendars: Vec<&str> = sections.iter().filter(is_calendar).filter_map(|section| section.text("name")).collect();
    let mut names = BTreeSet::new();
    let mut handlers = Vec::new();
    for section in sections {
        let rules = handler::read_rules(&section);
        let kind = kinds::read(&section, &templates, public_url);
        if let Some((rules, _)) = &rules {
            if !names.insert(rules.name.clone()) {
                section.refuse("name", "is another handler's; give each its own");
            }
            refuse_unknown(&section, "sources", rules.sources.iter().map(String::as_str), sources);
        }
        refuse_unknown(&section, "calendar", kind.iter().filter_map(HandlerKind::calendar), &calendars);
        if let Some(((mut rules, filter), kind)) = rules.zip(kind) {
            if !section.has("rate") {
                rules.rates = kind.known_rates();
            }
            handlers.push(HandlerConfig { rules, filter, kind });
        }
        section.refuse_the_rest();
    }
    handlers
}

fn refuse_unknown<'n>(section: &Section<'_>, key: &str, named: impl Iterator<Item = &'n str>, known: &[&str]) {
    for name in named.filter(|name| !known.contains(name)) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        section.refuse(key, format!("there is no {name:?} in this file; there are: {known}"));
    }
}
