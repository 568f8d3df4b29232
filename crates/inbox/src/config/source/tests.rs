//! Tables as people write them: what is made of them, and what they are told.

use std::cell::RefCell;

use receiver::{RawRequest, verify};
use toml::de::DeTable;

use super::super::section::Report;
use super::*;

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATH: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";

/// The sources of a file, and its mistakes as they are shown.
fn read_file(text: &str) -> (Vec<Source>, Vec<String>) {
    let asked = RefCell::new(Vec::new());
    let secrets = |name: &str| {
        asked.borrow_mut().push(name.to_owned());
        match name {
            "env:KEY" => Ok(WHSEC.to_owned()),
            "env:PATH_OF_IT" => Ok(PATH.to_owned()),
            other => Err(format!("{other} is not set")),
        }
    };
    let table = DeTable::parse(text).expect("TOML");
    let report = Report::new(text, &secrets);
    let root = Section::new(table.get_ref(), table.span(), String::new(), &report);
    let sources = read_all(root.sections("source"), AccountId::from_u32(7));
    root.refuse_the_rest();
    drop(root);
    (sources, report.finish().iter().map(ToString::to_string).collect())
}

#[track_caller]
fn good(table: &str) -> Source {
    let (mut sources, mistakes) = read_file(&format!("[[source]]\n{table}"));
    assert_eq!((sources.len(), mistakes), (1, Vec::new()), "{table}");
    sources.remove(0)
}

#[track_caller]
fn mistakes(table: &str) -> Vec<String> {
    let (_, mistakes) = read_file(&format!("[[source]]\n{table}"));
    assert!(!mistakes.is_empty(), "{table}");
    assert!(mistakes.iter().all(|mistake| !mistake.contains("MfKQ") && !mistake.contains(PATH)), "{mistakes:?}");
    mistakes
}

/// The only mistake, without its line.
#[track_caller]
fn mistake(table: &str) -> String {
    let mistakes = mistakes(table);
    let [only] = mistakes.as_slice() else { panic!("{mistakes:?}") };
    only.split_once(": ").expect("a line").1.to_owned()
}

#[test]
fn a_name_and_a_key_are_enough() {
    let source = good("name = \"shop\"\nkeys = \"env:KEY\"");
    assert_eq!((source.name(), source.path().as_str(), source.event()), ("shop", "shop", None));
    assert_eq!(source.id(), Source::id_of_name(AccountId::from_u32(7), "shop"));
    assert!((source.rate(), source.body_bytes_max()) == (None, None));
}

#[test]
fn path_event_and_limits_are_read() {
    let source = good(&format!(
        "name = \"TagMango, first\"\npreset = \"tagmango\"\npath = \"env:PATH_OF_IT\"\n\
         event = \"webinar.created.recurring\"\nbody-max = \"64 KiB\"\nrate = \"100/s\"\nvalue = \"{WHSEC}\""
    ));
    assert_eq!(source.path().as_str(), PATH);
    assert_eq!(source.event(), Some("webinar.created.recurring"));
    assert_eq!(source.body_bytes_max(), Some(65_536));
    assert_eq!(source.rate().map(SourceRate::webhooks), Some(100));
    let as_url = good(&format!("name = \"x\"\npreset = \"path\"\npath = \"/in/{PATH}\""));
    assert_eq!(as_url.path().as_str(), PATH);
}

#[test]
fn every_preset_can_be_written() {
    let extra = |preset| match preset {
        Preset::Meta => "keys = [\"a\"]\nverify-token = \"b\"".to_owned(),
        Preset::Basic => "user = \"a\"\npassword = [\"b\", \"c\"]".to_owned(),
        Preset::Header => "header = \"X-Token\"\nvalue = \"a\"".to_owned(),
        Preset::Path | Preset::Graph | Preset::TagMango => format!("path = \"{PATH}\""),
        Preset::Custom => "keys = [\"a\"]\n[source.verify]\nheader = \"x-signature\"".to_owned(),
        _ => format!("keys = [\"{WHSEC}\", \"env:KEY\"]"),
    };
    for preset in Preset::ALL.iter().copied() {
        let source = good(&format!("name = \"a-{preset}\"\npreset = \"{preset}\"\n{}", extra(preset)));
        assert_eq!(source.scheme().is_path_secret(), preset.has_secret_path(), "{preset}");
    }
}

#[test]
fn a_declared_scheme_believes_its_sender() {
    let source = good(
        "name = \"odd\"\nkeys = [\"key-of-the-tests-1\"]\n[source.verify]\nheader = \"X-Signature\"\nencoding = \"base64url\"\n\
         content = \"{id}|{timestamp}|{body}\"\ntimestamp-header = \"X-Time\"\ntimestamp-unit = \"ms\"\n\
         tolerance = \"1m\"\nid-header = \"X-Id\"",
    );
    // By another implementation.
    let signature = b"E5ETxYuaQ1D_7LaouS0CBPnApL20hA7Dl_HjpcqAs9k";
    let headers: [(&str, &[u8]); 3] = [("x-signature", signature), ("x-id", b"msg-1"), ("x-time", b"1710158400123")];
    let body = br#"{"id":"evt_1","event_id":"Ev1","name":"Asha"}"#.as_slice().into();
    let now = "2024-03-11T12:00:30Z".parse().expect("a time");
    assert_eq!(verify(&source, RawRequest { headers, body }, now).expect("signed").message_id(), Some("msg-1"));
}

#[test]
fn an_unknown_preset_is_told_the_nearest_and_all() {
    let told = mistake("name = \"a\"\npreset = \"standard_webhook\"\nkeys = \"env:KEY\"");
    assert!(told.starts_with("source \"a\", preset: \"standard_webhook\" is no preset; there are "), "{told}");
    assert!(told.ends_with("; did you mean \"standard-webhooks\""), "{told}");
    assert!(!mistake("name = \"a\"\npreset = \"???\"").contains("did you mean"));
}

#[test]
fn what_a_preset_lacks_is_told_with_its_mend() {
    for (table, told) in [
        ("preset = \"github\"", "keys: is missing; give the secret of the webhook's form: keys = [\"env:NAME\"]"),
        (
            "preset = \"path\"",
            "path: is missing; with this preset the path is all that keeps strangers out; make one with: openssl rand -hex 16",
        ),
        (
            "preset = \"header\"\nvalue = \"x\"",
            "header: is missing; give the name of the header, such as \"x-webhook-token\"",
        ),
        (
            "preset = \"basic\"\nuser = \"x\"",
            "password: is missing; give the password the sender sends, or a list of them",
        ),
        (
            "preset = \"meta\"\nkeys = \"x\"",
            "verify-token: is missing; give the token you type into Meta's form, a long one",
        ),
        (
            "preset = \"custom\"\nkeys = \"x\"",
            "verify: is missing; the preset custom needs a [source.verify] table that says how the sender signs",
        ),
        ("preset = \"github\"\nkeys = []", "keys: keys: 0 keys were given, from 1 to 8 can be in use at once"),
        ("preset = \"github\"\nkeys = \"\"", "keys: key 1: is empty; give the secret as the sender shows it"),
        ("keys = [\"env:KEY\", \"env:NONE\"]", "keys: env:NONE is not set"),
        (
            "keys = \"whsec_MfKQ\"",
            "keys: key 1: a signing secret is `whsec_` and base64 of 24 to 64 random bytes; this one holds 3 bytes",
        ),
    ] {
        assert_eq!(mistake(&format!("name = \"a\"\n{table}")), format!("source \"a\", {told}"));
    }
}

#[test]
fn what_does_not_belong_to_a_preset_is_refused() {
    let secret_path = format!("path = \"{PATH}\"");
    for (table, told) in [
        (
            format!("preset = \"tagmango\"\nkeys = \"x\"\n{secret_path}"),
            "keys: the preset tagmango has no keys: leave them out",
        ),
        (
            format!("preset = \"path\"\nkeys = \"x\"\n{secret_path}"),
            "keys: the preset path has no keys: leave them out; the path",
        ),
        (format!("preset = \"tagmango\"\nheader = \"x-a\"\n{secret_path}"), "header: needs a value"),
        ("preset = \"github\"\nkeys = \"x\"\nuser = \"x\"".to_owned(), "user: is unknown here"),
        (
            "preset = \"github\"\nkeys = \"x\"\n[source.verify]\nheader = \"x\"".to_owned(),
            "verify: stands beside the preset github",
        ),
        ("keys = \"env:KEY\"\nbody_max = 5".to_owned(), "body_max: is unknown here; did you mean \"body-max\""),
        ("keys = \"env:KEY\"\nrate = \"fast\"".to_owned(), "rate: is no rate; write it such as \"100/s\""),
        ("keys = \"env:KEY\"\nevent = \"a b\"".to_owned(), "event: is no name of an event"),
        ("keys = \"env:KEY\"\npath = \"a/b\"".to_owned(), "path: may have letters"),
        (
            "preset = \"path\"\npath = \"shop\"".to_owned(),
            "path: is all that keeps strangers out with this preset, and has less than 20",
        ),
    ] {
        let found = mistakes(&format!("name = \"a\"\n{table}"));
        assert!(found.iter().any(|mistake| mistake.contains(&format!("source \"a\", {told}"))), "{told}: {found:?}");
    }
}

#[test]
fn a_declaration_is_corrected_key_by_key() {
    for (table, told) in [
        ("algorithm = \"md5\"", "algorithm: \"md5\" is none; there are hmac-sha256, hmac-sha1, sha256, ed25519, token"),
        ("encoding = \"HEX\"", "encoding: \"HEX\" is none; there are hex, base64, base64url"),
        ("content = \"{boby}\"", "content: has {boby}; known are"),
        ("content = \"{timestamp}.{body}\"", "content: has {timestamp}; say where it stands"),
        ("tolerance = \"5m\"", "tolerance: means nothing without timestamp-header"),
        ("timestamp-header = \"x-t\"", "content: has no {timestamp}, so anybody could change the time"),
        ("timestamp-header = \"x-t\"\ntimestamp-parameter = \"t=\"", "timestamp-parameter: stands beside"),
        (
            "timestamp-header = \"x-t\"\ntolerance = \"2d\"\ncontent = \"{timestamp}{body}\"",
            "tolerance: give 1s to 24h",
        ),
        ("id-header = \"x-i\"\nid-pointer = \"/i\"", "id-pointer: stands beside"),
        ("id-pointer = \"i\"", "id-pointer: is no JSON pointer"),
        ("algorithm = \"token\"\ncontent = \"{body}\"", "content: is not signed where the header holds a token"),
        ("challenge = \"graph\"", "challenge: \"graph\" is none; there are zoom, slack and meta"),
        ("challenge = \"meta\"", "verify-token: is missing"),
        ("heder = \"x\"", "heder: is unknown here; did you mean \"header\""),
    ] {
        let declared = format!("name = \"a\"\nkeys = \"x\"\n[source.verify]\nheader = \"x-s\"\n{table}");
        let told = format!("source \"a\", verify, {told}");
        let found = mistake(&declared);
        assert!(found.starts_with(&told), "{told}: {found}");
    }
}

#[test]
fn all_mistakes_of_all_sources_are_told_at_once_with_their_lines() {
    let (sources, told) = read_file(
        "[[source]]\nname = \"a\"\nkeys = \"env:KEY\"\n\n[[source]]\nname = \"a\"\npath = \"b\"\nkeys = \"env:KEY\"\n\n\
         [[source]]\nname = \"c\"\npath = \"a\"\nkeys = \"env:KEY\"\n\n[[source]]\npreset = \"strip\"\nrate = 5\n",
    );
    assert_eq!(sources.len(), 1);
    let lines: Vec<_> = told.iter().map(|mistake| mistake.split(": ").take(2).collect::<Vec<_>>().join(": ")).collect();
    assert_eq!(
        lines,
        [
            "line 6: source \"a\", name",
            "line 12: source \"c\", path",
            "line 15: source 4, name",
            "line 16: source 4, preset",
            "line 17: source 4, rate"
        ]
    );
}
