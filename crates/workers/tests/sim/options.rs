//! What kind of world a seed makes, and what is done to it when.

use crate::chance::Dice;
use crate::receiver::Temper;

/// Everything that is decided before a run begins.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) people: usize,
    pub(crate) mangoes: usize,
    pub(crate) series: usize,
    pub(crate) endpoints: Vec<EndpointOptions>,
    pub(crate) nodes: usize,
    pub(crate) window: u32,
    pub(crate) store: StoreFaults,
    /// Nothing but what receivers do goes wrong, so promises about time can be held to it.
    pub(crate) is_calm: bool,
    /// In order of time.
    pub(crate) acts: Vec<Planned>,
    pub(crate) fault_phase_ms: u64,
    /// At the end lanes get work for minutes, and must spread over the nodes.
    pub(crate) ends_spread: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct EndpointOptions {
    pub(crate) temper: Temper,
    /// Of which series only.
    pub(crate) filter: Option<usize>,
    /// Every so-manieth person is refused, whatever happens.
    pub(crate) refuses_for_ever_one_in: u64,
    pub(crate) latency_ms_max: u64,
}

/// How often and how a store fails; 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StoreFaults {
    pub(crate) delay_ms_max: u64,
    pub(crate) busy_one_in: u64,
    pub(crate) unwritable_one_in: u64,
    pub(crate) broken_one_in: u64,
    pub(crate) lost_one_in: u64,
    pub(crate) unconfirmed_one_in: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) at_ms: u64,
    pub(crate) act: Act,
}

/// Something that people, machines or the world do.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Save { series: usize },
    Register { series: usize, people: usize },
    Join { mango: usize, people: usize },
    Leave { mango: usize },
    Correct,
    Subscribe { endpoint: usize, filter: Option<usize> },
    Unsubscribe { endpoint: usize },
    Pause { endpoint: usize },
    Resume { endpoint: usize },
    Crash { node: usize },
    Stop { node: usize, drain_ms: u64 },
    Start { node: usize },
    Freeze { node: usize, for_ms: u64 },
    CutOff { node: usize, for_ms: u64 },
    StepClock { node: usize, by_ms: i64 },
    SleepMachine { for_ms: u64 },
    StoreSpell { faults: StoreFaults, for_ms: u64 },
    ReceiverSpell { endpoint: usize, temper: Temper, for_ms: u64 },
}

/// The longest that the world is troubled for before it is healed.
const FAULT_PHASE_MS: [u64; 4] = [5_000, 30_000, 90_000, 240_000];
/// One run in so many has nothing go wrong but receivers.
const CALM_ONE_IN: u64 = 6;
/// One run in so many has a large audience, which takes as long as twenty others.
const CROWD_ONE_IN: u64 = 200;
/// One run in so many ends with a look at how lanes are spread.
const SPREAD_ONE_IN: u64 = 6;
/// What a clock may be stepped by, in milliseconds: less and more than a lease, forward and back.
const STEPS_MS: [i64; 8] = [-3_600_000, -60_000, -1_500, 1_500, 20_000, 60_000, 3_600_000, 300_000];

impl Options {
    pub(crate) fn of_seed(seed: u64) -> Options {
        let mut dice = Dice::new(seed ^ 0x5eed_0000_0000_0001);
        let series = dice.between(1, 2) as usize;
        let endpoints = dice.between(2, 4);
        let mut options = Options {
            people: dice.pick(&[3, 8, 16, 40]) - dice.below(3) as usize,
            mangoes: dice.between(1, 2) as usize,
            series,
            endpoints: (0..endpoints).map(|_| EndpointOptions::draw(&mut dice, series)).collect(),
            nodes: dice.between(1, 3) as usize,
            window: dice.pick(&[1, 2, 4, 16]),
            store: StoreFaults::default(),
            is_calm: dice.one_in(CALM_ONE_IN),
            acts: Vec::new(),
            fault_phase_ms: dice.pick(&FAULT_PHASE_MS),
            ends_spread: dice.one_in(SPREAD_ONE_IN),
        };
        if dice.one_in(CROWD_ONE_IN) {
            options.gather_crowd(&mut dice);
        }
        if !options.is_calm && dice.one_in(2) {
            options.store = StoreFaults::draw(&mut dice);
        }
        options.acts = options.draw_acts(&mut dice);
        options
    }

    /// More people than one page holds, and receivers quick enough for them.
    fn gather_crowd(&mut self, dice: &mut Dice) {
        self.people = dice.between(520, 600) as usize;
        self.window = 16;
        self.endpoints.truncate(2);
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.latency_ms_max = endpoint.latency_ms_max.min(20));
    }

    /// The store never fails and answers at once.
    pub(crate) fn is_store_sound(&self) -> bool {
        let troubles = |act: &Act| matches!(act, Act::StoreSpell { .. } | Act::Freeze { .. } | Act::CutOff { .. });
        self.store == StoreFaults::default() && !self.acts.iter().any(|planned| troubles(&planned.act))
    }

    /// Leases run on the store's clock, as where several nodes share it.
    pub(crate) fn has_own_clock(&self) -> bool {
        self.nodes > 1
    }

    fn draw_acts(&self, dice: &mut Dice) -> Vec<Planned> {
        // The first version is there from the start, so that every act finds work under way.
        let mut acts = vec![Planned { at_ms: 0, act: Act::Save { series: 0 } }];
        for _ in 0..dice.between(0, 4) {
            let act = Act::Save { series: dice.index(self.series) };
            acts.push(Planned { at_ms: self.moment(dice), act });
        }
        if dice.one_in(20) {
            // All at once: more than a lane opens at a time.
            let at_ms = self.moment(dice);
            acts.extend((0..6).map(|_| Planned { at_ms, act: Act::Save { series: 0 } }));
        }
        for _ in 0..dice.between(0, 3) {
            let act = self.draw_change(dice);
            acts.push(Planned { at_ms: self.moment(dice), act });
        }
        for _ in 0..dice.between(0, 3) {
            let spell = Act::ReceiverSpell {
                endpoint: dice.index(self.endpoints.len()),
                temper: Temper::draw_bad(dice),
                for_ms: dice.between(1_000, 60_000),
            };
            acts.push(Planned { at_ms: self.moment(dice), act: spell });
        }
        if !self.is_calm {
            for _ in 0..dice.between(1, 4) {
                self.draw_trouble(dice, &mut acts);
            }
        }
        acts.sort_by_key(|planned| planned.at_ms);
        acts
    }

    /// Half of all happens in the first two seconds, while everything is on its way.
    fn moment(&self, dice: &mut Dice) -> u64 {
        let end = dice.pick(&[300, 2_000, self.fault_phase_ms, self.fault_phase_ms]);
        dice.below(end)
    }

    fn draw_change(&self, dice: &mut Dice) -> Act {
        let (mango, endpoint) = (dice.index(self.mangoes), dice.index(self.endpoints.len()));
        let series = dice.index(self.series);
        let people = dice.between(1, 3) as usize;
        match dice.below(7) {
            0 | 1 => Act::Register { series, people },
            2 => Act::Join { mango, people },
            3 => Act::Leave { mango },
            4 => Act::Correct,
            5 => Act::Subscribe { endpoint, filter: dice.one_in(2).then_some(series) },
            _ => Act::Unsubscribe { endpoint },
        }
    }

    fn draw_trouble(&self, dice: &mut Dice, acts: &mut Vec<Planned>) {
        let at_ms = self.moment(dice);
        let (node, endpoint) = (dice.index(self.nodes), dice.index(self.endpoints.len()));
        let later_ms = at_ms + dice.pick(&[1, 100, 5_000, 40_000]);
        let mut plan = |at_ms, act| acts.push(Planned { at_ms, act });
        match dice.below(11) {
            0..=2 => {
                plan(at_ms, Act::Crash { node });
                plan(later_ms, Act::Start { node });
            }
            3 => {
                plan(at_ms, Act::Stop { node, drain_ms: dice.pick(&[50, 35_000]) });
                plan(later_ms, Act::Start { node });
            }
            4 => plan(at_ms, Act::StepClock { node, by_ms: dice.pick(&STEPS_MS) }),
            5 => plan(at_ms, Act::SleepMachine { for_ms: dice.pick(&[20_000, 90_000, 28_800_000]) }),
            6 | 7 => plan(
                at_ms,
                Act::StoreSpell { faults: StoreFaults::draw(dice), for_ms: dice.pick(&[500, 5_000, 45_000]) },
            ),
            8 => plan(at_ms, Act::Freeze { node, for_ms: dice.pick(&[1_000, 12_000, 17_000, 60_000]) }),
            9 => plan(at_ms, Act::CutOff { node, for_ms: dice.pick(&[500, 8_000, 20_000, 60_000]) }),
            _ => {
                plan(at_ms, Act::Pause { endpoint });
                plan(later_ms, Act::Resume { endpoint });
            }
        }
    }
}

impl EndpointOptions {
    fn draw(dice: &mut Dice, series: usize) -> EndpointOptions {
        EndpointOptions {
            temper: if dice.one_in(2) { Temper::Fine } else { Temper::draw_bad(dice) },
            filter: dice.one_in(5).then(|| dice.index(series)),
            refuses_for_ever_one_in: if dice.one_in(8) { dice.between(3, 9) } else { 0 },
            latency_ms_max: dice.pick(&[1, 20, 200, 3_000]),
        }
    }
}

impl StoreFaults {
    fn draw(dice: &mut Dice) -> StoreFaults {
        let mut faults = StoreFaults { delay_ms_max: dice.pick(&[0, 3, 80, 2_000]), ..StoreFaults::default() };
        let often = dice.pick(&[2, 8, 40]);
        match dice.below(8) {
            0 => faults.busy_one_in = often,
            1 => faults.unwritable_one_in = often,
            2 => faults.broken_one_in = often,
            3 => faults.lost_one_in = often,
            4 => faults.delay_ms_max = dice.pick(&[2_000, 25_000, 70_000]),
            5 | 6 => faults.unconfirmed_one_in = often,
            _ => {
                faults.busy_one_in = often * 3;
                faults.broken_one_in = often * 3;
                faults.lost_one_in = often * 3;
                faults.unconfirmed_one_in = often * 3;
            }
        }
        faults
    }
}
