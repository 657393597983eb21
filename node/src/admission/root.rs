//! What only the root key may say: who the admin node is, and how a forked directory goes on.
//!
//! The root key does not come near the daemon. It drafts the statement, whoever has the key reads and
//! signs it (see [`crate::root`]), and the daemon takes the signed statement, which proves itself, to the
//! others. Any member node will do, since the admin node may be gone.

use super::acts::Acts;
use super::{Admission, AdmissionError};
use fenbu_protocol::directory::{
    Act, AppointAdmin, Cut, Directory, DirectoryError, NodeInfo, Signed, Statement,
};
use fenbu_protocol::id::NodeId;
use fenbu_protocol::limits::CUTS_PER_STATEMENT_MAX;

/// Why the root key's statement is not drafted or taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RootRefused {
    #[error("node '{0}' is the admin node already")]
    AdminAlready(String),
    #[error("node '{0}' is revoked: appoint another")]
    Revoked(String),
    #[error(
        "the admin node being replaced has more than {CUTS_PER_STATEMENT_MAX} logs, which only the new admin can go on cutting: run this at node '{0}'"
    )]
    ManyLogs(String),
    #[error(
        "the directory is not forked. To go back all the same, name the last epoch that stands with --epoch"
    )]
    NotForked,
    #[error("the directory has {have} epochs here; it cannot go back to {asked}")]
    Epoch { asked: u64, have: u64 },
    #[error("the signed statement cannot be read ({0}): use the same fenbu version")]
    Unreadable(String),
    #[error(
        "what was signed is no statement of the root key that goes on from this directory: ask for it anew"
    )]
    Other,
}

/// A statement for the root key to sign that makes another node the admin.
#[derive(Debug, Clone)]
pub struct Appointment {
    pub statement: Statement,
    /// The admin that is replaced.
    pub old: NodeId,
    /// Logs of the old admin that count up to where they are here; `None` if it stays a member.
    pub logs_cut: Option<usize>,
    /// Spaces the new admin does not read: it cannot hand on their present keys.
    pub unread: Vec<String>,
}

/// A statement for the root key to sign that makes void what was said after an epoch.
#[derive(Debug, Clone)]
pub struct Recovery {
    pub statement: Statement,
    /// The last epoch that stands.
    pub stands: u64,
    /// Statements of this node's directory that are void.
    pub voided: u64,
    /// Nodes whose admission is void.
    pub strangers: Vec<NodeInfo>,
}

impl Admission {
    /// Drafts the appointment of `node`; with `revoke` the present admin is ended with it, where its logs
    /// end here.
    pub async fn draft_appointment(
        &self,
        node: &NodeInfo,
        revoke: bool,
    ) -> Result<Appointment, AdmissionError> {
        let directory = self.shared.directory.now();
        let (old, name) = (directory.admin(), node.name.clone());
        if node.node == old {
            return Err(RootRefused::AdminAlready(name).into());
        }
        if node.revoked.is_some() {
            return Err(RootRefused::Revoked(name).into());
        }
        let revoke = revoke && directory.is_member(&old);
        let cuts = if revoke { Some(self.admins_cuts(&directory, old).await?) } else { None };
        let logs_cut = cuts.as_ref().map(Vec::len);
        if logs_cut > Some(CUTS_PER_STATEMENT_MAX) && node.node != self.shared.me {
            return Err(RootRefused::ManyLogs(name).into());
        }
        let cuts = cuts.map(|mut cuts| {
            cuts.truncate(CUTS_PER_STATEMENT_MAX);
            cuts
        });
        let act = Act::AppointAdmin(AppointAdmin { node: node.node, cuts });
        let root = NodeId(directory.federation().0);
        let statement = directory.next_statement(root, &act, self.shared.clock.now_ms());
        let unread = directory.spaces().filter(|s| s.is_sealed());
        let unread = unread.filter(|s| !directory.may_read(&node.node, &s.id));
        let mut unread: Vec<String> = unread.map(|s| s.label.clone()).collect();
        unread.sort();
        Ok(Appointment { statement, old, logs_cut, unread })
    }

    async fn admins_cuts(
        &self,
        directory: &Directory,
        old: NodeId,
    ) -> Result<Vec<Cut>, AdmissionError> {
        self.check_sight(directory, &old)?;
        self.cuts_of(move |opening| opening.node == old).await
    }

    /// Drafts a recovery: to the last epoch before the fork, or to the one named.
    pub fn draft_recovery(&self, epoch: Option<u64>) -> Result<Recovery, AdmissionError> {
        let directory = self.shared.directory.now();
        let common = directory.fork().map(|fork| fork.epoch - 1);
        let stands = epoch.or(common).ok_or(RootRefused::NotForked)?;
        let have = directory.epoch();
        let drafted = directory.recovery(stands, self.shared.clock.now_ms());
        // The first statement founds the federation.
        let drafted = drafted.filter(|_| stands > 0);
        let statement = drafted.ok_or(RootRefused::Epoch { asked: stands, have })?;
        let strangers = directory.nodes().filter(|n| n.admitted > stands).cloned().collect();
        Ok(Recovery { statement, stands, voided: have - stands, strangers })
    }

    /// Takes a statement the root key has signed, stores it, and tells the others. Returns its epoch.
    pub async fn take_from_root(&self, signed: Signed) -> Result<u64, AdmissionError> {
        let _turn = self.turn.lock().await;
        let unreadable = |e: &dyn std::fmt::Display| RootRefused::Unreadable(e.to_string());
        let statement = signed.open().map_err(|e| unreadable(&e))?;
        let act = statement.act().map_err(|e| unreadable(&e))?;
        let directory = self.shared.directory.now();
        let (epoch, head) = (statement.epoch, signed.hash());
        match act {
            Some(Act::Recover(_)) => {
                self.check_recovery(&directory, &signed)?;
                self.declare(vec![(epoch, signed)], Vec::new()).await?;
                self.applied(epoch, head).await?;
            }
            Some(Act::AppointAdmin(appoint)) => {
                let mut acts = Acts::after(&self.shared, &directory);
                acts.take(signed).map_err(refused)?;
                if appoint.node == self.shared.me {
                    self.go_on_cutting(&mut acts, &directory, &appoint).await?;
                    acts.say_what_is_due()?;
                }
                self.say(acts, Vec::new()).await?;
            }
            _ => return Err(RootRefused::Other.into()),
        }
        tracing::warn!(epoch, "took a statement of the root key");
        Ok(epoch)
    }

    /// Whether the recovery will stand here once it is stored.
    fn check_recovery(&self, directory: &Directory, signed: &Signed) -> Result<(), AdmissionError> {
        use fenbu_protocol::directory::Weight;
        if directory.clone().apply(signed.clone()).is_ok() {
            return Ok(());
        }
        let branch = directory.branch(signed.clone()).map_err(refused)?;
        match directory.weigh(&branch) {
            Weight::Theirs => Ok(()),
            Weight::Ours | Weight::Neither => Err(RootRefused::Other.into()),
        }
    }

    /// The cuts that did not fit the appointment.
    async fn go_on_cutting(
        &self,
        acts: &mut Acts<'_>,
        before: &Directory,
        appoint: &AppointAdmin,
    ) -> Result<(), AdmissionError> {
        let Some(first) = &appoint.cuts else { return Ok(()) };
        if first.len() < CUTS_PER_STATEMENT_MAX {
            return Ok(());
        }
        let mut more = self.admins_cuts(before, before.admin()).await?;
        more.retain(|cut| first.iter().all(|known| known.log != cut.log));
        Ok(acts.say_more_cuts(&more)?)
    }
}

/// A statement that was drafted here and does not fit any more.
fn refused(error: DirectoryError) -> AdmissionError {
    match error {
        DirectoryError::Parted(_) | DirectoryError::Gap { .. } => RootRefused::Other.into(),
        other => other.into(),
    }
}
