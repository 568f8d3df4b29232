use toml::de::DeTable;

use super::super::section::Report;
use super::*;

/// Reads one table; gives the settings, or every mistake.
fn settings(text: &str) -> Result<SqlSettings, Vec<String>> {
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    settings_of(text, table.get_ref())
}

fn settings_of<'t>(text: &'t str, table: &'t DeTable<'t>) -> Result<SqlSettings, Vec<String>> {
    let secrets = |name: &str| match name {
        "env:CRM" | "env:CRM_DATABASE" => Ok("postgres://crm:s3cret@db.example/crm".to_owned()),
        _ => Err(format!("{name} is not set; set it before the start")),
    };
    let report = Report::new(text, &secrets);
    let section = Section::new(table, 0..0, "handler \"crm\"".to_owned(), &report);
    // Common to all handlers, and read elsewhere.
    for key in ["name", "type", "sources", "events", "filter", "concurrency", "retry"] {
        section.has(key);
    }
    let settings = read(&section);
    section.refuse_the_rest();
    let mistakes: Vec<String> = report.finish().iter().map(ToString::to_string).collect();
    assert!(settings.is_some() || !mistakes.is_empty(), "{text} fails in silence");
    settings.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

#[test]
fn the_built_in_tables_need_two_lines() {
    let read = settings("database = \"env:CRM\"\nschema = \"fanfare\"").unwrap();
    assert_eq!(read.target.dialect(), Dialect::Postgres);
    assert_eq!(read.work, SqlWork::Tables(SqlPrefix::default()));
    assert!(!read.create_tables);
    assert!(!format!("{read:?}").contains("s3cret"));
}

#[test]
fn tables_and_statements_can_be_set_in_every_way_there_is() {
    let tables =
        settings("database = \"sqlite:./crm.db\"\nschema = \"fanfare\"\nprefix = \"crm_\"\ncreate-tables = true")
            .unwrap();
    assert_eq!(tables.work, SqlWork::Tables(SqlPrefix::parse("crm_").unwrap()));
    assert!(tables.create_tables);
    let statements = "database = \"sqlite:./crm.db\"\nfor-each = \"sessions\"\n\
                      statements = [\"insert into a values (:person.email)\", \"insert into b values (:session.id)\"]";
    let SqlWork::Statements(read) = settings(statements).unwrap().work else { panic!("statements") };
    assert_eq!(read.iter().map(Statement::is_for_each).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn every_mistake_is_told_with_its_line_and_its_mend() {
    for (text, mistakes) in [
        ("schema = \"fanfare\"", vec!["database: is missing; write such as \"postgres://"]),
        ("database = \"env:CRM\"", vec!["schema: is missing; say what to do"]),
        (
            "database = \"env:NOPE\"\nschema = \"x\"",
            vec![
                "line 1: handler \"crm\", database: env:NOPE is not set",
                "line 2: handler \"crm\", schema: is unknown",
            ],
        ),
        ("database = \"mysql://u:s3cret@h\"\nschema = \"fanfare\"", vec!["is no database we know"]),
        (
            "database = \"env:CRM\"\nschema = \"fanfare\"\nstatements = [\"select 1\"]",
            vec!["cannot stand beside schema"],
        ),
        (
            "database = \"env:CRM\"\nschema = \"fanfare\"\nprefix = \"a-b\"",
            vec!["line 3: handler \"crm\", prefix: \"a-b\" cannot begin"],
        ),
        ("database = \"env:CRM\"\nstatements = [\"select 1\"]\nprefix = \"a_\"", vec!["goes with schema"]),
        (
            "database = \"env:CRM\"\nschema = \"fanfare\"\nfor-each = \"sessions\"",
            vec!["goes with statements of your own"],
        ),
        ("database = \"env:CRM\"\nstatements = []", vec!["give 1 to 100 statements"]),
        (
            "database = \"env:CRM\"\nstatements = [\"select :nobody\", \"commit\"]",
            vec!["statement 1 has :nobody", "statement 2 begins with commit"],
        ),
        ("database = \"env:CRM\"\nstatements = [\"select :session.id\"]", vec!["set for-each = \"sessions\""]),
        (
            "database = \"env:CRM\"\nfor-each = \"sessions\"\nstatements = [\"select :event\"]",
            vec!["is used by no statement"],
        ),
        (
            "database = \"env:CRM\"\nfor-each = \"people\"\nstatements = [\"select :event\"]",
            vec!["write \"sessions\" or \"mangoes\""],
        ),
        ("database = \"env:CRM\"\nschema = \"fanfare\"\ncreate_tables = true", vec!["did you mean \"create-tables\""]),
        ("database = \"env:CRM\"\nschema = \"fanfare\"\ncertificate = \"file:/no\"", vec!["file:/no is not set"]),
    ] {
        let told = settings(text).expect_err(text);
        assert_eq!(told.len(), mistakes.len(), "{text}: {told:?}");
        for (told, words) in told.iter().zip(mistakes) {
            assert!(told.contains(words) && !told.contains("s3cret"), "{text}: {told}");
        }
    }
}

#[test]
fn the_example_of_a_crm_is_read_and_so_is_the_variant_in_its_comments() {
    let example = include_str!("../../../../../examples/crm-postgres.toml");
    // The variant stands in lines that begin with "#   ".
    let variant: String =
        example.lines().filter_map(|line| line.strip_prefix("#   ")).map(|line| format!("{line}\n")).collect();
    let variant = variant.split_once("[[handler]]").map(|(_, handler)| format!("[[handler]]{handler}")).unwrap();
    for text in [example, &variant] {
        let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let handlers = table.get_ref().get("handler").and_then(|handlers| handlers.get_ref().as_array()).unwrap();
        let sql: Vec<_> = handlers
            .iter()
            .filter_map(|handler| handler.get_ref().as_table())
            .filter(|handler| handler.get("type").and_then(|kind| kind.get_ref().as_str()) == Some("sql"))
            .collect();
        assert_eq!(sql.len(), 1);
        let read = settings_of(text, sql[0]).unwrap();
        assert_eq!(read.target.dialect(), Dialect::Postgres);
    }
}
