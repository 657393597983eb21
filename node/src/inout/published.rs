//! What the world sees of a post: what was released, and whether it is out.

use crate::records::Shown;
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

/// How what is published of a post stands.
pub(super) fn published(publication: &Shown) -> Published {
    let record = &publication.record;
    let status = record.schema().field("status").and_then(|field| record.course(field));
    let Some(status) = status else { return Published::Never };
    let counted = |state: &str| {
        let led = status.steps.iter().filter(|s| s.outcome.as_ref().is_ok_and(|to| to == state));
        led.map(|step| step.time_ms).next_back()
    };
    let released = counted("published");
    match (released, counted("withdrawn")) {
        (Some(since_ms), _) => Published::Out { since_ms, fields: record.to_json() },
        // What was taken back before anybody released it was never out.
        (None, Some(when_ms)) if status.was_released() => Published::Gone { when_ms },
        _ => Published::Never,
    }
}

/// The published version of a post, and since when it is out; `None` while it is not.
pub(crate) fn published_fields(shown: &Shown) -> Option<(u64, Value)> {
    match published(shown) {
        Published::Out { since_ms, fields } => Some((since_ms, fields)),
        Published::Gone { .. } | Published::Never => None,
    }
}
