//! `/api/v1/account`: the account that calls, and how long it keeps what.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use store::{Act, Retention, RetentionError};
use wire::AccountId;

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::JsonBody;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountView {
    id: String,
    name: String,
    timezone: String,
    created_at: String,
    retention: RetentionView,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RetentionView {
    bodies_days: u16,
    log_days: u16,
    metadata_days: u16,
}

/// What to change; what is missing stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Amendment {
    retention: Option<RetentionAmendment>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RetentionAmendment {
    bodies_days: Option<u16>,
    log_days: Option<u16>,
    metadata_days: Option<u16>,
}

/// Shows the account.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller) -> Reply {
    shown(&app, caller.account).await
}

/// Changes how long it keeps what.
pub(crate) async fn amend(
    State(app): State<AppState>,
    caller: Caller,
    JsonBody(amendment): JsonBody<Amendment>,
) -> Reply {
    if let Some(wanted) = amendment.retention {
        let now = app.store().retention(caller.account).await?;
        let retention = Retention::new(
            wanted.bodies_days.unwrap_or(now.bodies_days()),
            wanted.log_days.unwrap_or(now.log_days()),
            wanted.metadata_days.unwrap_or(now.metadata_days()),
        );
        app.noting(&caller, Act::AccountRetention, caller.account)
            .set_retention(caller.account, retention.map_err(refused)?)
            .await?;
    }
    shown(&app, caller.account).await
}

async fn shown(app: &App, id: AccountId) -> Reply {
    let accounts = app.store().accounts().await?;
    let account = accounts.into_iter().find(|account| account.id == id);
    let account = account.ok_or_else(|| Problem::not_found("account"))?;
    let retention = app.store().retention(id).await?;
    Ok(reply::ok(&AccountView {
        id: id.to_string(),
        name: account.name,
        timezone: account.timezone,
        created_at: instant(account.created_at),
        retention: RetentionView {
            bodies_days: retention.bodies_days(),
            log_days: retention.log_days(),
            metadata_days: retention.metadata_days(),
        },
    }))
}

fn refused(error: RetentionError) -> Problem {
    let pointer = match error {
        RetentionError::OutOfRange { name, .. } => format!("/retention/{name}Days"),
        RetentionError::WithinDedupeWindow { .. } | RetentionError::ShorterThanLog { .. } => {
            "/retention/metadataDays".to_owned()
        }
    };
    Problem::invalid(&pointer, error.to_string())
}
