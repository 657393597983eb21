//! What head office's admin node does for temporary branches by itself, whenever records or the directory
//! have changed: an approved branch gets a space that its host and head office read and write; attendance
//! of seconded members is credited in their own units' spaces; nobody writes the space of a branch that was
//! archived.
//!
//! Each pass compares what there is with what there should be, so that it does not matter what was missed
//! while the node was down, nor how often it runs.

use super::{Task, kind, space_of};
use crate::admission::{Admission, AdmissionError, How, SpaceChange};
use crate::materialiser::Progress;
use crate::records::{RecordError, Records, Save};
use fenbu_protocol::directory::{Directory, Scope, Template};
use fenbu_protocol::duty::{Credit, credits};
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::record::Edits;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Between two passes, at least: an import makes thousands of changes.
const PAUSE: Duration = Duration::from_millis(500);
/// After a pass that failed.
const RETRY: Duration = Duration::from_secs(10);
/// Credits written in one commit.
const CREDITS_AT_A_TIME: usize = 256;

/// Looks after temporary branches until the node stops.
pub(crate) async fn keep(
    records: Records,
    admission: Admission,
    progress: Arc<Progress>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut changes = records.shared.tasks_changed.subscribe();
    let mut directory = admission.directory();
    let mut told = None;
    loop {
        changes.mark_unchanged();
        let failed = match pass(&records, &admission, &progress).await {
            Ok(()) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = failed.as_ref().filter(|_| failed != told) {
            tracing::error!(error, "temporary branches cannot be looked after yet");
        }
        told.clone_from(&failed);
        let (pause, again) = match failed {
            None => (PAUSE, Duration::MAX),
            Some(_) => (RETRY, Duration::ZERO),
        };
        tokio::select! {
            // An error means that the daemon is gone.
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            changed = changes.changed() => if changed.is_err() { return },
            known = directory.changes() => if !known { return },
            () = tokio::time::sleep(again) => {}
        }
    }
}

/// Why a pass did not come to its end.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Stopping(#[from] crate::writer::Stopping),
}

async fn pass(
    records: &Records,
    admission: &Admission,
    progress: &Progress,
) -> Result<(), PassError> {
    let directory = records.shared.directory.now();
    // Half-filled lists would read as meetings that were taken back.
    if directory.admin() != records.shared.me || progress.views_stale.load(Ordering::Acquire) {
        return Ok(());
    }
    let worker = records.clone();
    let tasks = tokio::task::spawn_blocking(move || worker.tasks());
    let tasks = tasks.await.map_err(|_| crate::writer::Stopping)?.map_err(RecordError::from)?;
    for task in &tasks {
        if let Some((change, how)) = due(&directory, task) {
            let label = change.label.clone();
            admission.change_space(change, how).await?;
            tracing::info!(branch = label, status = task.status, "the space of a temporary branch");
        }
    }
    let worker = records.clone();
    let credited = tokio::task::spawn_blocking(move || worker.credit_attendance());
    let credited = credited.await.map_err(|_| crate::writer::Stopping)??;
    if credited > 0 {
        tracing::info!(credited, "attendance at temporary branches is credited at home");
    }
    Ok(())
}

/// What has to be done about a branch's space.
fn due(directory: &Directory, task: &Task) -> Option<(SpaceChange, How)> {
    let label = task.code.clone();
    match (task.status.as_str(), space_of(directory, &task.code)) {
        ("approved" | "active" | "dissolving", None) => {
            let host = directory.unit(&task.host_unit).is_some();
            // Whose label it is, or that there is no such unit, whoever makes the record is told.
            let free = directory.space_labelled(&task.code).is_none();
            let template = Some(Template::TEMPORARY.as_str().to_owned());
            let unit = Some(task.host_unit.clone());
            (host && free).then(|| {
                (SpaceChange { label, template, unit, ..SpaceChange::default() }, How::Give)
            })
        }
        ("archived", Some(space)) if is_written(directory, space.writers()) => {
            let writers = Some(Scope::units(Vec::new()));
            Some((SpaceChange { label, writers, ..SpaceChange::default() }, How::Take))
        }
        _ => None,
    }
}

/// Whether anybody is in it.
pub(super) fn is_written(directory: &Directory, scope: &Scope) -> bool {
    directory.units().any(|unit| scope.includes(&unit.code))
}

/// A credit as it stands.
struct Standing {
    space: SpaceId,
    branch: String,
    attendance: Option<String>,
    /// The rest of what it says.
    about: Value,
}

fn about(credit: &Credit) -> Value {
    json!({
        "member": credit.member,
        "person": credit.person,
        "home_branch": credit.home_branch,
        "branch": credit.branch,
        "meeting": credit.meeting.to_string(),
        "kind": credit.kind,
        "date": credit.day.to_string(),
    })
}

impl Records {
    /// Credits attendance where it is not credited yet or was corrected; returns how many records changed.
    pub(super) fn credit_attendance(&self) -> Result<usize, RecordError> {
        let directory = self.shared.directory.now();
        let temporary = directory.spaces().filter(|s| s.template == Template::TEMPORARY);
        let spaces: Vec<SpaceId> = temporary.map(|s| s.id).collect();
        let standing = self.standing_credits()?;
        if spaces.is_empty() && standing.is_empty() {
            return Ok(0);
        }
        let wanted = credits(&self.held(&spaces)?, &self.secondments()?);
        let mut saves = Vec::new();
        for (id, credit) in &wanted {
            let Some(space) = directory.unit_space(&credit.unit).map(|s| s.id) else { continue };
            let same = standing.get(id).is_some_and(|s| {
                s.space == space
                    && s.attendance.as_deref() == Some(&credit.attendance)
                    && s.about == about(credit)
            });
            if !same {
                let mut fields = about(credit);
                fields["attendance"] = credit.attendance.as_str().into();
                saves.push(credit_save(space, *id, &fields)?);
            }
        }
        // A meeting that was taken back, somebody who was not there after all.
        let readable = |code: &str| space_of(&directory, code).is_some();
        for (id, credit) in &standing {
            let held = wanted.contains_key(id) || credit.attendance.is_none();
            if !held && readable(&credit.branch) {
                saves.push(credit_save(credit.space, *id, &json!({ "attendance": null }))?);
            }
        }
        let writable = |s: &Save| directory.may_write(&self.shared.me, &s.space, directory.epoch());
        saves.retain(writable);
        for part in saves.chunks(CREDITS_AT_A_TIME) {
            // Nobody's account: head office's node speaks for itself.
            self.save_all(part, "")?;
        }
        Ok(saves.len())
    }

    fn standing_credits(&self) -> Result<BTreeMap<DocId, Standing>, RecordError> {
        let columns =
            ["member", "person", "home_branch", "branch", "meeting", "kind", "date", "attendance"];
        let rows = self.rows("attendance-credit", &columns, &self.shared.readable())?;
        let standing = rows.iter().map(|row| {
            let texts = columns.iter().enumerate().take(columns.len() - 1);
            let about = texts.map(|(i, name)| ((*name).to_owned(), json!(row.text(i)))).collect();
            let attendance = row.text(columns.len() - 1).map(str::to_owned);
            let (space, branch) = (row.0.space, row.own(3));
            (row.0.document, Standing { space, branch, attendance, about })
        });
        Ok(standing.collect())
    }
}

fn credit_save(space: SpaceId, document: DocId, fields: &Value) -> Result<Save, RecordError> {
    let schema = kind("attendance-credit");
    Ok(Save { schema, space, document, edits: Edits::from_json(schema, fields)? })
}
