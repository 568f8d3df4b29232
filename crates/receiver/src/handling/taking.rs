//! Whether a handler takes a message, as far as source and event say it.

use super::HandlerRules;

/// Whether a message of this source that says this event is the handler's. An event that nobody names is taken where the
/// handler takes all.
#[must_use]
pub fn takes(rules: &HandlerRules, source: &str, event: Option<&str>) -> bool {
    let takes_source = rules.sources.is_empty() || rules.sources.iter().any(|name| name == source);
    let takes_event = rules.events.is_empty() || rules.events.iter().any(|pattern| fits(pattern, event));
    takes_source && takes_event
}

fn fits(pattern: &str, event: Option<&str>) -> bool {
    match (pattern.strip_suffix('*'), event) {
        (Some(""), _) => true,
        (_, None) => false,
        (Some(beginning), Some(event)) => event.starts_with(beginning),
        (None, Some(event)) => event == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(sources: &[&str], events: &[&str]) -> HandlerRules {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        HandlerRules { sources: texts(sources), events: texts(events), ..HandlerRules::named("crm") }
    }

    #[test]
    fn without_lists_everything_is_taken() {
        assert!(takes(&rules(&[], &[]), "courses", Some("webinar.created.recurring")));
        assert!(takes(&rules(&[], &[]), "courses", None));
    }

    #[test]
    fn only_named_sources_are_taken() {
        let rules = rules(&["courses", "shop"], &[]);
        assert!(takes(&rules, "shop", None));
        assert!(!takes(&rules, "shops", None));
    }

    #[test]
    fn an_event_is_named_whole_or_by_its_beginning() {
        let rules = rules(&[], &["order.paid", "webinar.*"]);
        for taken in ["order.paid", "webinar.created.recurring", "webinar."] {
            assert!(takes(&rules, "courses", Some(taken)), "{taken}");
        }
        for passed_over in ["order.paid.late", "order", "webinars.created", ""] {
            assert!(!takes(&rules, "courses", Some(passed_over)), "{passed_over}");
        }
        assert!(!takes(&rules, "courses", None), "nobody knows what it is");
    }

    #[test]
    fn a_star_alone_takes_what_nobody_names() {
        assert!(takes(&rules(&[], &["*"]), "courses", None));
    }
}
