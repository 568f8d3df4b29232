//! The operations, in small numbers that point into what exists when they are played, and how they are drawn.

use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use provider::settings::{EndpointSettings, OlderVersions};
use store::{Ending, EndpointChange, Prunable, Steer};
use webinar::{EventType, NoticeKind};

/// Operations of one sequence: enough for a few series to be saved, delivered and retried.
const OPERATIONS: Range<usize> = 1..60;

/// One operation. Accounts, mangoes, series, URLs, people and senders are from small fixed sets, so that they meet.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    AddKey { account: usize },
    ReplaceKey { account: usize, nth: usize, overlap: u64 },
    UseKey { account: usize, nth: usize },
    RevokeKey { account: usize, nth: usize },
    CreateMango { account: usize, mango: usize },
    Enrol { account: usize, group: GroupPick, people: Vec<(usize, usize)> },
    Leave { account: usize, group: GroupPick, participant: u64 },
    Save { account: usize, series: usize, version: VersionPick, shape: Shape },
    Subscribe { account: usize, url: usize, filter: Option<usize>, event: EventType },
    Compare { account: usize, series: usize, version: VersionPick },
    Unsubscribe { account: usize, nth: usize },
    Switch { account: usize, nth: usize, change: EndpointChange },
    Steer { account: usize, nth: usize, endpoint: Option<usize>, steer: Steer },
    Drop { account: usize, nth: usize },
    Rotate { account: usize, nth: usize, overlap: u64 },
    RemoveExpired,
    Replay { account: usize, scope: ScopePick, is_slow: bool, outdated: bool },
    SteerReplay { account: usize, nth: usize, steer: Steer },
    Revive { deliveries: u64 },
    Claim { limit: usize },
    Renew { nth: usize },
    Release { nth: usize },
    Work { nth: usize },
    Settle { nth: usize, fan_out: usize, fates: Vec<Fate>, progress: Progress, health: Option<usize> },
    Raise { account: usize, about: Option<usize> },
    ClaimNotices { limit: usize },
    SettleNotice { nth: usize, end: NoticeEnd },
    ReadNotice { account: usize, nth: usize },
    Accept { sender: usize, id: usize, body: usize },
    Introduce { account: usize, handler: usize, is_from_now: bool },
    ClaimHandler { account: usize, handler: usize, node: u8 },
    RenewHandler { nth: usize, gives_back: bool },
    SettleRuns { nth: usize, cursor: Option<usize>, runs: Vec<RunPick> },
    OrderRuns { account: usize, handler: usize, scope: OrderPick, order: usize, limit: usize },
    KeepAgenda { account: usize, person: usize, version: u64, message: usize },
    CalendarToken { account: usize, person: usize },
    ForgetKeys,
    Erase { account: usize, whom: WhomPick },
    Search,
    Seal,
    Prune { account: usize, what: Prunable },
    Pass { seconds: u64 },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum GroupPick {
    Mango(usize),
    Series(usize),
}

/// Whom to erase; some are nobody.
#[derive(Clone, Copy, Debug)]
pub(super) enum WhomPick {
    Number(u64),
    Address(usize),
}

/// What a replay sends again, of what has been seen.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScopePick {
    Delivery { fan_out: usize, participant: u64 },
    Failed { event: Option<usize>, endpoint: Option<usize>, is_recent: bool },
    Event { nth: usize, endpoint: Option<usize> },
}

/// From which version a save was made.
#[derive(Clone, Copy, Debug)]
pub(super) enum VersionPick {
    Newest,
    Stale,
}

/// What a version of a series says; mangoes as bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) mangoes: usize,
    pub(super) excluded: usize,
    pub(super) sessions: u32,
    pub(super) ending: Ending,
}

/// What becomes of the next in the audience.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Untouched,
    Delivered,
    Retrying { attempt: u16, wait: u64 },
    Abandoned { attempt: u16 },
    Straggling,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoticeEnd {
    Delivered,
    Retrying { wait: u64 },
    Abandoned,
}

/// How a run of one of the messages ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunPick {
    pub(super) message: usize,
    pub(super) fate: RunFate,
    pub(super) generation: u32,
    pub(super) handled: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum RunFate {
    Waiting { wait: u64 },
    Done,
    Outdated,
    Parked,
}

/// What an order to a handler is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum OrderPick {
    Everything,
    Message(usize),
    Source(usize),
    Standing(usize),
    Lately(u64),
}

/// How far a settlement says the fan-out has got.
#[derive(Clone, Copy, Debug)]
pub(super) enum Progress {
    None,
    Cursor,
    Swept,
}

pub(super) fn sequences() -> impl Strategy<Value = Vec<Operation>> {
    vec(operation(), OPERATIONS)
}

fn operation() -> impl Strategy<Value = Operation> {
    let account = || 0..2_usize;
    let nth = || 0..6_usize;
    let people = vec((0..6_usize, 0..3_usize), 0..5);
    let serve = (any::<bool>(), 1..9_u32).prop_map(|(supersedes, concurrency_max)| {
        let older_versions = if supersedes { OlderVersions::Supersede } else { OlderVersions::Deliver };
        EndpointChange::Serve(EndpointSettings { rate: None, concurrency_max, older_versions })
    });
    let change = prop_oneof![2 => Just(EndpointChange::Pause), 3 => Just(EndpointChange::Resume), 1 => serve];
    let steer = prop_oneof![2 => Just(Steer::Pause), 3 => Just(Steer::Resume), 1 => Just(Steer::Cancel)];
    let steer_replay = prop_oneof![Just(Steer::Pause), Just(Steer::Resume), Just(Steer::Cancel)];
    let version = prop_oneof![5 => Just(VersionPick::Newest), 1 => Just(VersionPick::Stale)];
    let filter = prop::option::of(0..6_usize);
    let progress = prop_oneof![Just(Progress::None), Just(Progress::Cursor), Just(Progress::Swept)];
    let settled = (vec(fate(), 0..6), progress, prop::option::of(0..5_usize));
    prop_oneof![
        1 => account().prop_map(|account| Operation::AddKey { account }),
        1 => (account(), nth(), 0..60_u64)
            .prop_map(|(account, nth, overlap)| Operation::ReplaceKey { account, nth, overlap }),
        1 => (account(), nth()).prop_map(|(account, nth)| Operation::UseKey { account, nth }),
        1 => (account(), nth()).prop_map(|(account, nth)| Operation::RevokeKey { account, nth }),
        2 => (account(), 0..3_usize).prop_map(|(account, mango)| Operation::CreateMango { account, mango }),
        6 => (account(), group(), people)
            .prop_map(|(account, group, people)| Operation::Enrol { account, group, people }),
        3 => (account(), group(), 0..8_u64)
            .prop_map(|(account, group, participant)| Operation::Leave { account, group, participant }),
        6 => (account(), 0..3_usize, version, shape())
            .prop_map(|(account, series, version, shape)| Operation::Save { account, series, version, shape }),
        3 => (account(), 0..3_usize, filter, event())
            .prop_map(|(account, url, filter, event)| Operation::Subscribe { account, url, filter, event }),
        2 => (account(), 0..3_usize, prop_oneof![Just(VersionPick::Newest), Just(VersionPick::Stale)])
            .prop_map(|(account, series, version)| Operation::Compare { account, series, version }),
        1 => (account(), nth()).prop_map(|(account, nth)| Operation::Unsubscribe { account, nth }),
        2 => (account(), nth(), change).prop_map(|(account, nth, change)| Operation::Switch { account, nth, change }),
        3 => (account(), nth(), prop::option::of(nth()), steer)
            .prop_map(|(account, nth, endpoint, steer)| Operation::Steer { account, nth, endpoint, steer }),
        1 => (account(), nth()).prop_map(|(account, nth)| Operation::Drop { account, nth }),
        3 => (account(), nth(), 0..60_u64)
            .prop_map(|(account, nth, overlap)| Operation::Rotate { account, nth, overlap }),
        1 => Just(Operation::RemoveExpired),
        4 => (account(), scope(), any::<bool>(), any::<bool>())
            .prop_map(|(account, scope, is_slow, outdated)| Operation::Replay { account, scope, is_slow, outdated }),
        1 => (account(), nth(), steer_replay)
            .prop_map(|(account, nth, steer)| Operation::SteerReplay { account, nth, steer }),
        3 => (0..4_u64).prop_map(|deliveries| Operation::Revive { deliveries }),
        6 => (1..4_usize).prop_map(|limit| Operation::Claim { limit }),
        1 => nth().prop_map(|nth| Operation::Renew { nth }),
        3 => nth().prop_map(|nth| Operation::Release { nth }),
        3 => nth().prop_map(|nth| Operation::Work { nth }),
        14 => (nth(), nth(), settled).prop_map(|(nth, fan_out, (fates, progress, health))| {
            Operation::Settle { nth, fan_out, fates, progress, health }
        }),
        4 => (account(), prop::option::of(nth())).prop_map(|(account, about)| Operation::Raise { account, about }),
        4 => (1..4_usize).prop_map(|limit| Operation::ClaimNotices { limit }),
        4 => (nth(), notice_end()).prop_map(|(nth, end)| Operation::SettleNotice { nth, end }),
        1 => (account(), nth()).prop_map(|(account, nth)| Operation::ReadNotice { account, nth }),
        6 => (0..3_usize, 0..4_usize, 0..3_usize)
            .prop_map(|(sender, id, body)| Operation::Accept { sender, id, body }),
        25 => handling(),
        2 => (account(), whom()).prop_map(|(account, whom)| Operation::Erase { account, whom }),
        2 => Just(Operation::Search),
        1 => Just(Operation::Seal),
        3 => (account(), 0..Prunable::ALL.len())
            .prop_map(|(account, index)| Operation::Prune { account, what: Prunable::ALL[index] }),
        3 => pause().prop_map(|seconds| Operation::Pass { seconds }),
    ]
}

/// What handlers and their operators do.
fn handling() -> impl Strategy<Value = Operation> {
    let account = || 0..2_usize;
    let nth = || 0..6_usize;
    prop_oneof![
        2 => (account(), 0..2_usize, any::<bool>())
            .prop_map(|(account, handler, is_from_now)| Operation::Introduce { account, handler, is_from_now }),
        4 => (account(), 0..2_usize, 0..2_u8)
            .prop_map(|(account, handler, node)| Operation::ClaimHandler { account, handler, node }),
        2 => (nth(), any::<bool>()).prop_map(|(nth, gives_back)| Operation::RenewHandler { nth, gives_back }),
        8 => (0..3_usize, prop::option::of(nth()), vec(run(), 0..4))
            .prop_map(|(nth, cursor, runs)| Operation::SettleRuns { nth, cursor, runs }),
        5 => (account(), 0..2_usize, order_scope(), 0..3_usize, 1..4_usize).prop_map(
            |(account, handler, scope, order, limit)| Operation::OrderRuns { account, handler, scope, order, limit }
        ),
        2 => (account(), 0..3_usize, 0..3_u64, nth()).prop_map(
            |(account, person, version, message)| Operation::KeepAgenda { account, person, version, message }
        ),
        1 => (account(), 0..3_usize).prop_map(|(account, person)| Operation::CalendarToken { account, person }),
        1 => Just(Operation::ForgetKeys),
    ]
}

fn run() -> impl Strategy<Value = RunPick> {
    let fate = prop_oneof![
        (0..60_u64).prop_map(|wait| RunFate::Waiting { wait }),
        Just(RunFate::Done),
        Just(RunFate::Outdated),
        Just(RunFate::Parked),
    ];
    (0..6_usize, fate, 0..2_u32, prop::option::of((0..3_u64, 0..3_u64)))
        .prop_map(|(message, fate, generation, handled)| RunPick { message, fate, generation, handled })
}

fn order_scope() -> impl Strategy<Value = OrderPick> {
    prop_oneof![
        Just(OrderPick::Everything),
        (0..6_usize).prop_map(OrderPick::Message),
        (0..3_usize).prop_map(OrderPick::Source),
        (0..4_usize).prop_map(OrderPick::Standing),
        (0..60_u64).prop_map(OrderPick::Lately),
    ]
}

/// Seconds; sometimes until nearly the end of the dedupe window, so that the next ones are beyond it.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 1..40_u64, 1 => Just(30 * 86_400 - 60)]
}

fn whom() -> impl Strategy<Value = WhomPick> {
    prop_oneof![(0..8_u64).prop_map(WhomPick::Number), (0..7_usize).prop_map(WhomPick::Address)]
}

fn event() -> impl Strategy<Value = EventType> {
    prop_oneof![
        2 => Just(EventType::WebinarCreatedRecurring),
        1 => Just(EventType::WebinarCreatedSingle),
        1 => Just(EventType::Notice(NoticeKind::EndpointDisabled)),
        1 => Just(EventType::Notice(NoticeKind::RulesChanged)),
    ]
}

fn notice_end() -> impl Strategy<Value = NoticeEnd> {
    prop_oneof![
        Just(NoticeEnd::Delivered),
        (0..90_u64).prop_map(|wait| NoticeEnd::Retrying { wait }),
        Just(NoticeEnd::Abandoned)
    ]
}

fn group() -> impl Strategy<Value = GroupPick> {
    prop_oneof![3 => (0..3_usize).prop_map(GroupPick::Mango), 1 => (0..3_usize).prop_map(GroupPick::Series)]
}

fn scope() -> impl Strategy<Value = ScopePick> {
    let nth = || 0..6_usize;
    prop_oneof![
        (nth(), 1..7_u64).prop_map(|(fan_out, participant)| ScopePick::Delivery { fan_out, participant }),
        (prop::option::of(nth()), prop::option::of(nth()), any::<bool>())
            .prop_map(|(event, endpoint, is_recent)| ScopePick::Failed { event, endpoint, is_recent }),
        (nth(), prop::option::of(nth())).prop_map(|(nth, endpoint)| ScopePick::Event { nth, endpoint }),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    let ending = prop_oneof![5 => Just(Ending::GoesOn), 1 => Just(Ending::Cancelled)];
    // A mango is invited or excluded, never both.
    (0..8_usize, 0..8_usize, 1..4_u32, ending).prop_map(|(mangoes, excluded, sessions, ending)| Shape {
        mangoes,
        excluded: excluded & !mangoes,
        sessions,
        ending,
    })
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        2 => Just(Fate::Untouched),
        4 => Just(Fate::Delivered),
        2 => (1..4_u16, 0..60_u64).prop_map(|(attempt, wait)| Fate::Retrying { attempt, wait }),
        1 => (1..4_u16).prop_map(|attempt| Fate::Abandoned { attempt }),
        1 => Just(Fate::Straggling),
    ]
}
