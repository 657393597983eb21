//! The lasting note of who took personal values out, and why.
//!
//! One line of JSON for each, in the node's folder, on the disk before the values leave: whoever looks
//! after the node can read it, and nothing here takes a line away.

use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file's name in the node's folder.
pub const FILE: &str = "disclosures.jsonl";
/// A reason is a sentence.
pub const REASON_CHARS_MAX: usize = 500;

/// Why personal values stay here.
#[derive(Debug, thiserror::Error)]
pub enum DisclosureError {
    #[error("say why the personal values are needed, in at most {REASON_CHARS_MAX} characters")]
    Reason,
    #[error("the note of who takes personal values out cannot be written to {path}: {source}")]
    Note { path: PathBuf, source: std::io::Error },
}

/// Notes that `account` takes the personal values of so many records (all there are, if none is said) out
/// of the node, for this reason.
pub fn note(
    dir: &Path,
    now_ms: u64,
    account: &str,
    kind: &str,
    records: Option<usize>,
    reason: &str,
) -> Result<(), DisclosureError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(DisclosureError::Reason);
    }
    let path = dir.join(FILE);
    let line = json!({
        "time_ms": now_ms,
        "account": account,
        "kind": kind,
        "records": records,
        "reason": reason,
    });
    let written = || {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        // One write: lines of two exports at once do not mix.
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    };
    written().map_err(|source| DisclosureError::Note { path: path.clone(), source })?;
    tracing::warn!(account, kind, records, reason, "personal values were taken out");
    Ok(())
}
