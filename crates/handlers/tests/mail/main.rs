//! Mails as a real server gets them, and calendars as programs read them: the handlers over sockets of this machine.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

mod calendars;
mod failures;
mod invitations;
mod mime;
mod protection;
mod server;
mod texts;
mod world;
