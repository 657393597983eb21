//! The directory: who belongs, what spaces there are, and who may read, write and carry them.
//!
//! An append-only chain of signed [`Statement`]s whose length is the *epoch*. It folds to plain
//! data ([`Directory`]); two nodes with the same chain have the same directory. Questions of right
//! are asked *at an epoch*, so a verdict does not change when the directory grows, and a right is
//! only ever taken together with the place up to where its use still counts ([`Cuts`]).
//!
//! | file | owns |
//! |---|---|
//! | `statement` | the signed bytes and the chain's links |
//! | `act` | what a statement can say |
//! | `fold` | [`Directory`]: applying the next statement, and the questions |
//! | `carry` | what each act changes, and when it makes no sense |
//! | `space`, `keys` | rights, and keys, over time |
//! | `quota` | how much one author may have, and where its logs go over that |
//! | `standing` | whether an entry's author had the right |
//! | `branch` | forks, and how the root key ends them |
//!
//! This module knows nothing of records, sessions or disks.

mod act;
mod branch;
mod carry;
mod fold;
mod keys;
mod quota;
mod space;
mod standing;
mod statement;

pub use act::{
    Act, AdmitNode, AppointAdmin, ContinueCuts, Cut, DefineSpace, DefineUnit, Found, GrantKey,
    Recover, RevokeNode, Role, Scope, SetLimits, Template, UpdateNode, Wrap,
};
pub use branch::{Branch, Fork, Weight};
pub use fold::{Directory, DirectoryError, NodeInfo, Revocation, Unit};
pub use quota::{Account, Excess, Ordinal, Quota, Usage};
pub use space::{Cuts, Space};
pub use standing::Standing;
pub use statement::{Signed, Statement, space_id};

#[cfg(test)]
mod tests;
