//! Real sockets on loopback, each receiver a script on threads of its own; names are answered by a script too.

mod bounded;
mod calls;
mod hostile;
mod kept_alive;
mod names;
mod reasons;
mod tls;
mod world;

pub(crate) use tls::Identity;
pub(crate) use world::roots;
