//! One table of the file while it is read: each key is asked for by type; what is wrong goes into a list with its line,
//! and what nobody asked for is a mistake, too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// Below this likeness (Jaro-Winkler, 0 to 1) a suggestion puzzles more than it helps.
pub(super) const LIKENESS_MIN: f64 = 0.7;

/// Something in the file that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its line, from 1.
    pub line: usize,
    /// Where it is, such as `source "github", keys`.
    pub place: String,
    /// What is wrong, and the mend.
    pub what: String,
}

impl Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.place, self.what)
    }
}

/// Brings a secret that the file only names: `env:NAME` or `file:PATH`. The error says why it cannot.
pub type Secrets<'s> = dyn Fn(&str) -> Result<String, String> + 's;

/// What is shared while one file is read.
pub(super) struct Report<'t> {
    text: &'t str,
    secrets: &'t Secrets<'t>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str, secrets: &'t Secrets<'t>) -> Report<'t> {
        Report { text, secrets, mistakes: RefCell::default() }
    }

    /// All mistakes, in the order of the file.
    pub(super) fn finish(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.line);
        mistakes
    }

    pub(super) fn add(&self, span: Range<usize>, place: String, what: impl Display) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        self.mistakes.borrow_mut().push(Mistake { line, place, what: what.to_string() });
    }
}

/// One table of the file.
pub struct Section<'t> {
    table: &'t DeTable<'t>,
    span: Range<usize>,
    place: String,
    asked: RefCell<Vec<&'static str>>,
    report: &'t Report<'t>,
}

impl<'t> Section<'t> {
    pub(super) fn new(
        table: &'t DeTable<'t>,
        span: Range<usize>,
        place: String,
        report: &'t Report<'t>,
    ) -> Section<'t> {
        Section { table, span, place, asked: RefCell::default(), report }
    }

    /// Whether the key is there.
    pub fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// A text.
    pub fn text(&self, key: &'static str) -> Option<&'t str> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.refuse(key, wrong_type("a text in quotes", value.get_ref()));
        }
        text
    }

    /// A text that must be there; `mend` says what to write.
    pub fn required_text(&self, key: &'static str, mend: &str) -> Option<&'t str> {
        if !self.has(key) {
            self.refuse(key, format!("is missing; {mend}"));
        }
        self.text(key)
    }

    /// A text, read as a `T`.
    pub fn parse<T: FromStr<Err: Display>>(&self, key: &'static str) -> Option<T> {
        let text = self.text(key)?;
        text.parse().map_err(|error| self.refuse(key, error)).ok()
    }

    /// A whole number within a range.
    pub fn number(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(key)?;
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                self.refuse(key, format!("give a whole number, {} to {}", range.start(), range.end()));
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn switch(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        let switch = value.get_ref().as_bool();
        if switch.is_none() {
            self.refuse(key, wrong_type("true or false", value.get_ref()));
        }
        switch
    }

    /// A time such as `"30s"`, `"5m"`, `"2h"`, `"1d"` or `"500ms"`.
    pub fn duration(&self, key: &'static str) -> Option<Duration> {
        let text = self.text(key)?;
        parse_duration(text).map_err(|error| self.refuse(key, error)).ok()
    }

    /// A list of times, each as [`duration`](Section::duration) takes it.
    pub fn durations(&self, key: &'static str) -> Option<Vec<Duration>> {
        let texts = self.texts(key)?;
        texts.into_iter().map(|text| parse_duration(text).map_err(|error| self.refuse(key, error)).ok()).collect()
    }

    /// A size such as `"64 KiB"` or `"1 MiB"`, or a number of bytes.
    pub fn bytes(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.get(key)?;
        if value.get_ref().is_integer() {
            return self.number(key, range);
        }
        let text = self.text(key)?;
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let factor = match unit.trim() {
            "" | "B" => Some(1),
            "KiB" | "KB" | "K" => Some(1024),
            "MiB" | "MB" | "M" => Some(1024 * 1024),
            "GiB" | "GB" | "G" => Some(1024 * 1024 * 1024),
            _ => None,
        };
        let bytes = digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        match bytes.filter(|bytes| range.contains(bytes)) {
            Some(bytes) => Some(bytes),
            None => {
                self.refuse(
                    key,
                    format!("write a size such as \"64 KiB\", {} to {} bytes", range.start(), range.end()),
                );
                None
            }
        }
    }

    /// A text or a list of texts.
    pub fn texts(&self, key: &'static str) -> Option<Vec<&'t str>> {
        let value = self.get(key)?;
        let texts = match value.get_ref() {
            DeValue::String(text) => Some(vec![text.as_ref()]),
            DeValue::Array(items) => items.iter().map(|item| item.get_ref().as_str()).collect(),
            _ => None,
        };
        if texts.is_none() {
            self.refuse(key, wrong_type("a text, or a list of texts", value.get_ref()));
        }
        texts
    }

    /// A secret: as it stands, or from where the file says, `env:NAME` or `file:PATH`.
    pub fn secret(&self, key: &'static str) -> Option<Zeroizing<String>> {
        let text = self.text(key)?;
        self.resolve(key, text)
    }

    /// A secret or a list of them.
    pub fn secrets(&self, key: &'static str) -> Option<Vec<Zeroizing<String>>> {
        let texts = self.texts(key)?;
        texts.into_iter().map(|text| self.resolve(key, text)).collect()
    }

    /// A table within this one.
    pub fn section(&self, key: &'static str) -> Option<Section<'t>> {
        let value = self.get(key)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Section::new(table, value.span(), self.place_of(key), self.report)),
            None => {
                self.refuse(key, wrong_type("a table", value.get_ref()));
                None
            }
        }
    }

    /// Tables of one name, `[[key]]`.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'t>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let items: Option<Vec<_>> = value.get_ref().as_array().and_then(|items| {
            items.iter().map(|item| item.get_ref().as_table().map(|table| (table, item.span()))).collect()
        });
        let Some(items) = items else {
            self.refuse(key, format!("write each as a table of its own, headed [[{key}]]"));
            return Vec::new();
        };
        let named = |table: &DeTable<'_>, place: usize| match table.get("name").and_then(|name| name.get_ref().as_str())
        {
            Some(name) => format!("{key} {name:?}"),
            None => format!("{key} {}", place + 1),
        };
        let section = |(place, (table, span))| Section::new(table, span, named(table, place), self.report);
        items.into_iter().enumerate().map(section).collect()
    }

    /// Tables with free names within this one, `[key.NAME]`, by name.
    pub fn named_sections(&self, key: &'static str) -> Vec<(&'t str, Section<'t>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let tables: Option<Vec<_>> = value.get_ref().as_table().and_then(|tables| {
            let table = |(name, value): (&'t Spanned<std::borrow::Cow<'t, str>>, &'t Spanned<DeValue<'t>>)| {
                value.get_ref().as_table().map(|table| (name.get_ref().as_ref(), table, value.span()))
            };
            tables.iter().map(table).collect()
        });
        let Some(tables) = tables else {
            self.refuse(key, format!("write each as a table of its own, headed [….{key}.NAME]"));
            return Vec::new();
        };
        let section = |(name, table, span)| {
            (name, Section::new(table, span, format!("{}, {key}.{name}", self.place), self.report))
        };
        tables.into_iter().map(section).collect()
    }

    /// A table of texts with free names, such as headers; values may name secrets.
    pub fn named_secrets(&self, key: &'static str) -> Option<BTreeMap<String, Zeroizing<String>>> {
        let value = self.get(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.refuse(key, wrong_type("a table of texts", value.get_ref()));
            return None;
        };
        let entry = |(name, value): (&Spanned<std::borrow::Cow<'_, str>>, &'t Spanned<DeValue<'t>>)| {
            let name = name.get_ref().to_string();
            match value.get_ref().as_str() {
                Some(text) => self.resolve(key, text).map(|text| (name, text)),
                None => {
                    self.report.add(value.span(), format!("{}, {key}.{name}", self.place), "write a text in quotes");
                    None
                }
            }
        };
        table.iter().map(entry).collect()
    }

    /// A whole number, or a list of them.
    pub fn numbers(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<Vec<u64>> {
        let value = self.get(key)?;
        let Some(items) = value.get_ref().as_array() else {
            return self.number(key, range).map(|number| vec![number]);
        };
        let number = |item: &Spanned<DeValue<'_>>| {
            let number = item.get_ref().as_integer()?;
            u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok().filter(|n| range.contains(n))
        };
        let numbers: Option<Vec<u64>> = items.iter().map(number).collect();
        if numbers.is_none() {
            self.refuse(key, format!("give whole numbers, {} to {}", range.start(), range.end()));
        }
        numbers
    }

    /// A table of texts with free names, in the order of the file, as they are written.
    pub fn named_texts(&self, key: &'static str) -> Option<Vec<(&'t str, &'t str)>> {
        let value = self.get(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.refuse(key, wrong_type("a table of texts", value.get_ref()));
            return None;
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let entry = |(name, value): (&'t Spanned<std::borrow::Cow<'_, str>>, &'t Spanned<DeValue<'t>>)| {
            let text = value.get_ref().as_str();
            if text.is_none() {
                self.report.add(
                    value.span(),
                    format!("{}, {key}.{}", self.place, name.get_ref()),
                    "write a text in quotes",
                );
            }
            text.map(|text| (name.get_ref().as_ref(), text))
        };
        entries.into_iter().map(entry).collect()
    }

    /// Notes a mistake at a key, or at the table's head where the key is missing.
    pub fn refuse(&self, key: &str, what: impl Display) {
        let span = self.table.get(key).map_or_else(|| self.span.clone(), Spanned::span);
        let place = self.place_of(key);
        self.report.add(span, place, what);
    }

    /// Notes each key that nobody has asked for. Call it last.
    pub fn refuse_the_rest(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys().filter(|key| !asked.contains(&key.get_ref().as_ref())) {
            let likeness = |known: &&&'static str| strsim::jaro_winkler(known, &key.get_ref().replace('_', "-"));
            let nearest = asked.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
            let what = match nearest.filter(|known| likeness(known) >= LIKENESS_MIN) {
                Some(known) => format!("is unknown here; did you mean {known:?}"),
                None => format!("is unknown here; known are {}", asked.join(", ")),
            };
            self.report.add(key.span(), self.place_of(key.get_ref()), what);
        }
    }

    fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}, {key}", self.place) }
    }

    fn get(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        if !self.asked.borrow().contains(&key) {
            self.asked.borrow_mut().push(key);
        }
        self.table.get(key)
    }

    /// A text that may name a secret, or the secret itself.
    pub(super) fn resolve(&self, key: &str, text: &str) -> Option<Zeroizing<String>> {
        if !names_a_secret(text) {
            return Some(text.to_owned().into());
        }
        (self.report.secrets)(text).map(Zeroizing::new).map_err(|error| self.refuse(key, error)).ok()
    }
}

/// Whether the text says where a secret is, in place of being it.
pub(super) fn names_a_secret(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

fn wrong_type(wanted: &str, found: &DeValue<'_>) -> String {
    format!(
        "is {} here; write {wanted}",
        match found {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    )
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let millis = match unit.trim() {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" | "min" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    };
    let millis = digits.parse::<u64>().ok().zip(millis).and_then(|(number, factor)| number.checked_mul(factor));
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is no time; write it such as \"30s\", \"5m\" or \"2h\""))
}
