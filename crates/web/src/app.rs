//! What all handlers share: the context, and what is made once from it.

use std::fmt::Display;
use std::sync::Arc;

use jiff::Timestamp;
use minijinja::Environment;
use store::{Act, AuditNote, Store};
use wire::{Secret, SigningSecret};

use crate::body::BodyReader;
use crate::caller::{Caller, Doors};
use crate::test_sends::TestBudgets;
use crate::{Context, dashboard};

/// What handlers are given.
pub(crate) type AppState = Arc<App>;

/// The context, and what is made once from it.
pub(crate) struct App {
    pub(crate) context: Context,
    pub(crate) bodies: BodyReader,
    pub(crate) doors: Doors,
    pub(crate) pages: Environment<'static>,
    pub(crate) test_budgets: TestBudgets,
}

impl App {
    pub(crate) fn new(context: Context) -> AppState {
        let bodies = BodyReader::new(&context.settings.limits);
        let (pages, doors, test_budgets) = (dashboard::pages(), Doors::default(), TestBudgets::default());
        Arc::new(App { context, bodies, doors, pages, test_budgets })
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.context.store.as_ref()
    }

    /// The store for one act of a caller: the act is noted in the audit log together with what it changes.
    pub(crate) fn noting(&self, caller: &Caller, act: Act, object: impl Display) -> Arc<dyn Store> {
        let (account, at, object) = (caller.account, self.now(), object.to_string());
        self.store().noting(AuditNote { account, at, actor: caller.actor(), from: caller.from, act, object })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.context.clock.now()
    }

    /// The bytes of a new id.
    pub(crate) fn id_bytes(&self, now: Timestamp) -> [u8; 16] {
        self.context.chance.id_bytes(now)
    }

    /// The bytes of a new id of a mango or a series: milliseconds and chance, 48 bits each, so that lists by id are
    /// lists by age.
    pub(crate) fn short_id_bytes(&self, now: Timestamp) -> [u8; 12] {
        let mut id = [0; 12];
        let [_, _, millis @ ..] = now.as_millisecond().max(0).cast_unsigned().to_be_bytes();
        id[..6].copy_from_slice(&millis);
        id[6..].copy_from_slice(&self.context.chance.bytes::<6>());
        id
    }

    /// A new secret for an endpoint.
    pub(crate) fn new_secret(&self) -> Secret {
        SigningSecret::from_random(self.context.chance.bytes()).into()
    }
}
