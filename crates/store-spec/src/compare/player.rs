//! One side of the comparison: a store in its world, and what has been learnt of it so far.

use std::fmt::Debug;

use store::{Acceptance, Ending, HandlerLease, Lease, MessageNumber, NoticeLease, Store, StoreError, StoreResult};
use webinar::{EventType, MangoId, NoticeKind, SeriesId};
use wire::{AccountId, EndpointId, ErasureId, FanOutId, NoticeId, ReplayId, SubscriptionId};

use super::operation::{GroupPick, Operation, Shape, VersionPick};
use crate::World;
use crate::world::{Plan, Sender};

/// A store being played with. Two players that are told the same operations learn the same, or differ in an answer.
pub(super) struct Player<S> {
    pub(super) world: World<S>,
    pub(super) accounts: Vec<AccountId>,
    pub(super) senders: Vec<Sender>,
    pub(super) endpoints: Vec<EndpointId>,
    pub(super) subscriptions: Vec<SubscriptionId>,
    pub(super) fan_outs: Vec<(AccountId, EndpointId, FanOutId)>,
    pub(super) replays: Vec<(AccountId, ReplayId)>,
    pub(super) leases: Vec<Lease>,
    pub(super) erasures: Vec<ErasureId>,
    pub(super) notices: Vec<NoticeId>,
    pub(super) notice_leases: Vec<NoticeLease>,
    pub(super) handler_leases: Vec<HandlerLease>,
    pub(super) calendar_tokens: Vec<(AccountId, [u8; 20])>,
    /// The messages in order of acceptance: stores may leave gaps between their numbers, and two accounts may have the same.
    pub(super) messages: Vec<(AccountId, MessageNumber)>,
}

impl<S: Store> Player<S> {
    pub(super) async fn new(mut world: World<S>) -> Player<S> {
        let accounts = vec![fresh(world.account().await), fresh(world.account().await)];
        let mut senders = Vec::new();
        for account in [0, 0, 1] {
            senders.push(fresh(world.sender(accounts[account]).await));
        }
        let mut player = Player {
            world,
            accounts,
            senders,
            endpoints: Vec::new(),
            subscriptions: Vec::new(),
            fan_outs: Vec::new(),
            replays: Vec::new(),
            leases: Vec::new(),
            erasures: Vec::new(),
            notices: Vec::new(),
            notice_leases: Vec::new(),
            handler_leases: Vec::new(),
            calendar_tokens: Vec::new(),
            messages: Vec::new(),
        };
        for operation in opening() {
            player.apply(&operation).await;
        }
        player
    }

    pub(super) fn number(&mut self, account: AccountId, acceptance: &Acceptance) -> String {
        if let Acceptance::Stored(number) = acceptance {
            self.messages.push((account, *number));
        }
        match acceptance {
            Acceptance::Stored(number) => format!("stored as {:?}", self.rank(account, *number)),
            Acceptance::Duplicate { of, content } => format!("a copy of {:?}, {content:?}", self.rank(account, *of)),
        }
    }

    pub(super) fn rank(&self, account: AccountId, number: MessageNumber) -> Option<usize> {
        self.messages.iter().position(|known| *known == (account, number))
    }

    /// The message that such a pick means to an account: of another's message the number is nobody's.
    pub(super) fn picked(&self, account: AccountId, nth: usize) -> Option<MessageNumber> {
        let (owner, number) = pick(&self.messages, nth)?;
        Some(if owner == account { number } else { NOBODYS })
    }

    /// How many of an account's messages a cursor has passed.
    pub(super) fn passed(&self, account: AccountId, cursor: MessageNumber) -> usize {
        self.messages.iter().filter(|(owner, number)| *owner == account && *number <= cursor).count()
    }
}

/// A message that there is not.
const NOBODYS: MessageNumber = 1 << 40;

/// What comes before the random operations, so that they find lanes with work from the first on.
fn opening() -> Vec<Operation> {
    let shape = Shape { mangoes: 0b011, excluded: 0, sessions: 2, ending: Ending::GoesOn };
    let mut operations = Vec::new();
    for account in 0..2 {
        operations.extend((0..2).map(|mango| Operation::CreateMango { account, mango }));
        for (mango, people) in [(0, 0..4), (1, 2..6)] {
            let people = people.map(|person| (person, 0)).collect();
            operations.push(Operation::Enrol { account, group: GroupPick::Mango(mango), people });
        }
        let wish = |url, event| Operation::Subscribe { account, url, filter: None, event };
        operations.extend((0..2).map(|url| wish(url, EventType::WebinarCreatedRecurring)));
        operations.extend((0..2).map(|url| wish(url, EventType::Notice(NoticeKind::EndpointDisabled))));
        operations.push(Operation::Save { account, series: 0, version: VersionPick::Newest, shape });
    }
    for account in 0..2 {
        operations.push(Operation::Introduce { account, handler: 0, is_from_now: false });
        operations.push(Operation::ClaimHandler { account, handler: 0, node: 1 });
    }
    operations.push(Operation::Claim { limit: 3 });
    operations
}

/// What a store answers to a call that succeeds on a new store.
fn fresh<T>(result: StoreResult<T>) -> T {
    result.expect("a new store takes it")
}

pub(super) fn mango(index: usize) -> MangoId {
    MangoId::from_bytes([0xa0 + index as u8; 12])
}

pub(super) fn mangoes(bits: usize) -> Vec<MangoId> {
    (0..3).filter(|index| bits & (1 << index) != 0).map(mango).collect()
}

pub(super) fn series(index: usize) -> SeriesId {
    SeriesId::from_bytes([0xb0 + index as u8; 12])
}

pub(super) fn plan(index: usize) -> Plan {
    Plan::new(*series(index).as_bytes(), &[])
}

/// One of those `items`, wherever the index points; small ones point to the newest.
pub(super) fn pick<T: Copy>(items: &[T], index: usize) -> Option<T> {
    items.iter().rev().nth(index.checked_rem(items.len())?).copied()
}

/// An answer as text. Of errors only what a caller can branch on.
pub(super) fn told(answer: StoreResult<impl Debug>) -> String {
    match answer {
        Ok(value) => format!("{value:#?}"),
        Err(StoreError::Missing(_)) => "Missing".to_owned(),
        Err(StoreError::Exists(_)) => "Exists".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}
