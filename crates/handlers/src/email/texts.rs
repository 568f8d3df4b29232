//! The words of mails: our own in English, and what the settings give in their place, in each language.

mod english;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{Template, TemplateError, Templates};

/// Characters of a subject; what is longer is cut by those who show it.
const SUBJECT_CHARS_MAX: usize = 250;

/// The texts of an e-mail handler in each of its languages.
#[derive(Clone, Debug)]
pub struct Languages {
    usual: Texts,
    /// By tag in lower case.
    others: BTreeMap<String, Texts>,
    have_own_words: bool,
}

/// The texts in one language. Each part that is left out is ours; but whoever gives a text or an HTML page of their own
/// gets no other beside it.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// One line.
    pub subject: Option<Template>,
    /// The mail as plain text.
    pub text: Option<Template>,
    /// The mail as HTML.
    pub html: Option<Template>,
    /// How dates and times are written.
    pub calendar: CalendarWords,
}

/// How dates and times are written in a language; what is left out is English.
#[derive(Clone, Debug, Default)]
pub struct CalendarWords {
    /// January to December.
    pub months: Vec<String>,
    /// Monday to Sunday.
    pub days: Vec<String>,
    /// A day, in the notation of strftime.
    pub date_format: Option<String>,
    /// A time of day.
    pub time_format: Option<String>,
}

/// The words of one mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) subject: String,
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
}

impl Languages {
    /// The usual texts, and those of other languages by their tags, such as `hi` or `pt-BR`.
    #[must_use]
    pub fn new(templates: &Templates, usual: Texts, others: BTreeMap<String, Texts>) -> Languages {
        let have_own_words = usual.text.is_some() || usual.html.is_some();
        let usual = usual.over(&english::texts(templates));
        let others = others.into_iter().map(|(tag, texts)| (tag.to_ascii_lowercase(), texts.over(&usual))).collect();
        Languages { usual, others, have_own_words }
    }

    /// Whether the usual text is the operator's own. Ours speak of webinars only.
    pub(super) fn have_own_words(&self) -> bool {
        self.have_own_words
    }

    /// The texts for a language tag: its own, else those of its language without a region, else the usual ones.
    pub(super) fn texts(&self, tag: &str) -> &Texts {
        let tag = tag.trim().replace('_', "-").to_ascii_lowercase();
        let language = tag.split('-').next().unwrap_or_default();
        self.others.get(&tag).or_else(|| self.others.get(language)).unwrap_or(&self.usual)
    }
}

impl Texts {
    fn over(self, base: &Texts) -> Texts {
        let has_own = self.text.is_some() || self.html.is_some();
        let (text, html) = if has_own { (self.text, self.html) } else { (base.text.clone(), base.html.clone()) };
        Texts { subject: self.subject.or_else(|| base.subject.clone()), text, html, calendar: self.calendar }
    }

    /// Fills the texts; `values` are a job's, and get the language's words.
    pub(super) fn write(&self, mut values: Value) -> Result<Written, TemplateError> {
        let words = &self.calendar;
        for (name, value) in [
            ("months", json!(words.months)),
            ("days", json!(words.days)),
            ("dateFormat", json!(words.date_format)),
            ("timeFormat", json!(words.time_format)),
        ] {
            values[name] = value;
        }
        let fill = |name: &str, template: &Option<Template>| {
            let filled = template.as_ref().map(|template| template.fill(&values)).transpose();
            filled.map_err(|error| TemplateError(format!("{name}: {error}")))
        };
        let subject = one_line(&fill("subject", &self.subject)?.unwrap_or_default());
        let subject = subject.chars().take(SUBJECT_CHARS_MAX).collect();
        Ok(Written { subject, text: fill("text", &self.text)?, html: fill("html", &self.html)? })
    }
}

/// A text on one line, without what would begin another header or look like words of ours.
pub(super) fn one_line(text: &str) -> String {
    let visible: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}
