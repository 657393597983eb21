//! What somebody is in their unit, for all of it or for one branch.

use std::fmt;
use std::str::FromStr;

/// What somebody may be. The order is that of lists people see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Writes posts.
    Author,
    /// Reviews posts and publishes them.
    Reviewer,
    /// Keeps meetings.
    Recorder,
    /// Keeps members, terms and transfers.
    Organisation,
    /// All that records are about.
    Secretary,
    /// Accounts, and the node itself; no records.
    Administrator,
    /// Reads who did and looked at what.
    Auditor,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::Author,
        Self::Reviewer,
        Self::Recorder,
        Self::Organisation,
        Self::Secretary,
        Self::Administrator,
        Self::Auditor,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Reviewer => "reviewer",
            Self::Recorder => "recorder",
            Self::Organisation => "organisation",
            Self::Secretary => "secretary",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        }
    }

    pub fn label_zh(self) -> &'static str {
        match self {
            Self::Author => "撰稿人",
            Self::Reviewer => "审稿人",
            Self::Recorder => "记录员",
            Self::Organisation => "组织员",
            Self::Secretary => "书记",
            Self::Administrator => "管理员",
            Self::Auditor => "审计员",
        }
    }

    pub fn label_en(self) -> &'static str {
        match self {
            Self::Author => "Author",
            Self::Reviewer => "Reviewer",
            Self::Recorder => "Recorder",
            Self::Organisation => "Organisation officer",
            Self::Secretary => "Secretary",
            Self::Administrator => "Administrator",
            Self::Auditor => "Auditor",
        }
    }
}

/// A role, in the whole unit or in one branch: `recorder`, `recorder@LYG-01`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scoped {
    pub role: Role,
    /// Code of the branch; the whole unit without.
    pub branch: Option<String>,
}

impl fmt::Display for Scoped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.code())?;
        self.branch.iter().try_for_each(|branch| write!(f, "@{branch}"))
    }
}

/// Text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no role; there are {known}, each alone or as ROLE@BRANCH")]
pub struct RoleError {
    text: String,
    known: String,
}

impl FromStr for Scoped {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        let (code, branch) = match text.split_once('@') {
            Some((code, branch)) => (code, Some(branch.trim().to_owned())),
            None => (text, None),
        };
        let role = Role::ALL.into_iter().find(|role| role.code() == code.trim());
        match role {
            Some(role) if branch.as_deref() != Some("") => Ok(Self { role, branch }),
            _ => Err(RoleError {
                text: text.to_owned(),
                known: Role::ALL.map(Role::code).join(", "),
            }),
        }
    }
}
