//! Whom a payload is about, and the plans it is for.

use std::borrow::Cow;

use jiff::tz::Offset;
use webinar::{Phone, parse_email};

use super::Person;
use super::clock::{is_zone_name, parse_offset};
use super::fields::Fields;
use super::json::{Items, Json, Object};

/// The largest whole number that a float holds exactly.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// Stands for a value that is no phone number.
const NO_PHONE: &str = "?";

pub(super) fn read_person(fields: &mut Fields<'_, '_>) -> Person {
    let name = fields.expected_text("name");
    let email = read_email(fields);
    let phone = read_phone(fields);
    let (offset, zone) = read_zone(fields);
    Person { name, email, phone, offset, zone }
}

fn read_email(fields: &mut Fields<'_, '_>) -> Option<String> {
    let text = fields.text("email").filter(|text| !text.is_empty());
    let Some(text) = text else {
        fields.mended("email", "is missing or empty");
        return None;
    };
    let Ok(email) = parse_email(&text) else {
        fields.lost("email", "is no e-mail address; left out");
        return None;
    };
    let lower = email.to_lowercase();
    if lower != email {
        fields.mended("email", "has capital letters; made small");
    }
    Some(lower)
}

/// A number in one event, digits in the next, digits with a plus in a third: none of them is a mistake.
fn read_phone(fields: &mut Fields<'_, '_>) -> Option<String> {
    let fraction = "is written as a fraction or with an exponent; read as its digits";
    let text = match fields.json("phone") {
        Json::Null => return None,
        Json::Text(text) => {
            let text = fields.clean("phone", text);
            // As spreadsheets export it. The point would pass for a mark between digits, and the zero for one of them.
            match text.strip_suffix(".0").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
                Some(digits) => {
                    fields.mended("phone", fraction);
                    Cow::Owned(digits.to_owned())
                }
                None => text,
            }
        }
        Json::Number(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Cow::Borrowed(digits),
        Json::Number(number) => match whole_number(number) {
            Some(digits) => {
                fields.mended("phone", fraction);
                Cow::Owned(digits)
            }
            None => Cow::Borrowed(NO_PHONE),
        },
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => Cow::Borrowed(NO_PHONE),
    };
    if text.is_empty() {
        return None;
    }
    let phone: Option<Phone> = text.parse().ok();
    if phone.is_none() {
        fields.lost("phone", "is no phone number; left out");
    }
    phone.map(|phone| phone.as_str().to_owned())
}

/// The digits of a number such as `1.23456789e9`, where it is whole.
fn whole_number(number: &str) -> Option<String> {
    let value: f64 = number.parse().ok()?;
    (value.fract() == 0.0 && (0.0..=FLOAT_EXACT_MAX).contains(&value)).then(|| format!("{value:.0}"))
}

fn read_zone(fields: &mut Fields<'_, '_>) -> (Option<Offset>, Option<String>) {
    let Some(text) = fields.text("timezone") else { return (None, None) };
    if text.is_empty() {
        fields.mended("timezone", "is empty; taken as unknown");
        return (None, None);
    }
    match parse_offset(&text) {
        Some(written) => {
            if !written.is_usual {
                fields.mended("timezone", "is not written such as +05:30; read as an offset all the same");
            }
            (Some(written.offset), None)
        }
        None if is_zone_name(&text) => {
            fields.mended("timezone", "is the name of a zone, not an offset; kept as `zone`");
            (None, Some(text.into_owned()))
        }
        None => {
            fields.lost("timezone", "is no offset; taken as unknown");
            (None, None)
        }
    }
}

/// Titles joined by a comma and a space, or a list of them.
pub(super) fn read_mangoes(fields: &mut Fields<'_, '_>) -> Vec<String> {
    let json = fields.json("mangoes");
    let Json::Array(list) = json else {
        let titles = fields.text("mangoes").unwrap_or_default();
        return titles.split(", ").map(str::trim).filter(|title| !title.is_empty()).map(str::to_owned).collect();
    };
    fields.mended("mangoes", "is a list, not titles joined by commas; its titles were taken");
    let Some(items) = Items::parse(list) else { return Vec::new() };
    if items.count > items.kept.len() {
        fields.lost("mangoes", "has too many titles; the first were taken");
    }
    items.kept.iter().filter_map(|raw| read_title(fields, raw)).collect()
}

/// A title as text, or within an object that stands for the plan.
fn read_title(fields: &mut Fields<'_, '_>, raw: &str) -> Option<String> {
    let title = match Json::of(raw) {
        Json::Text(text) => Some(fields.clean("mangoes", text).into_owned()),
        Json::Number(digits) => Some(digits.to_owned()),
        Json::Object(text) => Object::parse(text).and_then(|plan| title_of(&plan)),
        Json::Null | Json::Bool(_) | Json::Array(_) => None,
    };
    if title.is_none() {
        fields.lost("mangoes", "holds something without a title; passed over");
    }
    title.filter(|title| !title.is_empty())
}

fn title_of(plan: &Object<'_>) -> Option<String> {
    let (raw, _) = plan.get("title").or_else(|| plan.get("name"))?;
    match Json::of(raw) {
        Json::Text(text) => Some(text.text.trim().to_owned()),
        _ => None,
    }
}
