//! What is common to all `[[handler]]` tables: the name, which messages it takes, its pace, its patience.

use std::time::Duration;

use handlers::Filter;
use receiver::{HandlerRate, HandlerRules, HandlerStart};

use super::section::Section;

/// A name is part of keys in several stores.
const NAME_CHARS_MAX: usize = 64;
const CONCURRENCY_MAX: u64 = 256;
const RETRIES_MAX: usize = 20;
const RETRY_DELAY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// More is no limit.
const RATE_ATTEMPTS_MAX: u32 = 1_000_000;
/// Each is kept as a schedule of its own.
const RATES_MAX: usize = 8;
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(15 * 60);
/// Windows longer than a day are quotas, which a restart would forget.
const RATE_WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);
const HOW_TO_RATE: &str = "write it such as \"30/s\", \"100/m\" or \"10000/5m\"";

/// The rules of a handler and its filter; `None` where something is wrong, which the section has then noted.
pub(super) fn read_rules(section: &Section<'_>) -> Option<(HandlerRules, Option<Filter>)> {
    let name = section.required_text("name", "give the handler a name, such as name = \"crm\"").filter(|name| {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let is_good = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_plain);
        if !is_good {
            section
                .refuse("name", format!("use 1 to {NAME_CHARS_MAX} of a-z, 0-9, - and _; progress is kept under it"));
        }
        is_good
    });
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    let mut rules = HandlerRules::named(name.unwrap_or("unnamed"));
    rules.sources = section.texts("sources").map(owned).unwrap_or_default();
    rules.events = section.texts("events").map(owned).unwrap_or_default();
    for event in rules.events.iter().filter(|event| !is_pattern(event)) {
        section.refuse("events", format!("{event:?} is no event; write its name, or its beginning and * at the end"));
    }
    rules.test_webhooks = section.switch("test-webhooks").unwrap_or_default();
    if let Some(concurrency) = section.number("concurrency", 1..=CONCURRENCY_MAX) {
        rules.concurrency = usize::try_from(concurrency).unwrap_or(rules.concurrency);
    }
    rules.rates = read_rates(section);
    if let Some(retry) = section.durations("retry") {
        if retry.len() > RETRIES_MAX || retry.iter().any(|delay| *delay > RETRY_DELAY_MAX) {
            section.refuse(
                "retry",
                format!("give at most {RETRIES_MAX} delays of at most 7 days, such as [\"5s\", \"5m\"]"),
            );
        }
        rules.retry = retry;
    }
    if let Some(timeout) = section.duration("timeout") {
        if !TIMEOUT.contains(&timeout) {
            section.refuse("timeout", "give 1s to 15m");
        }
        rules.timeout = timeout;
    }
    match section.text("start") {
        Some("oldest") => rules.start = HandlerStart::Oldest,
        Some("now") | None => {}
        Some(other) => section.refuse(
            "start",
            format!("is {other:?}; write \"now\", or \"oldest\" to begin with the oldest message of the inbox"),
        ),
    }
    let filter = match section.text("filter").map(Filter::parse) {
        Some(Err(error)) => {
            section.refuse("filter", error);
            return None;
        }
        Some(Ok(filter)) => Some(filter),
        None => None,
    };
    name.map(|_| (rules, filter))
}

/// A star in the midst would be taken for itself and never fit.
fn is_pattern(event: &str) -> bool {
    !event.is_empty() && !event.strip_suffix('*').unwrap_or(event).contains('*')
}

fn read_rates(section: &Section<'_>) -> Vec<HandlerRate> {
    let texts = section.texts("rate").unwrap_or_default();
    if texts.len() > RATES_MAX {
        section.refuse("rate", format!("has {} limits; give {RATES_MAX} at most", texts.len()));
    }
    let rates = texts.into_iter().filter_map(|text| {
        let rate = parse_rate(text);
        if rate.is_none() {
            section.refuse("rate", format!("{text:?} is no pace; {HOW_TO_RATE}"));
        }
        rate
    });
    rates.collect()
}

/// `30/s`, `10000/5m`: so many attempts in so much time.
fn parse_rate(text: &str) -> Option<HandlerRate> {
    let (attempts, window) = text.split_once('/')?;
    let (number, unit) = window.trim().split_at(window.trim().find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = if number.is_empty() { 1 } else { number.parse().ok()? };
    let seconds = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let per = Duration::from_secs(number.checked_mul(seconds)?);
    let attempts = attempts.trim().parse().ok().filter(|attempts| (1..=RATE_ATTEMPTS_MAX).contains(attempts))?;
    (!per.is_zero() && per <= RATE_WINDOW_MAX).then_some(HandlerRate { attempts, per })
}
