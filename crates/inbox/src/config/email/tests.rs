use handlers::{EmailSettings, MailTls, Templates};
use toml::de::DeTable;

use super::super::section::{Report, Section};

/// The settings, or every mistake.
fn read(text: &str) -> Result<EmailSettings, Vec<String>> {
    let secrets = |name: &str| match name {
        "env:MAIL_SERVER" => Ok("smtp://me:s3cret@mail.example:587\n".to_owned()),
        "file:mail.txt" => Ok("Hello {{ mail.name }}".to_owned()),
        _ => Err(format!("{name} is not set")),
    };
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let report = Report::new(text, &secrets);
    let section = Section::new(table.get_ref(), 0..0, "handler \"mails\"".to_owned(), &report);
    let settings = super::read(&section, &Templates::default());
    section.refuse_the_rest();
    let mistakes: Vec<String> = report.finish().iter().map(ToString::to_string).collect();
    assert!(settings.is_some() || !mistakes.is_empty(), "{text} fails in silence");
    settings.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

#[track_caller]
fn refuses(text: &str, said: &[&str]) {
    let mistakes = read(text).expect_err(text);
    assert_eq!(mistakes.len(), said.len(), "{mistakes:?}");
    for (mistake, said) in mistakes.iter().zip(said) {
        assert!(mistake.contains(said), "{mistake:?} should say {said:?}");
        assert!(!mistake.contains("s3cret"), "{mistake}");
    }
}

const LEAST: &str = "server = \"env:MAIL_SERVER\"\nfrom = \"School <hello@school.example>\"\n";

#[test]
fn a_server_and_a_sender_are_enough() {
    let settings = read(LEAST).unwrap();
    assert_eq!(settings.tls, MailTls::Required);
    assert!(settings.invite && !settings.insecure);
}

#[test]
fn everything_can_be_set() {
    let settings = read(
        r#"
        server = "smtp://localhost:2525"
        tls = "none"
        patience = "30s"
        from = "hello@school.example"
        reply-to = "help@school.example"
        bcc = "archive@school.example"
        to = "{{ body.contact }}"
        subject = "{{ mail.title }}"
        text = "file:mail.txt"
        html = "<p>{{ mail.title }}</p>"
        date-format = "%-d %B"
        language = "{{ body.lang }}"
        invite = false
        calendar = "dates"
        [languages.hi]
        text = "नमस्ते"
        days = ["सोम", "मंगल", "बुध", "गुरु", "शुक्र", "शनि", "रवि"]
        "#,
    )
    .unwrap();
    assert_eq!(settings.tls, MailTls::None);
    assert_eq!(settings.calendar.as_deref(), Some("dates"));
    assert!(settings.bcc.is_some() && settings.reply_to.is_some() && !settings.invite);
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_mend() {
    refuses("", &["server: is missing; write such as", "from: is missing; write who"]);
    refuses(
        "server = \"mail.example\"\nfrom = \"school\"\npatience = \"1h\"\nsubjet = \"x\"\n",
        &[
            "line 1: handler \"mails\", server: is no address of a mail server; write it such as",
            "line 2: handler \"mails\", from: is no e-mail address",
            "line 3: handler \"mails\", patience: write more than nothing",
            "line 4: handler \"mails\", subjet: is unknown here; did you mean \"subject\"",
        ],
    );
}

#[test]
fn a_password_never_goes_through_the_net_in_the_clear_by_oversight() {
    refuses(&format!("{LEAST}tls = \"opportunistic\""), &["insecure = true"]);
    refuses(&format!("{LEAST}tls = \"none\""), &["insecure = true"]);
    assert_eq!(read(&format!("{LEAST}tls = \"none\"\ninsecure = true")).unwrap().tls, MailTls::None);
    refuses(&format!("{LEAST}tls = \"maybe\""), &["\"required\", \"opportunistic\" or \"none\""]);
    refuses("server = \"smtps://mail.example\"\nfrom = \"a@b.example\"\ntls = \"none\"", &["leave this out"]);
    refuses("server = \"smtp://me:s3cret@mail.example/x\"\nfrom = \"a@b.example\"", &["is no address"]);
}

#[test]
fn a_text_that_cannot_be_read_is_told_with_its_line_within() {
    refuses(&format!("{LEAST}text = \"{{{{ mail.name\""), &["text: line 1"]);
    refuses(&format!("{LEAST}html = \"<p>\""), &["html: needs text beside it"]);
    refuses(&format!("{LEAST}text = \"file:other.txt\""), &["file:other.txt is not set"]);
    refuses(&format!("{LEAST}date-format = \"%!\""), &["is no format of strftime"]);
    refuses(&format!("{LEAST}months = [\"Jan\"]"), &["has 1 names; give 12, January to December"]);
}

#[test]
fn languages_that_nobody_chooses_are_a_mistake() {
    refuses(&format!("{LEAST}[languages.hi]\ntext = \"नमस्ते\""), &["languages: are never used: add language"]);
    refuses(
        &format!("{LEAST}language = \"hi\"\n[languages.hi]\ntxt = \"x\""),
        &["languages.hi, txt: is unknown here; did you mean \"text\""],
    );
    refuses(&format!("{LEAST}language = \"hi\"\nlanguages = 1"), &["languages: write each as a table of its own"]);
}
