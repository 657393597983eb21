//! What could be overdue, gathered from the views.

use super::rows::Row;
use super::{Look, ReportError};
use fenbu_protocol::duty::{Day, Matter, Open, meets};
use fenbu_protocol::record::{ALL, Home};

impl Look<'_> {
    pub(super) fn matters(&self) -> Result<Vec<Open>, ReportError> {
        let mut open = Vec::new();
        self.of_meetings(&mut open)?;
        self.of_members(&mut open)?;
        self.of_transfers(&mut open)?;
        self.of_posts(&mut open)?;
        self.of_terms(&mut open)?;
        self.of_reminders(&mut open)?;
        self.of_temporary(&mut open)?;
        self.of_conflicts(&mut open)?;
        open.retain(|one| self.wanted.is_none() || one.unit.as_deref() == self.wanted);
        Ok(open)
    }

    /// Of those of a unit's own space: whose they are.
    fn at_home(&self, row: &Row, matter: Matter) -> Open {
        Open { id: row.0.document, unit: self.unit_of_space(&row.0.space), matter }
    }

    fn of_meetings(&self, open: &mut Vec<Open>) -> Result<(), ReportError> {
        for row in self.scan("meeting", &["status", "start", "planned", "actions"])? {
            let status = row.text(0).unwrap_or_default();
            let Some(held) = meets(status, row.int(1), row.int(2)) else { continue };
            if status == "held" && held <= self.today {
                open.push(self.at_home(&row, Matter::Minutes { held }));
            }
            if let Some(due) = earliest_action(&row) {
                open.push(self.at_home(&row, Matter::Action { due }));
            }
        }
        Ok(())
    }

    fn of_members(&self, open: &mut Vec<Open>) -> Result<(), ReportError> {
        for row in self.scan("member", &["stage", "standing", "joined"])? {
            let on_probation = row.text(0) == Some("probationary") && row.text(1) == Some("normal");
            if let Some(since) = row.day(2).filter(|_| on_probation) {
                open.push(self.at_home(&row, Matter::Probation { since }));
            }
        }
        Ok(())
    }

    fn of_transfers(&self, open: &mut Vec<Open>) -> Result<(), ReportError> {
        for row in self.scan("transfer", &["to_unit", "expiry", "status"])? {
            if let (Some("issued"), Some(expiry)) = (row.text(2), row.day(1)) {
                let unit = row.text(0).map(str::to_owned);
                open.push(Open { id: row.0.document, unit, matter: Matter::Transfer { expiry } });
            }
        }
        Ok(())
    }

    /// A post waits where it is from: that unit sees to it, or asks who reviews it.
    fn of_posts(&self, open: &mut Vec<Open>) -> Result<(), ReportError> {
        for row in self.scan("post", &["status", "written"])? {
            if row.text(0) == Some("submitted") {
                let since = row.day(1).unwrap_or_else(|| row.entered());
                open.push(self.at_home(&row, Matter::Review { since }));
            }
        }
        Ok(())
    }

    fn of_terms(&self, open: &mut Vec<Open>) -> Result<(), ReportError> {
        let mut units = std::collections::BTreeMap::new();
        for row in self.scan("branch", &["code", "unit"])? {
            units.insert(row.own(0), row.own(1));
        }
        for row in self.scan("term", &["branch", "to", "status"])? {
            if let (Some("approved"), Some(to)) = (row.text(2), row.day(1)) {
                let unit = units.get(&row.own(0)).cloned();
                open.push(Open { id: row.0.document, unit, matter: Matter::Term { to } });
            }
        }
        Ok(())
    }

    fn of_reminders(&self, open: &mut Vec<Open>) -> Result<(), ReportError> {
        for row in self.scan("reminder", &["unit", "due", "status"])? {
            if let (Some("open"), Some(due)) = (row.text(2), row.day(1)) {
                let unit = row.text(0).map(str::to_owned);
                open.push(Open { id: row.0.document, unit, matter: Matter::Reminder { due } });
            }
        }
        Ok(())
    }

    /// The host sees to it that its branch ends in time.
    fn of_temporary(&self, open: &mut Vec<Open>) -> Result<(), ReportError> {
        for branch in self.temporary()? {
            let lives = matches!(branch.status.as_str(), "approved" | "active" | "dissolving");
            if let Some(established) = branch.established.filter(|_| lives) {
                let (id, unit) = (branch.id, Some(branch.host_unit));
                open.push(Open { id, unit, matter: Matter::Temporary { established } });
            }
        }
        Ok(())
    }

    fn of_conflicts(&self, open: &mut Vec<Open>) -> Result<(), ReportError> {
        let makers = self.makers()?;
        for schema in ALL {
            let columns = match schema.home {
                Home::Federation => &[crate::views::MAKER][..],
                Home::Unit | Home::Published => &[],
            };
            for row in self.scan(schema.name, columns)? {
                if row.0.conflicts == 0 {
                    continue;
                }
                let unit = match schema.home {
                    Home::Federation => row.text(0).and_then(|actor| makers.get(actor)).cloned(),
                    Home::Unit | Home::Published => self.unit_of_space(&row.0.space),
                };
                open.push(Open { id: row.0.document, unit, matter: Matter::Conflict });
            }
        }
        Ok(())
    }
}

/// The earliest day an action of the meeting that is not done is due.
fn earliest_action(row: &Row) -> Option<Day> {
    let actions = row.json(3);
    let undone = actions.as_object()?.values().filter(|action| action["done"].is_null());
    undone.filter_map(|action| action["due"].as_str().and_then(Day::parse)).min()
}
