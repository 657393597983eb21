//! Drawings of figures, as SVG made here: no script, no library, and the same numbers as a table beside
//! them for whoever does not see the picture.

use super::pages::figures::told;
use super::words::Word;
use crate::words::Lang;
use fenbu_protocol::duty::{Shown, State, Table};
use maud::{Markup, html};

const WIDTH: i64 = 640;
const LABEL: i64 = 170;
const BAR: i64 = 18;
const GAP: i64 = 8;
/// Lines drawn; a table follows with all of them.
const LINES_MAX: usize = 24;

/// One bar of parts.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    pub(super) zh: String,
    pub(super) en: String,
    pub(super) parts: [(State, usize); 4],
}

/// A bar for each line, as long as its first count; nothing where there is nothing to compare.
pub(super) fn bars(table: &Table, lang: Lang) -> Markup {
    let Some(at) = table.columns.iter().position(|c| matches!(c.shown, Shown::Count | Shown::Fen))
    else {
        return html! {};
    };
    let lines: Vec<_> = table
        .lines
        .iter()
        .filter(|l| l.cells[at].state != Some(State::NotSynced))
        .take(LINES_MAX)
        .collect();
    let most = lines.iter().map(|line| line.cells[at].done).max().unwrap_or(0);
    if lines.len() < 2 || most <= 0 {
        return html! {};
    }
    let column = &table.columns[at];
    let name = match lang {
        Lang::Zh => &column.zh,
        Lang::En => &column.en,
    };
    let height = (BAR + GAP) * lines.len() as i64;
    let long = |done: i64| (WIDTH - LABEL - 60).saturating_mul(done.max(0)) / most;
    let said: Vec<String> =
        lines.iter().map(|l| format!("{} {}", l.label, told(&l.cells[at], column, lang))).collect();
    html! {
        figure {
            svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(format!("{name}{}{}", Word::Colon.say(lang), said.join(Word::Comma.say(lang)))) {
                @for (row, line) in (0i64..).zip(&lines) {
                    @let top = row * (BAR + GAP);
                    text x=(LABEL - 8) y=(top + BAR - 4) text-anchor="end" { (short(&line.label)) }
                    rect.bar x=(LABEL) y=(top) width=(long(line.cells[at].done).max(1)) height=(BAR) rx="3" {}
                    text x=(LABEL + long(line.cells[at].done) + 6) y=(top + BAR - 4) { (told(&line.cells[at], column, lang)) }
                }
            }
            figcaption { (name) }
        }
    }
}

/// For each column, how many stand how.
pub(super) fn stacked(stacks: &[Stack], lang: Lang) -> Markup {
    let most =
        stacks.iter().map(|s| s.parts.iter().map(|(_, n)| n).sum::<usize>()).max().unwrap_or(0);
    if most == 0 {
        return html! {};
    }
    let height = (BAR + GAP) * stacks.len() as i64;
    let scale = |n: usize| (WIDTH - LABEL - 20) * n as i64 / most as i64;
    let colour = |state: State| match state {
        State::Complete => "var(--good)",
        State::Due => "var(--warn)",
        State::Overdue => "var(--bad)",
        State::NotSynced | State::NotApplicable => "var(--faint)",
    };
    let label = |state: State| match lang {
        Lang::Zh => state.label_zh(),
        Lang::En => state.label_en(),
    };
    let name = |s: &Stack| match lang {
        Lang::Zh => s.zh.clone(),
        Lang::En => s.en.clone(),
    };
    let said: Vec<String> = stacks
        .iter()
        .map(|s| {
            let parts: Vec<String> = s
                .parts
                .iter()
                .filter(|(_, n)| *n > 0)
                .map(|(state, n)| format!("{} {n}", label(*state)))
                .collect();
            format!("{}{}{}", name(s), Word::Colon.say(lang), parts.join(Word::Comma.say(lang)))
        })
        .collect();
    html! {
        figure {
            svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(said.join("；")) {
                @for (row, stack) in (0i64..).zip(stacks) {
                    @let top = row * (BAR + GAP);
                    text x=(LABEL - 8) y=(top + BAR - 4) text-anchor="end" { (short(&name(stack))) }
                    @for (at, (state, count)) in stack.parts.iter().enumerate() {
                        @let before: usize = stack.parts[..at].iter().map(|(_, n)| n).sum();
                        @if *count > 0 {
                            rect x=(LABEL + scale(before)) y=(top) width=(scale(*count).max(1)) height=(BAR) fill=(colour(*state)) {
                                title { (label(*state)) " " (count) }
                            }
                        }
                    }
                }
            }
            figcaption {
                @for state in [State::Complete, State::Due, State::Overdue, State::NotSynced] {
                    span class=(match state { State::Complete => "tag good", State::Due => "tag warn", State::Overdue => "tag bad", _ => "tag unknown" }) { (label(state)) } " "
                }
                (Word::TableOfIt.say(lang)) "↓"
            }
        }
    }
}

/// A label that fits its place.
fn short(text: &str) -> String {
    let wide = |c: char| if c.is_ascii() { 1 } else { 2 };
    let mut left = 22;
    let fits = |c: &char| {
        left -= wide(*c);
        left >= 0
    };
    let kept: String = text.chars().take_while(fits).collect();
    if kept.len() < text.len() { format!("{kept}…") } else { kept }
}
