//! What is right, without a clock, a network or a disk.
//!
//! | module | owns | refuses to know |
//! |---|---|---|
//! | [`access`] | roles of people, what each allows | passwords, sessions |
//! | [`id`] | names of things: nodes, spaces, logs, documents | what they contain |
//! | [`limits`] | every bound, with its arithmetic | who is bound |
//! | [`log`] | headers, chains, checkpoints, runs, digests | what a body means |
//! | [`directory`] | units, nodes, spaces, rights: a fold of signed statements | records |
//! | [`record`] | typed views over Automerge documents, the admission gate | network, disk, clock |
//! | [`duty`] | rules as data, what is due, head office's figures | where rows come from |
//! | [`seal`] | space keys: who holds which, what is sealed and opened with them | where bodies come from |
//! | [`sheet`] | what a row of a sheet says of which record | CSV, XLSX, whole tables |
//! | [`wire`] | frames and messages (`WIRE.md` is normative) | sessions |
//! | [`sync`] | the engine: `handle(now, input)`, then drain `poll_output()` | tokio, quinn, SQLite |
//!
//! Time, randomness and limits come in as arguments, and iteration order never depends on a hash
//! map, so the daemon and the simulator run the same code and a seed gives the same trace.

// First: it has the macro the others use.
#[macro_use]
pub mod planted;

pub mod access;
pub mod directory;
pub mod duty;
pub mod id;
pub mod limits;
pub mod log;
pub mod record;
pub mod seal;
pub mod sheet;
pub mod sync;
pub mod wire;
