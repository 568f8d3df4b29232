//! Who calls: the account whose API key came with the request. Nothing is read or done before it is known.

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use provider::api_key::ApiKey;
use wire::AccountId;

use crate::app::{App, AppState};
use crate::problem::Problem;

/// The account that calls; only its key makes one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
}

const API_KEY: &str = "x-api-key";

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Caller, Problem> {
        let key = key_text(&parts.headers).ok_or_else(|| {
            Problem::unauthorized("send one in the x-api-key header, or in authorization as \"Bearer <key>\"")
        })?;
        Caller::of_key(app, key).await
    }
}

impl Caller {
    /// The account this key opens.
    pub(crate) async fn of_key(app: &App, key: &str) -> Result<Caller, Problem> {
        let key = ApiKey::parse(key).map_err(|error| Problem::unauthorized(&error.to_string()))?;
        let found = app.store().find_key(key.public_id()).await?;
        let opened = found.filter(|record| record.revoked_at.is_none() && key.opens(&record.key));
        let record = opened.ok_or_else(|| Problem::unauthorized("it is unknown here, or it was revoked"))?;
        Ok(Caller { account: record.account })
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
