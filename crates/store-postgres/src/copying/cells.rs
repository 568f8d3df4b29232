//! Cells as this engine's types. It has truth values, lists and days where SQLite has numbers and JSON.

use std::error::Error;

use bytes::BytesMut;
use store::{Cell, CopiedRow, StoreError, StoreResult};
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// Days from 1970-01-01 to 2000-01-01, from which this engine counts.
const DAYS_TO_2000: i64 = 10_957;

pub(super) fn cells(row: &Row) -> StoreResult<CopiedRow> {
    (0..row.len()).map(|at| cell(row, at)).collect()
}

fn cell(row: &Row, at: usize) -> StoreResult<Cell> {
    let read = match *row.columns()[at].type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(at).map(|number| number.map(Cell::Number)),
        Type::INT2 => row.try_get::<_, Option<i16>>(at).map(|number| number.map(|number| Cell::Number(number.into()))),
        Type::BOOL => row.try_get::<_, Option<bool>>(at).map(|is| is.map(|is| Cell::Number(is.into()))),
        Type::TEXT => row.try_get::<_, Option<String>>(at).map(|text| text.map(Cell::Text)),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map(|bytes| bytes.map(Cell::Bytes)),
        Type::INT8_ARRAY => row.try_get::<_, Option<Vec<i64>>>(at).map(|numbers| numbers.map(as_json)),
        ref other => return Err(StoreError::broken(format!("a copy does not know columns of type {other}"))),
    };
    read.map(|cell| cell.unwrap_or(Cell::Null)).map_err(StoreError::broken)
}

fn as_json(numbers: Vec<i64>) -> Cell {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    Cell::Text(format!("[{}]", numbers.join(",")))
}

/// A cell on its way to a column of any of these types.
#[derive(Debug)]
pub(super) struct Written<'a>(pub(super) &'a Cell);

impl ToSql for Written<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self.0, ty) {
            (Cell::Null, _) => Ok(IsNull::Yes),
            (Cell::Number(number), &Type::INT8) => number.to_sql(ty, out),
            (Cell::Number(number), &Type::INT2) => i16::try_from(*number)?.to_sql(ty, out),
            (Cell::Number(number), &Type::BOOL) => (*number != 0).to_sql(ty, out),
            (Cell::Number(days), &Type::DATE) => i32::try_from(days - DAYS_TO_2000)?.to_sql(&Type::INT4, out),
            (Cell::Text(text), &Type::TEXT) => text.to_sql(ty, out),
            (Cell::Text(json), &Type::INT8_ARRAY) => serde_json::from_str::<Vec<i64>>(json)?.to_sql(ty, out),
            (Cell::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            (Cell::Number(_) | Cell::Text(_) | Cell::Bytes(_), other) => {
                Err(format!("a column of type {other} does not take what is to be copied into it").into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The type that a cell of a key has in comparisons.
pub(super) fn type_of(cell: &Cell) -> Type {
    match cell {
        Cell::Null | Cell::Number(_) => Type::INT8,
        Cell::Text(_) => Type::TEXT,
        Cell::Bytes(_) => Type::BYTEA,
    }
}
