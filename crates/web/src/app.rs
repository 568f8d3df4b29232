//! What all handlers share: the context, and what is made once from it.

use std::sync::Arc;

use jiff::Timestamp;
use minijinja::Environment;
use store::Store;
use wire::{Secret, SigningSecret};

use crate::body::BodyReader;
use crate::test_sends::TestBudgets;
use crate::{Context, dashboard};

/// What handlers are given.
pub(crate) type AppState = Arc<App>;

/// The context, and what is made once from it.
pub(crate) struct App {
    pub(crate) context: Context,
    pub(crate) bodies: BodyReader,
    pub(crate) pages: Environment<'static>,
    pub(crate) test_budgets: TestBudgets,
}

impl App {
    pub(crate) fn new(context: Context) -> AppState {
        let bodies = BodyReader::new(&context.settings.limits);
        Arc::new(App { context, bodies, pages: dashboard::pages(), test_budgets: TestBudgets::default() })
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.context.store.as_ref()
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
