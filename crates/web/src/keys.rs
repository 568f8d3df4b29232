//! `/api/v1/keys`: the account's API keys, by their public part. A key in clear is shown when it is made, and never
//! again.

use std::time::Duration;

use axum::extract::{Path, State};
use jiff::Timestamp;
use provider::api_key::{ApiKey, KeyState, LIFE_MAX, Lifetime, OVERLAP, OVERLAP_MAX, Scope, Scopes, after};
use serde::{Deserialize, Serialize};
use store::{Act, KeyRecord, NewKey, Replacement};
use webinar::{FieldError, MISTAKES_MAX};

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::JsonBody;

/// Good keys of one account. A key for each program and person is dozens; hundreds are a loop that forgets to revoke.
const GOOD_KEYS_MAX: usize = 200;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewKeyBody {
    scopes: Vec<String>,
    expires_in_days: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct RotationBody {
    overlap_hours: Option<u64>,
    expires_in_days: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KeyView {
    id: String,
    scopes: Vec<&'static str>,
    state: &'static str,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// To the hour or so.
    last_used_at: Option<String>,
    /// The key in clear: shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
}

#[derive(Serialize)]
struct KeyList {
    data: Vec<KeyView>,
}

impl KeyView {
    fn of(record: &KeyRecord, now: Timestamp) -> KeyView {
        let KeyRecord { key, scopes, lifetime, last_used_at, .. } = record;
        KeyView {
            id: key.public_id.clone(),
            scopes: scopes.iter().map(Scope::as_str).collect(),
            state: lifetime.state(now).as_str(),
            created_at: instant(lifetime.created_at),
            expires_at: lifetime.expires_at.map(instant),
            revoked_at: lifetime.revoked_at.map(instant),
            last_used_at: last_used_at.map(instant),
            api_key: None,
        }
    }
}

/// Lists keys, oldest first; an account has few.
pub(crate) async fn list(State(app): State<AppState>, caller: Caller) -> Reply {
    let (records, now) = (app.store().keys(caller.account).await?, app.now());
    Ok(reply::ok(&KeyList { data: records.iter().map(|record| KeyView::of(record, now)).collect() }))
}

/// Makes a further key.
pub(crate) async fn create(State(app): State<AppState>, caller: Caller, JsonBody(body): JsonBody<NewKeyBody>) -> Reply {
    let scopes = parse_scopes(&body.scopes)?;
    let now = app.now();
    let life = body.expires_in_days.map(parse_life).transpose()?;
    let records = app.store().keys(caller.account).await?;
    if records.iter().filter(|record| record.lifetime.state(now) == KeyState::Good).count() >= GOOD_KEYS_MAX {
        let detail = format!("the account has {GOOD_KEYS_MAX} good keys; revoke those that nobody uses");
        return Err(Problem::conflict("too_many_keys", detail));
    }
    let key = new_key(&app);
    let new = NewKey { key: key.to_stored(), scopes, lifetime: Lifetime::new(now, life) };
    app.noting(&caller, Act::KeyCreate, key.public_id()).add_key(caller.account, new.clone()).await?;
    Ok(shown_once(&key, &caller, new, now))
}

/// Puts a new key in the place of one, which stays good for an overlap.
pub(crate) async fn rotate(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<RotationBody>,
) -> Reply {
    let now = app.now();
    let old = find(&app, &caller, &id).await?;
    let overlap = body.overlap_hours.map(parse_overlap).transpose()?.unwrap_or(OVERLAP);
    let life = body.expires_in_days.map(parse_life).transpose()?.or(old.lifetime.life());
    let key = new_key(&app);
    let new = NewKey { key: key.to_stored(), scopes: old.scopes, lifetime: Lifetime::new(now, life) };
    let exchange = format!("{id} by {}", key.public_id());
    let by = Replacement { new: new.clone(), old_until: after(now, overlap) };
    if !app.noting(&caller, Act::KeyRotate, exchange).replace_key(caller.account, &id, by).await? {
        return Err(Problem::conflict("key_not_good", "this key opens nothing any more; make a new one instead"));
    }
    app.doors.forget(&id);
    Ok(shown_once(&key, &caller, new, now))
}

/// Ends a key at once.
pub(crate) async fn revoke(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    if id == caller.key {
        let detail =
            "this is the key you call with; make another and call with that, so that you do not lock yourself out";
        return Err(Problem::conflict("own_key", detail));
    }
    let is_revoked = app.noting(&caller, Act::KeyRevoke, &id).revoke_key(caller.account, &id, app.now()).await?;
    app.doors.forget(&id);
    if is_revoked { Ok(reply::done()) } else { Err(Problem::not_found("key that is not revoked yet")) }
}

async fn find(app: &App, caller: &Caller, id: &str) -> Result<KeyRecord, Problem> {
    let found = app.store().find_key(id).await?;
    found.filter(|record| record.account == caller.account).ok_or_else(|| Problem::not_found("key"))
}

fn new_key(app: &App) -> ApiKey {
    ApiKey::from_chance(app.context.chance.bytes(), app.context.chance.bytes())
}

fn shown_once(key: &ApiKey, caller: &Caller, new: NewKey, now: Timestamp) -> axum::response::Response {
    let NewKey { key: stored, scopes, lifetime } = new;
    let record = KeyRecord { account: caller.account, key: stored, scopes, lifetime, last_used_at: None };
    let view = KeyView { api_key: Some(key.reveal().to_owned()), ..KeyView::of(&record, now) };
    reply::created("/api/v1/keys", &view)
}

fn parse_scopes(texts: &[String]) -> Result<Scopes, Problem> {
    let mut scopes = Vec::new();
    let mut errors = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(scope) => scopes.push(scope),
            Err(_) if errors.len() >= MISTAKES_MAX => break,
            Err(error) => errors.push(FieldError { pointer: format!("/scopes/{index}"), detail: format!("{error}") }),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::invalid_fields(errors));
    }
    Scopes::of(scopes)
        .ok_or_else(|| Problem::invalid("/scopes", "is empty; say what the key may be used for, such as \"read\""))
}

fn parse_life(days: u64) -> Result<Duration, Problem> {
    within("/expiresInDays", 1, days, LIFE_MAX.as_secs() / DAY).map(|days| Duration::from_secs(days * DAY))
}

fn parse_overlap(hours: u64) -> Result<Duration, Problem> {
    within("/overlapHours", 0, hours, OVERLAP_MAX.as_secs() / HOUR).map(|hours| Duration::from_secs(hours * HOUR))
}

fn within(pointer: &str, least: u64, number: u64, most: u64) -> Result<u64, Problem> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(Problem::invalid(pointer, format!("is {number}; give {least} to {most}")))
}
