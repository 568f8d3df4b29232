//! JSON seen through its text: borrowed, a level at a time, and only where somebody looks. What nobody knows is never
//! built, however large or deep it is, and numbers keep every digit.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Elements of a list that are kept; of the others only the count.
pub(super) const ITEMS_MAX: usize = 10_000;

/// One value, looked into one level deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Json<'a> {
    Null,
    Bool(&'a str),
    Number(&'a str),
    Text(Text<'a>),
    /// The text of a list, for [`Items::parse`].
    Array(&'a str),
    /// The text of an object, for [`Object::parse`].
    Object(&'a str),
}

impl<'a> Json<'a> {
    /// What this text is; it is well-formed already.
    pub(super) fn of(raw: &'a str) -> Json<'a> {
        match raw.as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw).map_or(Json::Null, Json::Text),
            Some(b'{') => Json::Object(raw),
            Some(b'[') => Json::Array(raw),
            Some(b't' | b'f') => Json::Bool(raw),
            Some(b'-' | b'0'..=b'9') => Json::Number(raw),
            _ => Json::Null,
        }
    }
}

/// A string without its escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text<'a> {
    pub(super) text: Cow<'a, str>,
    /// Whether it held half of a surrogate pair, which no text can.
    pub(super) is_broken: bool,
}

/// The members of an object in their order, those of one name all.
#[derive(Debug)]
pub(super) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a str)>,
}

/// The elements of a list, the first [`ITEMS_MAX`].
#[derive(Debug)]
pub(super) struct Items<'a> {
    pub(super) kept: Vec<&'a str>,
    /// How many there are in all.
    pub(super) count: usize,
}

impl<'a> Object<'a> {
    /// The object in this text, if that is one and well-formed.
    pub(super) fn parse(text: &'a str) -> Option<Object<'a>> {
        serde_json::from_str(text).ok()
    }

    /// The text of the last member of this name, as `JSON.parse` has it, and whether there are several.
    pub(super) fn get(&self, name: &str) -> Option<(&'a str, bool)> {
        let mut found = self.members.iter().rev().filter(|(member, _)| member == name);
        found.next().map(|(_, raw)| (*raw, found.next().is_some()))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, _)| member == name)
    }

    /// The texts of all members in order.
    pub(super) fn values(&self) -> impl Iterator<Item = &'a str> {
        self.members.iter().map(|(_, raw)| *raw)
    }
}

impl<'a> Items<'a> {
    /// The list in this text, if that is one and well-formed.
    pub(super) fn parse(text: &'a str) -> Option<Items<'a>> {
        serde_json::from_str(text).ok()
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::with_capacity(12);
        while let Some((name, raw)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            members.push((name.text, raw.get()));
        }
        Ok(Object { members })
    }
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items<'de>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() < ITEMS_MAX {
            match seq.next_element::<&'de RawValue>()? {
                Some(raw) => kept.push(raw.get()),
                None => return Ok(Items { count: kept.len(), kept }),
            }
        }
        let mut count = kept.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(Items { kept, count })
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, because a lone half of a surrogate pair is refused in a string, and one bad character in a title
        // would cost the whole message.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
        let text = String::from_utf8_lossy(bytes);
        Ok(Text { is_broken: matches!(text, Cow::Owned(_)), text })
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
        let text = String::from_utf8_lossy(bytes);
        Ok(Text { is_broken: matches!(text, Cow::Owned(_)), text: Cow::Owned(text.into_owned()) })
    }
}
