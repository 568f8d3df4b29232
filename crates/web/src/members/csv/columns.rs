//! The header of a CSV list, and people by it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use store::NewMember;
use webinar::{FieldError, Participant, Zones};

use super::UnreadableList;
use super::fields::Fields;
use crate::members::whole_line;

const SEVERAL_LINES: &str = "has a line break within name, email, phone or timezone; write these in one line, or look \
                             for a quote that is not closed";
const NOT_UTF8: &str = "is not UTF-8 text; save the list as UTF-8";

/// Which column holds what.
#[derive(Debug)]
pub(super) struct Columns {
    name: usize,
    email: usize,
    phone: Option<usize>,
    timezone: Option<usize>,
    /// Names of all columns as written; those without a meaning of ours become attributes.
    names: Vec<String>,
}

impl Columns {
    /// Reads the first line of a list.
    pub(super) fn read(header: &Fields) -> Result<Columns, UnreadableList> {
        let texts = header.texts().ok_or_else(|| UnreadableList::Header(NOT_UTF8.to_owned()))?;
        let names: Vec<String> = texts.into_iter().map(|name| name.trim().to_owned()).collect();
        if let [only] = &names[..]
            && let Some(separator) = [';', '\t', '|'].into_iter().find(|separator| only.contains(*separator))
        {
            return Err(UnreadableList::Separator(separator));
        }
        let find = |wanted: &'static str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
        let require = |wanted| find(wanted).ok_or(UnreadableList::NoColumn(wanted));
        let (name, email) = (require("name")?, require("email")?);
        // Only now: without these two it may be a person's line, of which nothing is repeated.
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.to_ascii_lowercase())) {
            return Err(UnreadableList::ColumnTwice(twice.clone()));
        }
        Ok(Columns { name, email, phone: find("phone"), timezone: find("timezone"), names })
    }

    /// Whether a record is one: as many fields as the header, and no person's name or address over several lines.
    pub(super) fn check_shape(&self, record: &Fields) -> Result<(), Vec<FieldError>> {
        let (found, expected) = (record.len(), self.names.len());
        if found != expected {
            let mend = "put quotes around a field that holds a comma";
            return Err(whole_line(format!("has {found} columns where the first line has {expected}; {mend}")));
        }
        let texts = record.texts().ok_or_else(|| whole_line(NOT_UTF8))?;
        let own = [Some(self.name), Some(self.email), self.phone, self.timezone];
        let spans_lines = own.into_iter().flatten().any(|column| texts.get(column).is_some_and(|t| t.contains('\n')));
        if spans_lines { Err(whole_line(SEVERAL_LINES)) } else { Ok(()) }
    }

    /// The person of a record of the right shape.
    pub(super) fn member(&self, record: &Fields, zones: &Zones) -> Result<NewMember, Vec<FieldError>> {
        let texts = record.texts().ok_or_else(|| whole_line(NOT_UTF8))?;
        let at = |column: usize| texts.get(column).copied().unwrap_or_default();
        let maybe_at = |column: Option<usize>| column.map_or("", at);
        let (phone, timezone) = (maybe_at(self.phone), maybe_at(self.timezone));
        let participant = Participant::parse(at(self.name), at(self.email), phone, timezone, zones)
            .map_err(|invalid| invalid.errors().to_vec())?;
        Ok(NewMember { participant, attributes: self.attributes(&texts) })
    }

    fn attributes(&self, texts: &[&str]) -> Option<String> {
        let own = [Some(self.name), Some(self.email), self.phone, self.timezone];
        let further = self.names.iter().zip(texts).enumerate().filter(|(column, _)| !own.contains(&Some(*column)));
        let filled = further.filter(|(_, (_, text))| !text.is_empty());
        let object: Map<String, Value> = filled.map(|(_, (name, text))| (name.clone(), Value::from(*text))).collect();
        (!object.is_empty()).then(|| Value::Object(object).to_string())
    }
}
