//! The order of changes, and receipts of requests that may come again.

use super::Place;

/// How long a receipt is kept, in milliseconds: a day.
pub const RECEIPT_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// A document and when it last changed, in the order of this store alone. A document is listed once,
/// under its latest number; one that is gone keeps its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// From 1 on; greater than every number given before it, and never given again.
    pub number: u64,
    pub place: Place,
}

/// That a request was carried out, stored in the commit that did so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Hash of who asked, and the key they chose.
    pub key: [u8; 32],
    /// Hash of what was asked.
    pub request: [u8; 32],
    /// Milliseconds since 1970. Receipts older than this by [`RECEIPT_KEPT_MS`] go when it comes.
    pub at_ms: u64,
    /// What came of it, in the words of whoever asks for it.
    pub outcome: Vec<u8>,
}
