//! Erasing somebody, and doing the janitor's work by hand.

use receiver::PersonMarks;
use store::{Erase, Erasure, MessageNumber, Prunable, Searched, Store, StoreResult, Whom};
use wire::{AccountId, ErasureId};

use super::World;

/// Messages looked at in one step, and rows let go of in one: few, so that there are several steps.
const AT_ONCE: usize = 3;

impl<S: Store> World<S> {
    /// Erases somebody known by an address made from the name; nothing is searched yet.
    pub async fn erase(&mut self, account: AccountId, name: &str) -> StoreResult<Erasure> {
        let erased = self.erase_whom(account, Whom::Email(format!("{name}@example.com"))).await?;
        Ok(erased.expect("an address is always searched for"))
    }

    /// Erases whoever is meant.
    pub async fn erase_whom(&mut self, account: AccountId, whom: Whom) -> StoreResult<Option<Erasure>> {
        let erase = Erase { id: ErasureId::from_bytes(self.id()), whom, now: self.now() };
        self.store.erase(account, erase).await
    }

    /// One step of the oldest search. Whether there was one.
    pub async fn search_on(&self) -> StoreResult<bool> {
        let Some(search) = self.store.searches(1).await?.pop() else { return Ok(false) };
        let marks = PersonMarks::new(&search.email, search.phone.as_deref());
        let messages = self.store.messages_to_search(&search, AT_ONCE).await?;
        let naming: Vec<MessageNumber> =
            messages.iter().filter(|message| marks.are_in(&message.body)).map(|message| message.number).collect();
        let read_to = messages.last().map(|message| message.number);
        let searched = Searched { naming, count: messages.len() as u64, read_to };
        self.store.note_search(search, searched).await?;
        Ok(true)
    }

    /// Ends all searches and seals.
    pub async fn finish_erasures(&self) -> StoreResult<usize> {
        while self.search_on().await? {}
        self.store.seal(self.now()).await
    }

    /// Lets go of everything of a kind that came before now, a little at a time. How many times something went.
    pub async fn prune(&self, account: AccountId, what: Prunable) -> StoreResult<usize> {
        let mut steps = 0;
        while self.store.prune(account, what, self.now(), AT_ONCE).await? > 0 {
            steps += 1;
        }
        Ok(steps)
    }
}
