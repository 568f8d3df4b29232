//! Gaps within the texts of a JSON template, such as `"Hello {{ person.name }}"`: what fills them is escaped and gets no
//! quotes of its own. Found by reading the template once, before it is compiled.

use super::escapes::INSIDE_A_STRING;

/// The source with a filter after each gap that stands within a text in quotes.
pub(super) fn escape_gaps_in_strings(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut is_in_string = false;
    while let Some(first) = rest.chars().next() {
        if let Some(tag) = tag_at(rest) {
            match tag.strip_prefix("{{") {
                Some(gap) if is_in_string => out.push_str(&filtered(gap)),
                _ => out.push_str(tag),
            }
            rest = &rest[tag.len()..];
            continue;
        }
        // What a backslash escapes does not end the text.
        let taken = match first {
            '\\' if is_in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => first.len_utf8(),
        };
        is_in_string ^= first == '"';
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

/// The whole tag that begins here, if one does; one that never ends is left for the compiler to refuse.
fn tag_at(text: &str) -> Option<&str> {
    let end = match text.get(..2)? {
        "{{" => "}}",
        "{%" => "%}",
        "{#" => return text.find("#}").map(|at| &text[..at + 2]),
        _ => return None,
    };
    let mut quote = None;
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(2) {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if c == '\\' => is_escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if text[at..].starts_with(end) => return Some(&text[..at + 2]),
            None => {}
        }
    }
    None
}

/// `gap` is ` expression }}`, perhaps with signs that trim the space around it.
fn filtered(gap: &str) -> String {
    let expression = gap.strip_suffix("}}").unwrap_or(gap);
    let (before, expression) = match expression.strip_prefix(['-', '+']) {
        Some(inner) => (&expression[..1], inner),
        None => ("", expression),
    };
    let (expression, after) = match expression.strip_suffix(['-', '+']) {
        Some(inner) => (inner, &expression[expression.len() - 1..]),
        None => (expression, ""),
    };
    format!("{{{{{before} ({expression})|{INSIDE_A_STRING} {after}}}}}")
}
