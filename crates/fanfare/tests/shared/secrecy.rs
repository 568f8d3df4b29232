//! What no log may hold. Every server that a test has started is held to it when the test is over.

/// What people's addresses and our secrets look like. Their names alone, as in a hint, are no secret.
const SECRET_BEGINNINGS: [&str; 3] = ["wh_live_", "whsec_", "whsk_"];

/// Fails where a line of a log holds an e-mail address or a secret.
pub(crate) fn check(log: &str) {
    if let Some(line) = log.lines().find(|line| holds_secret(line)) {
        panic!("a log holds a person's address or a secret: {line}");
    }
}

fn holds_secret(line: &str) -> bool {
    let goes_on = |at: usize| line[at..].starts_with(|next: char| next.is_ascii_alphanumeric());
    let begins = |mark: &str| line.match_indices(mark).any(|(at, _)| goes_on(at + mark.len()));
    let is_address = |at: usize| {
        let before = line[..at].rsplit(char::is_whitespace).next().unwrap_or_default();
        goes_on(at + 1) && !before.is_empty() && !is_role(before)
    };
    line.match_indices('@').any(|(at, _)| is_address(at)) || SECRET_BEGINNINGS.into_iter().any(begins)
}

/// Whether this is the beginning of a database's URL with its role and without a password.
fn is_role(text: &str) -> bool {
    text.rsplit_once("postgres://").is_some_and(|(_, role)| !role.contains(':'))
}

#[test]
fn addresses_and_secrets_are_recognised_and_their_names_are_not_meant() {
    for line in ["to ada@example.com", "key wh_live_k0123", "whsec_AAAA", "whsk_b64", "at postgres://ada:sesame@db/x"] {
        assert!(holds_secret(line), "{line}");
    }
    for line in [
        "",
        "give it with --key whsec_…",
        "remove the part before @",
        "a @ b",
        "database postgres://fanfare@db:5432/x",
        "a key starts with wh_live_ and has four parts",
    ] {
        assert!(!holds_secret(line), "{line}");
    }
}
