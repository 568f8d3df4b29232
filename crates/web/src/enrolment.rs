//! Membership over HTTP: people become members of a mango or are registered for a series, however many they are, in
//! constant memory; and leave again one by one.

use axum::body::BodyDataStream;
use axum::extract::{Path, Request, State};
use futures_util::StreamExt;
use store::{Enrolled, Group, NewMember, StoreError};
use tokio::time::timeout;
use webinar::{LateJoiners, SeriesId};
use wire::AccountId;

use crate::app::{App, AppState};
use crate::body::BodyError;
use crate::caller::Caller;
use crate::members::{BATCH_SIZE, ListFormat, MemberReader, MemberReport};
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::request::{NoQuery, QueryOf, media_type, parse_id, refuse_encoding};
use crate::webinars::Proposal;

/// A series that is saved again between reading it and registering for it is read again, this often.
const VERSION_RACES_MAX: usize = 5;

/// `POST /api/v1/mangoes/{id}/members`
pub(crate) async fn into_mango(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(NoQuery {}): QueryOf<NoQuery>,
    request: Request,
) -> Reply {
    let id = parse_id(&id, "mango")?;
    if app.store().mangoes_named(caller.account, &[id]).await?.is_empty() {
        return Err(Problem::not_found("mango"));
    }
    enrol(&app, caller.account, Group::Mango(id), request).await
}

/// `POST /api/v1/webinars/{id}/registrations`
pub(crate) async fn into_series(
    State(app): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    QueryOf(NoQuery {}): QueryOf<NoQuery>,
    request: Request,
) -> Reply {
    let id = parse_id(&id, "webinar")?;
    let found = app.store().series(caller.account, id).await?;
    found.ok_or_else(|| Problem::not_found("webinar"))?;
    enrol(&app, caller.account, Group::Series(id), request).await
}

/// `DELETE /api/v1/mangoes/{id}/members/{participant}`
pub(crate) async fn out_of_mango(
    State(app): State<AppState>,
    caller: Caller,
    Path((id, participant)): Path<(String, String)>,
) -> Reply {
    let group = Group::Mango(parse_id(&id, "mango")?);
    let number = parse_id(&participant, "participant")?;
    if app.store().leave(caller.account, group, number).await? {
        return Ok(reply::done());
    }
    Err(Problem::not_found("member of this mango"))
}

/// `DELETE /api/v1/webinars/{id}/registrations/{participant}`
pub(crate) async fn out_of_series(
    State(app): State<AppState>,
    caller: Caller,
    Path((id, participant)): Path<(String, String)>,
) -> Reply {
    let group = Group::Series(parse_id(&id, "webinar")?);
    let number = parse_id(&participant, "participant")?;
    if app.store().leave(caller.account, group, number).await? {
        return Ok(reply::done());
    }
    Err(Problem::not_found("registration for this webinar"))
}

async fn enrol(app: &App, account: AccountId, group: Group, request: Request) -> Reply {
    refuse_encoding(request.headers())?;
    let format = list_format(&request)?;
    let mut enrolment = Enrolment { app, account, group, batch: Vec::new(), report: MemberReport::default() };
    let mut reader = MemberReader::new(format, app.context.zones.clone());
    let mut stream = request.into_body().into_data_stream();
    loop {
        let piece = next_piece(app, &mut stream).await.map_err(|error| enrolment.broken_off(error))?;
        match &piece {
            Some(bytes) => reader.feed(bytes),
            None => reader.finish(),
        }
        while let Some(line) = reader.next_line().map_err(|error| Problem::unreadable_list(error.to_string()))? {
            match line.member {
                Ok(member) => enrolment.add(member).await?,
                Err(errors) => enrolment.report.reject(line.number, errors),
            }
        }
        if piece.is_none() {
            enrolment.commit().await?;
            return Ok(reply::ok(&enrolment.report));
        }
    }
}

fn list_format(request: &Request) -> Result<ListFormat, Problem> {
    match media_type(request.headers()).map(str::to_ascii_lowercase).as_deref() {
        Some("text/csv") => Ok(ListFormat::Csv),
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => Ok(ListFormat::Ndjson),
        _ => Err(Problem::unsupported_media_type("text/csv or application/x-ndjson")),
    }
}

/// What comes next; the list may be endless, so only each silence has a limit.
async fn next_piece(app: &App, stream: &mut BodyDataStream) -> Result<Option<bytes::Bytes>, BodyError> {
    let next = timeout(app.context.settings.limits.body_time, stream.next()).await;
    next.map_err(|_| BodyError::TooSlow)?.transpose().map_err(|_| BodyError::Broken)
}

/// A list on its way into a group.
struct Enrolment<'a> {
    app: &'a App,
    account: AccountId,
    group: Group,
    batch: Vec<NewMember>,
    report: MemberReport,
}

impl Enrolment<'_> {
    async fn add(&mut self, member: NewMember) -> Result<(), Problem> {
        self.batch.push(member);
        if self.batch.len() >= BATCH_SIZE { self.commit().await } else { Ok(()) }
    }

    async fn commit(&mut self) -> Result<(), Problem> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let enrolled = match self.group {
            Group::Mango(_) => self.app.store().enrol(self.account, self.group, batch).await?,
            Group::Series(series) => self.register(series, batch).await?,
        };
        self.report.count(enrolled);
        Ok(())
    }

    /// Registers a batch for a series; where it says so, they are told of its newest version at once.
    async fn register(&self, series: SeriesId, batch: Vec<NewMember>) -> Result<Enrolled, Problem> {
        let (app, account) = (self.app, self.account);
        for _ in 0..VERSION_RACES_MAX {
            let found = app.store().series(account, series).await?;
            let record = found.ok_or_else(|| Problem::not_found("webinar"))?;
            if record.draft.late_joiners == LateJoiners::Wait || record.cancelled_at.is_some() {
                return Ok(app.store().enrol(account, self.group, batch).await?);
            }
            let newest = Proposal::of_stored(app, account, &record).await?;
            match app.store().register_late(account, newest.to_late_registration(app, batch.clone())).await {
                Err(StoreError::VersionConflict { .. }) => {}
                registered => {
                    app.context.lanes_hint.notify_one();
                    return Ok(registered?);
                }
            }
        }
        Err(Problem::from(StoreError::Busy(0)))
    }

    /// Whole batches are kept; sending the list again does no harm, because people are known by their addresses.
    fn broken_off(&self, error: BodyError) -> Problem {
        let kept = self.report.lines - self.report.rejected;
        let problem = Problem::from(error);
        let detail = format!("{}; {kept} people were kept, send the whole list again", problem.detail);
        Problem { detail, ..problem }
    }
}
