//! How far a copy has come, as its target keeps it.

use std::fmt;
use std::fmt::Write as _;

use super::{COPIED_TABLES, Cell, CopiedTable};

/// How far a copy has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyPlace {
    /// So many tables are whole.
    pub tables: usize,
    /// The key of the last row of the one after them; `None` where it has not begun.
    pub after: Option<Vec<Cell>>,
    /// Rows copied in all.
    pub rows: u64,
}

impl CopyPlace {
    /// The table that is being copied; `None` once all are whole.
    pub fn table(&self) -> Option<&'static CopiedTable> {
        COPIED_TABLES.get(self.tables)
    }

    /// Where the copy stands with so many more rows of its table, of which `next` is the last if there are more.
    #[must_use]
    pub fn further(&self, rows: usize, next: Option<Vec<Cell>>) -> CopyPlace {
        CopyPlace { tables: self.tables + usize::from(next.is_none()), after: next, rows: self.rows + rows as u64 }
    }

    /// The key as text, for a column of the target.
    pub fn after_in_text(&self) -> Option<String> {
        self.after.as_ref().map(|key| Key(key).to_string())
    }

    /// Reads what [`CopyPlace::after_in_text`] has written; `None` where it has not.
    pub fn read(tables: i64, after: Option<&str>, rows: i64) -> Option<CopyPlace> {
        let after = match after {
            Some(text) => Some(text.split(' ').map(read_cell).collect::<Option<Vec<Cell>>>()?),
            None => None,
        };
        Some(CopyPlace { tables: tables.try_into().ok()?, after, rows: rows.try_into().ok()? })
    }
}

/// A key, cell by cell with a letter for its kind before each: no text in it can be mistaken for a mark.
struct Key<'a>(&'a [Cell]);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, cell) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_char(' ')?;
            }
            match cell {
                Cell::Null => f.write_char('-')?,
                Cell::Number(number) => write!(f, "n{number}")?,
                Cell::Text(text) => write_hex(f, 't', text.as_bytes())?,
                Cell::Bytes(bytes) => write_hex(f, 'b', bytes)?,
            }
        }
        Ok(())
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, kind: char, bytes: &[u8]) -> fmt::Result {
    f.write_char(kind)?;
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn read_cell(text: &str) -> Option<Cell> {
    let (kind, rest) = text.split_at_checked(1)?;
    match kind {
        "-" => Some(Cell::Null),
        "n" => rest.parse().ok().map(Cell::Number),
        "t" => String::from_utf8(read_hex(rest)?).ok().map(Cell::Text),
        "b" => read_hex(rest).map(Cell::Bytes),
        _ => None,
    }
}

fn read_hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text_whatever_is_in_it() {
        let key = vec![
            Cell::Number(-7),
            Cell::Null,
            Cell::Text("a b n1 ह".to_owned()),
            Cell::Text(String::new()),
            Cell::Bytes(vec![0, 32, 255]),
            Cell::Bytes(Vec::new()),
        ];
        let place = CopyPlace { tables: 3, after: Some(key), rows: 5 };
        let text = place.after_in_text().unwrap();
        assert_eq!(CopyPlace::read(3, Some(&text), 5), Some(place));
        assert_eq!(CopyPlace::read(3, None, 5).unwrap().after, None);
    }

    #[test]
    fn a_text_that_is_no_key_is_refused() {
        for text in ["", "x1", "n", "nine", "b0", "b0g", "tff", "n1  n2"] {
            assert_eq!(CopyPlace::read(0, Some(text), 0), None, "{text:?}");
        }
    }

    #[test]
    fn a_table_is_whole_with_its_last_chunk() {
        let place = CopyPlace::default().further(2, Some(vec![Cell::Number(2)]));
        assert_eq!((place.tables, place.rows), (0, 2));
        let place = place.further(1, None);
        assert_eq!((place.tables, place.rows, place.after), (1, 3, None));
    }
}
