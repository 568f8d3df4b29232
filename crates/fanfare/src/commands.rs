//! The commands, one file each.

pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod compact;
pub(crate) mod copy;
pub(crate) mod deliveries;
pub(crate) mod demo;
pub(crate) mod import;
pub(crate) mod inbox;
pub(crate) mod nodes;
pub(crate) mod notices;
pub(crate) mod participants;
pub(crate) mod replay;
pub(crate) mod secrets;
pub(crate) mod serve;
