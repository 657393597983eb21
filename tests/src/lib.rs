//! What tests share: the seeded simulator, what its runs are held to, and real daemons.
//!
//! [`sim`] runs many nodes on one thread, with the daemon's engine and records but a network, a disk
//! and a clock of its own; [`model`] says what each record should contain; [`cluster`] runs daemons as
//! processes, [`crash`] kills them, and [`netns`] gives each a network of its own and breaks it;
//! [`adversary`] attacks one of them, and [`forgery`] makes what must never count.

pub mod adversary;
pub mod cluster;
pub mod crash;
pub mod forgery;
pub mod model;
pub mod netns;
mod random;
pub mod sim;
