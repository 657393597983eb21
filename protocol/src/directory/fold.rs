//! The fold: a chain of statements in, plain data out.

use super::act::{Act, Role, Scope, Template};
use super::branch::{Fork, Landmark};
use super::carry::Taken;
use super::space::{Cuts, Removal, Rights, Space};
use super::statement::{Signed, Statement};
use crate::id::{FederationId, Hash, HashPrefix, NodeId, SealingKey, SpaceId};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;

/// Why a statement does not continue the directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("statement cannot be read: {0}")]
    Unreadable(String),
    #[error("statement is for another federation")]
    OtherFederation,
    #[error("statement {found} does not follow epoch {have}")]
    Gap { have: u64, found: u64 },
    /// Not verified: whoever has the statements before it can tell a fork from a lie.
    #[error("statement belongs to a history that is not ours at epoch {0}")]
    Parted(u64),
    #[error(
        "two signed statements claim epoch {0} of the directory; nothing more is taken until the root key recovers it"
    )]
    Forked(u64),
    #[error("statement signed by a key that may not make it")]
    Author,
    #[error("statement's signature is wrong")]
    Signature,
    #[error("statement says nothing that can be: {0}")]
    Senseless(&'static str),
    #[error("statement needs a newer fenbu (act {0}): upgrade this node")]
    Newer(u16),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub code: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    pub node: NodeId,
    pub unit: String,
    pub name: String,
    pub role: Role,
    pub addresses: Vec<String>,
    /// What space keys are wrapped to for it.
    pub sealing: SealingKey,
    /// The epoch that admitted it.
    pub admitted: u64,
    pub revoked: Option<Revocation>,
}

/// When a node was revoked, and up to where its logs count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub epoch: u64,
    pub cuts: Cuts,
}

/// Everything the chain says, as plain data, and the chain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    pub(super) federation: FederationId,
    pub(super) name: String,
    pub(super) admin: NodeId,
    pub(super) head_office: String,
    pub(super) units: BTreeMap<String, Unit>,
    pub(super) nodes: BTreeMap<NodeId, NodeInfo>,
    pub(super) spaces: BTreeMap<SpaceId, Space>,
    /// What the last statement took, while the next one may go on with its cuts.
    pub(super) taken: Option<Taken>,
    /// Why nothing more is taken.
    pub(super) fork: Option<Fork>,
    /// Ascending by epoch.
    pub(super) landmarks: Vec<Landmark>,
    chain: Vec<Signed>,
    /// The hash of each statement.
    heads: Vec<Hash>,
}

impl Directory {
    /// A directory nobody has told us anything of yet.
    pub fn empty(federation: FederationId) -> Self {
        Self {
            federation,
            name: String::new(),
            admin: NodeId(federation.0),
            head_office: String::new(),
            units: BTreeMap::new(),
            nodes: BTreeMap::new(),
            spaces: BTreeMap::new(),
            taken: None,
            fork: None,
            landmarks: Vec::new(),
            chain: Vec::new(),
            heads: Vec::new(),
        }
    }

    /// Folds a chain from its beginning.
    pub fn from_chain(
        federation: FederationId,
        chain: impl IntoIterator<Item = Signed>,
    ) -> Result<Self, DirectoryError> {
        let mut out = Self::empty(federation);
        for signed in chain {
            out.apply(signed)?;
        }
        Ok(out)
    }

    /// Takes the next statement, or says why not. A refused statement changes nothing; one that is
    /// in the chain already is fine.
    pub fn apply(&mut self, signed: Signed) -> Result<(), DirectoryError> {
        let statement = self.open(&signed)?;
        if let Some(ours) = self.chain.get(statement.epoch as usize - 1) {
            let known = ours.bytes == signed.bytes;
            return if known { Ok(()) } else { Err(DirectoryError::Parted(statement.epoch)) };
        }
        if statement.epoch != self.epoch() + 1 {
            return Err(DirectoryError::Gap { have: self.epoch(), found: statement.epoch });
        }
        if statement.previous != self.head() {
            return Err(DirectoryError::Parted(statement.epoch));
        }
        let act = parsed(&statement)?;
        self.check_author(&statement, &signed, act.as_ref())?;
        self.follow(&statement, signed, act)
    }

    /// The statement inside, if it is of this federation.
    pub(super) fn open(&self, signed: &Signed) -> Result<Statement, DirectoryError> {
        let statement = signed.open().map_err(|e| DirectoryError::Unreadable(e.to_string()))?;
        if statement.federation != self.federation {
            return Err(DirectoryError::OtherFederation);
        }
        if statement.epoch == 0 {
            return Err(DirectoryError::Senseless("epoch 0"));
        }
        Ok(statement)
    }

    /// Carries out a statement whose place and author are right.
    fn follow(
        &mut self,
        statement: &Statement,
        signed: Signed,
        act: Option<Act>,
    ) -> Result<(), DirectoryError> {
        let act = act.ok_or(DirectoryError::Newer(statement.act))?;
        let head = signed.hash();
        let landmark = Landmark::of(&act, statement.epoch, head);
        if let Some(fork) = &self.fork
            && landmark.is_none()
        {
            return Err(DirectoryError::Forked(fork.epoch));
        }
        self.carry_out(statement.epoch, act)?;
        if landmark.is_some() {
            self.fork = None;
        }
        self.landmarks.extend(landmark);
        self.chain.push(signed);
        self.heads.push(head);
        Ok(())
    }

    /// The directory as it was at `epoch`.
    pub(super) fn until(&self, epoch: u64) -> Self {
        let mut out = Self::empty(self.federation);
        for signed in self.chain.iter().take(epoch as usize) {
            let again = out.open(signed).and_then(|statement| {
                let act = parsed(&statement)?;
                out.follow(&statement, signed.clone(), act)
            });
            // INVARIANT: it was applied to the same statements before.
            again.expect("a statement that was applied");
        }
        out
    }

    /// The root key founds and appoints, the admin does the rest; a newer act may be either's.
    fn check_author(
        &self,
        statement: &Statement,
        signed: &Signed,
        act: Option<&Act>,
    ) -> Result<(), DirectoryError> {
        let root = statement.author == NodeId(self.federation.0);
        let admin = statement.author == self.admin && self.is_member_or_first(&self.admin);
        let founded = !self.chain.is_empty();
        let allowed = match act {
            Some(Act::Found(_)) => root,
            Some(Act::AppointAdmin(_) | Act::Recover(_)) => root && founded,
            Some(_) => admin && founded,
            None => (root || admin) && founded,
        };
        if !allowed && !planted!(StatementAuthorUnchecked) {
            return Err(DirectoryError::Author);
        }
        if !planted!(StatementSignatureUnchecked) && !signed.verify(&statement.author) {
            return Err(DirectoryError::Signature);
        }
        Ok(())
    }

    /// The first admin speaks before it is admitted, since it admits itself; a revoked one is silent.
    fn is_member_or_first(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_none_or(|n| n.revoked.is_none())
    }

    /// The next statement, not signed yet.
    pub fn next_statement(&self, author: NodeId, act: &Act, time_ms: u64) -> Statement {
        Statement {
            federation: self.federation,
            epoch: self.epoch() + 1,
            previous: self.head(),
            author,
            time_ms,
            act: act.number(),
            payload: act.payload(),
        }
    }

    /// Signs the next statement. The caller applies, stores and spreads it.
    pub fn draft(&self, key: &SigningKey, act: &Act, time_ms: u64) -> Signed {
        let author = NodeId(key.verifying_key().to_bytes());
        Signed::sign(key, &self.next_statement(author, act, time_ms))
    }

    pub fn federation(&self) -> FederationId {
        self.federation
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node that signs everyday statements.
    pub fn admin(&self) -> NodeId {
        self.admin
    }

    /// Code of the head-office unit.
    pub fn head_office(&self) -> &str {
        &self.head_office
    }

    /// Length of the chain.
    pub fn epoch(&self) -> u64 {
        self.chain.len() as u64
    }

    /// Hash of the last statement; zero while empty.
    pub fn head(&self) -> Hash {
        self.heads.last().copied().unwrap_or(Hash::ZERO)
    }

    pub fn head_prefix(&self) -> HashPrefix {
        self.head().prefix()
    }

    /// Statements after `epoch`, oldest first.
    pub fn statements_after(&self, epoch: u64) -> &[Signed] {
        self.chain.get(epoch as usize..).unwrap_or(&[])
    }

    /// The head hash the chain had at `epoch`.
    pub fn head_at(&self, epoch: u64) -> Option<Hash> {
        match epoch {
            0 => Some(Hash::ZERO),
            e => self.heads.get(e as usize - 1).copied(),
        }
    }

    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.units.values()
    }

    pub fn unit(&self, code: &str) -> Option<&Unit> {
        self.units.get(code)
    }

    pub fn nodes(&self) -> impl Iterator<Item = &NodeInfo> {
        self.nodes.values()
    }

    pub fn node(&self, node: &NodeId) -> Option<&NodeInfo> {
        self.nodes.get(node)
    }

    pub fn spaces(&self) -> impl Iterator<Item = &Space> {
        self.spaces.values()
    }

    pub fn space(&self, space: &SpaceId) -> Option<&Space> {
        self.spaces.get(space)
    }

    pub fn space_labelled(&self, label: &str) -> Option<&Space> {
        self.spaces.values().find(|s| s.label == label)
    }

    /// The space that every node reads; none before it is defined.
    pub fn everyones(&self) -> Option<SpaceId> {
        self.spaces.values().find(|s| s.template == Template::FEDERATION).map(|s| s.id)
    }

    /// The space of a unit's own records.
    pub fn unit_space(&self, unit: &str) -> Option<&Space> {
        self.spaces
            .values()
            .find(|s| s.template == Template::UNIT && s.unit.as_deref() == Some(unit))
    }

    /// Whether a node may talk to others of the federation now.
    pub fn is_member(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|n| n.revoked.is_none())
    }

    /// Whether entries by `node` in `space` citing `epoch` were within its rights then.
    pub fn may_write(&self, node: &NodeId, space: &SpaceId, epoch: u64) -> bool {
        self.right_at(node, space, epoch, |r| &r.writers)
    }

    /// Every removal after `epoch` of a right by which `node` writes `space`: up to where its logs
    /// count by each.
    pub fn cuts_after<'a>(
        &'a self,
        node: &NodeId,
        space: &SpaceId,
        epoch: u64,
    ) -> impl Iterator<Item = &'a Cuts> {
        let info = self.nodes.get(node);
        let revoked = info.and_then(|n| n.revoked.as_ref());
        let removals = self.spaces.get(space).map_or(&[][..], |s| &s.removals);
        let after = &removals[removals.partition_point(|r| r.epoch <= epoch)..];
        // What a revoked node no longer has cannot be taken from it.
        let had = move |r: &&Removal| revoked.is_none_or(|gone| r.epoch < gone.epoch);
        let taken = after.iter().filter(had);
        let taken = taken.filter(move |r| info.is_some_and(|n| r.units.contains(&n.unit)));
        let revoked = revoked.filter(|gone| gone.epoch > epoch);
        revoked.map(|gone| &gone.cuts).into_iter().chain(taken.map(|r| &r.cuts))
    }

    /// Whether `node` may read `space` now.
    pub fn may_read(&self, node: &NodeId, space: &SpaceId) -> bool {
        self.is_member(node) && self.right_at(node, space, self.epoch(), |r| &r.readers)
    }

    /// Whether `node` keeps and relays `space` now: readers do, and so do carriers.
    pub fn carries(&self, node: &NodeId, space: &SpaceId) -> bool {
        self.is_member(node)
            && (self.right_at(node, space, self.epoch(), |r| &r.carriers)
                || self.right_at(node, space, self.epoch(), |r| &r.readers))
    }

    fn right_at(
        &self,
        node: &NodeId,
        space: &SpaceId,
        epoch: u64,
        scope: impl Fn(&Rights) -> &Scope,
    ) -> bool {
        let Some(info) = self.nodes.get(node) else { return false };
        let Some(space) = self.spaces.get(space) else { return false };
        (info.admitted <= epoch || planted!(RightBeforeAdmission))
            && (planted!(RevokedKeepsRight)
                || info.revoked.as_ref().is_none_or(|r| epoch < r.epoch))
            && space.rights_at(epoch).is_some_and(|r| scope(r).includes(&info.unit))
    }
}

fn parsed(statement: &Statement) -> Result<Option<Act>, DirectoryError> {
    Act::parse(statement.act, &statement.payload)
        .map_err(|e| DirectoryError::Unreadable(e.to_string()))
}
