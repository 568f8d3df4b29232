use serde_json::{Value, json};

use super::{TEXT_BYTES_MAX, Template, TemplateError, Templates};

fn event() -> Value {
    json!({
        "event": "webinar.created.recurring", "series": null,
        "person": { "name": "Ana \"the\" <b>Łuk & Co</b>\n\\", "email": null, "phoneDigits": "4915112345678" },
        "sessions": [{ "id": "634f", "title": "Clinic" }, { "id": "634g", "title": "Talk/Two" }],
        "mangoes": ["Gold"], "body": { "phone": 5, "list": [1, null, true] },
    })
}

fn fill(template: Result<Template, TemplateError>) -> Result<String, String> {
    template.and_then(|template| template.fill(&event())).map_err(|error| error.to_string())
}

fn text(source: &str) -> Result<String, String> {
    fill(Templates::default().text(source))
}

fn json_of(source: &str) -> Value {
    let text = fill(Templates::default().json(source)).unwrap_or_else(|error| panic!("{source}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{source} became {text}: {error}"))
}

#[test]
fn a_text_stands_as_it_is_and_null_is_nothing() {
    assert_eq!(text("{{ sessions[1].title }}, {{ person.email }}.").unwrap(), "Talk/Two, .");
    assert_eq!(
        text("{% for s in sessions %}{{ loop.index }}. {{ s.title }}\n{% endfor %}").unwrap(),
        "1. Clinic\n2. Talk/Two\n"
    );
}

#[test]
fn json_takes_values_whole_and_inside_of_texts_whatever_they_hold() {
    let name = event()["person"]["name"].clone();
    assert_eq!(json_of("{{ person.name }}"), name);
    assert_eq!(json_of(r#"{"n": {{ person.name }}, "e": {{ person.email }}, "b": {{ body }}}"#)["n"], name);
    assert_eq!(json_of(r#"{"n": {{ body.list }}, "p": {{ body.phone }}}"#), json!({ "n": [1, null, true], "p": 5 }));
    let greeting = json_of(r#"{"t": "Hello {{ person.name }}\" {{- body.phone -}} {{ person.email }}!"}"#);
    assert_eq!(greeting["t"], format!("Hello {}\"5!", name.as_str().unwrap()));
    let in_a_loop = json_of(r#"["{% for s in sessions %}{{ s.title ~ "}}" }};{% endfor %}", {{ "}}" }}]"#);
    assert_eq!(in_a_loop, json!(["Clinic}};Talk/Two}};", "}}"]));
    let chosen = json_of(r#"{"a": "{{ "yes" if body.phone == 5 else "no" }}", "c": "{# " #}"}"#);
    assert_eq!(chosen, json!({ "a": "yes", "c": "" }));
}

#[test]
fn a_url_takes_every_value_encoded_and_once() {
    let url = |source: &str| fill(Templates::default().url(source)).unwrap();
    assert_eq!(url("https://x.example/{{ sessions[1].title }}?p=%2B"), "https://x.example/Talk%2FTwo?p=%2B");
    assert_eq!(url("/{{ sessions[1].title|urlencode }}"), "/Talk%2FTwo");
    assert_eq!(url("/?n={{ person.name }}"), "/?n=Ana%20%22the%22%20%3Cb%3E%C5%81uk%20%26%20Co%3C%2Fb%3E%0A%5C");
    assert_eq!(text("{{ 'a b/ü' | urlencode }}").unwrap(), "a%20b%2F%C3%BC");
}

#[test]
fn html_and_slack_take_values_that_cannot_become_marks() {
    let html = fill(Templates::default().html("<p>{{ person.name }}{{ person.email }}</p>")).unwrap();
    assert!(html.starts_with("<p>Ana &quot;the&quot; &lt;b&gt;") && html.ends_with("</p>"), "{html}");
    assert!(!html[3..].contains("<b>") && !html.contains("none"), "{html}");
    let slack = fill(Templates::default().slack("<https://x.example|go> {{ person.name }}")).unwrap();
    assert_eq!(slack, "<https://x.example|go> Ana \"the\" &lt;b&gt;Łuk &amp; Co&lt;/b&gt;\n\\");
}

#[test]
fn what_is_missing_is_named_with_its_line_and_may_have_a_default() {
    let error = text("one\n{{ person.nam }}").unwrap_err();
    assert!(error.starts_with("line 2: person.nam is not in this event") && error.contains("default"), "{error}");
    let chained = text("{{ series.id }} {{ person.nam | default('') }}").unwrap_err();
    assert!(chained.contains("series.id"), "{chained}");
    assert_eq!(text("{{ person.nam | default('nobody') }}{{ sessions[9] | default }}").unwrap(), "nobody");
    assert!(fill(Templates::default().json(r#"{"a": "{{ body.x }}"}"#)).unwrap_err().contains("body.x"));
    assert!(fill(Templates::default().url("/{{ body.x }}")).unwrap_err().contains("body.x"));
}

#[test]
fn what_is_no_template_is_refused_with_its_line() {
    for (source, line) in
        [("{{ a", 1), ("a\n{% for %}", 2), ("\n\n{{ a | nosuch }}", 3), ("{% if a %}", 1), ("{{ 'a }}", 1)]
    {
        let error = text(source).unwrap_err();
        assert!(error.starts_with(&format!("line {line}: ")) && error.len() > 10, "{source}: {error}");
    }
}

#[test]
fn a_template_cannot_read_files_or_other_templates() {
    for source in ["{% include '/etc/passwd' %}", "{% extends 'x' %}", "{% import '/etc/passwd' as x %}"] {
        assert!(text(source).is_err(), "{source}");
    }
}

#[test]
fn endless_work_and_endless_texts_are_stopped() {
    let work = text("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}").unwrap_err();
    assert!(work.contains("too much work"), "{work}");
    let long = json!({ "body": "x".repeat(TEXT_BYTES_MAX / 2) });
    let template = Templates::default().text("{% for a in range(9000) %}{{ body }}{% endfor %}").unwrap();
    assert!(template.fill(&long).unwrap_err().to_string().contains("longer than"));
    for source in ["{{ 'x' * 2000000000 }}", "{{ ('x' * 1000000) * 1000000 }}", "{{ '%999999999d'|format(1) }}"] {
        assert!(text(source).is_err(), "{source}");
    }
}

#[test]
fn what_a_value_holds_is_never_a_template() {
    let values = json!({ "body": "{{ person.name }}{% include 'x' %}" });
    let template = Templates::default().text("{{ body }}").unwrap();
    assert_eq!(template.fill(&values).unwrap(), "{{ person.name }}{% include 'x' %}");
}

#[test]
fn the_names_a_template_uses_are_known_before_it_is_filled() {
    let template = Templates::default().text("{% for s in sessions %}{{ s.id }}{% endfor %}{{ person.name }}").unwrap();
    assert_eq!(template.names().into_iter().collect::<Vec<_>>(), ["person.name", "sessions"]);
    assert!(Templates::default().text("a } b").unwrap().is_constant() && !template.is_constant());
}
