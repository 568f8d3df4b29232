use handlers::exec::{ExecSettings, Stdin};
use handlers::forward::ForwardSettings;
use handlers::http::{HttpBody, HttpSettings, Preset};

use super::super::{exec, forward, http};
use super::read_with;

fn http_of(text: &str) -> Result<HttpSettings, Vec<String>> {
    read_with(text, http::read)
}

fn exec_of(text: &str) -> Result<ExecSettings, Vec<String>> {
    read_with(text, |section, _| exec::read(section))
}

fn forward_of(text: &str) -> Result<ForwardSettings, Vec<String>> {
    read_with(text, forward::read)
}

/// Each text has exactly one mistake, on this line and with these words.
fn refuses<T>(read: impl Fn(&str) -> Result<T, Vec<String>>, cases: &[(&str, usize, &str)]) {
    for (text, line, words) in cases {
        let mistakes = read(text).err().unwrap_or_else(|| panic!("{text} is taken"));
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
        let place = format!("line {line}: handler \"x\", ");
        assert!(mistakes[0].starts_with(&place) && mistakes[0].contains(words), "{text}: {}", mistakes[0]);
        assert!(!mistakes[0].contains("s3cret"), "{}", mistakes[0]);
    }
}

#[test]
fn a_url_is_enough_and_presets_fill_in_the_rest() {
    let plain = http_of("url = 'https://example.com/hook'").unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert!(matches!(plain.body, HttpBody::Event) && plain.method == egress::Method::Post);
    assert_eq!(plain.idempotency_header.unwrap(), "idempotency-key");

    let slack = http_of("preset = 'slack'\nurl = 'env:URL'").unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert!(matches!(slack.body, HttpBody::Slack(_)) && slack.preset == Preset::Slack);

    let whatsapp = http_of(
        "preset = 'whatsapp-cloud'\ntoken = 'env:TOKEN'\nphone-number-id = '1065'\ntemplate = 'moved'\nlanguage = 'en_US'\n\
         parameters = ['{{ person.name }}', '{{ sessions[0].title }}']",
    )
    .unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert_eq!(whatsapp.url.origin(), "https://graph.facebook.com/v24.0/1065/messages");
    assert_eq!(whatsapp.headers.len(), 1);
    assert!(matches!(whatsapp.body, HttpBody::WhatsApp(ref message) if message.parameters.len() == 2));
}

#[test]
fn everything_can_be_set() {
    let settings = http_of(
        r#"
        method = "put"
        url = "https://crm.example.com/contacts/{{ person.email }}?v={{ series.version }}"
        json = """{"name": {{ person.name }}, "hi": "Hello {{ person.name }}"}"""
        content-type = "application/vnd.crm+json"
        idempotency-key = "off"
        success = [200, 409]
        success-if = "body.ok"
        keep-answer = true
        [secrets]
        token = "env:TOKEN"
        [headers]
        Authorization = "Bearer {{ secrets.token }}"
        X-Key = "env:TOKEN"
        "#,
    )
    .unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert_eq!((settings.headers.len(), settings.success.statuses.as_slice()), (2, &[200, 409][..]));
    assert!(settings.idempotency_header.is_none() && settings.keep_answer && settings.success.condition.is_some());
    assert!(matches!(
        http_of("method = 'GET'\nurl = 'https://x.example/'").map(|read| read.body),
        Ok(HttpBody::Nothing)
    ));
}

#[test]
fn each_mistake_in_an_http_handler_is_told_with_its_line_and_mend() {
    refuses(
        http_of,
        &[
            ("method = 'POST'", 1, "url: is missing; write whom to call"),
            ("preset = 'slack'", 1, "SLACK_URL"),
            ("preset = 'teams'\nurl = 'https://x.example/'\nsuccess = 200", 1, "there are slack, zapier"),
            ("url = 'https://x.example/'\nmethod = 'CONNECT'", 2, "write POST, PUT"),
            ("url = 'https://{{ body.host }}/'", 1, "must be written out"),
            ("url = 'x.example/hook'", 1, "write it like https://"),
            ("url = 'https://user:s3cret@x.example/'", 1, "user name"),
            ("url = 'env:NOWHERE'", 1, "env:NOWHERE is not set"),
            ("url = 'https://x.example/'\njson = '{{ person.name'", 2, "json: line 1: "),
            ("url = 'https://x.example/'\njson = '{{ persn.name }}'", 2, "\"persn\" is no part of an event"),
            ("url = 'https://x.example/'\ntext = '{{ event | upcase }}'", 2, "text: line 1: "),
            ("url = 'https://x.example/'\ntext = 'a'\njson = '1'", 2, "is a second body beside json"),
            ("url = 'https://x.example/'\nmethod = 'GET'\ntext = 'a'", 3, "a GET has no body"),
            ("url = 'https://x.example/'\ntext = '{{ secrets.token }}'", 2, "has no \"token\""),
            ("url = 'https://x.example/'\nsuccess = [20]", 2, "give whole numbers, 200 to 599"),
            ("url = 'https://x.example/'\nsuccess-if = 'ok'", 2, "there are status and body"),
            ("url = 'https://x.example/'\nidempotency-key = 'a b'", 2, "or \"off\""),
            ("url = 'https://x.example/'\nbodi = 'x'", 2, "is unknown here"),
            ("url = 'https://x.example/'\ntemplate = 'x'", 2, "is unknown here"),
            ("url = 'https://x.example/'\n[headers]\nHost = 'a'", 2, "leave it out"),
            ("url = 'https://x.example/'\n[headers]\nX-A = 'env:BROKEN'", 2, "line break"),
            ("url = 'https://x.example/'\n[headers]\nX-A = 5", 3, "headers.X-A: write a text in quotes"),
            ("url = 'https://x.example/'\n[headers]\nIdempotency-Key = 'a'", 2, "see idempotency-key"),
            ("url = 'https://x.example/'\nheaders = 'a'", 2, "write a table of texts"),
        ],
    );
}

#[test]
fn each_mistake_with_whatsapp_is_told_with_its_line_and_mend() {
    let with = |rest: &str| {
        http_of(&format!("preset = 'whatsapp-cloud'\ntoken = 'env:TOKEN'\nphone-number-id = '1065'\n{rest}"))
    };
    refuses(
        with,
        &[
            ("language = 'de'", 1, "template: is missing; write the name of an approved"),
            ("template = 'moved'", 1, "language: is missing"),
            ("template = 'moved'\nlanguage = 'de'\nparameters = ['{{ x']", 6, "parameters: line 1"),
            (
                "template = 'a'\nlanguage = 'de'\nparameters = []\nnamed-parameters = { a = 'b' }",
                7,
                "keep one of the two",
            ),
        ],
    );
    let number =
        "preset = 'whatsapp-cloud'\ntoken = 'env:TOKEN'\nphone-number-id = '+49 151'\ntemplate = 'a'\nlanguage = 'de'";
    refuses(http_of, &[(number, 3, "not the phone number")]);
}

#[test]
fn mistakes_are_told_together() {
    let mistakes = http_of("preset = 'teams'\nmethod = 'HEAD'\nsuccess-if = '('\nnonsense = 1").err().unwrap();
    assert_eq!(mistakes.len(), 5, "{mistakes:?}");
}

#[test]
fn a_command_needs_only_its_words() {
    let settings =
        exec_of("command = ['/usr/local/bin/notify', '--quiet']").unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert_eq!((settings.stdin, settings.keep_output, settings.memory_bytes_max), (Stdin::Event, false, 1 << 30));
    let text = "command = 'notify'\nstdin = 'body'\nmemory-max = '64 MiB'\nkeep-output = true\ndirectory = '/srv'\nenv = { TOKEN = 'env:TOKEN' }";
    let settings = exec_of(text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    assert_eq!((settings.stdin, settings.memory_bytes_max), (Stdin::Body, 64 << 20));
    assert_eq!(settings.env["TOKEN"].as_str(), "s3cret");
}

#[test]
fn each_mistake_in_an_exec_handler_is_told_with_its_line_and_mend() {
    refuses(
        exec_of,
        &[
            ("", 1, "command: is missing; write the program"),
            ("command = []", 1, "write the program"),
            ("command = 'notify --quiet'", 1, "[\"sh\", \"-c\", \"…\"]"),
            ("command = './notify'", 1, "write the whole path"),
            ("command = 5", 1, "a text, or a list of texts"),
            ("command = 'notify'\nstdin = 'json'", 2, "write \"event\", \"body\" or \"nothing\""),
            ("command = 'notify'\nmemory-max = '1 KiB'", 2, "write a size"),
            ("command = 'notify'\ndirectory = 'here'", 2, "write the whole path"),
            ("command = 'notify'\nenv = { FANFARE_EVENT = 'x' }", 2, "without FANFARE_"),
            ("command = 'notify'\nenv = { 'a=b' = 'x' }", 2, "letters, digits and _"),
            ("command = 'notify'\nenv = { A = 'env:NOWHERE' }", 2, "is not set"),
            ("command = 'notify'\ntimeuot = 'x'", 2, "is unknown here"),
        ],
    );
}

#[test]
fn forward_takes_one_url_and_any_number_of_secrets() {
    let url = "url = 'https://n8n.example.com/webhook/x'";
    assert!(forward_of(url).is_ok_and(|settings| settings.secrets.is_empty()));
    let both = format!("{url}\nsecret = ['env:WHSEC', 'env:WHSEC']\nheaders = {{ X-Key = 'env:TOKEN' }}");
    assert!(forward_of(&both).is_ok_and(|settings| settings.secrets.len() == 2 && settings.headers.len() == 1));
}

#[test]
fn each_mistake_in_a_forward_handler_is_told_with_its_line_and_mend() {
    refuses(
        forward_of,
        &[
            ("", 1, "url: is missing; write where to"),
            ("url = 'https://x.example/{{ event }}'", 1, "write type = \"http\""),
            ("url = 'https://x.example/'\nsecret = 's3cret'", 2, "`whsec_`"),
            ("url = 'https://x.example/'\nsecret = []", 2, "leave it out to forward unsigned"),
            ("url = 'https://x.example/'\nheaders = { webhook-id = 'x' }", 2, "is set for each message"),
            ("url = 'https://x.example/'\nheaders = { Connection = 'x' }", 2, "leave it out"),
            ("url = 'https://x.example/'\nmethod = 'PUT'", 2, "is unknown here"),
        ],
    );
}
