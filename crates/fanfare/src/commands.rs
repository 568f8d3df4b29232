//! The commands, one file each.

pub(crate) mod account;
pub(crate) mod bench;
pub(crate) mod deliveries;
pub(crate) mod demo;
pub(crate) mod import;
pub(crate) mod inbox;
pub(crate) mod notices;
pub(crate) mod serve;
