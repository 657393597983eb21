//! A report: lines, columns, and cells that know the records behind them.

use super::calendar::Period;
use super::freshness::Freshness;
use crate::id::DocId;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Complete,
    /// Lacking, and there is time left.
    Due,
    /// Lacking, and the time is over.
    Overdue,
    NotApplicable,
    /// The unit's data is not here up to the period's end: silence is not failure.
    NotSynced,
}

impl State {
    pub fn code(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::NotApplicable => "not_applicable",
            Self::NotSynced => "not_synced",
        }
    }

    pub fn of(code: &str) -> Option<Self> {
        let all = [Self::Complete, Self::Due, Self::Overdue, Self::NotApplicable, Self::NotSynced];
        all.into_iter().find(|state| state.code() == code)
    }

    pub fn label_zh(self) -> &'static str {
        match self {
            Self::Complete => "完成",
            Self::Due => "待办",
            Self::Overdue => "逾期",
            Self::NotApplicable => "不适用",
            Self::NotSynced => "未同步",
        }
    }

    pub fn label_en(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::NotApplicable => "n/a",
            Self::NotSynced => "not synced",
        }
    }
}

/// How a column's numbers are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// A number of things.
    Count,
    /// `2/3`: done of required.
    Ratio,
    /// Done of required, in per cent.
    Percent,
    Days,
    /// A sum of money in fen.
    Fen,
    Text,
}

impl Shown {
    pub fn code(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Ratio => "ratio",
            Self::Percent => "percent",
            Self::Days => "days",
            Self::Fen => "fen",
            Self::Text => "text",
        }
    }
}

/// A column of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub key: String,
    pub zh: String,
    pub en: String,
    pub shown: Shown,
}

impl Column {
    pub fn new(key: &str, zh: &str, en: &str, shown: Shown) -> Self {
        Self { key: key.into(), zh: zh.into(), en: en.into(), shown }
    }

    pub fn count(key: &str, zh: &str, en: &str) -> Self {
        Self::new(key, zh, en, Shown::Count)
    }
}

/// One figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    pub state: Option<State>,
    pub done: i64,
    pub required: Option<i64>,
    pub text: Option<String>,
    /// The records behind it; those that are wanting are not there to be named.
    pub ids: Vec<DocId>,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    pub fn add(&mut self, amount: i64, id: DocId) {
        self.done = self.done.saturating_add(amount);
        self.ids.push(id);
    }

    /// One of `required` more, done or not.
    pub fn weigh(&mut self, done: bool, id: DocId) {
        *self.required.get_or_insert(0) += 1;
        self.done += i64::from(done);
        if self.ids.last() != Some(&id) {
            self.ids.push(id);
        }
    }

    /// Done of required in tenths of a per cent, rounded half up; none of nothing.
    pub fn permille(&self) -> Option<i64> {
        let required = self.required.filter(|r| *r > 0)?;
        Some((self.done * 2000 + required) / (required * 2))
    }

    fn merge(&mut self, other: &Self) {
        self.done = self.done.saturating_add(other.done);
        if let Some(required) = other.required {
            *self.required.get_or_insert(0) += required;
        }
        self.ids.extend(&other.ids);
    }

    fn to_json(&self, shown: Shown) -> Value {
        let mut out = Map::new();
        if let Some(state) = self.state {
            out.insert("state".into(), state.code().into());
        }
        if let Some(text) = &self.text {
            out.insert("text".into(), text.as_str().into());
        } else {
            out.insert("done".into(), self.done.into());
        }
        if let Some(required) = self.required {
            out.insert("required".into(), required.into());
        }
        if shown == Shown::Percent {
            out.insert("permille".into(), self.permille().into());
        }
        Value::Object(out)
    }
}

/// One row of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub key: String,
    /// Whose data it is; none where it is everyone's.
    pub unit: Option<String>,
    pub label: String,
    /// Parallel to [`Table::columns`].
    pub cells: Vec<Cell>,
}

/// A unit as reports name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub code: String,
    pub name: String,
    pub freshness: Freshness,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub lines: Vec<Line>,
    /// The sums of all lines, where summing makes sense.
    pub total: Option<Vec<Cell>>,
}

impl Table {
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, lines: Vec::new(), total: None }
    }

    /// An empty line; returns where it stands.
    pub fn line(&mut self, key: &str, unit: Option<&str>, label: &str) -> usize {
        self.lines.push(Line {
            key: key.to_owned(),
            unit: unit.map(str::to_owned),
            label: label.to_owned(),
            cells: vec![Cell::default(); self.columns.len()],
        });
        self.lines.len() - 1
    }

    pub fn column(&self, key: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.key == key)
    }

    /// A cell that is there. `line` is what [`Table::line`] gave.
    pub(super) fn at(&mut self, line: usize, key: &str) -> &mut Cell {
        // INVARIANT: reports ask for the columns they made.
        let column = self.column(key).expect("a column of this report");
        &mut self.lines[line].cells[column]
    }

    /// Sums up all lines.
    pub(super) fn totalled(mut self) -> Self {
        let mut total = vec![Cell::default(); self.columns.len()];
        for line in &self.lines {
            total.iter_mut().zip(&line.cells).for_each(|(sum, cell)| sum.merge(cell));
        }
        self.total = Some(total);
        self
    }

    /// Marks the cells of units whose data is not here up to the period's end. Of a period that is not
    /// over, nobody's can be; there freshness speaks for itself.
    pub fn mark_unsynced(&mut self, units: &[Unit], period: Period, now_ms: u64) {
        let end_ms = period.end().start_ms();
        if i128::from(now_ms) < i128::from(end_ms) {
            return;
        }
        let fresh = |code: &String| {
            units.iter().find(|u| u.code == *code).is_some_and(|u| u.freshness.reaches(end_ms))
        };
        for line in &mut self.lines {
            if line.unit.as_ref().is_some_and(|unit| !fresh(unit)) {
                line.cells.iter_mut().for_each(|cell| cell.state = Some(State::NotSynced));
            }
        }
    }

    /// The cell `LINE/COLUMN`; `total` names the sums.
    pub fn cell(&self, name: &str) -> Option<&Cell> {
        let (line, column) = name.rsplit_once('/')?;
        let column = self.column(column)?;
        if let Some(line) = self.lines.iter().find(|l| l.key == line) {
            return line.cells.get(column);
        }
        self.total.as_ref().filter(|_| line == "total")?.get(column)
    }

    /// Columns, lines and sums as JSON.
    pub fn to_json(&self) -> Value {
        let columns = self
            .columns
            .iter()
            .map(|c| json!({ "key": c.key, "zh": c.zh, "en": c.en, "shown": c.shown.code() }));
        let lines = self.lines.iter().map(|line| {
            json!({
                "key": line.key,
                "unit": line.unit,
                "label": line.label,
                "cells": self.cells_json(&line.cells),
            })
        });
        json!({
            "columns": columns.collect::<Vec<_>>(),
            "lines": lines.collect::<Vec<_>>(),
            "total": self.total.as_ref().map(|cells| self.cells_json(cells)),
        })
    }

    fn cells_json(&self, cells: &[Cell]) -> Value {
        let cells = self.columns.iter().zip(cells);
        let named = cells.map(|(column, cell)| (column.key.clone(), cell.to_json(column.shown)));
        Value::Object(named.collect())
    }
}

/// Where each key stands, for adding by key.
pub(super) fn places<'a>(keys: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    keys.into_iter().enumerate().map(|(i, key)| (key, i)).collect()
}
