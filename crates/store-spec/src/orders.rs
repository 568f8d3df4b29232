//! What a store owes of an operator's orders to handlers, and of showing how they stand.

use std::time::Duration;

use store::{
    HandlerLease, HandlerStanding, MessageNumber, RunFilter, RunOrder, RunRecord, RunScope, RunStanding, RunState,
    SettledRun, SkipReason, Store, StoreError, StoreResult,
};
use wire::AccountId;

use crate::World;
use crate::world::{Sender, ended, everything};

/// A handler that has come to the fifth of eight messages: the first is done, the second was passed over, the third waits,
/// the fourth is parked, the fifth skipped, and the sixth, which overtook, is done.
struct AtWork {
    account: AccountId,
    sender: Sender,
    lease: HandlerLease,
    numbers: Vec<MessageNumber>,
}

impl AtWork {
    async fn new<S: Store>(world: &mut World<S>) -> StoreResult<AtWork> {
        let account = world.account().await?;
        let sender = world.sender(account).await?;
        let lease = world.handler(account, "crm").await?;
        let mut numbers = world.messages(&sender, 8).await?;
        numbers.insert(0, 0);
        let runs = [
            ended(numbers[1], RunState::Done),
            ended(numbers[3], world.waiting(Duration::from_secs(60))),
            ended(numbers[4], RunState::Parked { reason: "400".to_owned() }),
            ended(numbers[5], RunState::Skipped(SkipReason::Outdated)),
            ended(numbers[6], RunState::Done),
        ];
        world.end_runs(&lease, numbers[5], &runs).await?;
        Ok(AtWork { account, sender, lease, numbers })
    }

    /// The places of messages whose runs stand so, newest first.
    async fn that_are<S: Store>(&self, world: &World<S>, standing: RunStanding) -> StoreResult<Vec<usize>> {
        let filter = RunFilter { standing: Some(standing), ..RunFilter::default() };
        let page = world.store.runs(self.account, filter, None, 100).await?;
        Ok(page.items.iter().map(|run| self.place(run.number)).collect())
    }

    fn place(&self, number: MessageNumber) -> usize {
        self.numbers.iter().position(|known| *known == number).expect("one of them")
    }

    async fn standing<S: Store>(&self, world: &World<S>) -> StoreResult<HandlerStanding> {
        let standings = world.store.handlers(self.account).await?;
        Ok(standings.into_iter().find(|one| one.handler == "crm").expect("introduced"))
    }
}

fn now<S: Store>(world: &World<S>) -> RunOrder {
    RunOrder::Rerun { first: world.now(), spacing: Duration::ZERO }
}

pub async fn how_far_each_handler_is<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let at_work = AtWork::new(&mut world).await?;
    let received_at = world.now();
    world.handler(at_work.account, "a-new-one").await?;
    let standings = world.store.handlers(at_work.account).await?;
    assert_eq!(standings.iter().map(|one| one.handler.as_str()).collect::<Vec<_>>(), ["a-new-one", "crm"]);
    let expected = HandlerStanding {
        handler: "crm".to_owned(),
        cursor: at_work.numbers[5],
        ahead: 2,
        oldest_ahead: Some(received_at),
        waiting: 1,
        parked: 1,
        done: 2,
        skipped: 1,
    };
    assert_eq!(standings[1], expected);
    assert_eq!((standings[0].ahead, standings[0].done), (8, 0));
    world.end_runs(&at_work.lease, at_work.numbers[8], &[]).await?;
    assert_eq!(at_work.standing(&world).await?.oldest_ahead, None);
    Ok(())
}

pub async fn runs_are_listed_newest_message_first_in_pages_under_every_filter<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let at_work = AtWork::new(&mut world).await?;
    let mail = world.handler(at_work.account, "mail").await?;
    let parked = RunState::Parked { reason: "550".to_owned() };
    let runs = [ended(at_work.numbers[4], parked.clone()), ended(at_work.numbers[6], RunState::Done)];
    world.end_runs(&mail, 0, &runs).await?;
    let all = world.store.runs(at_work.account, RunFilter::default(), None, 100).await?.items;
    let order: Vec<_> = all.iter().map(|run| (at_work.place(run.number), run.handler.as_str())).collect();
    assert_eq!(order, [(6, "crm"), (6, "mail"), (5, "crm"), (4, "crm"), (4, "mail"), (3, "crm"), (1, "crm")]);
    let state = parked;
    let (handler, number) = ("mail".to_owned(), at_work.numbers[4]);
    assert_eq!(all[4], RunRecord { handler, number, state, attempts: 1, generation: 0, changed_at: world.now() });

    let mut filters = vec![RunFilter::default()];
    for handler in ["crm", "mail", "none"] {
        filters.push(RunFilter { handler: Some(handler.to_owned()), ..RunFilter::default() });
    }
    for standing in [RunStanding::Waiting, RunStanding::Done, RunStanding::Skipped, RunStanding::Parked] {
        filters.push(RunFilter { standing: Some(standing), ..RunFilter::default() });
    }
    filters.push(RunFilter { message: Some(at_work.numbers[4]), ..RunFilter::default() });
    for filter in filters {
        let at_once = world.store.runs(at_work.account, filter.clone(), None, 100).await?.items;
        let is_wanted = |run: &&RunRecord| {
            filter.handler.as_ref().is_none_or(|only| *only == run.handler)
                && filter.message.is_none_or(|only| only == run.number)
                && filter.standing.is_none_or(|only| only == standing_of(&run.state))
        };
        assert_eq!(at_once, all.iter().filter(is_wanted).cloned().collect::<Vec<_>>(), "{filter:?}");
        for size in 1..=3 {
            let (mut listed, mut after) = (Vec::new(), None);
            loop {
                let page = world.store.runs(at_work.account, filter.clone(), after, size).await?;
                assert!(page.items.len() <= size);
                listed.extend(page.items);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(listed, at_once, "{filter:?} in pages of {size}");
        }
    }
    Ok(())
}

pub async fn a_run_asked_for_anew_is_left_alone_by_an_old_settlement<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let at_work = AtWork::new(&mut world).await?;
    let parked = RunScope { standing: Some(RunStanding::Parked), ..everything("crm") };
    assert_eq!(world.order(at_work.account, &parked, now(&world)).await?, 1);
    let number = at_work.numbers[4];
    world.end_runs(&at_work.lease, 0, &[ended(number, RunState::Done)]).await?;
    let due = world.due_runs(&at_work.lease, at_work.numbers[8]).await?;
    assert_eq!((due.len(), due[0].message.number, due[0].attempts, due[0].generation), (1, number, 0, 1));
    let done = SettledRun { generation: 1, ..ended(number, RunState::Done) };
    world.end_runs(&at_work.lease, 0, &[done]).await?;
    assert_eq!(at_work.that_are(&world, RunStanding::Done).await?, [6, 4, 1]);
    Ok(())
}

pub async fn a_rerun_is_spread_over_time_and_takes_in_what_was_passed_over<S: Store>(
    mut world: World<S>,
) -> StoreResult<()> {
    let at_work = AtWork::new(&mut world).await?;
    let first = world.now() + Duration::from_secs(10);
    let order = RunOrder::Rerun { first, spacing: Duration::from_secs(5) };
    assert_eq!(world.order(at_work.account, &everything("crm"), RunOrder::Count).await?, 6);
    assert_eq!(at_work.standing(&world).await?.waiting, 1, "counting changes nothing");
    assert_eq!(world.order(at_work.account, &everything("crm"), order).await?, 6);
    assert_eq!(at_work.that_are(&world, RunStanding::Waiting).await?, [6, 5, 4, 3, 2, 1], "those to come do so anyway");
    world.pass(Duration::from_secs(10));
    for expected in 1..=6 {
        let due = world.due_runs(&at_work.lease, at_work.numbers[8]).await?;
        assert_eq!(due.len(), expected);
        let places: Vec<_> = due.iter().map(|run| at_work.place(run.message.number)).collect();
        assert!(places.is_sorted() && due.iter().all(|run| (run.attempts, run.generation) == (0, 1)), "{due:?}");
        world.pass(Duration::from_secs(5));
    }
    Ok(())
}

pub async fn an_order_keeps_to_its_scope<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let mut at_work = AtWork::new(&mut world).await?;
    let other = world.sender(at_work.account).await?;
    let begun = world.now();
    world.pass(Duration::from_secs(60));
    at_work.numbers.extend(world.messages(&other, 1).await?);
    world.end_runs(&at_work.lease, at_work.numbers[9], &[]).await?;
    let all = everything("crm");
    let scopes = [
        (RunScope { source: Some(at_work.sender.source()), ..all.clone() }, 8),
        (RunScope { source: Some(other.source()), ..all.clone() }, 1),
        (RunScope { from: Some(world.now()), ..all.clone() }, 1),
        (RunScope { to: Some(world.now()), ..all.clone() }, 8),
        (RunScope { from: Some(begun), to: Some(begun), ..all.clone() }, 0),
        (RunScope { message: Some(at_work.numbers[2]), ..all.clone() }, 1),
        (RunScope { message: Some(at_work.numbers[2]), standing: Some(RunStanding::Done), ..all.clone() }, 0),
        (RunScope { standing: Some(RunStanding::Done), ..all.clone() }, 2),
        (RunScope { standing: Some(RunStanding::Done), from: Some(world.now()), ..all.clone() }, 0),
        (all.clone(), 9),
    ];
    for (scope, runs) in scopes {
        assert_eq!(world.order(at_work.account, &scope, RunOrder::Count).await?, runs, "{scope:?}");
    }
    let unknown = world.order(at_work.account, &everything("none"), RunOrder::Count).await;
    assert!(matches!(unknown, Err(StoreError::Missing(_))), "{unknown:?}");
    let one = RunScope { message: Some(at_work.numbers[4]), ..all };
    assert_eq!(world.order(at_work.account, &one, now(&world)).await?, 1);
    assert_eq!(at_work.that_are(&world, RunStanding::Waiting).await?, [4, 3]);
    Ok(())
}

pub async fn what_is_dropped_is_not_tried_again<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let at_work = AtWork::new(&mut world).await?;
    for standing in [RunStanding::Waiting, RunStanding::Parked] {
        let scope = RunScope { standing: Some(standing), ..everything("crm") };
        assert_eq!(world.order(at_work.account, &scope, RunOrder::Drop).await?, 1);
    }
    assert_eq!(at_work.that_are(&world, RunStanding::Skipped).await?, [5, 4, 3]);
    let late = ended(at_work.numbers[3], world.waiting(Duration::ZERO));
    world.end_runs(&at_work.lease, 0, &[late]).await?;
    assert_eq!(at_work.standing(&world).await?.waiting, 0, "an attempt that was under way fails");
    world.end_runs(&at_work.lease, 0, &[ended(at_work.numbers[3], RunState::Done)]).await?;
    assert_eq!(at_work.that_are(&world, RunStanding::Done).await?, [6, 3, 1], "one that was under way succeeds");
    Ok(())
}

pub async fn dropping_everything_leaves_nothing_to_come<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let at_work = AtWork::new(&mut world).await?;
    assert_eq!(world.order(at_work.account, &everything("crm"), RunOrder::Drop).await?, 4, "3, 4, 7 and 8");
    assert_eq!(world.due_runs(&at_work.lease, at_work.numbers[5]).await?, []);
    let standing = at_work.standing(&world).await?;
    assert_eq!((standing.ahead, standing.waiting, standing.parked, standing.done), (0, 0, 0, 2));
    assert_eq!(standing.cursor, at_work.numbers[8]);
    world.accept(&at_work.sender, "msg_new", "{}").await?;
    assert_eq!(world.due_numbers(&at_work.lease, 0).await?.len(), 1);
    Ok(())
}

pub async fn dropping_what_one_source_sent_leaves_the_others<S: Store>(mut world: World<S>) -> StoreResult<()> {
    let at_work = AtWork::new(&mut world).await?;
    let other = world.sender(at_work.account).await?;
    let theirs = world.messages(&other, 2).await?;
    let scope = RunScope { source: Some(at_work.sender.source()), ..everything("crm") };
    assert_eq!(world.order(at_work.account, &scope, RunOrder::Drop).await?, 4);
    assert_eq!(at_work.that_are(&world, RunStanding::Skipped).await?, [8, 7, 5, 4, 3]);
    assert_eq!(world.due_numbers(&at_work.lease, 0).await?, theirs);
    let one = RunScope { message: Some(theirs[0]), ..everything("crm") };
    assert_eq!(world.order(at_work.account, &one, RunOrder::Drop).await?, 1);
    assert_eq!(world.due_numbers(&at_work.lease, 0).await?, theirs[1..]);
    Ok(())
}

fn standing_of(state: &RunState) -> RunStanding {
    match state {
        RunState::Waiting { .. } => RunStanding::Waiting,
        RunState::Done => RunStanding::Done,
        RunState::Skipped(_) => RunStanding::Skipped,
        RunState::Parked { .. } => RunStanding::Parked,
    }
}
