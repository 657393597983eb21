//! What people may do on a node of their unit: roles, and what each allows. Deny by default.
//!
//! Accounts, like everything else, are records (`record/kind/account.rs`). Other nodes judge what a
//! *unit* may write; which person of the unit may do it is the unit's own affair and is decided here,
//! where that person is signed in. This module knows no passwords and no sessions.

mod policy;
mod role;

pub use policy::{Action, Person, allows};
pub use role::{Role, RoleError, Scoped};

#[cfg(test)]
mod tests;
