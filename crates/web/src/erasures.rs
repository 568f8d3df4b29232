//! `/api/v1/participants`, the erasing of people: by number, or by address in the body, since what stands in a URL lands in
//! logs. And `/api/v1/erasures`: how far one is.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use store::{Act, Erase, Erasure, ErasureState, Whom};
use webinar::parse_email;
use wire::ErasureId;

use crate::app::{App, AppState};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::reply::{self, Reply, instant};
use crate::request::{JsonBody, NoQuery, QueryOf, parse_id};

/// An erasure as people see it: counts, and no word about the person.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErasureView {
    id: String,
    /// The number the person had; null where the address was on no roster.
    participant: Option<u64>,
    state: &'static str,
    memberships_ended: u64,
    retries_called_off: u64,
    inbox: InboxView,
    requested_at: String,
    finished_at: Option<String>,
    note: &'static str,
}

#[derive(Debug, Serialize)]
struct InboxView {
    messages: u64,
    searched: u64,
    emptied: u64,
}

impl From<&Erasure> for ErasureView {
    fn from(erasure: &Erasure) -> ErasureView {
        let finished_at = match erasure.state {
            ErasureState::Done { at } => Some(instant(at)),
            ErasureState::Searching | ErasureState::Sealing => None,
        };
        ErasureView {
            id: erasure.id.to_string(),
            participant: erasure.participant,
            state: state_name(erasure.state),
            memberships_ended: erasure.memberships,
            retries_called_off: erasure.retries,
            inbox: InboxView { messages: erasure.messages, searched: erasure.searched, emptied: erasure.emptied },
            requested_at: instant(erasure.requested_at),
            finished_at,
            note: note(erasure.state),
        }
    }
}

/// An erasure's state in a word.
pub fn state_name(state: ErasureState) -> &'static str {
    match state {
        ErasureState::Searching => "searching",
        ErasureState::Sealing => "sealing",
        ErasureState::Done { .. } => "done",
    }
}

/// What the state means for whoever asked.
pub fn note(state: ErasureState) -> &'static str {
    match state {
        ErasureState::Searching => {
            "off the roster, and nothing more is sent: what was on its way to a receiver at that moment may still arrive. \
             The inbox is being searched for messages that hold the address or the phone number"
        }
        ErasureState::Sealing => "all is overwritten; the database's own log of changes is being emptied",
        ErasureState::Done { .. } => {
            "done: the database names the person no more. Backups, and what receivers were sent, are not in our hands"
        }
    }
}

/// Erases the participant with this number.
pub(crate) async fn erase_participant(
    State(app): State<AppState>,
    caller: Caller,
    Path(number): Path<String>,
    QueryOf(NoQuery {}): QueryOf<NoQuery>,
) -> Reply {
    let number = parse_id(&number, "participant")?;
    erase(&app, &caller, Whom::Number(number)).await?.ok_or_else(|| Problem::not_found("participant"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Address {
    email: String,
}

/// Erases whoever has this address, on the roster or in the inbox alone.
pub(crate) async fn erase_address(
    State(app): State<AppState>,
    caller: Caller,
    JsonBody(body): JsonBody<Address>,
) -> Reply {
    let email = parse_email(&body.email).map_err(|mistake| Problem::invalid("/email", mistake.to_string()))?;
    erase(&app, &caller, Whom::Email(email)).await?.ok_or_else(|| Problem::not_found("participant"))
}

/// Shows how far an erasure is.
pub(crate) async fn show(State(app): State<AppState>, caller: Caller, Path(id): Path<String>) -> Reply {
    let found = app.store().erasure(caller.account, parse_id(&id, "erasure")?).await?;
    found.map(|erasure| reply::ok(&ErasureView::from(&erasure))).ok_or_else(|| Problem::not_found("erasure"))
}

/// 202: the person is gone from the roster, the rest is under way.
async fn erase(app: &App, caller: &Caller, whom: Whom) -> Result<Option<Response>, Problem> {
    let now = app.now();
    let id = ErasureId::from_bytes(app.id_bytes(now));
    let erased = app.noting(caller, Act::ParticipantErase, id).erase(caller.account, Erase { id, whom, now }).await?;
    Ok(erased.map(|erasure| {
        let answer = (StatusCode::ACCEPTED, reply::ok(&ErasureView::from(&erasure))).into_response();
        reply::at(answer, &format!("/api/v1/erasures/{}", erasure.id))
    }))
}
