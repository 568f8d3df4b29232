//! What is common to all handlers.

use std::time::Duration;

use handlers::Filter;
use receiver::handling::takes;
use receiver::{HandlerRate, HandlerRules, HandlerStart};

use super::super::handler::read_rules;
use super::read_with;

fn rules_of(text: &str) -> Result<(HandlerRules, Option<Filter>), Vec<String>> {
    read_with(text, |section, _| read_rules(section))
}

#[test]
fn a_name_is_enough() {
    let (rules, filter) = rules_of("name = 'crm'").unwrap();
    assert_eq!(rules, HandlerRules::named("crm"));
    assert!(filter.is_none());
    assert_eq!((rules.concurrency, rules.timeout, rules.retry.len()), (4, Duration::from_secs(30), 7));
}

#[test]
fn everything_common_can_be_set() {
    let text = r#"
        name = "crm_2-b"
        sources = "courses"
        events = ["webinar.*", "order.paid"]
        filter = "'Gold' in mangoes"
        concurrency = 16
        rate = ["30/s", "10000/5m", "7/min"]
        retry = ["1s", "2m"]
        timeout = "15m"
        start = "oldest"
        test-webhooks = true
        "#;
    let (rules, filter) = rules_of(text).unwrap();
    let rate = |attempts, seconds| HandlerRate { attempts, per: Duration::from_secs(seconds) };
    let wanted = HandlerRules {
        name: "crm_2-b".to_owned(),
        sources: vec!["courses".to_owned()],
        events: vec!["webinar.*".to_owned(), "order.paid".to_owned()],
        concurrency: 16,
        rates: vec![rate(30, 1), rate(10_000, 300), rate(7, 60)],
        retry: vec![Duration::from_secs(1), Duration::from_secs(120)],
        timeout: Duration::from_secs(900),
        start: HandlerStart::Oldest,
        test_webhooks: true,
    };
    assert_eq!(rules, wanted);
    assert!(takes(&rules, "courses", Some("webinar.created.recurring")));
    assert!(filter.unwrap().takes(&serde_json::json!({ "mangoes": ["Gold", "Silver"] })).unwrap());
}

#[test]
fn no_further_attempts_and_one_rate_are_fine() {
    let (rules, _) = rules_of("name = 'crm'\nretry = []\nrate = '1/h'\nevents = ['*']").unwrap();
    assert_eq!((rules.retry.len(), rules.rates[0].per), (0, Duration::from_secs(3_600)));
}

#[test]
fn each_mistake_is_told_at_its_line_with_its_mend() {
    let long = "a".repeat(65);
    let many = vec!["'1s'"; 21].join(", ");
    let cases = [
        ("sources = 'courses'".to_owned(), "name: is missing; give the handler a name"),
        ("name = 'My CRM'".to_owned(), "name: use 1 to 64 of a-z, 0-9, - and _"),
        (format!("name = '{long}'"), "name: use 1 to 64"),
        ("name = 'crm'\nsources = 7".to_owned(), "sources: is a number here; write a text, or a list"),
        ("name = 'crm'\nevents = ['web*nar.*']".to_owned(), "events: \"web*nar.*\" is no event; write its name"),
        ("name = 'crm'\nevents = ['']".to_owned(), "events: \"\" is no event"),
        ("name = 'crm'\nfilter = \"'Gold' inn mangoes\"".to_owned(), "filter: "),
        ("name = 'crm'\nconcurrency = 0".to_owned(), "concurrency: give a whole number, 1 to 256"),
        ("name = 'crm'\nconcurrency = 257".to_owned(), "concurrency: give a whole number, 1 to 256"),
        ("name = 'crm'\nrate = '30'".to_owned(), "rate: \"30\" is no pace; write it such as \"30/s\""),
        ("name = 'crm'\nrate = '0/s'".to_owned(), "rate: \"0/s\" is no pace"),
        ("name = 'crm'\nrate = '5/2d'".to_owned(), "rate: \"5/2d\" is no pace"),
        ("name = 'crm'\nrate = '9999999/s'".to_owned(), "rate: \"9999999/s\" is no pace"),
        ("name = 'crm'\nrate = '18446744073709551615/18446744073709551615d'".to_owned(), "rate: "),
        ("name = 'crm'\nretry = ['soon']".to_owned(), "retry: \"soon\" is no time; write it such as \"30s\""),
        (format!("name = 'crm'\nretry = [{many}]"), "retry: give at most 20 delays"),
        ("name = 'crm'\nretry = ['8d']".to_owned(), "retry: give at most 20 delays of at most 7 days"),
        ("name = 'crm'\ntimeout = '16m'".to_owned(), "timeout: give 1s to 15m"),
        ("name = 'crm'\ntimeout = '900ms'".to_owned(), "timeout: give 1s to 15m"),
        ("name = 'crm'\nstart = 'newest'".to_owned(), "start: is \"newest\"; write \"now\", or \"oldest\""),
        ("name = 'crm'\ntest-webhooks = 'yes'".to_owned(), "test-webhooks: is a text here; write true or false"),
        ("name = 'crm'\nretries = ['5s']".to_owned(), "retries: is unknown here; did you mean \"retry\""),
    ];
    for (text, words) in cases {
        let mistakes = rules_of(&text).err().unwrap_or_else(|| panic!("{text} is taken"));
        assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
        let line = text.lines().count();
        let place = format!("line {line}: handler \"x\", {words}");
        assert!(mistakes[0].starts_with(&place), "{text}: {}", mistakes[0]);
    }
}
