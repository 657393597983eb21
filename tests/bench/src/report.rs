//! What was measured: medians over the runs, as JSON lines or as tables.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::{Map, Value, json};

use crate::aims;
use crate::systems::Disk;

/// One figure of one run.
#[derive(Debug, Clone)]
struct Figure {
    metric: String,
    value: f64,
    unit: &'static str,
    extra: Map<String, Value>,
}

/// A system's figure over all runs.
#[derive(Debug, Clone)]
pub struct Median {
    pub system: String,
    pub metric: String,
    pub value: f64,
    pub unit: &'static str,
}

/// Gathers a system's runs, then prints their medians.
pub struct Report {
    records: usize,
    json: bool,
    figures: Vec<Figure>,
    errors: Vec<String>,
    medians: Vec<Median>,
    rows: Vec<[String; 5]>,
    disks: Vec<[String; 3]>,
}

impl Report {
    pub fn new(records: usize, json: bool) -> Self {
        Self {
            records,
            json,
            figures: Vec::new(),
            errors: Vec::new(),
            medians: Vec::new(),
            rows: Vec::new(),
            disks: Vec::new(),
        }
    }

    /// A figure of this run. `extra` is an object; it says at least what was durable, where that is
    /// a question.
    pub fn add(&mut self, metric: &str, value: f64, unit: &'static str, extra: Value) {
        let extra = extra.as_object().cloned().unwrap_or_default();
        self.figures.push(Figure { metric: metric.into(), value, unit, extra });
    }

    /// The run under way ended early.
    pub fn failed(&mut self, error: &str) {
        self.errors.push(error.to_owned());
    }

    /// Prints the medians of a system's runs, in the order its figures first came, and how its data
    /// got to the disk.
    pub fn finish(&mut self, system: &str, disk: Option<Disk>) {
        let figures = std::mem::take(&mut self.figures);
        if let Some(disk) = disk.filter(|_| !figures.is_empty()) {
            self.disk(system, disk);
        }
        let mut metrics: Vec<&str> = Vec::new();
        for figure in &figures {
            if !metrics.contains(&figure.metric.as_str()) {
                metrics.push(&figure.metric);
            }
        }
        for metric in metrics {
            let mut runs: Vec<&Figure> = figures.iter().filter(|f| f.metric == metric).collect();
            runs.sort_by(|a, b| a.value.total_cmp(&b.value));
            self.print(system, &runs);
        }
        for error in std::mem::take(&mut self.errors) {
            self.emit(system, "error", Value::Null, "", json!({ "error": error }));
        }
    }

    fn disk(&mut self, system: &str, disk: Disk) {
        let fsync = disk.fsync.words();
        if self.json {
            self.emit(system, "disk", fsync.into(), "", json!({ "how": disk.how }));
        } else {
            self.disks.push([system, fsync, disk.how].map(str::to_owned));
        }
    }

    /// `runs` is sorted and not empty.
    fn print(&mut self, system: &str, runs: &[&Figure]) {
        let median = runs[runs.len() / 2];
        let mut extra = median.extra.clone();
        if runs.len() > 1 {
            extra.insert("runs".into(), runs.len().into());
            extra.insert("min".into(), rounded(runs[0].value));
            extra.insert("max".into(), rounded(runs[runs.len() - 1].value));
        }
        self.medians.push(Median {
            system: system.to_owned(),
            metric: median.metric.clone(),
            value: median.value,
            unit: median.unit,
        });
        self.emit(system, &median.metric, rounded(median.value), median.unit, extra.into());
    }

    fn emit(&mut self, system: &str, metric: &str, value: Value, unit: &str, extra: Value) {
        let mut line = json!({
            "system": system,
            "metric": metric,
            "records": self.records,
            "value": value,
            "unit": unit,
        });
        if let (Some(line), Value::Object(extra)) = (line.as_object_mut(), extra) {
            line.extend(extra);
        }
        if self.json {
            println!("{line}");
            return;
        }
        let note = ["error", "durable", "bytes_are", "note"]
            .into_iter()
            .find_map(|key| line[key].as_str())
            .unwrap_or_default();
        let shown = if value.is_null() { "–".to_owned() } else { value.to_string() };
        self.rows.push([system, metric, &shown, unit, note].map(str::to_owned));
    }

    /// What became of fenbu's aims, and before it the tables, unless JSON lines were asked for.
    pub fn close(&self) {
        let aims = aims::judge(&self.medians);
        if self.json {
            for aim in aims {
                println!("{}", aim.json(self.records));
            }
            return;
        }
        let header = ["system", "metric", "value", "unit", "durable, or how counted"];
        println!("{} records\n{}", self.records, table(header, 2, &self.rows));
        println!("\n{}", table(["system", "synced to disk", "how"], 3, &self.disks));
        if !aims.is_empty() {
            let rows: Vec<_> = aims.iter().map(aims::Verdict::row).collect();
            println!("\n{}", table(aims::HEADER, 4, &rows));
        }
    }
}

/// A table; the column of this number holds numbers.
fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    numbers: usize,
    rows: &[[String; COLUMNS]],
) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    for row in rows {
        let cells = row.iter().enumerate().map(|(i, text)| {
            let align = if i == numbers { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(align)
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    table
}

/// Three significant digits after the point at most; whole numbers stay whole.
pub fn rounded(value: f64) -> Value {
    let digits = if value.abs() >= 1000.0 { 1.0 } else { 1000.0 };
    let value = (value * digits).round() / digits;
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

/// The value below which `percent` of them lie; 0 of none.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = ((sorted.len() as f64) * percent / 100.0) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
