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
    let is_before = |at: usize| line[..at].ends_with(|last: char| !last.is_whitespace());
    let is_address = |at: usize| goes_on(at + 1) && is_before(at) && !is_user_of_a_database(&line[..at]);
    line.match_indices('@').any(|(at, _)| is_address(at)) || SECRET_BEGINNINGS.into_iter().any(begins)
}

/// Where a database is may be told, with the user but without a password.
fn is_user_of_a_database(before: &str) -> bool {
    let user = before.rsplit_once("postgres://").map_or("", |(_, user)| user);
    !user.is_empty() && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[test]
fn addresses_and_secrets_are_recognised_and_their_names_are_not_meant() {
    for line in [
        "to ada@example.com",
        "key wh_live_k0123",
        "whsec_AAAA",
        "whsk_b64",
        "postgres://ann:word@db.example/d",
        "postgres://db.example/d of ada@example.com",
    ] {
        assert!(holds_secret(line), "{line}");
    }
    for line in [
        "",
        "give it with --key whsec_…",
        "remove the part before @",
        "a @ b",
        "a key starts with wh_live_ and has four parts",
        "postgres://ann@db.example/d",
    ] {
        assert!(!holds_secret(line), "{line}");
    }
}
