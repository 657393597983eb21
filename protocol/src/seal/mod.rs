//! Sealing: what keeps a space's bodies from those who carry it and may not read it.
//!
//! Each sealed space has keys, numbered by key epoch. The author of an entry seals its body under
//! the newest one for the entry's [`Place`]; the directory carries each key wrapped for each reader.
//! `identity` owns the key a node is wrapped to, `key` the space keys and their wraps, `body` the
//! seal itself. This module does not know where bodies come from, nor who may read: that is
//! [`crate::directory`].

mod body;
mod grants;
mod identity;
mod key;
mod keyring;
mod letter;

pub use body::{NONCE_BYTES, OpenError, Place, open, seal};
pub use grants::{Missing, Rotation, due, missing, rotation};
pub use identity::{is_sound, sealing_public, sealing_secret};
pub use key::{SpaceKey, WRAP_BYTES, WrapError, WrapPlace};
pub use keyring::{BodyError, Keyring, NoKey, Reading, Sealing};
pub use letter::{LetterError, open_letter, seal_letter};

#[cfg(test)]
mod tests;
