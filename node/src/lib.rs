//! The daemon.

pub mod config;
pub mod store;
pub mod transport;
