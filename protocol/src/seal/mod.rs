//! Sealing: what keeps a space's bodies from those who carry it and may not read it.
//!
//! [`identity`] owns the key each node is sealed to. This module does not know who may read: that is
//! [`crate::directory`].

mod identity;

pub use identity::{is_sound, sealing_public, sealing_secret};
