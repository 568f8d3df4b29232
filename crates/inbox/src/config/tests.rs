//! Settings of single handlers: what is taken, and what each mistake is told as.

mod calls;
mod common;
mod examples;

use handlers::Templates;
use toml::de::DeTable;

use super::section::{Report, Section};

/// Reads one table with `read` and gives its result and every mistake.
fn read_with<T>(text: &str, read: impl Fn(&Section<'_>, &Templates) -> Option<T>) -> Result<T, Vec<String>> {
    let secrets = |name: &str| match name {
        "env:TOKEN" => Ok("s3cret".to_owned()),
        "env:URL" => Ok("https://hooks.slack.com/services/T0/B0/s3cret".to_owned()),
        "env:WHSEC" => Ok("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        "env:BROKEN" => Ok("a\nb".to_owned()),
        _ => Err(format!("{name} is not set; set it before the start")),
    };
    let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let report = Report::new(text, &secrets);
    let section = Section::new(table.get_ref(), 0..0, "handler \"x\"".to_owned(), &report);
    let settings = read(&section, &Templates::default());
    section.refuse_the_rest();
    let mistakes: Vec<String> = report.finish().iter().map(ToString::to_string).collect();
    assert!(settings.is_some() || !mistakes.is_empty(), "{text} fails in silence");
    match settings {
        Some(settings) if mistakes.is_empty() => Ok(settings),
        _ => Err(mistakes),
    }
}
