//! Which of two messages with one subject is newer.

/// Whether something newer than this message was handled: of two the one with the greater version is newer, and of two
/// with one version the one that came later. The newest itself may be handled again.
#[must_use]
pub fn is_outdated(newest_handled: Option<(u64, u64)>, version: u64, number: u64) -> bool {
    newest_handled.is_some_and(|newest| newest > (version, number))
}

#[cfg(test)]
mod tests {
    use super::is_outdated;

    #[test]
    fn an_older_version_is_outdated_even_when_it_comes_later() {
        assert!(is_outdated(Some((3, 10)), 2, 11));
        assert!(!is_outdated(Some((3, 10)), 4, 9));
    }

    #[test]
    fn without_versions_the_order_of_arrival_decides() {
        assert!(is_outdated(Some((0, 10)), 0, 9));
        assert!(!is_outdated(Some((0, 10)), 0, 11));
    }

    #[test]
    fn the_newest_may_be_handled_again_and_the_first_is_never_outdated() {
        assert!(!is_outdated(Some((3, 10)), 3, 10));
        assert!(!is_outdated(None, 0, 1));
    }
}
