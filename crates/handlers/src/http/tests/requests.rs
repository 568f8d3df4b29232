use zeroize::Zeroizing;

use super::world::{Receiver, egress, event, job};
use super::{
    HeaderText, Http, HttpBody, HttpSettings, Secrets, Templates, UrlText, build, header_name, http, json_body,
    settings, text,
};
use crate::{Handler, RunFailureKind};

#[tokio::test]
async fn without_further_settings_the_event_is_posted_with_a_stable_key() {
    let receiver = Receiver::that_answers_status(200, "ok");
    let handler = http(settings(&receiver.url("/hook?secret=1")));

    let note = handler.handle(&job()).await.unwrap();
    let mut again = job();
    again.attempt = 2;
    handler.handle(&again).await.unwrap();

    assert_eq!(note, format!("{} answered 200", receiver.address));
    let (first, second) = (receiver.next_request(), receiver.next_request());
    let key = format!("\r\nidempotency-key: {}\r\n", job().idempotency_key());
    assert!(first.starts_with("POST /hook?secret=1 HTTP/1.1\r\n") && first.contains(&key), "{first}");
    assert!(first.contains("\r\ncontent-type: application/json\r\n"), "{first}");
    let body: serde_json::Value = serde_json::from_str(first.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["event"], &body["message"]["source"]), (&"webinar.created.recurring".into(), &"tagmango".into()));
    assert!(second.contains(&key));
    assert_eq!(receiver.connections(), 1, "the connection is kept");
}

#[tokio::test]
async fn url_headers_and_body_are_filled_and_nothing_of_an_event_breaks_out_of_its_place() {
    let receiver = Receiver::that_answers_status(204, "");
    let url = receiver.url("/contacts/{{ person.email }}?title={{ sessions[0].title }}&n={{ person.name }}");
    let mut settings = settings(&url);
    settings.method = ::egress::Method::Put;
    settings.secrets.insert("token".to_owned(), Zeroizing::new("s3cret".to_owned()));
    settings.headers = vec![
        (header_name("Authorization").unwrap(), HeaderText::Template(text("Bearer {{ secrets.token }}"))),
        (header_name("X-Name").unwrap(), HeaderText::Template(text("{{ person.name }}"))),
        (header_name("X-Key").unwrap(), HeaderText::secret("k3y\n").unwrap()),
    ];
    settings.body = json_body(r#"{"greeting": "Hi {{ person.name }}", "plans": {{ mangoes }}}"#);

    http(settings).ask(&job(), event()).await.unwrap();

    let request = receiver.next_request();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let target = "PUT /contacts/ana%40x.org?title=Design%20%26%20clinic&n=Ana%0D%0AX-Evil%3A%201%20%22q%22 HTTP/1.1";
    assert_eq!(head.lines().next().unwrap(), target);
    for line in ["authorization: Bearer s3cret", "x-name: Ana  X-Evil: 1 \"q\"", "x-key: k3y"] {
        assert!(head.lines().any(|found| found == line), "{line} is not in {head}");
    }
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body, serde_json::json!({ "greeting": "Hi Ana\r\nX-Evil: 1 \"q\"", "plans": ["Gold"] }));
}

#[tokio::test]
async fn a_form_and_a_text_are_sent_as_what_they_are() {
    let receiver = Receiver::that_answers_status(200, "");
    let form = vec![("full name".to_owned(), text("{{ person.name }}")), ("to".to_owned(), text("{{ person.phone }}"))];
    for (body, kind, expected) in [
        (
            HttpBody::Form(form),
            "application/x-www-form-urlencoded",
            "full%20name=Ana%0D%0AX-Evil%3A%201%20%22q%22&to=%2B4915112345678",
        ),
        (HttpBody::Text(text("{{ event }}!")), "text/plain; charset=utf-8", "webinar.created.recurring!"),
    ] {
        http(HttpSettings { body, ..settings(&receiver.url("/")) }).ask(&job(), event()).await.unwrap();
        let request = receiver.next_request();
        assert!(request.contains(&format!("\r\ncontent-type: {kind}\r\n")), "{request}");
        assert!(request.ends_with(&format!("\r\n\r\n{expected}")), "{request}");
    }
}

#[tokio::test]
async fn a_get_has_no_body_and_the_key_can_be_left_out() {
    let receiver = Receiver::that_answers_status(200, "");
    let get = HttpSettings {
        method: ::egress::Method::Get,
        body: HttpBody::Nothing,
        idempotency_header: None,
        ..settings(&receiver.url("/ping"))
    };

    http(get).ask(&job(), event()).await.unwrap();

    let host = receiver.address;
    assert_eq!(receiver.next_request(), format!("GET /ping HTTP/1.1\r\nuser-agent: fanfare\r\nhost: {host}\r\n\r\n"));
}

#[tokio::test]
async fn a_request_that_cannot_be_made_is_parked_and_nothing_leaves() {
    let receiver = Receiver::that_answers_status(200, "");
    let plain = || settings(&receiver.url("/"));
    let at = |path: &str| settings(&receiver.url(path));
    let with = |body| HttpSettings { body, ..plain() };
    let header = |source: &str| HttpSettings {
        headers: vec![(header_name("X-A").unwrap(), HeaderText::Template(text(source)))],
        ..plain()
    };
    for (settings, word) in [
        (with(json_body(r#"{"a": {{ person.name }}"#)), "does not become JSON"),
        (with(json_body("{{ body.nothing }}")), "body.nothing is not in this event"),
        (at("/contacts/{{ '' }}"), "a part of the URL's path is empty"),
        (at("/a/{{ '..' }}/b"), "consists of dots"),
        (at("/a/{{ '.' }}{{ '.' }}"), "consists of dots"),
        (at("/{{ 'x' * 3000 }}"), "longer than"),
        (header("{{ 'x' * 5000 }}"), "x-a cannot be filled: it is longer than"),
        (header("{{ body.nothing }}"), "x-a cannot be filled: "),
    ] {
        let failure = http(settings).ask(&job(), event()).await.unwrap_err();
        assert_eq!(failure.kind, RunFailureKind::Hopeless, "{}", failure.reason);
        assert!(failure.reason.contains(word), "{word}: {}", failure.reason);
        assert!(!failure.reason.contains("Ana"), "{}", failure.reason);
    }
    assert!(receiver.got_nothing() && receiver.connections() == 0);
}

#[test]
fn an_empty_value_in_a_query_is_only_empty() {
    let asked = build(&settings("https://x.example/a?b={{ '' }}&c={{ none }}"), &job(), event(), Secrets::Shown);
    assert_eq!(asked.unwrap().unwrap().url, "https://x.example/a?b=&c=");
}

#[test]
fn whom_a_handler_calls_is_written_out() {
    let templates = Templates::default();
    for (url, word) in [
        ("https://{{ body.host }}/x", "written out"),
        ("{{ body.url }}", "written out"),
        ("https://x.example:{{ body.port }}/", "written out"),
        ("https://x.example{{ body.path }}", "put a / before"),
        ("{% if test %}https{% endif %}://x.example/", "written out"),
        ("ftp://x.example/{{ event }}", "must start with https"),
        ("https://user:pass@x.example/{{ event }}", "user name"),
        ("https://x.example/{{ event", "line 1"),
        ("x.example/hook", "cannot be read"),
    ] {
        let error = UrlText::parse(url, &templates).err().unwrap_or_else(|| panic!("{url} is taken")).to_string();
        assert!(error.contains(word), "{url}: {error}");
    }
    assert!(UrlText::parse("http://127.0.0.1:5678/webhook/x", &templates).is_ok());
}

#[test]
fn headers_of_the_connection_and_those_set_here_are_refused() {
    for name in [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "TE",
        "Upgrade",
        "Accept-Encoding",
        "a b",
        "",
        "x:y",
        "a\r\nb",
    ] {
        assert!(header_name(name).is_err(), "{name}");
    }
    assert!(HeaderText::secret("a\r\nb: c").is_err());
    assert_eq!(header_name("X-API-Key").unwrap(), "x-api-key");
}

#[test]
fn a_target_the_server_may_not_call_is_refused_at_the_start_with_the_mend() {
    for url in ["http://10.1.2.3/x", "https://169.254.169.254/latest/{{ event }}", "http://n8n:5678/x"] {
        let error = Http::new(settings(url), &egress()).err().unwrap();
        assert!(error.contains("public") && error.contains("allow-target"), "{error}");
    }
}

#[tokio::test]
async fn what_is_foreseen_shows_the_request_without_its_secrets_and_sends_nothing() {
    let receiver = Receiver::that_answers_status(200, "");
    let mut settings = settings("https://x.example/unused");
    settings.url = UrlText::secret(&receiver.url("/services/T0/s3cret")).unwrap();
    settings.secrets.insert("token".to_owned(), Zeroizing::new("s3cret".to_owned()));
    settings.headers = vec![
        (header_name("Authorization").unwrap(), HeaderText::Template(text("Bearer {{ secrets.token }}"))),
        (header_name("X-Key").unwrap(), HeaderText::secret("s3cret").unwrap()),
    ];
    settings.body = json_body(r#"{"to": {{ person.email }}, "t": "{{ secrets.token }}"}"#);

    let shown = http(settings).show(&job(), event()).unwrap();

    assert!(!shown.contains("s3cret"), "{shown}");
    for part in
        [&format!("POST http://{}/(secret)\n", receiver.address), "Bearer (secret)", "x-key: (secret)", "ana@x.org"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert_eq!(receiver.connections(), 0);
}
