//! Looks once, at the start, for series that a newer tz database moves although they were announced: tells their owners
//! and, where the operator wants it so, announces the update. What has moved is decided in `webinar::rules`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::{
    Compared, Ending, NewEvent, NewNotice, NoticeSubject, SaveSeries, SeriesRecord, Store, StoreError, StoreResult,
    ToCompare,
};
use tokio::sync::watch;
use tokio::time::sleep;
use webinar::{EventType, NoticeKind, RuleChange, RuleUpdate, Series, SeriesPart, Trigger, Zones};
use wire::{AccountId, EventId, NoticeId};

use crate::{Context, Turn};

/// Series looked at in one turn: a bound on memory, and few enough writes at a time not to be noticed.
const PAGE_SIZE: usize = 64;
/// After a store that could not answer.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Compares announced series with the rules of now.
pub struct RuleWatcher {
    store: Arc<dyn Store>,
    context: Context,
    zones: Zones,
    /// What happens to updates.
    updates: RuleUpdate,
    stop: watch::Receiver<bool>,
    after: Option<ToCompare>,
}

impl RuleWatcher {
    /// A watcher for this process and the tz database it uses.
    pub fn new(
        store: Arc<dyn Store>,
        context: Context,
        zones: Zones,
        updates: RuleUpdate,
        stop: watch::Receiver<bool>,
    ) -> RuleWatcher {
        RuleWatcher { store, context, zones, updates, stop, after: None }
    }

    /// Runs until everything is compared or until told to stop; what is left is compared at the next start.
    pub async fn run(mut self) {
        while !*self.stop.borrow() && self.stop.has_changed().is_ok() {
            match self.turn().await {
                Ok(Turn::Worked) => {}
                Ok(Turn::Idle) => return,
                Err(error) => {
                    tracing::error!(%error, "series could not be compared with the tz database; trying again");
                    tokio::select! {
                        _ = self.stop.changed() => {}
                        () = sleep(AGAIN_AFTER) => {}
                    }
                }
            }
        }
    }

    /// One turn: a page of series. One that fails is repeated as a whole: nobody is told twice.
    pub async fn turn(&mut self) -> StoreResult<Turn> {
        let (version, now) = (self.zones.version(), self.context.clock.now());
        let page = self.store.series_to_compare(version, now, self.after, PAGE_SIZE).await?;
        let mut compared = Vec::new();
        for place in page.items {
            compared.extend(self.compare(place, now).await?);
        }
        if !compared.is_empty() {
            self.store.note_compared(version, compared).await?;
        }
        self.after = page.next;
        Ok(if self.after.is_some() { Turn::Worked } else { Turn::Idle })
    }

    /// `None` where it is not done with: the owner is to decide, or another version was announced by these rules.
    async fn compare(&self, place: ToCompare, now: Timestamp) -> StoreResult<Option<Compared>> {
        let ToCompare { account, series, .. } = place;
        let (record, announced) =
            (self.store.series(account, series).await?, self.store.announced(account, series).await?);
        let Some((record, announced)) = record.zip(announced).filter(|(one, other)| one.version == other.version)
        else {
            return Ok(None);
        };
        let compared = Some(Compared { account, series, version: record.version });
        let parsed = match Series::parse(record.id, record.draft.clone(), &self.zones) {
            Ok(parsed) => parsed,
            Err(error) => {
                tracing::warn!(%account, %series, %error, "a series cannot be read with this tz database");
                return Ok(compared);
            }
        };
        let Some(change) = RuleChange::between(&announced, &parsed, &self.zones, now) else { return Ok(compared) };
        let change = RuleChange { update: self.updates, ..change };
        self.tell(account, &change, now).await?;
        match self.updates {
            // Compared again at the next start, in case its operator wants it announced by then.
            RuleUpdate::Waiting => Ok(None),
            RuleUpdate::Announced => self.announce(account, &record, parsed, now).await.map(|()| None),
        }
    }

    /// Raises a notice, unless the last one has said the same: the process may have died just after it.
    async fn tell(&self, account: AccountId, change: &RuleChange, now: Timestamp) -> StoreResult<()> {
        let (kind, subject) = (NoticeKind::RulesChanged, NoticeSubject::Series(change.webinar));
        let last = self.store.latest_notice(account, kind, subject).await?;
        let last = last.and_then(|notice| RuleChange::from_json(&notice.details));
        if last.is_some_and(|last| change.is_told_by(&last)) {
            return Ok(());
        }
        let id = NoticeId::from_bytes(self.context.chance.id_bytes(now));
        tracing::warn!(
            %account, series = %change.webinar, sessions = change.sessions.len(), zone = change.timezone,
            from = change.announced_tzdb_version, to = change.tzdb_version, "newer rules move announced sessions"
        );
        self.store.raise_notice(account, NewNotice { id, kind, subject, details: change.to_json(), now }).await
    }

    /// Saves the same draft as a new version, so that everyone is told when its sessions are now.
    async fn announce(
        &self,
        account: AccountId,
        record: &SeriesRecord,
        series: Series,
        now: Timestamp,
    ) -> StoreResult<()> {
        let mangoes = self.store.mangoes_named(account, series.mangoes()).await?;
        let names: Vec<String> = mangoes.into_iter().map(|mango| mango.name).collect();
        let part = SeriesPart::render(series.sessions(), &names);
        let event = NewEvent {
            id: EventId::from_bytes(self.context.chance.id_bytes(now)),
            event: EventType::announcing(&series),
            trigger: Trigger::Updated,
            attendee_instant: part.attendee_instant(),
            series_part: part.as_bytes().to_vec().into(),
            tzdb_version: self.zones.version().to_owned(),
        };
        // A series with a session that moves takes place, so it is not cancelled.
        let save = SaveSeries { series, from_version: record.version, ending: Ending::GoesOn, event, now };
        match self.store.save_series(account, save).await {
            Ok(saved) => {
                self.context.hint.notify_one();
                tracing::info!(%account, series = %record.id, version = saved.version, "changed rules were announced");
                Ok(())
            }
            // Somebody has announced a version of his own meanwhile.
            Err(StoreError::VersionConflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
