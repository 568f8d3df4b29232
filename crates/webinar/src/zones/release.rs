//! The order of tz database releases such as `2026f`.

/// Whether a release is later than another. `false` where one of them is not named as releases are: nobody knows.
pub fn is_newer_tzdb(version: &str, than: &str) -> bool {
    release(version).zip(release(than)).is_some_and(|(one, other)| one > other)
}

/// Year and letters, in an order in which later ones are greater.
fn release(version: &str) -> Option<(u16, usize, &str)> {
    let (year, rest) = version.split_at_checked(4)?;
    let letters = &rest[..rest.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(rest.len())];
    // After `z` comes `za`: longer is later.
    (!letters.is_empty()).then_some((year.parse().ok()?, letters.len(), letters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_year_then_letters() {
        let ordered = ["1996l", "2009a", "2025b", "2026a", "2026f", "2026z", "2026za"];
        for pair in ordered.windows(2) {
            assert!(is_newer_tzdb(pair[1], pair[0]) && !is_newer_tzdb(pair[0], pair[1]), "{pair:?}");
        }
        assert!(!is_newer_tzdb("2026f-rearguard", "2026f") && !is_newer_tzdb("2026f", "2026f"));
    }

    #[test]
    fn what_is_no_release_is_neither_newer_nor_older() {
        for odd in ["", "unknown", "2999", "999b", "éé2026f"] {
            assert!(!is_newer_tzdb(odd, "2026f") && !is_newer_tzdb("2026f", odd), "{odd:?}");
        }
    }
}
