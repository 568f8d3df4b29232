//! What must have happened at least once in enough runs: without these a green run might have been a calm one.

macro_rules! sometimes {
    ($($name:ident = $words:literal,)*) => {
        /// Something worth seeing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Sometimes { $($name,)* }

        impl Sometimes {
            pub(crate) const ALL: &[(Sometimes, &str)] = &[$((Sometimes::$name, $words),)*];
        }
    };
}

sometimes! {
    Crashed = "a process died",
    CrashedInFlight = "a process died with requests in flight",
    CommittedUnheard = "outcomes were committed, and their process died before it knew",
    WriteLostInCrash = "a write was lost with the process that asked for it",
    Stopped = "a process was stopped and drained",
    StoppedShort = "a process had to stop before its requests had ended",
    TwoNodes = "two processes worked on one store",
    ThreeNodes = "three processes worked on one store",
    Froze = "a process stood still",
    FrozeForLong = "a process stood still for longer than a lease",
    CutOff = "a process could not reach the store",
    LateWrite = "what was sent to a store out of reach got there later",
    LateRenewal = "a lease was renewed after its time",
    SpreadLooked = "lanes had the time to spread over the nodes",
    GivenBack = "a lane with work was given back for another node",
    TakenOver = "a lane was taken from an owner that still lived",
    FencedSettle = "a stale owner's outcomes were refused",
    FencedRead = "a stale owner's question was refused",
    FencedRenew = "a stale owner's renewal was refused",
    ClaimUnheard = "a lane was leased, and nobody was told",
    BusySettle = "the store was too busy for outcomes",
    UnwritableSettle = "the disk was full for outcomes",
    BrokenSettle = "a commit failed",
    LostSettle = "a commit succeeded, and its answer was lost",
    UnconfirmedSettle = "a commit was made or on its way, and nobody said so",
    UnconfirmedLoss = "a commit was not made, and nobody said so",
    BrokenRead = "a query failed",
    SlowStore = "the store took longer than a second",
    ClockForward = "a clock went forward by more than a lease",
    ClockBack = "a clock went back",
    MachineSlept = "the machine slept",
    ResumedBeyond = "an owner found people finished beyond the cursor",
    Refused = "a receiver refused one person",
    Abandoned = "a delivery was given up",
    Failed = "a receiver failed",
    Throttled = "a receiver asked for fewer requests",
    OddRetryAfter = "a Retry-After made no sense",
    Gone = "a receiver was gone",
    GoneForgiven = "an owner resumed an endpoint that had been gone",
    TimedOut = "a receiver did not answer in time",
    ResetBefore = "a connection broke before the receiver had acted",
    ResetAfter = "a connection broke after the receiver had acted",
    Unreachable = "a receiver could not be reached",
    Redirected = "a receiver pointed elsewhere",
    Late = "a request arrived after its sender had given it up",
    Duplicate = "a receiver got a delivery twice",
    Opened = "five failures in a row closed a lane",
    Probed = "a single probe was sent",
    SlowStarted = "a lane came back by a slow start",
    Retried = "a delivery was tried again",
    PausedWithBacklog = "an endpoint was paused with work owed",
    Resumed = "a paused endpoint was resumed",
    NewVersion = "a version was saved while an older one was on its way",
    ManyFanOuts = "a lane had more fan-outs than it opens at a time",
    LateRegistrant = "a late registrant was told at once",
    LeftBeforeTold = "somebody left after the event and before being told",
    Corrected = "somebody's name was corrected after the event",
    Unsubscribed = "a subscription ended with work owed",
    Subscribed = "a subscription was made while others ran",
    Filtered = "a subscription did not match",
    Outdated = "a retry ended because a newer version had arrived",
    ManyPages = "an audience took more than one page",
    ManyRetries = "more retries were due than one query brings",
    SaveUnheard = "a save was kept, and its author was not told",
}

/// How often each of them happened.
#[derive(Clone)]
pub(crate) struct Counts(Vec<u64>);

impl Default for Counts {
    fn default() -> Counts {
        Counts(vec![0; Sometimes::ALL.len()])
    }
}

impl Counts {
    pub(crate) fn note(&mut self, what: Sometimes) {
        self.0[what as usize] += 1;
    }

    pub(crate) fn of(&self, what: Sometimes) -> u64 {
        self.0[what as usize]
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        self.0.iter_mut().zip(&other.0).for_each(|(count, more)| *count += more);
    }

    /// Those that never happened, in words.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let all = Sometimes::ALL.iter().zip(&self.0);
        all.filter(|(_, count)| **count == 0).map(|((_, words), _)| *words).collect()
    }

    /// One line for each.
    pub(crate) fn table(&self) -> String {
        let lines = Sometimes::ALL.iter().zip(&self.0).map(|((_, words), count)| format!("{count:>10}  {words}\n"));
        lines.collect()
    }
}
