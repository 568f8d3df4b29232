//! The settings of an `sql` handler: which database, and the built-in tables or the user's own statements.

use std::path::Path;

use handlers::sql::{Dialect, ForEach, SqlPrefix, SqlSettings, SqlTarget, SqlWork, Statement};

use super::section::Section;

const PREFIX: &str = "webinar_";
const HOW_TO_WORK: &str =
    "write schema = \"fanfare\" for tables of ours, or statements = [\"insert into …\"] for yours";

/// The settings; `None` where something is wrong, which the section has then noted.
pub(super) fn read(section: &Section<'_>) -> Option<SqlSettings> {
    if !section.has("database") {
        section.refuse(
            "database",
            "is missing; write \"env:NAME\", postgres://USER:PASSWORD@HOST/DATABASE or sqlite:PATH",
        );
    }
    let certificates = section.text("certificates").map(Path::new);
    let text = section.secret("database");
    let target = text
        .and_then(|text| SqlTarget::parse(&text, certificates).map_err(|error| section.refuse("database", error)).ok());
    let dialect = match &target {
        Some(SqlTarget::Postgres(_)) | None => Dialect::Postgres,
        Some(SqlTarget::Sqlite(_)) => Dialect::Sqlite,
    };
    let work = read_work(section, dialect);
    let create_tables = section.switch("create-tables").unwrap_or_default();
    Some(SqlSettings { target: target?, work: work?, create_tables, forbidden_file: None })
}

fn read_work(section: &Section<'_>, dialect: Dialect) -> Option<SqlWork> {
    let schema = section.text("schema");
    let prefix = section.text("prefix");
    let for_each = section.text("for-each");
    match (schema, section.texts("statements")) {
        (Some("fanfare"), None) => {
            let prefix = SqlPrefix::parse(prefix.unwrap_or(PREFIX)).map_err(|error| section.refuse("prefix", error));
            prefix.ok().map(SqlWork::Tables)
        }
        (Some(other), None) => {
            section.refuse("schema", format!("{other:?} is unknown; {HOW_TO_WORK}"));
            None
        }
        (None, Some(texts)) => {
            let for_each = match for_each.map(ForEach::parse) {
                Some(Err(error)) => {
                    section.refuse("for-each", error);
                    return None;
                }
                Some(Ok(for_each)) => Some(for_each),
                None => None,
            };
            let parse = |(place, text): (usize, &str)| {
                Statement::parse(text, dialect, for_each.clone())
                    .map_err(|error| section.refuse("statements", format!("statement {}: {error}", place + 1)))
                    .ok()
            };
            let statements: Vec<Option<Statement>> = texts.into_iter().enumerate().map(parse).collect();
            statements.into_iter().collect::<Option<Vec<_>>>().map(SqlWork::Statements)
        }
        (Some(_), Some(_)) => {
            section.refuse("statements", format!("stands beside schema; {HOW_TO_WORK}"));
            None
        }
        (None, None) => {
            section.refuse("schema", format!("is missing; {HOW_TO_WORK}"));
            None
        }
    }
}
