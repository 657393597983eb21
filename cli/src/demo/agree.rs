//! Asking every node where it stands, and whether they stand in one place.

use super::office::Office;
use crate::client::Route;
use crate::error::Result;
use fenbu_protocol::record::ALL;
use serde_json::Value;
use std::collections::BTreeMap;

/// One node's own account.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) unit: String,
    pub(super) entries: u64,
    pub(super) bytes_sent: i64,
    pub(super) bytes_received: i64,
    pub(super) posts_by_column: BTreeMap<String, u64>,
    /// When this node was first seen at the common end after the cut.
    pub(super) heal_ms: u64,
    records: BTreeMap<String, u64>,
    /// Nothing received waits to become documents.
    settled: bool,
    epoch: u64,
    /// Log digests by space.
    logs: BTreeMap<String, String>,
    /// State digests of the spaces it reads.
    states: BTreeMap<String, String>,
}

impl Standing {
    pub(super) async fn of(office: &Office) -> Result<Self> {
        let answer = office.client.get(Route::new("status")).await?;
        let number = |field: &str| answer[field].as_u64().unwrap_or(0);
        let counts = |field: &str| -> BTreeMap<String, u64> {
            let object = answer[field].as_object().into_iter().flatten();
            object.filter_map(|(k, v)| Some((k.clone(), v.as_u64()?))).collect()
        };
        let digests = |field: &str| -> BTreeMap<String, String> {
            let spaces = answer["spaces"].as_array().into_iter().flatten();
            spaces.filter_map(|s| digest(s, field)).collect()
        };
        Ok(Self {
            unit: office.unit.clone(),
            entries: number("entries"),
            bytes_sent: number("bytes_sent").cast_signed(),
            bytes_received: number("bytes_received").cast_signed(),
            posts_by_column: counts("posts_by_column"),
            heal_ms: 0,
            records: counts("records"),
            settled: answer["materialising"] == false && number("waiting") == 0,
            epoch: number("epoch"),
            logs: digests("log_digest"),
            states: digests("state_digest"),
        })
    }

    pub(super) fn healed_at(self, heal_ms: u64) -> Self {
        Self { heal_ms, ..self }
    }

    pub(super) fn count(&self, plural: &str) -> u64 {
        self.records.get(plural).copied().unwrap_or(0)
    }

    /// Posts that are out.
    pub(super) fn published(&self) -> u64 {
        self.posts_by_column.values().sum()
    }

    /// How many there are of each kind of record, by its name.
    pub(super) fn by_kind(&self) -> BTreeMap<&'static str, u64> {
        ALL.into_iter().map(|schema| (schema.name, self.count(schema.plural))).collect()
    }

    /// One digest for people to compare: that of the federation's space.
    pub(super) fn log_digest(&self) -> &str {
        self.logs.get("federation").map_or("", String::as_str)
    }

    /// Whether both hold the same logs, and make the same of the spaces both read.
    fn agrees_with(&self, other: &Self) -> bool {
        let same_states = self
            .states
            .iter()
            .all(|(space, digest)| other.states.get(space).is_none_or(|theirs| theirs == digest));
        self.settled
            && other.settled
            && self.epoch == other.epoch
            && self.logs == other.logs
            && same_states
    }
}

fn digest(space: &Value, field: &str) -> Option<(String, String)> {
    Some((space["label"].as_str()?.to_owned(), space[field].as_str()?.to_owned()))
}

/// Everyone's standing; a node that does not answer has none.
pub(super) async fn ask(offices: &[Office]) -> Vec<Option<Standing>> {
    let mut out = Vec::with_capacity(offices.len());
    for office in offices {
        out.push(Standing::of(office).await.ok());
    }
    out
}

/// Whether all are there and of one mind.
pub(super) fn agree(standings: &[Option<Standing>]) -> bool {
    let Some(Some(first)) = standings.first() else { return false };
    // Head office reads every space, so agreeing with it is agreeing with one another.
    standings.iter().all(|s| s.as_ref().is_some_and(|s| s.agrees_with(first)))
}

/// How many hold what head office holds.
pub(super) fn agreeing(standings: &[Option<Standing>]) -> Vec<bool> {
    let first = standings.first().and_then(Option::as_ref);
    standings
        .iter()
        .map(|s| s.as_ref().zip(first).is_some_and(|(s, first)| s.agrees_with(first)))
        .collect()
}
