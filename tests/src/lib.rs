//! Tests that need more than one crate: the seeded simulator and what its runs are held to.
//!
//! [`sim`] runs many nodes on one thread, with the daemon's engine and records but a network, a disk
//! and a clock of its own; [`model`] says what each record should contain.

pub mod model;
pub mod sim;
