//! Spaces: who reads, writes and carries them, and how much one author may have there.

use super::acts::Acts;
use super::{Admission, AdmissionError, unit_space};
use fenbu_protocol::directory::{
    Act, DefineSpace, Directory, Quota, Scope, SetLimits, Space, Template, space_id,
};
use fenbu_protocol::id::SpaceId;
use serde::Serialize;
use std::collections::BTreeSet;

/// Why a space is not defined as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SpaceRefused {
    #[error(
        "there is no space '{0}'; see `fenbu space list`, or make one with `fenbu space define`"
    )]
    Unknown(String),
    #[error("there is a space '{0}' already: change it with `fenbu space set`")]
    Known(String),
    #[error(
        "there is no unit '{0}'; see `fenbu directory`. A unit is made with its first node: `fenbu invite --unit {0} --name NAME`"
    )]
    NoUnit(String),
    #[error("a space of template '{0}' belongs to a unit: give --unit")]
    UnitMissing(&'static str),
    #[error("the federation's space belongs to no unit: leave --unit out")]
    UnitSuperfluous,
    #[error("unit '{unit}' has a space of its own already, '{label}'")]
    UnitHasOne { unit: String, label: String },
    #[error("the federation has a space that every node reads already, '{0}'")]
    FederationHasOne(String),
    #[error("unknown template '{0}'; templates are federation, unit, temporary")]
    Template(String),
    #[error("somebody must read space '{0}': with its last reader its keys would be gone")]
    NoReader(String),
    #[error("this takes rights in space '{0}' and was not confirmed")]
    Takes(String),
    #[error(
        "by these limits some authors of space '{0}' could not write on, and this was not confirmed"
    )]
    OverLimits(String),
}

/// What is asked of a space; what is absent stays, or is what the template says.
#[derive(Debug, Clone, Default)]
pub struct SpaceChange {
    pub label: String,
    /// Present: the space is to be new.
    pub template: Option<String>,
    pub unit: Option<String>,
    pub readers: Option<Scope>,
    pub writers: Option<Scope>,
    pub carriers: Option<Scope>,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Only say what would become of it.
    Preview,
    /// Do it if it takes nothing from anybody.
    Give,
    /// Do it.
    Take,
}

/// Units that lose a right, by code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    pub readers: BTreeSet<String>,
    pub writers: BTreeSet<String>,
    pub carriers: BTreeSet<String>,
}

impl Taken {
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.writers.is_empty() && self.carriers.is_empty()
    }
}

/// What a change to a space does, or would do.
#[derive(Debug, Clone)]
pub struct SpaceEffect {
    pub space: SpaceId,
    pub is_new: bool,
    pub taken: Taken,
    /// Logs that count up to where they are here, and no further.
    pub logs_cut: usize,
    /// What is written from then on is sealed with a new key.
    pub new_key: bool,
    /// The directory as it is with it.
    pub directory: Directory,
    /// The epoch that was made; `None` if nothing was done.
    pub epoch: Option<u64>,
}

/// How much one author may have in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    pub bytes: Option<u64>,
    pub entries: Option<u64>,
    pub documents: Option<u64>,
    /// What is not named goes back to its default; else it stays.
    pub reset: bool,
}

impl Admission {
    /// Defines a space, or its rights anew. Who loses the right to write loses it with a complete cut, at
    /// the ends of the logs as they are here; who loses the right to read is not given the next key.
    pub async fn change_space(
        &self,
        change: SpaceChange,
        how: How,
    ) -> Result<SpaceEffect, AdmissionError> {
        let _turn = self.turn.lock().await;
        let directory = self.shared.directory.now();
        self.check_admin(&directory)?;
        let define = defined(&directory, change)?;
        let before = directory.space(&define.space);
        let taken = taken(&directory, before, &define);
        if !taken.writers.is_empty() && !directory.carries(&self.shared.me, &define.space) {
            return Err(AdmissionError::Blind(define.label));
        }
        let cuts = self.losers_cuts(&directory, &define, &taken).await?;
        let mut acts = Acts::after(&self.shared, &directory);
        let (label, space) = (define.label.clone(), define.space);
        let takes_writing = !taken.writers.is_empty();
        let define = |cuts| {
            let cuts = takes_writing.then_some(cuts);
            Act::DefineSpace(DefineSpace { cuts, ..define })
        };
        acts.say_with_cuts(&cuts, define)?;
        acts.say_what_is_due()?;
        let key_epoch = |d: &Directory| d.space(&space).map_or(0, Space::key_epoch);
        let mut effect = SpaceEffect {
            space,
            is_new: before.is_none(),
            logs_cut: cuts.len(),
            new_key: key_epoch(&acts.directory) > key_epoch(&directory),
            directory: acts.directory.clone(),
            taken,
            epoch: None,
        };
        match how {
            How::Preview => return Ok(effect),
            How::Give if !effect.taken.is_empty() => return Err(SpaceRefused::Takes(label).into()),
            How::Give | How::Take => {}
        }
        self.say(acts, Vec::new()).await?;
        tracing::info!(space = %space.short(), label, cuts = cuts.len(), "defined a space");
        effect.epoch = Some(directory.epoch() + 1);
        Ok(effect)
    }

    async fn losers_cuts(
        &self,
        directory: &Directory,
        define: &DefineSpace,
        taken: &Taken,
    ) -> Result<Vec<fenbu_protocol::directory::Cut>, AdmissionError> {
        let space = define.space;
        let losers = directory.nodes().filter(|n| taken.writers.contains(&n.unit));
        let losers: BTreeSet<_> = losers.map(|n| n.node).collect();
        if losers.is_empty() {
            return Ok(Vec::new());
        }
        self.cuts_of(move |opening| opening.space == space && losers.contains(&opening.node)).await
    }

    /// Sets how much one author may have in a space. Returns the limits, and the epoch unless it is a
    /// preview. `over` says whether anybody is over such limits now.
    pub async fn set_limits(
        &self,
        label: &str,
        limits: Limits,
        how: How,
        over: impl FnOnce(&Space, &Quota) -> Result<bool, AdmissionError>,
    ) -> Result<(Quota, Option<u64>), AdmissionError> {
        let _turn = self.turn.lock().await;
        let directory = self.shared.directory.now();
        self.check_admin(&directory)?;
        let space = labelled(&directory, label)?;
        let (before, usual) = (directory.quota_at(&space.id, directory.epoch()), Quota::default());
        let value = |asked: Option<u64>, before: u64, usual: u64| {
            asked.unwrap_or(if limits.reset { usual } else { before })
        };
        let quota = Quota {
            entries: value(limits.entries, before.entries, usual.entries),
            bytes: value(limits.bytes, before.bytes, usual.bytes),
            documents: value(limits.documents, before.documents, usual.documents),
        };
        let said = |value: u64, usual: u64| (value != usual).then_some(value);
        let act = SetLimits {
            space: space.id,
            bytes: said(quota.bytes, usual.bytes),
            entries: said(quota.entries, usual.entries),
            documents: said(quota.documents, usual.documents),
        };
        let mut acts = Acts::after(&self.shared, &directory);
        acts.say(&Act::SetLimits(act))?;
        match how {
            How::Preview => return Ok((quota, None)),
            How::Give if over(space, &quota)? => {
                return Err(SpaceRefused::OverLimits(label.to_owned()).into());
            }
            How::Give | How::Take => {}
        }
        self.say(acts, Vec::new()).await?;
        Ok((quota, Some(directory.epoch() + 1)))
    }
}

/// The space of this label.
pub(crate) fn labelled<'a>(
    directory: &'a Directory,
    label: &str,
) -> Result<&'a Space, SpaceRefused> {
    directory.space_labelled(label).ok_or_else(|| SpaceRefused::Unknown(label.to_owned()))
}

/// The whole statement, but for its cuts.
fn defined(directory: &Directory, change: SpaceChange) -> Result<DefineSpace, SpaceRefused> {
    let known = directory.space_labelled(&change.label);
    let mut define = match (&change.template, known) {
        (Some(_), Some(space)) => return Err(SpaceRefused::Known(space.label.clone())),
        (None, None) => return Err(SpaceRefused::Unknown(change.label)),
        (Some(template), None) => templated(directory, &change, template)?,
        (None, Some(space)) => DefineSpace {
            space: space.id,
            label: space.label.clone(),
            template: space.template,
            unit: space.unit.clone(),
            readers: space.readers().clone(),
            writers: space.writers().clone(),
            carriers: space.carriers().clone(),
            cuts: None,
        },
    };
    define.readers = change.readers.unwrap_or(define.readers);
    define.writers = change.writers.unwrap_or(define.writers);
    define.carriers = change.carriers.unwrap_or(define.carriers);
    for unit in
        [&define.readers, &define.writers, &define.carriers].into_iter().flat_map(|s| &s.units)
    {
        known_unit(directory, unit)?;
    }
    if !define.readers.all && define.readers.units.is_empty() {
        return Err(SpaceRefused::NoReader(define.label));
    }
    Ok(define)
}

fn known_unit(directory: &Directory, unit: &str) -> Result<(), SpaceRefused> {
    directory.unit(unit).map(|_| ()).ok_or_else(|| SpaceRefused::NoUnit(unit.to_owned()))
}

/// A new space as its template has it.
fn templated(
    directory: &Directory,
    change: &SpaceChange,
    template: &str,
) -> Result<DefineSpace, SpaceRefused> {
    let unknown = || SpaceRefused::Template(template.to_owned());
    let template = Template::from_name(template).ok_or_else(unknown)?;
    let label = change.label.clone();
    let space = space_id(&directory.federation(), &label);
    if template == Template::FEDERATION {
        if change.unit.is_some() {
            return Err(SpaceRefused::UnitSuperfluous);
        }
        if let Some(known) = directory.spaces().find(|s| s.template == template) {
            return Err(SpaceRefused::FederationHasOne(known.label.clone()));
        }
        let everyone = Scope::everyone;
        let (readers, writers, carriers) = (everyone(), everyone(), everyone());
        let unit = None;
        return Ok(DefineSpace {
            space,
            label,
            template,
            unit,
            readers,
            writers,
            carriers,
            cuts: None,
        });
    }
    let unit = change.unit.as_ref().ok_or(SpaceRefused::UnitMissing(template.as_str()))?;
    known_unit(directory, unit)?;
    if template == Template::UNIT
        && let Some(known) = directory.unit_space(unit)
    {
        let (unit, label) = (unit.clone(), known.label.clone());
        return Err(SpaceRefused::UnitHasOne { unit, label });
    }
    // Its unit and head office read and write, all carry: of a task force that unit is the host.
    Ok(DefineSpace { space, label, template, ..unit_space(directory, unit) })
}

/// Units that had a right and have it no more.
fn taken(directory: &Directory, before: Option<&Space>, define: &DefineSpace) -> Taken {
    let Some(before) = before else { return Taken::default() };
    let lost = |had: &dyn Fn(&str) -> bool, has: &dyn Fn(&str) -> bool| {
        let units = directory.units().map(|u| u.code.clone());
        units.filter(|unit| had(unit) && !has(unit)).collect()
    };
    let carried = |carriers: &Scope, readers: &Scope, unit: &str| {
        carriers.includes(unit) || readers.includes(unit)
    };
    Taken {
        readers: lost(&|u| before.readers().includes(u), &|u| define.readers.includes(u)),
        writers: lost(&|u| before.writers().includes(u), &|u| define.writers.includes(u)),
        carriers: lost(&|u| carried(before.carriers(), before.readers(), u), &|u| {
            carried(&define.carriers, &define.readers, u)
        }),
    }
}
