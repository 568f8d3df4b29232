//! How lanes spread over nodes: how soon a node takes what is due, and how many lanes it gives back, by what it has and
//! what the others have. A heavy lane cannot be divided, so only the number of lanes decides what is given back; requests
//! in flight decide who comes first.

use std::time::Duration;

/// How much a node has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Lanes it has leased.
    pub lanes: u64,
    /// Requests it has in flight, averaged over a few beats.
    pub requests: u64,
}

/// What the deciding node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// All of it.
    pub load: Load,
    /// Lanes among it that are on their way to be given back.
    pub leaving: u64,
}

/// How soon a node takes what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eagerness {
    /// At once, up to so many lanes.
    AtOnce {
        /// Further ones wait, so that others come first.
        lanes: u64,
    },
    /// Only what has been due for so long: others come first.
    After(Duration),
}

/// As long as all nodes together have no more than these, whoever comes first takes what is due at once: most such lanes
/// end before anybody else could take one.
const FEW_LANES: u64 = 4;
/// Who has more than its share leaves a lane to others for this long. Each looks once a second.
pub const OTHERS_FIRST: Duration = Duration::from_secs(2);
/// Who has a share of the lanes and more than a share of the requests leaves it for this long. Together with a second
/// between two looks it is shorter than [`OTHERS_FIRST`].
pub const LIGHTER_FIRST: Duration = Duration::from_millis(750);
/// Requests in flight beyond the mean and a quarter that make no difference.
const REQUESTS_SLACK: u64 = 32;
/// Beats in a row at which a node has too many lanes before it gives some back: short bursts end by themselves, and what
/// others have taken since is known by then.
const BEATS_ABOVE: u32 = 2;
/// Beats for which a node that gave lanes back takes less than an even part at once.
const BEATS_MODEST: u32 = 30;
/// Lanes given back at one beat.
pub const GIVEN_BACK_MAX: u64 = 64;

/// What one node knows and remembers of how lanes are spread.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    others: Vec<Load>,
    beats_above: u32,
    /// Beats for which it takes less than an even part at once.
    modest_for: u32,
}

impl Spread {
    /// Nobody else is there, as far as is known.
    pub fn forget_others(&mut self) {
        self.others.clear();
    }

    /// Takes in what the others have; how many lanes are to be given back now.
    pub fn beat(&mut self, own: Own, others: Vec<Load>) -> u64 {
        self.others = others;
        self.modest_for = self.modest_for.saturating_sub(1);
        let kept = own.kept();
        if kept <= self.share(own, 0) {
            self.beats_above = 0;
            return 0;
        }
        self.beats_above += 1;
        if self.beats_above < BEATS_ABOVE {
            return 0;
        }
        (self.beats_above, self.modest_for) = (0, BEATS_MODEST);
        // Half of it at a time: some of the others may have taken up more since they last told.
        let excess = kept - self.even_part(own, 0);
        excess.div_ceil(2).min(GIVEN_BACK_MAX)
    }

    /// How soon this node takes what is due.
    pub fn eagerness(&self, own: Own) -> Eagerness {
        if self.others.is_empty() {
            return Eagerness::AtOnce { lanes: u64::MAX };
        }
        let kept = own.kept();
        let is_fair = |more: &u64| kept + more <= self.eager_for(own, *more);
        // Taking one more lane raises the share by less than one, so there is an end.
        match (1..).take_while(is_fair).last() {
            None => Eagerness::After(OTHERS_FIRST),
            Some(_) if self.is_heavy(own) => Eagerness::After(LIGHTER_FIRST),
            Some(lanes) => Eagerness::AtOnce { lanes },
        }
    }

    /// Lanes that a node takes at once, among them so many it does not have yet.
    fn eager_for(&self, own: Own, more: u64) -> u64 {
        let total = self.total(own) + more;
        match self.modest_for {
            0 if total <= FEW_LANES => FEW_LANES,
            0 => self.share(own, more),
            // What it has just given back must find others first.
            _ => total / self.nodes(),
        }
    }

    fn nodes(&self) -> u64 {
        self.others.len() as u64 + 1
    }

    fn total(&self, own: Own) -> u64 {
        self.others.iter().map(|other| other.lanes).sum::<u64>() + own.load.lanes
    }

    fn even_part(&self, own: Own, more: u64) -> u64 {
        (self.total(own) + more).div_ceil(self.nodes())
    }

    /// Lanes that a node may keep once it has taken so many more: an even part, rounded up, or a quarter more than that.
    /// Nothing moves as long as nobody has more, so lanes do not wander.
    fn share(&self, own: Own, more: u64) -> u64 {
        let with_a_quarter = (self.total(own) + more) * 5 / (self.nodes() * 4);
        self.even_part(own, more).max(with_a_quarter)
    }

    /// It has its even part of the lanes, and clearly more than its part of the requests.
    fn is_heavy(&self, own: Own) -> bool {
        let nodes = self.nodes();
        let requests = self.others.iter().map(|other| other.requests).sum::<u64>() + own.load.requests;
        let has_lanes = own.kept() * nodes >= self.total(own);
        has_lanes && own.load.requests > requests * 5 / (nodes * 4) + REQUESTS_SLACK
    }
}

impl Own {
    /// Lanes that are not on their way to others.
    fn kept(self) -> u64 {
        self.load.lanes.saturating_sub(self.leaving)
    }
}

#[cfg(test)]
mod tests;
