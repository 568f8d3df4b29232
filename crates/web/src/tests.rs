//! The API as its callers see it: requests in, answers out, over the real store.

mod api;
mod enrolment;
mod log;
mod registration;
mod secrets;
mod strangers;
mod test_sends;
pub(crate) mod world;
