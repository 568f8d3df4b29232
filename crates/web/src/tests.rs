//! The API as its callers see it: requests in, answers out, over the real store.

mod acts;
mod api;
mod calendars;
mod enrolment;
mod hostile;
mod keys;
mod log;
mod notices;
mod people;
mod registration;
mod replays;
pub(crate) mod runs;
mod secrets;
mod strangers;
mod test_sends;
pub(crate) mod world;
