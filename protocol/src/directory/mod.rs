//! The directory: who belongs, what spaces there are, and who may read, write and carry them.
//!
//! An append-only chain of signed [`Statement`]s whose length is the *epoch*. It folds to plain
//! data ([`Directory`]); two nodes with the same chain have the same directory. Questions of right
//! are asked *at an epoch*, so a verdict does not change when the directory grows.
//!
//! This module knows nothing of records, sessions or disks.

mod fold;
mod keys;
mod statement;

pub use fold::{Directory, DirectoryError, NodeInfo, Revocation, Space, Unit};
pub use statement::{
    Act, AdmitNode, AppointAdmin, Cut, DefineSpace, DefineUnit, Found, GrantKey, RevokeNode, Role,
    Scope, Signed, Statement, Template, UpdateNode, Wrap, space_id,
};

#[cfg(test)]
mod tests;
