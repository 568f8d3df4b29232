//! Values as PostgreSQL takes them: as text, which the server reads by the type it has inferred for the parameter. So
//! every type works that has a text form, and a value that does not fit is refused by the server itself.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use serde_json::Value;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

use super::super::text::remove_nul;

#[cfg(test)]
mod tests;

/// A value, written for one parameter; `None` is NULL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bound(Option<String>);

impl Bound {
    pub(super) fn of(value: Value, kind: &Type) -> Bound {
        Bound(written(value, kind))
    }
}

fn written(mut value: Value, kind: &Type) -> Option<String> {
    if let Kind::Domain(inner) = kind.kind() {
        return written(value, inner);
    }
    let is_json = *kind == Type::JSON || *kind == Type::JSONB;
    remove_nul(&mut value);
    match (value, kind.kind()) {
        (Value::Null, _) => None,
        (Value::String(text), _) if !is_json => Some(text),
        (Value::Array(items), Kind::Array(element)) => Some(array(items, element)),
        (value, _) => Some(value.to_string()),
    }
}

/// `{"a","b",NULL}`: every element in quotes, which every type of element takes.
fn array(items: Vec<Value>, element: &Type) -> String {
    let elements = items.into_iter().map(|item| match written(item, element) {
        None => "NULL".to_owned(),
        Some(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    });
    format!("{{{}}}", elements.collect::<Vec<_>>().join(","))
}

impl ToSql for Bound {
    fn to_sql(&self, _kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.put_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    fn encode_format(&self, _kind: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
