//! Figures kept as they stood (封存), and what arrived later (补报).
//!
//! A sealed report's id is made of the digest of its contents: who changes one makes another, and everyone
//! sees that it does not fit its id.

use super::table::{State, Table, Unit};
use crate::id::{DocId, Hash, hex};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The figures of a report, without the records behind them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Label of each line, by key.
    labels: BTreeMap<String, String>,
    /// `LINE/COLUMN` and what stood there.
    cells: BTreeMap<(String, String), Figure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Figure {
    state: Option<State>,
    done: i64,
    required: Option<i64>,
    text: Option<String>,
}

impl Figure {
    fn to_json(&self) -> Value {
        json!([self.done, self.required, self.state.map(State::code), self.text])
    }

    fn of(value: &Value) -> Option<Self> {
        let [done, required, state, text] = &value.as_array()?[..] else { return None };
        Some(Self {
            state: state.as_str().and_then(State::of),
            done: done.as_i64()?,
            required: required.as_i64(),
            text: text.as_str().map(str::to_owned),
        })
    }
}

/// A cell that reads otherwise now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub line: String,
    pub label: String,
    pub column: String,
    /// As JSON: done, required, state, text; null where there was no such cell.
    pub then: Value,
    pub now: Value,
}

impl Figures {
    pub fn of(table: &Table) -> Self {
        let mut out = Self::default();
        for line in &table.lines {
            out.labels.insert(line.key.clone(), line.label.clone());
            for (column, cell) in table.columns.iter().zip(&line.cells) {
                let figure = Figure {
                    state: cell.state,
                    done: cell.done,
                    required: cell.required,
                    text: cell.text.clone(),
                };
                out.cells.insert((line.key.clone(), column.key.clone()), figure);
            }
        }
        out
    }

    /// One text for the same figures, on every machine.
    pub fn to_text(&self) -> String {
        let mut lines: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
        for ((line, column), figure) in &self.cells {
            lines.entry(line).or_default().insert(column.clone(), figure.to_json());
        }
        let lines: Map<String, Value> = lines
            .into_iter()
            .map(|(key, cells)| {
                let label = self.labels.get(key).map_or("", String::as_str);
                (key.to_owned(), json!({ "label": label, "cells": cells }))
            })
            .collect();
        Value::Object(lines).to_string()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut out = Self::default();
        for (key, line) in serde_json::from_str::<Value>(text).ok()?.as_object()? {
            out.labels.insert(key.clone(), line["label"].as_str()?.to_owned());
            for (column, cell) in line["cells"].as_object()? {
                out.cells.insert((key.clone(), column.clone()), Figure::of(cell)?);
            }
        }
        Some(out)
    }

    /// Where these figures and later ones differ, by line and column.
    pub fn compare(&self, later: &Self) -> Vec<Difference> {
        let keys: BTreeSet<_> = self.cells.keys().chain(later.cells.keys()).collect();
        let differing =
            keys.into_iter().filter(|key| self.cells.get(*key) != later.cells.get(*key));
        let json = |figure: Option<&Figure>| figure.map_or(Value::Null, Figure::to_json);
        let label = |line: &String| self.labels.get(line).or_else(|| later.labels.get(line));
        differing
            .map(|key| Difference {
                line: key.0.clone(),
                label: label(&key.0).cloned().unwrap_or_default(),
                column: key.1.clone(),
                then: json(self.cells.get(key)),
                now: json(later.cells.get(key)),
            })
            .collect()
    }
}

/// Why a sealed report cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(
        "sealed report {0} does not fit its digest: somebody changed it after it was sealed; its history says who"
    )]
    Altered(DocId),
    #[error("sealed report {0} cannot be read by this version")]
    Unreadable(DocId),
}

/// A report as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub report: String,
    pub period: String,
    /// Empty for the whole federation.
    pub unit: String,
    /// Milliseconds since 1970.
    pub sealed_ms: i64,
    pub figures: Figures,
    /// As-of mark of each unit, in milliseconds since 1970.
    pub marks: BTreeMap<String, Option<u64>>,
}

impl Sealed {
    pub fn new(
        report: &str,
        period: &str,
        unit: &str,
        table: &Table,
        units: &[Unit],
        now_ms: u64,
    ) -> Self {
        Self {
            report: report.to_owned(),
            period: period.to_owned(),
            unit: unit.to_owned(),
            sealed_ms: now_ms as i64,
            figures: Figures::of(table),
            marks: units.iter().map(|u| (u.code.clone(), u.freshness.as_of_ms)).collect(),
        }
    }

    fn marks_text(&self) -> String {
        json!(self.marks).to_string()
    }

    fn digest(&self) -> Hash {
        let (sealed, marks) = (self.sealed_ms.to_be_bytes(), self.marks_text());
        let figures = self.figures.to_text();
        let texts = [&self.report, &self.period, &self.unit, &figures, &marks];
        let lengths: Vec<u8> =
            texts.iter().flat_map(|text| (text.len() as u64).to_be_bytes()).collect();
        let mut parts = vec![&lengths[..], &sealed[..]];
        parts.extend(texts.iter().map(|text| text.as_bytes()));
        Hash::of("fenbu/sealed-report/1", &parts)
    }

    /// The record's id: the first half of its digest.
    pub fn id(&self) -> DocId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.digest().0[..16]);
        DocId(id)
    }

    /// The fields of its record.
    pub fn to_fields(&self) -> Value {
        json!({
            "report": self.report,
            "period": self.period,
            "unit": self.unit,
            "sealed": self.sealed_ms,
            "figures": self.figures.to_text(),
            "marks": self.marks_text(),
            "digest": hex(&self.digest().0),
        })
    }

    /// Reads a record's fields, and checks that they are what was sealed under this id.
    pub fn of_fields(id: DocId, fields: &Value) -> Result<Self, SealError> {
        let text = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        let marks = serde_json::from_str(&text("marks")).ok();
        let unreadable = SealError::Unreadable(id);
        let sealed = Self {
            report: text("report"),
            period: text("period"),
            unit: text("unit"),
            sealed_ms: fields["sealed"].as_i64().ok_or_else(|| unreadable.clone())?,
            figures: Figures::parse(&text("figures")).ok_or_else(|| unreadable.clone())?,
            marks: marks.ok_or(unreadable)?,
        };
        let whole = sealed.id() == id && text("digest") == hex(&sealed.digest().0);
        if whole { Ok(sealed) } else { Err(SealError::Altered(id)) }
    }
}
