//! The directory, as it spreads.

use crate::directory::Signed;
use minicbor::{Decode, Encode};

/// Statements the receiver lacks by its `Hello`, in order, or new ones as they are made.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Statements {
    #[n(0)]
    pub statements: Vec<Signed>,
}
