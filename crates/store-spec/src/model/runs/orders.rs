//! An operator's orders to a handler, in memory.

use jiff::Timestamp;
use store::{
    Message, MessageNumber, Ordered, RunOrder, RunPiece, RunScope, RunStanding, RunState, SkipReason, StoreResult,
};
use wire::AccountId;

use super::super::tables::Tables;
use super::{HandlerRow, RunRow, standing_of};

impl Tables {
    pub(super) fn obey(
        &mut self,
        account: AccountId,
        scope: &RunScope,
        order: RunOrder,
        piece: RunPiece,
    ) -> StoreResult<Ordered> {
        let row = self.handler(account, &scope.handler)?;
        let messages = self.messages.iter().filter(|row| row.account == account).map(|row| &row.message);
        let looked: Vec<_> = messages
            .filter(|message| message.number > piece.after)
            .filter(|message| scope.message.is_none_or(|only| only == message.number))
            .filter(|message| scope.standing.is_none_or(|only| row.standing_of(message.number) == Some(only)))
            .filter(|message| {
                matches!(order, RunOrder::Drop | RunOrder::CountDrop) || message.number <= row.last_begun()
            })
            .take(piece.limit)
            .collect();
        let last = looked.last().map(|message| message.number);
        let next = last.filter(|_| looked.len() == piece.limit && scope.message.is_none());
        let concerned: Vec<_> = looked
            .into_iter()
            .filter(|message| is_in_scope(message, scope))
            .map(|message| message.number)
            .filter(|number| row.concerns(*number, order))
            .collect();
        let row = self.handler_mut(account, &scope.handler)?;
        for (nth, number) in (0_u32..).zip(&concerned) {
            match order {
                RunOrder::Count | RunOrder::CountDrop => {}
                RunOrder::Rerun { first, spacing } => row.rerun(*number, first + spacing * nth, piece.now),
                RunOrder::Drop if is_everything(scope) && !row.runs.contains_key(number) => {}
                RunOrder::Drop => row.drop_run(*number, piece.now),
            }
        }
        if order == RunOrder::Drop && is_everything(scope) {
            row.cursor = row.cursor.max(last.unwrap_or(0));
        }
        Ok(Ordered { runs: concerned.len() as u64, next })
    }
}

impl HandlerRow {
    fn standing_of(&self, number: MessageNumber) -> Option<RunStanding> {
        self.runs.get(&number).map(|run| standing_of(&run.state))
    }

    fn last_begun(&self) -> MessageNumber {
        self.runs.keys().last().copied().unwrap_or(0).max(self.cursor)
    }

    fn concerns(&self, number: MessageNumber, order: RunOrder) -> bool {
        match (order, self.standing_of(number)) {
            (RunOrder::Count | RunOrder::Rerun { .. }, Some(_)) => true,
            (RunOrder::Count | RunOrder::Rerun { .. }, None) => number <= self.cursor,
            (RunOrder::Drop | RunOrder::CountDrop, None) => number > self.cursor,
            (RunOrder::Drop | RunOrder::CountDrop, Some(standing)) => {
                matches!(standing, RunStanding::Waiting | RunStanding::Parked)
            }
        }
    }

    fn rerun(&mut self, number: MessageNumber, due: Timestamp, now: Timestamp) {
        let generation = self.runs.get(&number).map_or(0, |run| run.generation) + 1;
        let state = RunState::Waiting { due, reason: String::new() };
        self.runs.insert(number, RunRow { state, attempts: 0, generation, changed_at: now });
    }

    fn drop_run(&mut self, number: MessageNumber, now: Timestamp) {
        let (attempts, generation) = self.runs.get(&number).map_or((0, 0), |run| (run.attempts, run.generation));
        let state = RunState::Skipped(SkipReason::Dropped);
        self.runs.insert(number, RunRow { state, attempts, generation, changed_at: now });
    }
}

fn is_in_scope(message: &Message, scope: &RunScope) -> bool {
    scope.source.is_none_or(|only| only == message.source)
        && scope.from.is_none_or(|from| message.received_at >= from)
        && scope.to.is_none_or(|to| message.received_at < to)
}

fn is_everything(scope: &RunScope) -> bool {
    let RunScope { handler: _, message, source, standing, from, to } = scope;
    message.is_none() && source.is_none() && standing.is_none() && from.is_none() && to.is_none()
}
