//! `if-match`: a client that read a version may ask that nobody has saved another since (RFC 9110, section 13.1.1).

use http::HeaderMap;
use http::header::IF_MATCH;

use crate::problem::Problem;

/// Lets pass what has no condition or names the newest version.
pub(super) fn check(headers: &HeaderMap, version: u32) -> Result<(), Problem> {
    let mut conditions = headers.get_all(IF_MATCH).iter().peekable();
    if conditions.peek().is_none() {
        return Ok(());
    }
    let tag = format!("\"{version}\"");
    let mut tags = conditions.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if tags.any(|offered| offered.trim() == tag || offered.trim() == "*") {
        Ok(())
    } else {
        Err(Problem::precondition_failed(version))
    }
}
