//! The daemon: carries out what [`fenbu_protocol`] decides.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`], [`folder`], [`setup`] | settings, a node's folder, making one (`init`, `join`) |
//! | [`daemon`] | starts everything in order and stops it in order |
//! | `driver`, `links` | the one loop: event, engine, outputs |
//! | [`freshness`] | how old the directory here is |
//! | [`transport`] | QUIC with raw public keys |
//! | [`store`] | what is durable when; SQLite and memory |
//! | [`writer`] | the one thread that commits |
//! | [`materialiser`], `making`, [`views`] | received entries into documents and rows |
//! | [`changes`] | whoever waits for changes is told when they are on disk |
//! | `ledger` | who has how much, and whose entries are over a limit |
//! | [`rebuild`], `removal`, `forks` | documents and rows made again; after a right was taken; after another history of a log took over |
//! | [`rebuild`] | documents and rows made again |
//! | [`conflicts`] | what somebody has to settle, and settling it |
//! | [`floor`] | free disk space that is kept |
//! | [`salvage`] | a new database of what a damaged one gives |
//! | [`scrub`] | damage is looked for, and what peers hold takes its place |
//! | `states` | what the records come to, for peers to compare |
//! | [`search`] | full text, in an index beside the store |
//! | `authors` | who stands behind a record's actors |
//! | `standing` | a member whose standing ends is not transferred |
//! | [`records`], [`import`] | local writes and reads |
//! | [`receipts`] | a request that comes again is carried out once |
//! | [`temporary`] | spaces, credits and the end of temporary branches |
//! | [`inout`] | sheets and documents in and out |
//! | [`admission`] | what the admin node says: letting nodes in, ending them, spaces, keys |
//! | [`root`] | the root key as a file, and signing with it |
//! | [`api`] | HTTP over the unix socket: what the CLI speaks |
//! | [`words`] | messages in the reader's language |
//!
//! Nothing here decides what is right; a decision in the driver is in the wrong house.

pub mod accounts;
pub mod admission;
pub mod api;
mod authors;
pub mod backup;
pub mod changes;
pub mod clock;
pub mod config;
pub mod conflicts;
mod console;
pub mod continuity;
pub mod daemon;
mod driver;
pub mod floor;
pub mod folder;
mod forks;
pub mod freshness;
pub mod import;
pub mod inout;
mod ledger;
mod links;
mod making;
pub mod materialiser;
mod publishing;
pub mod rebuild;
pub mod receipts;
pub mod records;
mod removal;
pub mod reports;
pub mod root;
pub mod salvage;
pub mod scrub;
pub mod search;
pub mod setup;
pub mod shared;
mod standing;
mod states;
pub mod store;
pub mod temporary;
#[cfg(test)]
mod testing;
pub mod transport;
pub mod views;
pub mod words;
pub mod writer;

pub use driver::{DriverStatus, LinkView, Question};
