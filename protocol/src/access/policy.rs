//! What each role allows, as one table that can be read from top to bottom.

use super::role::{Role, Scoped};
use Role::{Administrator, Auditor, Author, Organisation, Recorder, Reviewer, Secretary};

/// Something a person asks a node to do. Kinds of records and steps go by their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action<'a> {
    /// Look at lists and records of a kind, search among them.
    Read(&'a str),
    /// Make a record of a kind, or change its contents.
    Write(&'a str),
    /// Take a step of a record's workflow.
    Step(&'a str, &'a str),
    /// See one personal value in full; noted.
    Reveal(&'a str),
    /// Take many records out at once; noted.
    Export,
    /// Bring many records in at once.
    Import,
    /// Settle what merging could not.
    Settle,
    /// See figures.
    Reports,
    /// Seal a report for good.
    Seal,
    /// Make accounts, give roles, set others' passwords.
    Accounts,
    /// See who signed in, who looked at what.
    Audit,
    /// See how the node and its sync are.
    Node,
    /// Change the directory, repair, see quarantine.
    Administer,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Person {
    /// Whoever owns the node's process: the command line on the server itself.
    Operator,
    /// Somebody with an account.
    Account(Vec<Scoped>),
}

/// Kinds that people write by hand, and the roles that do.
const WRITERS: &[(&str, &[Role])] = &[
    ("post", &[Author, Reviewer, Secretary]),
    ("topic", &[Author, Reviewer, Secretary]),
    ("collection", &[Author, Reviewer, Secretary]),
    ("adoption", &[Author, Reviewer, Secretary]),
    ("journal-issue", &[Author, Reviewer, Secretary]),
    ("activity", &[Author, Recorder, Secretary]),
    ("meeting", &[Recorder, Secretary]),
    ("directive", &[Recorder, Secretary]),
    ("reminder", &[Recorder, Secretary]),
    ("member", &[Organisation, Secretary]),
    ("transfer", &[Organisation, Secretary]),
    ("term", &[Organisation, Secretary]),
    ("branch", &[Organisation, Secretary]),
    ("secondment", &[Organisation, Secretary]),
    ("temporary-branch", &[Organisation, Secretary]),
    ("honour", &[Organisation, Secretary]),
    ("care-visit", &[Organisation, Secretary]),
    ("document", &[Secretary]),
    ("rule-pack", &[Secretary]),
];

/// Steps that are not for everybody who writes the kind.
const STEPS: &[(&str, &[&str], &[Role])] = &[
    ("post", &["submit", "recall"], &[Author, Reviewer, Secretary]),
    (
        "post",
        &[
            "return", "pass", "approve", "review", "publish", "withdraw", "archive", "clear",
            "escalate", "withhold", "reopen",
        ],
        &[Reviewer, Secretary],
    ),
];

/// Kinds that not everybody of the unit reads.
const READERS: &[(&str, &[Role])] = &[
    ("care-visit", &[Organisation, Secretary]),
    ("account", &[Administrator, Auditor]),
    ("audit", &[Administrator, Auditor]),
    ("disclosure", &[Administrator, Auditor]),
    // Nobody: the node itself.
    ("credential", &[]),
];

/// Whether `person` may do something. `branch` is that of the record in question, if it has one: a role
/// in a branch is good for that branch's records alone, and for looking.
pub fn allows(person: &Person, action: Action<'_>, branch: Option<&str>) -> bool {
    let Person::Account(roles) = person else {
        // It reads the node's files anyway. Passwords are set, not read.
        return action != Action::Read("credential");
    };
    let needed = roles_for(action);
    let looks = matches!(action, Action::Read(_) | Action::Reports | Action::Node);
    roles.iter().any(|scoped| {
        let here = looks || scoped.branch.is_none() || scoped.branch.as_deref() == branch;
        here && needed.contains(&scoped.role)
    })
}

fn roles_for(action: Action<'_>) -> &'static [Role] {
    match action {
        Action::Read(kind) => named(READERS, kind).unwrap_or(&Role::ALL),
        Action::Write(kind) => named(WRITERS, kind).unwrap_or_default(),
        Action::Step(kind, op) => STEPS
            .iter()
            .find(|(of, ops, _)| *of == kind && ops.contains(&op))
            .map_or_else(|| roles_for(Action::Write(kind)), |(_, _, roles)| roles),
        Action::Reveal(kind) => match kind {
            "member" | "care-visit" => &[Organisation, Secretary],
            _ => &[Secretary],
        },
        Action::Export | Action::Import => &[Organisation, Recorder, Reviewer, Secretary],
        Action::Settle => &[Organisation, Recorder, Reviewer, Secretary],
        Action::Reports => &Role::ALL,
        Action::Seal => &[Secretary],
        Action::Accounts => &[Administrator],
        Action::Audit => &[Administrator, Auditor],
        Action::Node => &[Secretary, Administrator, Auditor],
        Action::Administer => &[Administrator],
    }
}

fn named(table: &[(&str, &'static [Role])], kind: &str) -> Option<&'static [Role]> {
    table.iter().find(|(of, _)| *of == kind).map(|(_, roles)| *roles)
}
