use serde_json::json;

use super::*;

fn postgres(source: &str) -> (String, Vec<String>) {
    parsed(source, Dialect::Postgres)
}

fn parsed(source: &str, dialect: Dialect) -> (String, Vec<String>) {
    let statement = Statement::parse(source, dialect, Some(ForEach::Sessions)).expect(source);
    (statement.text.clone(), statement.paths.iter().map(ToString::to_string).collect())
}

fn refusal(source: &str, dialect: Dialect) -> String {
    Statement::parse(source, dialect, None).expect_err(source).0
}

#[test]
fn parameters_become_numbers_and_one_that_stands_twice_is_one() {
    let (text, paths) = postgres("insert into t values (:person.email,:event, :person.email)");
    assert_eq!(text, "insert into t values ($1,$2, $1)");
    assert_eq!(paths, ["person.email", "event"]);
    assert_eq!(parsed("select :event", Dialect::Sqlite).0, "select ?1");
}

#[test]
fn what_only_looks_like_a_parameter_stands_as_it_is() {
    for plain in [
        "select '2024-03-15T10:event:00'::timestamptz",
        "select 'it''s :event'",
        r"select E'it\'s :event', 1",
        r"select e'\\', 'it :event'",
        "select \"a:event\" from t",
        "select \"a\"\":event\" from t",
        "select 1 -- :event",
        "select 1 -- it's :event\n, 2",
        "select /* :event /* it's nested */ :event */ 1",
        "select $$ :event $$, $tag$ $$ :event $tag$",
        "select a[1:2], a[: 3]",
        "select f(a := 1)",
        "select x::text::jsonb",
        "select data ? 'a', data @> '{}', 5 % 2",
        "select 'ü:event' as \"ö:event\"",
        "select 1;",
        "select 1; -- the end: 'x",
    ] {
        assert_eq!(postgres(plain), (plain.to_owned(), vec![]), "{plain}");
    }
    for plain in ["select [a:event] from t", "select `a:event` from t", "select /* /* :event */ 1"] {
        assert_eq!(parsed(plain, Dialect::Sqlite), (plain.to_owned(), vec![]), "{plain}");
    }
}

#[test]
fn parameters_stand_beside_casts_quotes_and_brackets() {
    for (source, text, path) in [
        ("select :event::text", "select $1::text", "event"),
        ("select ':x'||:event||':y'", "select ':x'||$1||':y'", "event"),
        ("select (:sessions[0].begin.utc)::date", "select ($1)::date", "sessions[0].begin.utc"),
        ("select :body[\"custom-field [x]\"].a", "select $1", "body[\"custom-field [x]\"].a"),
        ("select :mangoes[10]", "select $1", "mangoes[10]"),
        ("select :event[x]", "select $1[x]", "event"),
        ("select :event.", "select $1.", "event"),
        ("select E'\\'':event", "select E'\\''$1", "event"),
        ("select type'':event", "select type''$1", "event"),
        ("select a$b$, :event", "select a$b$, $1", "event"),
        ("select -- it's\n :event", "select -- it's\n $1", "event"),
        ("select :event/* ' */", "select $1/* ' */", "event"),
        ("select é:event", "select é$1", "event"),
    ] {
        assert_eq!(postgres(source), (text.to_owned(), vec![path.to_owned()]), "{source}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_mend() {
    use Dialect::{Postgres, Sqlite};
    for (source, dialect, words) in [
        ("insert into t values ($1)", Postgres, "parameter $1)"),
        ("insert into t values (?)", Sqlite, "parameter ?)"),
        ("insert into t values (@email)", Sqlite, "such as :person.email"),
        ("insert into t values (:persn.email)", Postgres, ":persn.email, which begins with nothing an event has"),
        ("insert into t values (:session.id)", Postgres, "set for-each = \"sessions\""),
        ("insert into t values (1); delete from t", Postgres, "more than one statement"),
        ("select 'open", Postgres, "has a ' without its end"),
        ("select /* /* */", Postgres, "has a /* without its end"),
        ("select $a$ $b$", Postgres, "has a $a$ without its end"),
        ("select E'\\", Postgres, "without its end"),
        ("/* now */ -- then\n COMMIT", Postgres, "begins with commit"),
        ("pragma journal_mode = off", Sqlite, "begins with pragma"),
        ("  -- nothing", Postgres, "is empty"),
        ("", Sqlite, "is empty"),
    ] {
        let refusal = refusal(source, dialect);
        assert!(refusal.contains(words), "{source}: {refusal}");
    }
}

#[test]
fn values_are_found_by_their_paths_and_what_is_missing_is_null() {
    let event = json!({
        "person": { "email": "a@example.com" },
        "sessions": [{ "id": "s1", "begin": { "utc": "2024-03-15T10:00:00Z" } }],
        "body": { "a-b": [1, { "c": true }] },
    });
    for (path, value) in [
        ("person.email", json!("a@example.com")),
        ("person.phone", json!(null)),
        ("person.email.x[3]", json!(null)),
        ("sessions[0].begin.utc", json!("2024-03-15T10:00:00Z")),
        ("sessions[1].begin.utc", json!(null)),
        ("body[\"a-b\"][1].c", json!(true)),
        ("body.a", json!(null)),
        ("sessions", event["sessions"].clone()),
        ("sessions[99999999999999999999]", json!(null)),
    ] {
        let statement = Statement::parse(&format!("select :{path}"), Dialect::Postgres, None).expect(path);
        assert_eq!(statement.bind(&event), [[value]], "{path}");
    }
}

#[test]
fn with_for_each_a_statement_runs_for_each_session_where_it_names_one_and_else_once() {
    let event = json!({ "event": "e", "sessions": [{ "id": "s1" }, { "id": "s2" }] });
    let parse = |source| Statement::parse(source, Dialect::Postgres, Some(ForEach::Sessions)).expect(source);
    assert_eq!(
        parse("select :session.id, :event").bind(&event),
        [[json!("s1"), json!("e")], [json!("s2"), json!("e")]]
    );
    assert_eq!(parse("select :event").bind(&event), [[json!("e")]]);
    assert!(parse("select :session.id").bind(&json!({ "event": "e" })).is_empty());
}
