//! The daemon: carries out what [`fenbu_protocol`] decides.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`], [`folder`], [`setup`] | settings, a node's folder, making one (`init`, `join`) |
//! | [`daemon`] | starts everything in order and stops it in order |
//! | `driver`, `links` | the one loop: event, engine, outputs |
//! | [`transport`] | QUIC with raw public keys |
//! | [`store`] | what is durable when; SQLite and memory |
//! | [`writer`] | the one thread that commits |
//! | [`materialiser`], `making`, [`views`] | received entries into documents and rows |
//! | [`rebuild`], `removal`, `forks` | documents and rows made again; after a right was taken; after another history of a log took over |
//! | [`search`] | full text, in an index beside the store |
//! | `authors` | who stands behind a record's actors |
//! | [`records`], [`import`] | local writes and reads |
//! | [`admission`] | tokens, and letting nodes in |
//! | [`api`] | HTTP over the unix socket: what the CLI speaks |
//! | [`words`] | messages in the reader's language |
//!
//! Nothing here decides what is right; a decision in the driver is in the wrong house.

pub mod admission;
pub mod api;
mod authors;
pub mod backup;
pub mod clock;
pub mod config;
pub mod continuity;
pub mod daemon;
mod driver;
pub mod folder;
mod forks;
pub mod import;
mod links;
mod making;
pub mod materialiser;
pub mod rebuild;
pub mod records;
mod removal;
pub mod search;
pub mod setup;
pub mod shared;
pub mod store;
#[cfg(test)]
mod testing;
pub mod transport;
pub mod views;
pub mod words;
pub mod writer;

pub use driver::{DriverStatus, LinkView, Question};
