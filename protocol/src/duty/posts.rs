//! Posts in figures: columns, and what became of them.

use super::calendar::{Day, Period};
use super::table::{Column, Table};
use crate::id::DocId;
use crate::record::{Code, schema_named};
use std::collections::BTreeMap;

/// A post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub id: DocId,
    /// The unit that wrote it; none while its author's log is not known.
    pub unit: Option<String>,
    pub column: Option<String>,
    pub status: String,
    /// The day it was written, else the day it was entered.
    pub day: Day,
    pub bylines: Vec<String>,
}

impl Post {
    /// Whether everybody reads it.
    fn is_out(&self) -> bool {
        matches!(self.status.as_str(), "published" | "archived")
    }
}

/// What the lines stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Unit,
    Month,
    /// Those who wrote most, first; a post counts for each of its authors.
    Author,
}

/// Authors listed.
const AUTHORS_MAX: usize = 100;

fn codes(field: &str) -> &'static [Code] {
    schema_named("post").and_then(|s| s.field(field)).map_or(&[][..], |f| f.codes())
}

fn columns(posts: &[Post]) -> Vec<Column> {
    let mut columns = vec![Column::count("posts", "发稿", "Posts out")];
    columns.extend(codes("column").iter().map(|c| Column::count(c.code, c.zh, c.en)));
    // A federation may have columns of its own.
    for post in posts {
        let own = post.column.as_deref().filter(|own| !columns.iter().any(|c| c.key == *own));
        columns.extend(own.map(|own| Column::count(own, own, own)));
    }
    let states = codes("status").iter();
    columns.extend(states.map(|c| Column::count(&format!("is_{}", c.code), c.zh, c.en)));
    columns.push(Column::count("so_far", "累计", "So far"));
    columns
}

/// Posts of a period: those that are out, and of them each column's, the same on every node; and how many
/// are in which state now, as far as their drafts are read here. `so_far` counts all that are out up to
/// the period's end.
pub fn posts(units: &[(String, String)], posts: &[Post], period: Period, by: By) -> Table {
    let mut table = Table::new(columns(posts));
    let own = |key: String| (key.clone(), None, key);
    let named: Vec<(String, Option<&str>, String)> = match by {
        By::Unit => units.iter().map(|(c, name)| (c.clone(), Some(&c[..]), name.clone())).collect(),
        By::Month => period.months().map(|month| own(month.to_string())).collect(),
        By::Author => authors(posts, period).into_iter().map(own).collect(),
    };
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for (key, unit, label) in named {
        let line = table.line(&key, unit, &label);
        lines.insert(key, line);
    }
    for post in posts.iter().filter(|post| post.day < period.end()) {
        let keys: Vec<String> = match by {
            By::Unit => post.unit.iter().cloned().collect(),
            By::Month => vec![post.day.to_string()[..7].to_owned()],
            By::Author => post.bylines.clone(),
        };
        let inside = period.contains(post.day);
        for line in keys.iter().filter_map(|key| lines.get(key)) {
            count(&mut table, *line, post, inside);
        }
    }
    match by {
        By::Unit => table.totalled(),
        By::Month => accumulated(table, posts, period),
        // A post by two authors would be counted twice.
        By::Author => table,
    }
}

fn count(table: &mut Table, line: usize, post: &Post, inside: bool) {
    if post.is_out() {
        table.at(line, "so_far").add(1, post.id);
    }
    if !inside {
        return;
    }
    if post.is_out() {
        table.at(line, "posts").add(1, post.id);
        if let Some(column) = &post.column {
            table.at(line, column).add(1, post.id);
        }
    }
    let state = format!("is_{}", post.status);
    if table.column(&state).is_some() {
        table.at(line, &state).add(1, post.id);
    }
}

/// Makes `so_far` of each month what there was at its end.
fn accumulated(mut table: Table, posts: &[Post], period: Period) -> Table {
    let out = posts.iter().filter(|post| post.is_out());
    let before = out.filter(|post| post.day < period.start());
    let mut ids: Vec<DocId> = before.map(|post| post.id).collect();
    for line in 0..table.lines.len() {
        let cell = table.at(line, "so_far");
        ids.append(&mut cell.ids);
        (cell.done, cell.ids) = (ids.len() as i64, ids.clone());
    }
    let mut table = table.totalled();
    let (last, column) = (table.lines.last(), table.column("so_far"));
    let so_far = last.zip(column).map(|(line, at)| (at, line.cells[at].clone()));
    if let (Some(total), Some((at, cell))) = (&mut table.total, so_far) {
        total[at] = cell;
    }
    table
}

fn authors(posts: &[Post], period: Period) -> Vec<String> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for post in posts.iter().filter(|post| post.is_out() && period.contains(post.day)) {
        for author in &post.bylines {
            *counts.entry(author).or_default() += 1;
        }
    }
    let mut authors: Vec<_> = counts.into_iter().collect();
    authors.sort_by_key(|(name, count)| (-count, *name));
    authors.into_iter().take(AUTHORS_MAX).map(|(name, _)| name.to_owned()).collect()
}
