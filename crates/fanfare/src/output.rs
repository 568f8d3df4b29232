//! stdout is data, stderr is talk: the only code that writes to either. Tables are for people, JSON for programs.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON object a line.
    Json,
    /// Comma-separated, with a header line (RFC 4180).
    Csv,
}

/// Something a list holds: its JSON is what `Serialize` gives, its cells are for tables and CSV.
pub(crate) trait Row: Serialize {
    /// The titles of the columns.
    const COLUMNS: &'static [&'static str];

    /// One text for each column.
    fn cells(&self) -> Vec<String>;
}

/// Prints a list; `empty` tells people what to do where there is nothing.
pub(crate) fn print_list<R: Row>(format: ListFormat, rows: &[R], empty: &str) -> anyhow::Result<()> {
    match format {
        ListFormat::Json => rows.iter().try_for_each(print_json),
        ListFormat::Csv => {
            print(&csv_text(R::COLUMNS, rows.iter().map(R::cells))?);
            Ok(())
        }
        ListFormat::Table if rows.is_empty() => {
            say(empty);
            Ok(())
        }
        ListFormat::Table => {
            print(&table_text(R::COLUMNS, &rows.iter().map(R::cells).collect::<Vec<_>>()));
            Ok(())
        }
    }
}

/// Prints one JSON object on a line of its own.
pub(crate) fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    print_line(&serde_json::to_string(value)?);
    Ok(())
}

/// Prints a line of data.
pub(crate) fn print_line(line: &str) {
    print(&format!("{line}\n"));
}

/// Says something to the person at the terminal.
pub(crate) fn say(line: &str) {
    // With nobody there to read it, there is nobody to tell that it failed.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// An instant as the API writes it too: RFC 3339, UTC, milliseconds.
pub(crate) fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// A number as people read it: `1,000,000`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How many of what: `1 webhook`, `1,000 webhooks`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Makes text of strangers harmless for a terminal: control characters, among them the escape that moves the cursor,
/// are shown instead of obeyed.
pub(crate) fn tame(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut tamed, c| {
        if c.is_control() || is_invisible_mark(c) {
            tamed.extend(c.escape_unicode());
        } else {
            tamed.push(c);
        }
        tamed
    })
}

/// Marks that turn the direction of what follows, with which a cell could rearrange its neighbours.
fn is_invisible_mark(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        // The reader has had enough, as `head` has: that is no failure.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            say(&format!("error: cannot write the result: {error}"));
            std::process::exit(1);
        }
    }
}

/// Columns as wide as their widest cell, two spaces apart.
fn table_text(columns: &[&str], rows: &[Vec<String>]) -> String {
    let titles: Vec<String> = columns.iter().map(|title| title.to_uppercase()).collect();
    let lines: Vec<Vec<String>> =
        std::iter::once(titles).chain(rows.iter().map(|row| row.iter().map(|cell| tame(cell)).collect())).collect();
    let widths: Vec<usize> =
        (0..columns.len()).map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            // Writing to a String cannot fail.
            let _ = write!(padded, "{cell:width$}  ");
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

fn csv_text(columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row)?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_spaces() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table_text(&["id", "name"], &rows), "ID    NAME\na     b\nlong\n");
    }

    #[test]
    fn a_stranger_cannot_move_the_cursor_or_turn_the_line_around() {
        assert_eq!(tame("a\u{1b}[2Jb\u{202e}ह🎺"), "a\\u{1b}[2Jb\\u{202e}ह🎺");
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let text = csv_text(&["name"], [vec!["Ada, \"Countess\"".to_owned()]].into_iter()).unwrap();
        assert_eq!(text, "name\n\"Ada, \"\"Countess\"\"\"\n");
    }

    #[test]
    fn large_numbers_are_grouped_and_one_is_not_many() {
        let webhooks = [1, 2, 1_000].map(|number| counted(number, "webhook", "webhooks"));
        assert_eq!(webhooks, ["1 webhook", "2 webhooks", "1,000 webhooks"]);
        assert_eq!([0, 999, 1_000, 1_000_000].map(grouped), ["0", "999", "1,000", "1,000,000"]);
    }
}
