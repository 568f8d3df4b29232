//! How long the lane is surely ours. The store tells the time of a lease by its own clock; we count from the moment at
//! which we asked, by clocks of our own, and so never believe that it lasts longer than it does.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::{Clock, Lanes, Lease, StoreError, StoreResult};
use tokio::time::Instant;

use crate::trouble::Trouble;
use crate::{LEASE_FOR, RENEW_AFTER};

/// After a store could not renew a lease.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

type Renewing = Pin<Box<dyn Future<Output = StoreResult<()>> + Send>>;

/// A moment by two clocks. The one that never goes back stands still while a machine sleeps, the wall clock may be set;
/// what is over by either of them is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    instant: Instant,
    wall: Timestamp,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Moment {
        Moment { instant: Instant::now(), wall: clock.now() }
    }

    /// Whether so much time has passed until `now` on the wall clock.
    fn is_past(self, time: Duration, now: Timestamp) -> bool {
        let by_wall_ms = now.duration_since(self.wall).as_millis();
        self.instant.elapsed() >= time || by_wall_ms >= time.as_millis().cast_signed()
    }
}

/// A lease as its holder knows it.
pub(crate) struct Hold {
    lanes: Arc<dyn Lanes>,
    lease: Lease,
    /// When the store was asked for what it has confirmed last.
    confirmed: Moment,
    renewing: Option<(Moment, Renewing)>,
    tried_at: Option<Instant>,
    trouble: Trouble,
}

impl Hold {
    /// The lane was claimed by what was asked at `asked`.
    pub(crate) fn new(lanes: Arc<dyn Lanes>, lease: Lease, asked: Moment) -> Hold {
        let trouble = Trouble::with("a lease could not be renewed yet").of(lease.endpoint);
        Hold { lanes, lease, confirmed: asked, renewing: None, tried_at: None, trouble }
    }

    /// Nobody else can have the lane. Where this is doubtful, nothing new may be sent until the store has confirmed it.
    pub(crate) fn is_sure(&self, now: Timestamp) -> bool {
        !self.confirmed.is_past(LEASE_FOR, now)
    }

    /// Asks for more time, where it is time to ask.
    pub(crate) fn renew_if_due(&mut self, now: Timestamp) {
        let has_just_tried = self.tried_at.is_some_and(|tried_at| tried_at.elapsed() < AGAIN_AFTER);
        if self.renewing.is_some() || has_just_tried || !self.confirmed.is_past(RENEW_AFTER, now) {
            return;
        }
        let (lanes, lease) = (self.lanes.clone(), self.lease);
        let asked = Moment { instant: Instant::now(), wall: now };
        self.tried_at = Some(asked.instant);
        self.renewing = Some((asked, Box::pin(async move { lanes.renew(lease, now, LEASE_FOR).await })));
    }

    /// The asking itself, to be waited for.
    pub(crate) fn renewing(&mut self) -> Option<&mut Renewing> {
        self.renewing.as_mut().map(|(_, renewing)| renewing)
    }

    /// Notes the answer. An error is the end only where another has the lane: whatever else, it can be asked again, and
    /// twice does no harm.
    pub(crate) fn take_renewed(&mut self, renewed: StoreResult<()>) -> StoreResult<()> {
        let Some((asked, _)) = self.renewing.take() else { return Ok(()) };
        if let Err(StoreError::Fenced) = renewed {
            return Err(StoreError::Fenced);
        }
        if self.trouble.heed(renewed).is_some() {
            self.confirmed = asked;
        }
        Ok(())
    }
}
