//! Pure decisions of the provider half: who is told, what follows an attempt, which targets may be called.
//! No async, no clock, no randomness, no I/O: time and chance are arguments.

pub mod api_key;
pub mod attempt;
pub mod concurrency;
pub mod eta;
pub mod fan_out;
pub mod frontier;
pub mod judge;
pub mod lane;
pub mod notice;
pub mod pace;
pub mod replay;
pub mod secret;
pub mod segment;
pub mod settings;
pub mod spread;
pub mod subscription;
pub mod target;
mod varint;
