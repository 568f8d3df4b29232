//! Rules of leases: one owner at a time, and none goes without a word or a reason.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use store::Lease;
use tokio::time::Instant;

use super::{Held, Oracle, Session, SessionNumber, require};

impl Oracle {
    /// A lane has been leased at what its machine took for `now`. True where it was taken from an owner that still lives.
    pub(crate) fn claimed(
        &mut self,
        lease: Lease,
        owner: u64,
        now: Timestamp,
        lease_for: Duration,
    ) -> Result<bool, String> {
        let former = self.newest.get(&lease.endpoint).map(|number| &mut self.sessions[number.0]);
        let mut is_taken_over = false;
        if let Some(former) = former {
            require(lease.epoch > former.lease.epoch, || format!("{lease:?} is no newer than {:?}", former.lease))?;
            let is_alive = !former.released && former.excuse.is_none();
            require(former.released || former.until <= now, || {
                format!("{lease:?} was taken from {:?}, whose lease lasted until {}", former.lease, former.until)
            })?;
            require(!is_alive || !self.is_calm, || format!("{lease:?} was taken over although nothing was wrong"))?;
            is_taken_over = is_alive;
            former.superseded_at = Some(Instant::now());
        }
        self.newest.insert(lease.endpoint, SessionNumber(self.sessions.len()));
        self.sessions.push(Session::new(lease, owner, now + lease_for));
        Ok(is_taken_over)
    }

    /// The time with a lane that a lease stands for.
    pub(crate) fn session_of(&self, lease: Lease) -> Option<SessionNumber> {
        let newest = *self.newest.get(&lease.endpoint)?;
        // Old owners are few and recent, so the search ends soon.
        (0..=newest.0).rev().map(SessionNumber).find(|number| self.sessions[number.0].lease == lease)
    }

    /// A lease has been renewed. True where its time was over, and nobody else had taken it.
    pub(crate) fn renewed(&mut self, lease: Lease, now: Timestamp, lease_for: Duration) -> Result<bool, String> {
        let number = self.owner(lease, "renewed")?;
        let until = std::mem::replace(&mut self.session(number).until, now + lease_for);
        Ok(until < now)
    }

    /// How many lanes each owner has, of those that are worked on now; and how many owners there have ever been.
    pub(crate) fn spread(&self) -> (Vec<usize>, usize) {
        let held = self.newest.values().map(|number| &self.sessions[number.0]);
        let held = held.filter(|session| session.is_open && !session.released && session.excuse.is_none());
        let mut of_owner = BTreeMap::<u64, usize>::new();
        held.for_each(|session| *of_owner.entry(session.owner).or_default() += 1);
        (of_owner.into_values().collect(), self.sessions.len())
    }

    /// A lane has been given back: everything that came back is on disk.
    pub(crate) fn released(&mut self, lease: Lease) -> Held {
        let number = self.owner(lease, "released")?;
        let session = self.session(number);
        require(session.in_flight.is_empty(), || format!("{lease:?} was released with requests in flight"))?;
        // Whoever does not know what became of a commit lets go, and says so.
        require(session.unsettled.is_empty() || session.excuse.is_some(), || {
            format!("{lease:?} was released and these outcomes are not on disk: {:?}", session.unsettled)
        })?;
        session.released = true;
        Ok(())
    }

    /// Something happened to an owner that may end its time at once.
    pub(crate) fn excuse(&mut self, lease: Lease, why: &'static str) {
        if let Some(number) = self.session_of(lease) {
            self.session(number).excuse.get_or_insert(why);
        }
    }

    /// A claim has failed, and whatever it leased is not known to its owner. True where there is such a lane.
    pub(crate) fn excuse_unheard(&mut self, owner: u64) -> bool {
        let unheard = |session: &&mut Session| session.owner == owner && !session.is_open && session.excuse.is_none();
        self.sessions.iter_mut().filter(unheard).map(|session| session.excuse = Some("nobody was told")).count() > 0
    }

    /// The lease of a lane's newest owner.
    pub(crate) fn newest_of(&self, lease: Lease) -> Lease {
        self.newest.get(&lease.endpoint).map_or(lease, |number| self.sessions[number.0].lease)
    }

    /// A process has ended, for whatever reason. True where requests were in flight.
    pub(crate) fn excuse_all_of(&mut self, owner: u64, why: &'static str) -> bool {
        let mut in_flight = false;
        for session in self.sessions.iter_mut().filter(|session| session.owner == owner && !session.released) {
            session.excuse.get_or_insert(why);
            in_flight |= !session.in_flight.is_empty();
        }
        in_flight
    }

    /// The time with a lane behind a write that took effect: it must be the newest owner's, and not be over.
    pub(super) fn owner(&self, lease: Lease, what: &str) -> Result<SessionNumber, String> {
        let newest = self.newest.get(&lease.endpoint).copied();
        let newest = newest.ok_or_else(|| format!("{lease:?}, which nobody leased, was {what}"))?;
        let session = &self.sessions[newest.0];
        require(session.lease == lease, || format!("{lease:?} was {what} although {:?} had begun", session.lease))?;
        require(!session.released, || format!("{lease:?} was {what} after it was given back"))?;
        Ok(newest)
    }
}

impl Session {
    fn new(lease: Lease, owner: u64, until: Timestamp) -> Session {
        Session {
            lease,
            owner,
            until,
            is_open: false,
            released: false,
            excuse: None,
            superseded_at: None,
            in_flight: Vec::new(),
            unsettled: Default::default(),
            told_paused: false,
            failures_in_row: 0,
            closed_at: None,
            rests_from: Timestamp::UNIX_EPOCH,
            probe: None,
            is_trusted: false,
            signal: 0,
            not_before: None,
            is_gone: false,
        }
    }
}
