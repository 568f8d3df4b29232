//! The settings of a `sql` handler: which database, and the built-in tables or statements of one's own.

use std::fmt::Display;

use handlers::sql::{Dialect, ForEach, SqlPrefix, SqlSettings, SqlTarget, SqlWork, Statement};

use super::section::Section;

#[cfg(test)]
mod tests;

/// The one built-in schema.
const BUILT_IN: &str = "fanfare";
/// More would hold up every message for too long.
const STATEMENTS_MAX: usize = 100;
const DATABASE_MEND: &str = "write such as \"postgres://USER:PASSWORD@HOST/DATABASE\" or \"sqlite:./crm.db\", or name where it stands: \"env:CRM\"";
const WORK_MEND: &str =
    "say what to do: schema = \"fanfare\" keeps the built-in tables, statements = [\"…\"] runs your own";

/// The settings, unless something in them is wrong. The caller adds the inbox's own file as the forbidden one.
pub(super) fn read(section: &Section<'_>) -> Option<SqlSettings> {
    // Everything is read before anything is missed, so that all mistakes are told at once.
    let target = target(section);
    let create_tables = if section.has("create-tables") { section.switch("create-tables") } else { Some(false) };
    let prefix = prefix(section);
    let for_each = for_each(section);
    let work = match (section.has("schema"), section.has("statements")) {
        (true, true) => {
            refuse(section, "statements", "cannot stand beside schema; write a second handler for one of them")
        }
        (false, false) => refuse(section, "schema", format!("is missing; {WORK_MEND}")),
        (true, false) => tables(section, prefix),
        (false, true) => statements(section, target.as_ref().map(SqlTarget::dialect), for_each),
    };
    Some(SqlSettings { target: target?, work: work?, create_tables: create_tables?, forbidden_file: None })
}

fn target(section: &Section<'_>) -> Option<SqlTarget> {
    let certificate = if section.has("certificate") { section.secret("certificate").map(Some) } else { Some(None) };
    section.required_text("database", DATABASE_MEND)?;
    let database = section.secret("database")?;
    let certificate = certificate?;
    match SqlTarget::parse(&database, certificate.as_ref().map(|pem| pem.as_str())) {
        Ok(target) => Some(target),
        Err(error) => refuse(section, "database", error),
    }
}

/// The outer `None` is a mistake, the inner one that it is not given.
fn prefix(section: &Section<'_>) -> Option<Option<SqlPrefix>> {
    if !section.has("prefix") {
        return Some(None);
    }
    if !section.has("schema") {
        return refuse(section, "prefix", "names the built-in tables; it goes with schema = \"fanfare\" alone");
    }
    match SqlPrefix::parse(section.text("prefix")?) {
        Ok(prefix) => Some(Some(prefix)),
        Err(error) => refuse(section, "prefix", error),
    }
}

/// As [`prefix`].
fn for_each(section: &Section<'_>) -> Option<Option<ForEach>> {
    if !section.has("for-each") {
        return Some(None);
    }
    if !section.has("statements") {
        return refuse(section, "for-each", "goes with statements of your own; the built-in tables know all sessions");
    }
    match ForEach::parse(section.text("for-each")?) {
        Ok(for_each) => Some(Some(for_each)),
        Err(error) => refuse(section, "for-each", error),
    }
}

fn tables(section: &Section<'_>, prefix: Option<Option<SqlPrefix>>) -> Option<SqlWork> {
    match section.text("schema")? {
        BUILT_IN => Some(SqlWork::Tables(prefix?.unwrap_or_default())),
        _ => refuse(section, "schema", format!("is unknown; {WORK_MEND}")),
    }
}

fn statements(section: &Section<'_>, dialect: Option<Dialect>, for_each: Option<Option<ForEach>>) -> Option<SqlWork> {
    let texts = section.texts("statements")?;
    if texts.is_empty() || texts.len() > STATEMENTS_MAX {
        return refuse(section, "statements", format!("give 1 to {STATEMENTS_MAX} statements"));
    }
    let (dialect, for_each) = (dialect?, for_each?);
    let parsed: Vec<Option<Statement>> = (1..)
        .zip(texts)
        .map(|(number, text)| match Statement::parse(text, dialect, for_each) {
            Ok(statement) => Some(statement),
            Err(error) => refuse(section, "statements", format!("statement {number} {error}")),
        })
        .collect();
    let statements: Vec<Statement> = parsed.into_iter().collect::<Option<_>>()?;
    if for_each.is_some() && !statements.iter().any(Statement::is_for_each) {
        return refuse(section, "for-each", "is used by no statement; name an element in one, such as :session.id");
    }
    Some(SqlWork::Statements(statements))
}

fn refuse<T>(section: &Section<'_>, key: &str, what: impl Display) -> Option<T> {
    section.refuse(key, what);
    None
}
