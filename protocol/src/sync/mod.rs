//! The sync engine: all sessions, all spaces, no I/O.
//!
//! A driver calls [`Engine::handle`] with one [`Input`] at a time, then drains
//! [`Engine::poll_output`] until it is empty and carries the outputs out **in order**; it calls
//! again with [`Input::Tick`] when [`Engine::poll_timeout`] is due. Nothing else crosses. While
//! [`Engine::accepts_batches`] is false the driver leaves peers' frames unread, so that they wait in
//! the transport's own bounded windows.
//!
//! What the driver owes the engine:
//! - a [`Output::Persist`] is on disk before its `Persisted` is handed in, and tickets are answered
//!   in the order they were given. The engine announces, relays and counts only what is durable, so
//!   a persist always precedes the send that relies on it (I5);
//! - every `Load` is answered by one `Loaded`, every `Compare` by one `Compared`; every frame of a `Send` by a `Sent` with its length,
//!   or by the link's `LinkDown`;
//! - links and tickets are never reused.
//!
//! How nodes come level: both sides say [`Hello`](crate::wire::Hello) at once. Equal digests end it.
//! Otherwise per-space digests, then whole version vectors of the spaces that differ, then each side
//! *pulls* what it lacks, each range from one peer (`want`). New entries are *pushed* by their
//! author to every neighbour that is level (`broadcast`); the rest hear of them by `Have`, which
//! is also the acknowledgement. Where an author has signed two histories of a log, `forks` finds out where
//! they part and sees that the same one is held everywhere. Readers also compare what they made of equal
//! entries (`states`).

mod backoff;
mod branches;
mod broadcast;
mod door;
mod engine;
mod forks;
mod greeting;
mod input;
mod logs;
mod mend;
mod output;
mod pace;
mod peer;
mod session;
mod spread;
mod states;
mod status;
mod want;

pub use door::{Door, DoorLimits, Source, Welcome};
pub use engine::{Engine, Settings};
pub use greeting::CONTENDED_MS;
pub use input::{Input, LinkId, Loaded, Mended, SpaceState, Ticket};
pub use logs::StoredLog;
pub use mend::DamagedRange;
pub use output::{Close, Item, Notice, Output, Switch};
pub use pace::{Bucket, Pace, PaceSettings, work_of};
pub use peer::Refusals;
pub use states::Difference;
pub use status::{ForkStatus, LogStatus, PeerStatus, SpaceGap, Status};

#[cfg(test)]
mod tests;
