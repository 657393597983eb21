//! Spaces: who reads, writes and carries them, how much is in them, and changing that.

use super::admin::scope;
use super::records::parse;
use super::{Problem, blocking};
use crate::admission::{AdmissionError, How, Limits, SpaceChange, SpaceEffect, labelled};
use crate::daemon::Daemon;
use crate::store::{Reader, StoreError};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use fenbu_protocol::directory::{Directory, Quota, Scope, Space};
use fenbu_protocol::id::{NodeId, SpaceId};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

type Node = State<Arc<Daemon>>;

/// Units a right extends to: `all`, or their codes.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Who {
    Word(String),
    Units(Vec<String>),
}

impl Who {
    fn scope(self) -> Result<Scope, Problem> {
        match self {
            Self::Word(word) if word == "all" => Ok(Scope::everyone()),
            Self::Word(word) => Err(Problem::bad_request(format!(
                "'{word}' is neither \"all\" nor an array of unit codes"
            ))),
            Self::Units(mut units) => {
                units.sort();
                units.dedup();
                Ok(Scope::units(units))
            }
        }
    }
}

/// How far a request goes: without either, a change is made if it takes nothing from anybody.
fn how(preview: bool, confirmed: bool) -> How {
    match (preview, confirmed) {
        (true, _) => How::Preview,
        (_, true) => How::Take,
        _ => How::Give,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    label: String,
    template: Option<String>,
    unit: Option<String>,
    readers: Option<Who>,
    writers: Option<Who>,
    carriers: Option<Who>,
    #[serde(default)]
    preview: bool,
    /// What is taken is meant.
    #[serde(default)]
    confirmed: bool,
}

pub(super) async fn change(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: Change = parse(&body)?;
    let scope = |who: Option<Who>| who.map(Who::scope).transpose();
    let change = SpaceChange {
        label: asked.label,
        template: asked.template,
        unit: asked.unit,
        readers: scope(asked.readers)?,
        writers: scope(asked.writers)?,
        carriers: scope(asked.carriers)?,
    };
    let how = how(asked.preview, asked.confirmed);
    let effect = daemon.admission.change_space(change, how).await?;
    Ok(Json(told(&effect)))
}

fn told(effect: &SpaceEffect) -> Value {
    let space = effect.directory.space(&effect.space);
    let named = |scope_of: fn(&Space) -> &Scope| space.map(|s| scope(scope_of(s)));
    json!({
        "schema": "fenbu.space-change/1",
        "id": effect.space,
        "label": space.map(|s| s.label.as_str()),
        "template": space.map(|s| s.template.as_str()),
        "unit": space.and_then(|s| s.unit.as_deref()),
        "readers": named(Space::readers),
        "writers": named(Space::writers),
        "carriers": named(Space::carriers),
        "new": effect.is_new,
        "takes": effect.taken,
        "logs_cut": effect.logs_cut,
        "new_key": effect.new_key,
        "done": effect.epoch.is_some(),
        "epoch": effect.epoch,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetLimits {
    label: String,
    bytes: Option<u64>,
    entries: Option<u64>,
    documents: Option<u64>,
    #[serde(default)]
    reset: bool,
    #[serde(default)]
    preview: bool,
    /// What is taken is meant.
    #[serde(default)]
    confirmed: bool,
}

pub(super) async fn limits(State(daemon): Node, body: Bytes) -> Result<Json<Value>, Problem> {
    let asked: SetLimits = parse(&body)?;
    let SetLimits { bytes, entries, documents, reset, .. } = asked;
    let limits = Limits { bytes, entries, documents, reset };
    let usage = {
        let directory = daemon.records.shared.directory.now();
        used(&daemon, labelled(&directory, &asked.label)?.id).await?
    };
    let over = |quota: &Quota| {
        let over = usage
            .iter()
            .filter(|(_, used)| used.entries > quota.entries || used.bytes > quota.bytes);
        over.map(|(node, _)| *node).collect::<Vec<_>>()
    };
    let how = how(asked.preview, asked.confirmed);
    let check = |_: &Space, quota: &Quota| Ok::<_, AdmissionError>(!over(quota).is_empty());
    let (quota, epoch) = daemon.admission.set_limits(&asked.label, limits, how, check).await?;
    let directory = daemon.records.shared.directory.now();
    let over: Vec<String> = over(&quota).iter().map(|node| name(&directory, node)).collect();
    Ok(Json(json!({
        "schema": "fenbu.space-limits/1",
        "label": asked.label,
        "limits": quota_told(&quota),
        "over": over,
        "done": epoch.is_some(),
        "epoch": epoch,
    })))
}

/// One space with what its authors have in it.
pub(super) async fn show(
    State(daemon): Node,
    Path(label): Path<String>,
) -> Result<Json<Value>, Problem> {
    let directory = daemon.records.shared.directory.now();
    let space = labelled(&directory, &label)?;
    let usage = used(&daemon, space.id).await?;
    let authors = usage.iter().map(|(node, used)| {
        json!({
            "node": node,
            "name": name(&directory, node),
            "logs": used.logs,
            "entries": used.entries,
            "bytes": used.bytes,
        })
    });
    let mut told = space_told(&directory, space);
    told["schema"] = "fenbu.space/1".into();
    told["authors"] = authors.collect();
    let key_epoch = space.key_epoch();
    let holders = space.wrapped_for(key_epoch).map(|node| name(&directory, node));
    told["key_holders"] = holders.collect();
    Ok(Json(told))
}

pub(super) fn space_told(directory: &Directory, space: &Space) -> Value {
    json!({
        "id": space.id,
        "label": space.label,
        "template": space.template.as_str(),
        "unit": space.unit,
        "readers": scope(space.readers()),
        "writers": scope(space.writers()),
        "carriers": scope(space.carriers()),
        "sealed": space.is_sealed(),
        "key_epoch": space.key_epoch(),
        "limits": quota_told(&directory.quota_at(&space.id, directory.epoch())),
    })
}

fn quota_told(quota: &Quota) -> Value {
    json!({ "entries": quota.entries, "bytes": quota.bytes, "documents": quota.documents })
}

fn name(directory: &Directory, node: &NodeId) -> String {
    directory.node(node).map_or_else(|| node.short(), |n| n.name.clone())
}

/// What one author has in a space, as far as it is here.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    logs: u64,
    entries: u64,
    bytes: u64,
}

async fn used(daemon: &Daemon, space: SpaceId) -> Result<BTreeMap<NodeId, Used>, Problem> {
    let readers = daemon.records.shared.readers.clone();
    Ok(blocking(move || readers.with(|r| used_in(r, space))).await??)
}

fn used_in(reader: &dyn Reader, space: SpaceId) -> Result<BTreeMap<NodeId, Used>, StoreError> {
    let mut by_author: BTreeMap<NodeId, Used> = BTreeMap::new();
    for log in reader.logs(space)? {
        let used = by_author.entry(log.opening.node).or_default();
        used.logs += 1;
        used.entries += log.tip.seq;
        used.bytes = used.bytes.saturating_add(log.tip.body_bytes);
    }
    Ok(by_author)
}
