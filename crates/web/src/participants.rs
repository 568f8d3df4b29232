//! `/api/v1/participants`: single people.

use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::app::AppState;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::request::parse_id;

#[derive(Serialize)]
struct ParticipantView {
    number: u64,
    name: String,
    email: String,
    phone: Option<String>,
    timezone: Option<String>,
    /// Further columns of the list the person came with.
    attributes: Option<Box<RawValue>>,
}

/// Shows one person.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(number): Path<String>) -> Reply {
    let number: u64 = parse_id(&number, "participant")?;
    let found = app.store().participant(caller.account, number).await?;
    let record = found.ok_or_else(|| Problem::not_found("participant"))?;
    Ok(reply::ok(&ParticipantView {
        number: record.number,
        name: record.participant.name,
        email: record.participant.email,
        phone: record.participant.phone.map(|phone| phone.to_string()),
        timezone: record.participant.timezone.map(|zone| zone.to_string()),
        attributes: record.attributes.and_then(|json| RawValue::from_string(json).ok()),
    }))
}
