//! Who calls: the account whose API key came with the request, where that key may do what the route needs. Nothing is
//! read or done before it is known.

mod address;
mod doors;
mod known_keys;
#[cfg(test)]
mod tests;
mod wrong_keys;

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri};
use provider::api_key::Scope;
use store::Actor;
use wire::AccountId;

use crate::app::{App, AppState};
use crate::problem::Problem;
use crate::routes::Access;
pub(crate) use address::ClientAddress;
pub(crate) use doors::Doors;

/// The account that calls; only its key makes one.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
    /// The public id of the key it calls with.
    pub(crate) key: String,
    /// Where it calls from.
    pub(crate) from: Option<IpAddr>,
}

const API_KEY: &str = "x-api-key";
/// What a key begins with, and the names it is given in URLs elsewhere.
const KEY_MARK: &str = "wh_live_";
const KEY_NAMES: [&str; 5] = ["x-api-key", "api-key", "api_key", "apikey", "access_token"];

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Caller, Problem> {
        let scope = match parts.extensions.get::<Access>() {
            Some(Access::Key(scope)) => *scope,
            Some(Access::Everyone) | None => return Err(Problem::internal(&"a route asks who calls and needs no key")),
        };
        if has_key_in_url(&parts.uri) {
            return Err(Problem::key_in_url());
        }
        let key = key_text(&parts.headers).ok_or_else(|| {
            Problem::unauthorized("send one in the x-api-key header, or in authorization as \"Bearer <key>\"")
        })?;
        Caller::of_key(app, key, scope, ClientAddress::of(&parts.extensions)).await
    }
}

impl Caller {
    /// The account this key opens for `scope`.
    pub(crate) async fn of_key(app: &App, key: &str, scope: Scope, from: Option<IpAddr>) -> Result<Caller, Problem> {
        let record = app.doors.open(app.store(), key, from, app.now()).await?;
        if !record.scopes.allow(scope) {
            return Err(Problem::scope_missing(scope));
        }
        Ok(Caller { account: record.account, key: record.key.public_id, from })
    }

    /// The caller, as the audit log names it.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Key(self.key.clone())
    }
}

fn key_text(headers: &HeaderMap) -> Option<&str> {
    let text = |value: &HeaderValue| value.to_str().is_ok();
    if let Some(value) = headers.get(API_KEY).filter(|value| text(value)) {
        return value.to_str().ok().map(str::trim);
    }
    let (scheme, key) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// Whether a key stands in the query. URLs end up in histories and in logs, ours or those of a proxy, so a key in one
/// is refused even beside a good one: it is to be noticed.
fn has_key_in_url(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default().replace("%5F", "_").replace("%5f", "_");
    let is_key_name = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default();
        KEY_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    query.contains(KEY_MARK) || query.split('&').any(is_key_name)
}
