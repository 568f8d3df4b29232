use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    settings: SettingsArgs,
}

fn settings(args: &[&str]) -> anyhow::Result<Settings> {
    let line = Line::try_parse_from([&["serve"], args].concat())?;
    line.settings.complete()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

const WHOLE: &str = r#"
listen = "0.0.0.0:9000"
database = "sqlite:/var/lib/fanfare.db"
secret-key-file = "/etc/fanfare.key"
allow-target = ["127.0.0.0/8", "10.1.2.3:8080"]
https-only = true
open-dashboard = true
only = "receiver"
disable-after = 7
rule-changes = "announce"
log-format = "json"
"#;

#[test]
fn without_anything_it_is_one_file_on_loopback_with_nothing_opened() {
    let settings = settings(&[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.database.to_string(), "sqlite:./fanfare.db");
    assert_eq!(settings.secret_keys, KeySource::BesideDatabase);
    assert_eq!((settings.allow_targets.len(), settings.schemes), (0, Schemes::Both));
    assert_eq!(
        (settings.dashboard, settings.halves, settings.log_format),
        (Dashboard::Keyed, Halves::Both, LogFormat::Text)
    );
    assert_eq!(settings.rule_updates, RuleUpdate::Waiting);
    assert_eq!(settings.disable_after.as_secs(), 3 * 24 * 3600);
}

#[test]
fn a_file_may_set_everything_an_option_can() {
    let file = file(WHOLE);
    let settings = settings(&["--config", file.path().to_str().unwrap()]).unwrap();
    assert_eq!(settings.listen.to_string(), "0.0.0.0:9000");
    assert_eq!(settings.database.to_string(), "sqlite:/var/lib/fanfare.db");
    assert_eq!(settings.secret_keys, KeySource::File("/etc/fanfare.key".into()));
    assert_eq!((settings.allow_targets.len(), settings.schemes), (2, Schemes::HttpsOnly));
    assert_eq!(
        (settings.dashboard, settings.halves, settings.log_format),
        (Dashboard::Open, Halves::Receiver, LogFormat::Json)
    );
    assert_eq!(settings.rule_updates, RuleUpdate::Announced);
    assert_eq!(settings.disable_after.as_secs(), 7 * 24 * 3600);
    assert_eq!(
        WHOLE.lines().filter_map(|line| line.split_once(" = ")).map(|(key, _)| key).collect::<Vec<_>>(),
        OWN_KEYS
    );
}

#[test]
fn an_option_wins_over_the_file() {
    let file = file(WHOLE);
    let path = file.path().to_str().unwrap();
    let settings =
        settings(&["--config", path, "--listen", "localhost:1", "--https-only=false", "--only", "provider"]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:1");
    assert_eq!((settings.schemes, settings.halves), (Schemes::Both, Halves::Provider));
    assert_eq!(settings.dashboard, Dashboard::Open);
}

#[test]
fn a_switch_needs_no_value() {
    let settings = settings(&["--https-only", "--open-dashboard"]).unwrap();
    assert_eq!((settings.schemes, settings.dashboard), (Schemes::HttpsOnly, Dashboard::Open));
}

#[test]
fn an_unknown_key_is_a_mistake_with_a_suggestion() {
    for (key, suggestion) in [
        ("lisen", "did you mean \"listen\""),
        ("log_format", "did you mean \"log-format\""),
        ("allow-targets", "did you mean \"allow-target\""),
        ("zzz", "known are listen, database"),
    ] {
        let mistake = ConfigFile::parse(&format!("{key} = 1")).unwrap_err();
        assert!(mistake.contains(suggestion), "{mistake}");
    }
}

#[test]
fn a_wrong_value_is_told_with_its_place_and_its_mend() {
    for (text, told) in [
        ("only = \"provider\"\nlisten = \"here\"", "write an address and a port"),
        ("database = \"postgres://localhost\"", "names no database"),
        ("allow-target = [\"10.0.0.0\", \"10.0.0.1/8\"]", "did you mean 10.0.0.0/8"),
        ("https-only = \"yes\"", "expected a boolean"),
        ("only = \"sender\"", "unknown variant"),
        ("listen", "TOML parse error"),
    ] {
        let mistake = ConfigFile::parse(text).unwrap_err();
        assert!(mistake.contains(told) && mistake.contains("line "), "{mistake}");
    }
}

#[test]
fn a_mistake_repeats_no_line_of_the_file_since_it_may_hold_a_secret() {
    let mistake = ConfigFile::parse("listen = \"127.0.0.1:1\"\n[[source]]\nkeys = [\"whsec_c2VjcmV0\n").unwrap_err();
    assert!(mistake.contains("line 3") && !mistake.contains("c2VjcmV0"), "{mistake}");
}

#[test]
fn a_file_that_is_not_there_is_wrong_usage() {
    let error = settings(&["--config", "/nonexistent.toml"]).unwrap_err();
    assert!(error.is::<UsageError>(), "{error}");
}
