//! Each name once: JSON with a name twice in one object means one thing to one program and another to the next, so it
//! is refused wherever it stands (RFC 8259, section 4, leaves it open).

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Any JSON whose objects name nothing twice; nothing of it is kept.
pub(super) struct NamedOnce;

impl<'de> Deserialize<'de> for NamedOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NamedOnce, D::Error> {
        deserializer.deserialize_any(NamedOnce)
    }
}

impl<'de> Visitor<'de> for NamedOnce {
    type Value = NamedOnce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NamedOnce, A::Error> {
        while items.next_element::<NamedOnce>()?.is_some() {}
        Ok(NamedOnce)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<NamedOnce, A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            if names.contains(&name) {
                return Err(Error::custom(format!("duplicate field `{name}`")));
            }
            names.insert(name);
            fields.next_value::<NamedOnce>()?;
        }
        Ok(NamedOnce)
    }
}
