//! What the world sees of a post: the version that was approved, and whether it is out.

use crate::records::Shown;
use fenbu_protocol::record::Record;
use serde_json::Value;

/// How a post stands towards the world.
#[derive(Debug)]
pub(super) enum Published {
    /// Out, since then, as it was approved.
    Out { since_ms: u64, fields: Value },
    /// It was out, and is no more.
    Gone { when_ms: u64 },
    /// It never was.
    Never,
}

/// Archived posts stay out; one that is withdrawn, or that may not be public, is hidden everywhere.
pub(super) fn published(shown: &Shown) -> Published {
    let record = &shown.record;
    let course = |name: &str| record.course(record.schema().field(name)?);
    let Some(status) = course("status") else { return Published::Never };
    let reached = |state: &str| {
        let to = |step: &&fenbu_protocol::record::Happened| {
            step.outcome.as_ref().is_ok_and(|to| to == state)
        };
        status.steps.iter().filter(to).map(|step| step.time_ms).next_back()
    };
    let since = reached("published").or_else(|| reached("archived"));
    let Some(since_ms) = since else { return Published::Never };
    let secrecy = course("secrecy");
    let hidden = secrecy.as_ref().is_some_and(|s| s.state == "not_public");
    if hidden || !matches!(status.state.as_str(), "published" | "archived") {
        let last = |c: &fenbu_protocol::record::Course| c.steps.iter().map(|s| s.time_ms).max();
        let when = [last(&status), secrecy.as_ref().filter(|_| hidden).and_then(last)];
        return Published::Gone { when_ms: when.into_iter().flatten().max().unwrap_or(since_ms) };
    }
    let approved = status.version.filter(|_| status.revised).and_then(|v| record.at(v));
    let fields = approved.as_ref().map_or_else(|| record.to_json(), Record::to_json);
    Published::Out { since_ms, fields }
}
