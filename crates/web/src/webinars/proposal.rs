//! A version to be: parsed, compared with the last one, its announcement rendered. Saving it is one call of the store.

use jiff::Timestamp;
use jiff::civil::DateTime;
use store::{Act, Ending, LateRegistration, NewEvent, NewMember, SaveSeries, SeriesRecord};
use webinar::{
    EventType, FieldError, MangoId, OverrideDraft, Series, SeriesDraft, SeriesId, SeriesPart, Session, Trigger,
};
use wire::{AccountId, EventId};

use super::rules;
use super::view::{SavedView, wall_time};
use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;

/// A version that may be saved.
pub(crate) struct Proposal {
    pub(super) series: Series,
    /// The version it is made from; `None` for the first.
    pub(super) last: Option<Series>,
    pub(super) from_version: u32,
    pub(super) event: EventType,
    pub(super) part: SeriesPart,
    ending: Ending,
}

/// What a proposal is made of.
struct Plan {
    id: SeriesId,
    draft: SeriesDraft,
    last: Option<Series>,
    from_version: u32,
    ending: Ending,
}

impl Proposal {
    pub(super) async fn of_first(
        app: &App,
        account: AccountId,
        id: SeriesId,
        draft: SeriesDraft,
    ) -> Result<Proposal, Problem> {
        let plan = Plan { id, draft, last: None, from_version: 0, ending: Ending::GoesOn };
        Proposal::of(app, account, plan).await
    }

    pub(super) async fn of_next(
        app: &App,
        account: AccountId,
        record: &SeriesRecord,
        draft: SeriesDraft,
    ) -> Result<Proposal, Problem> {
        let stored = parse_stored(app, record)?;
        // Compared is with what people were told: rules may have changed since.
        let announced = rules::announced(app, account, record).await?;
        let last = Some(announced.map(|announced| stored.as_announced(&announced.sessions)).unwrap_or(stored));
        let plan = Plan { id: record.id, draft, last, from_version: record.version, ending: Ending::GoesOn };
        let proposal = Proposal::of(app, account, plan).await?;
        // Cancelled as a whole it stays, until a session takes place again.
        let goes_on = record.cancelled_at.is_none() || proposal.series.sessions().iter().any(Session::is_scheduled);
        let ending = if goes_on { Ending::GoesOn } else { Ending::Cancelled };
        Ok(Proposal { ending, ..proposal })
    }

    pub(super) async fn of_cancellation(
        app: &App,
        account: AccountId,
        record: &SeriesRecord,
    ) -> Result<Proposal, Problem> {
        let last = parse_stored(app, record)?;
        let draft = all_cancelled(&record.draft, last.sessions());
        let from_version = record.version;
        let plan = Plan { id: record.id, draft, last: Some(last), from_version, ending: Ending::Cancelled };
        Proposal::of(app, account, plan).await
    }

    async fn of(app: &App, account: AccountId, plan: Plan) -> Result<Proposal, Problem> {
        let series = Series::parse(plan.id, plan.draft, &app.context.zones)?;
        let names = mango_names(app, account, series.mangoes(), "/mangoes").await?;
        mango_names(app, account, series.excluded_mangoes(), "/excludeMangoes").await?;
        let part = SeriesPart::render(series.sessions(), &names);
        let event = EventType::announcing(&series);
        let Plan { last, from_version, ending, .. } = plan;
        Ok(Proposal { series, last, from_version, event, part, ending })
    }

    /// The instant at which attendees' offsets are taken: the first session's, or `now` where none takes place.
    pub(super) fn attendee_instant(&self, now: Timestamp) -> Timestamp {
        self.part.attendee_instant().unwrap_or(now)
    }

    pub(super) fn trigger(&self) -> Trigger {
        if self.last.is_none() { Trigger::Created } else { Trigger::Updated }
    }

    /// A stored version as it is, to be announced to those who come late. For them it is the first they hear of it.
    pub(crate) async fn of_stored(app: &App, account: AccountId, record: &SeriesRecord) -> Result<Proposal, Problem> {
        let (ending, from_version) = (Ending::GoesOn, record.version);
        let plan = Plan { id: record.id, draft: record.draft.clone(), last: None, from_version, ending };
        Proposal::of(app, account, plan).await
    }

    /// The announcement.
    fn new_event(&self, app: &App, now: Timestamp) -> NewEvent {
        NewEvent {
            id: EventId::from_bytes(app.id_bytes(now)),
            event: self.event,
            trigger: self.trigger(),
            attendee_instant: Some(self.attendee_instant(now)),
            series_part: self.part.as_bytes().to_vec().into(),
            tzdb_version: app.context.zones.version().to_owned(),
        }
    }

    /// The registration of people who come late to this version.
    pub(crate) fn to_late_registration(&self, app: &App, members: Vec<NewMember>) -> LateRegistration {
        let now = app.now();
        let (series, event) = (self.series.clone(), self.new_event(app, now));
        LateRegistration { series, version: self.from_version, members, event, now }
    }

    /// Saves it and announces it.
    pub(super) async fn save(self, app: &App, caller: &Caller) -> Result<SavedView, Problem> {
        let account = caller.account;
        let act = match self.ending {
            Ending::GoesOn => Act::WebinarSave,
            Ending::Cancelled => Act::WebinarCancel,
        };
        let now = app.now();
        let trigger = self.trigger();
        let event = self.new_event(app, now);
        let event_id = event.id;
        let series = self.series.clone();
        let save = SaveSeries { series, from_version: self.from_version, ending: self.ending, event, now };
        let saved = app.noting(caller, act, self.series.id()).save_series(account, save).await?;
        app.context.lanes_hint.notify_one();
        tracing::info!(
            %account, series = %self.series.id(), version = saved.version, event = %event_id,
            fan_outs = saved.fan_outs.len(), "a series was saved"
        );
        Ok(SavedView::of(&self.series, event_id, trigger, &saved))
    }
}

/// A stored version, read again. It was read before it was stored, so a failure is ours.
pub(super) fn parse_stored(app: &App, record: &SeriesRecord) -> Result<Series, Problem> {
    Series::parse(record.id, record.draft.clone(), &app.context.zones).map_err(|error| Problem::internal(&error))
}

/// The names of these mangoes, in their order; an error at each that does not exist.
async fn mango_names(app: &App, account: AccountId, ids: &[MangoId], pointer: &str) -> Result<Vec<String>, Problem> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = app.store().mangoes_named(account, ids).await?;
    if found.len() == ids.len() {
        return Ok(found.into_iter().map(|mango| mango.name).collect());
    }
    let is_missing = |id: &MangoId| found.iter().all(|mango| mango.id != *id);
    let missing = ids.iter().enumerate().filter(|(_, id)| is_missing(id)).map(|(index, id)| FieldError {
        pointer: format!("{pointer}/{index}"),
        detail: format!("mango {id} does not exist; make it first or take it out"),
    });
    Err(Problem::invalid_fields(missing.collect()))
}

/// The draft with every session called off; what else was said of a session stays, so that it can be taken back.
fn all_cancelled(draft: &SeriesDraft, sessions: &[Session]) -> SeriesDraft {
    let mut draft = draft.clone();
    for amendment in &mut draft.overrides {
        amendment.cancelled = true;
    }
    let amended = |session: &Session| {
        let same = |text: &str| text.parse::<DateTime>().is_ok_and(|start| start == session.original_start);
        draft.overrides.iter().any(|amendment| same(&amendment.session))
    };
    let further: Vec<OverrideDraft> = sessions
        .iter()
        .filter(|session| !amended(session))
        .map(|session| OverrideDraft {
            session: wall_time(session.original_start),
            start: None,
            duration_minutes: None,
            title: None,
            link: None,
            cancelled: true,
        })
        .collect();
    draft.overrides.extend(further);
    draft
}
