//! Tests of the store: the contract every store owes, and what is SQLite's own.

mod contract;
