//! Rules as data, what is due by them, and the figures head office looks at.
//!
//! Everything here is a pure function of plain rows, of how fresh each unit's data is, and of the time it is
//! asked for: who reads the rows, and from where, is not its concern. A figure is a [`Cell`] that knows the
//! records behind it.
//!
//! | file | noun |
//! |---|---|
//! | `calendar` | days and periods as offices keep them |
//! | `pack` | rule packs: duties, who should attend, reviews |
//! | `freshness` | up to when a unit's data is known to be here |
//! | `matrix` | branch × kind of meeting: complete, due, overdue, not applicable, not synced |
//! | `attendance`, `roster`, `posts`, `ledgers`, `overdue` | the other reports |
//! | `temporary` | temporary branches: their time, what attendance there is worth at home, how they end |
//! | `table` | rows, columns and cells of a report, as JSON |
//! | `sealed` | figures kept as they stood, and what arrived later |

mod attendance;
mod calendar;
mod freshness;
mod ledgers;
mod matrix;
mod overdue;
mod pack;
mod posts;
mod roster;
mod sealed;
mod table;
mod temporary;

pub use attendance::{Attended, Credited, Gathered, Grouping, Term, attendance};
pub use calendar::{Day, Period, PeriodError};
pub use freshness::{Freshness, NodeMark, freshness, is_mark_due, mark_id};
pub use ledgers::{
    Activity, Adoption, Conveyed, Directive, Honour, directives, ledgers, programmes,
};
pub use matrix::{Branch, Meeting, matrix, meets};
pub use overdue::{Matter, Open, overdue};
pub use pack::{Counting, Duty, Needs, PackError, Packs, Per, Review, RulePack};
pub use posts::{By as PostsBy, Post, posts};
pub use roster::{Member, Transfer, home_of, roster};
pub use sealed::{Difference, Figures, SealError, Sealed};
pub use table::{Cell, Column, Line, Shown, State, Table, Unit};
pub use temporary::{
    Before, Credit, DAYS_MAX, DAYS_WARN, Ending, Kept, Point, Secondment, TemporaryBranch,
    checklist, credits, in_the_way, temporary,
};

#[cfg(test)]
mod tests;
