//! `fenbu calendar`: meetings as a calendar.

use std::path::PathBuf;

use clap::Args;

use super::Session;
use super::export::save;
use crate::client::Route;
use crate::error::{Exit, Result};

/// Write the meetings as an iCalendar file
#[derive(Debug, Args)]
pub(crate) struct CalendarArgs {
    /// New file, such as meetings.ics
    file: PathBuf,
    /// Only meetings of this branch
    #[arg(long, value_name = "CODE")]
    branch: Option<String>,
    /// Only meetings of this unit
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "把会议写成 iCalendar 日历文件"),
    ("file", "新文件，如 meetings.ics"),
    ("branch", "只要该党组织的会议"),
    ("unit", "只要该单位的会议"),
];

pub(super) async fn run(args: CalendarArgs, session: &mut Session) -> Result<Exit> {
    let mut route = Route::new("calendar.ics");
    for (name, value) in [("branch", &args.branch), ("unit", &args.unit)] {
        if let Some(value) = value {
            route = route.query(name, value);
        }
    }
    save(session, route, &args.file).await
}
