//! What lies about undone: who has to do what, and the records it is about.

use super::calendar::Day;
use super::table::{Column, Table};
use super::temporary::DAYS_WARN;
use crate::id::DocId;
use std::collections::BTreeMap;

/// Minutes are confirmed within this many days.
const MINUTES_DAYS: i64 = 15;
/// A year on probation.
const PROBATION_DAYS: i64 = 365;
/// Terms are asked about this long before they end.
const TERM_DAYS: i64 = 60;
/// A post waits no longer than this for a review.
const REVIEW_DAYS: i64 = 7;

/// A record, as somebody who looks for what is undone sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matter {
    /// Held, its minutes not confirmed.
    Minutes { held: Day },
    /// A meeting's action that is not done; the earliest of several.
    Action { due: Day },
    /// On probation since.
    Probation { since: Day },
    /// Issued, not received.
    Transfer { expiry: Day },
    /// Handed in for review since.
    Review { since: Day },
    /// An approved term's last day.
    Term { to: Day },
    /// Asked for by head office.
    Reminder { due: Day },
    /// A temporary branch that is not over, established on this day.
    Temporary { established: Day },
    /// A record that waits for a person to settle it.
    Conflict,
}

impl Matter {
    const ALL: [(&'static str, &'static str, &'static str); 9] = [
        ("minutes", "记录未确认", "Minutes"),
        ("actions", "事项逾期", "Actions"),
        ("probation", "预备期满", "Probation"),
        ("transfers", "转接未接收", "Transfers"),
        ("reviews", "稿件待审", "Reviews"),
        ("terms", "任期届满", "Terms"),
        ("reminders", "催办逾期", "Reminders"),
        ("temporary", "临时党支部将满180天", "Temporary branches"),
        ("conflicts", "冲突未裁定", "Conflicts"),
    ];

    /// Its column, if it is overdue by `today`.
    fn overdue(&self, today: Day) -> Option<&'static str> {
        let (key, late) = match self {
            Self::Minutes { held } => ("minutes", held.plus(MINUTES_DAYS) < today),
            Self::Action { due } => ("actions", *due < today),
            Self::Probation { since } => ("probation", since.plus(PROBATION_DAYS) <= today),
            Self::Transfer { expiry } => ("transfers", *expiry < today),
            Self::Review { since } => ("reviews", since.plus(REVIEW_DAYS) < today),
            Self::Term { to } => ("terms", *to < today.plus(TERM_DAYS)),
            Self::Reminder { due } => ("reminders", *due < today),
            Self::Temporary { established } => ("temporary", established.plus(DAYS_WARN) <= today),
            Self::Conflict => ("conflicts", true),
        };
        late.then_some(key)
    }
}

/// A matter and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    pub id: DocId,
    pub unit: Option<String>,
    pub matter: Matter,
}

/// What is overdue on a day, by unit and matter. What belongs to nobody known has a line of its own, where
/// there is any; what belongs to a unit without a line here is left out.
pub fn overdue(units: &[(String, String)], open: &[Open], today: Day) -> Table {
    let mut columns = vec![Column::count("all", "合计", "All")];
    columns.extend(Matter::ALL.iter().map(|(key, zh, en)| Column::count(key, zh, en)));
    let mut table = Table::new(columns);
    let mut lines = BTreeMap::new();
    for (code, name) in units {
        lines.insert(code.as_str(), table.line(code, Some(code), name));
    }
    let mut nobodys = None;
    for one in open {
        let Some(key) = one.matter.overdue(today) else { continue };
        let line = match one.unit.as_deref() {
            Some(unit) => lines.get(unit).copied(),
            None => Some(*nobodys.get_or_insert_with(|| table.line("-", None, "-"))),
        };
        let Some(line) = line else { continue };
        table.at(line, "all").add(1, one.id);
        table.at(line, key).add(1, one.id);
    }
    table.totalled()
}
