//! What tests share: the seeded simulator, what its runs are held to, and real daemons.
//!
//! [`sim`] runs many nodes on one thread, with the daemon's engine and records but a network, a disk
//! and a clock of its own; [`model`] says what each record should contain; [`cluster`] runs daemons as
//! processes, and [`crash`] kills them.

pub mod cluster;
pub mod crash;
pub mod model;
pub mod sim;
