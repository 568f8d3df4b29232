//! What every store owes, in tests: [`suite!`] makes one of each sentence for any store, and [`agree_with_model`] compares
//! a store with a plain [`Model`], operation for operation. A store that passes both may be given to a server.

#[doc(hidden)]
pub mod accounts;
#[doc(hidden)]
pub mod agendas;
#[doc(hidden)]
pub mod audience;
#[doc(hidden)]
pub mod audit;
#[doc(hidden)]
pub mod backlog;
#[doc(hidden)]
pub mod catalog;
mod compare;
#[doc(hidden)]
pub mod erasures;
#[doc(hidden)]
pub mod inbox;
#[doc(hidden)]
pub mod journal;
#[doc(hidden)]
pub mod lanes;
mod model;
#[doc(hidden)]
pub mod nodes;
#[doc(hidden)]
pub mod notices;
#[doc(hidden)]
pub mod orders;
#[doc(hidden)]
pub mod replays;
#[doc(hidden)]
pub mod roster;
#[doc(hidden)]
pub mod rules;
#[doc(hidden)]
pub mod runs;
#[doc(hidden)]
pub mod secrets;
#[doc(hidden)]
pub mod settling;
#[doc(hidden)]
pub mod subscriptions;
mod suite;
#[doc(hidden)]
pub mod upkeep;
pub mod world;

pub use compare::agree_with_model;
pub use model::Model;
pub use suite::Made;
pub use world::World;

#[doc(hidden)]
pub use store::StoreResult;
