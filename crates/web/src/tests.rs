//! The API as its callers see it: requests in, answers out, over the real store.

mod api;
mod enrolment;
mod log;
mod notices;
mod registration;
mod strangers;
pub(crate) mod world;
