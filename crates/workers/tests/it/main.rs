//! The lane worker against the real store and real sockets: time is stepped, never waited for.

mod delivery;
mod failure;
mod receiver;
mod world;
