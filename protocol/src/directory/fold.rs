//! The fold: a chain of statements in, plain data out.

use super::keys::SpaceKey;
use super::statement::{
    Act, AdmitNode, DefineSpace, DefineUnit, Found, RevokeNode, Role, Scope, Signed, Statement,
    Template, UpdateNode, space_id,
};
use crate::id::{FederationId, Hash, HashPrefix, LogId, NodeId, SealingKey, SpaceId};
use crate::limits::{
    ADDRESS_BYTES_MAX, ADDRESSES_MAX, NAME_BYTES_MAX, NODES_MAX, SPACES_MAX, UNIT_CODE_BYTES_MAX,
    UNITS_MAX,
};
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
    #[error("the directory is forked at epoch {0}: two signed statements claim it")]
    Fork(u64),
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
    pub sealing: SealingKey,
    /// The epoch that admitted it.
    pub admitted: u64,
    pub revoked: Option<Revocation>,
}

/// When a node was revoked, and up to where its logs count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub epoch: u64,
    pub cuts: BTreeMap<LogId, (u64, Hash)>,
}

/// A space, with its rights as of each epoch that changed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    pub id: SpaceId,
    pub label: String,
    pub template: Template,
    pub unit: Option<String>,
    /// (from epoch, rights), ascending; never empty.
    rights: Vec<(u64, Rights)>,
    pub(super) keys: Vec<SpaceKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rights {
    readers: Scope,
    writers: Scope,
    carriers: Scope,
}

impl Space {
    fn rights_at(&self, epoch: u64) -> Option<&Rights> {
        self.rights.iter().rev().find(|(from, _)| *from <= epoch).map(|(_, rights)| rights)
    }

    fn rights_now(&self) -> &Rights {
        // INVARIANT: a space is created with its first rights.
        &self.rights.last().expect("a space has rights").1
    }

    pub fn readers(&self) -> &Scope {
        &self.rights_now().readers
    }

    pub fn writers(&self) -> &Scope {
        &self.rights_now().writers
    }

    pub fn carriers(&self) -> &Scope {
        &self.rights_now().carriers
    }
}

/// Everything the chain says, as plain data, and the chain itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    federation: FederationId,
    name: String,
    admin: NodeId,
    head_office: String,
    units: BTreeMap<String, Unit>,
    pub(super) nodes: BTreeMap<NodeId, NodeInfo>,
    pub(super) spaces: BTreeMap<SpaceId, Space>,
    chain: Vec<Signed>,
    head: Hash,
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
            chain: Vec::new(),
            head: Hash::ZERO,
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

    /// Takes the next statement, or says why not. A refused statement changes nothing.
    pub fn apply(&mut self, signed: Signed) -> Result<(), DirectoryError> {
        let statement = signed.open().map_err(|e| DirectoryError::Unreadable(e.to_string()))?;
        if statement.federation != self.federation {
            return Err(DirectoryError::OtherFederation);
        }
        if statement.epoch <= self.epoch() {
            return self.recognise(&statement, &signed);
        }
        if statement.epoch != self.epoch() + 1 {
            return Err(DirectoryError::Gap { have: self.epoch(), found: statement.epoch });
        }
        let act = Act::parse(statement.act, &statement.payload)
            .map_err(|e| DirectoryError::Unreadable(e.to_string()))?;
        self.check_author(&statement, &signed, act.as_ref())?;
        let act = act.ok_or(DirectoryError::Newer(statement.act))?;
        if statement.previous != self.head {
            return Err(DirectoryError::Fork(self.epoch()));
        }
        self.carry_out(statement.epoch, act)?;
        self.head = signed.hash();
        self.chain.push(signed);
        Ok(())
    }

    /// An old epoch: ours again is fine, another signed one is a fork.
    fn recognise(&self, statement: &Statement, signed: &Signed) -> Result<(), DirectoryError> {
        let at = statement.epoch.checked_sub(1).ok_or(DirectoryError::Senseless("epoch 0"))?;
        if self.chain[at as usize].bytes == signed.bytes {
            return Ok(());
        }
        let root = NodeId(self.federation.0);
        if (statement.author == root || statement.author == self.admin)
            && signed.verify(&statement.author)
        {
            return Err(DirectoryError::Fork(statement.epoch));
        }
        Err(DirectoryError::Signature)
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
            Some(Act::AppointAdmin(_)) => root && founded,
            Some(_) => admin && founded,
            None => (root || admin) && founded,
        };
        if !allowed {
            return Err(DirectoryError::Author);
        }
        if !signed.verify(&statement.author) {
            return Err(DirectoryError::Signature);
        }
        Ok(())
    }

    /// The first admin speaks before it is admitted, since it admits itself; a revoked one is silent.
    fn is_member_or_first(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_none_or(|n| n.revoked.is_none())
    }

    fn carry_out(&mut self, epoch: u64, act: Act) -> Result<(), DirectoryError> {
        match act {
            Act::Found(found) => self.found(epoch, found),
            Act::DefineUnit(unit) => self.define_unit(unit),
            Act::AdmitNode(node) => self.admit(epoch, node),
            Act::UpdateNode(update) => self.update(update),
            Act::DefineSpace(space) => self.define_space(epoch, space),
            Act::RevokeNode(revoke) => self.revoke(epoch, revoke),
            Act::AppointAdmin(appoint) => {
                self.admin = appoint.node;
                Ok(())
            }
            Act::GrantKey(grant) => self.grant(grant),
        }
    }

    fn found(&mut self, epoch: u64, found: Found) -> Result<(), DirectoryError> {
        if epoch != 1 {
            return Err(DirectoryError::Senseless("a federation is founded once"));
        }
        check_name(&found.name)?;
        check_unit_code(&found.head_office)?;
        self.name = found.name;
        self.admin = found.admin;
        self.head_office = found.head_office;
        Ok(())
    }

    fn define_unit(&mut self, unit: DefineUnit) -> Result<(), DirectoryError> {
        check_unit_code(&unit.code)?;
        check_name(&unit.name)?;
        if self.units.len() >= UNITS_MAX && !self.units.contains_key(&unit.code) {
            return Err(DirectoryError::Senseless("too many units"));
        }
        self.units.insert(unit.code.clone(), Unit { code: unit.code, name: unit.name });
        Ok(())
    }

    fn admit(&mut self, epoch: u64, admit: AdmitNode) -> Result<(), DirectoryError> {
        if self.nodes.contains_key(&admit.node) {
            return Err(DirectoryError::Senseless("the node is admitted already"));
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(DirectoryError::Senseless("too many nodes"));
        }
        if !self.units.contains_key(&admit.unit) {
            return Err(DirectoryError::Senseless("no such unit"));
        }
        check_name(&admit.name)?;
        check_addresses(&admit.addresses)?;
        if !crate::seal::is_sound(&admit.sealing) {
            return Err(DirectoryError::Senseless(
                "what is sealed to that key would be sealed to nobody",
            ));
        }
        let info = NodeInfo {
            node: admit.node,
            unit: admit.unit,
            name: admit.name,
            role: admit.role,
            addresses: admit.addresses,
            admitted: epoch,
            revoked: None,
            sealing: admit.sealing,
        };
        self.nodes.insert(admit.node, info);
        Ok(())
    }

    fn update(&mut self, update: UpdateNode) -> Result<(), DirectoryError> {
        if let Some(name) = &update.name {
            check_name(name)?;
        }
        if let Some(addresses) = &update.addresses {
            check_addresses(addresses)?;
        }
        let node =
            self.nodes.get_mut(&update.node).ok_or(DirectoryError::Senseless("no such node"))?;
        node.name = update.name.unwrap_or_else(|| node.name.clone());
        node.addresses = update.addresses.unwrap_or_else(|| node.addresses.clone());
        Ok(())
    }

    fn define_space(&mut self, epoch: u64, define: DefineSpace) -> Result<(), DirectoryError> {
        check_name(&define.label)?;
        if define.space != space_id(&self.federation, &define.label) {
            return Err(DirectoryError::Senseless("the space's id is not its label's"));
        }
        if define.template == Template::FEDERATION && !define.readers.all {
            return Err(DirectoryError::Senseless("every node reads a federation's space"));
        }
        match self.spaces.get(&define.space) {
            None if self.spaces.len() >= SPACES_MAX => {
                return Err(DirectoryError::Senseless("too many spaces"));
            }
            Some(space) if space.template != define.template || space.unit != define.unit => {
                return Err(DirectoryError::Senseless("a space keeps its template and unit"));
            }
            _ => {}
        }
        let named = define.unit.iter().chain(&define.readers.units).chain(&define.writers.units);
        for unit in named.chain(&define.carriers.units) {
            if !self.units.contains_key(unit) {
                return Err(DirectoryError::Senseless("no such unit"));
            }
        }
        let rights =
            Rights { readers: define.readers, writers: define.writers, carriers: define.carriers };
        let space = self.spaces.entry(define.space).or_insert_with(|| Space {
            id: define.space,
            label: String::new(),
            template: define.template,
            unit: define.unit,
            rights: Vec::new(),
            keys: Vec::new(),
        });
        space.label = define.label;
        space.rights.push((epoch, rights));
        Ok(())
    }

    fn revoke(&mut self, epoch: u64, revoke: RevokeNode) -> Result<(), DirectoryError> {
        let node =
            self.nodes.get_mut(&revoke.node).ok_or(DirectoryError::Senseless("no such node"))?;
        if node.revoked.is_some() {
            return Err(DirectoryError::Senseless("the node is revoked already"));
        }
        let cuts = revoke.cuts.into_iter().map(|c| (c.log, (c.seq, c.hash))).collect();
        node.revoked = Some(Revocation { epoch, cuts });
        Ok(())
    }

    /// Signs the next statement. The caller applies, stores and spreads it.
    pub fn draft(&self, key: &SigningKey, act: &Act, time_ms: u64) -> Signed {
        let statement = Statement {
            federation: self.federation,
            epoch: self.epoch() + 1,
            previous: self.head,
            author: NodeId(key.verifying_key().to_bytes()),
            time_ms,
            act: act.number(),
            payload: act.payload(),
        };
        Signed::sign(key, &statement)
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
        self.head
    }

    pub fn head_prefix(&self) -> HashPrefix {
        self.head.prefix()
    }

    /// Statements after `epoch`, oldest first.
    pub fn statements_after(&self, epoch: u64) -> &[Signed] {
        self.chain.get(epoch as usize..).unwrap_or(&[])
    }

    /// The head hash the chain had at `epoch`.
    pub fn head_at(&self, epoch: u64) -> Option<Hash> {
        match epoch {
            0 => Some(Hash::ZERO),
            e => self.chain.get(e as usize - 1).map(Signed::hash),
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
        info.admitted <= epoch
            && info.revoked.as_ref().is_none_or(|r| epoch < r.epoch)
            && space.rights_at(epoch).is_some_and(|r| scope(r).includes(&info.unit))
    }
}

fn check_name(name: &str) -> Result<(), DirectoryError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(DirectoryError::Senseless(
            "a name is empty, too long or has control characters",
        ));
    }
    Ok(())
}

fn check_unit_code(code: &str) -> Result<(), DirectoryError> {
    let fits = !code.is_empty() && code.len() <= UNIT_CODE_BYTES_MAX;
    let plain = code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fits || !plain {
        return Err(DirectoryError::Senseless("a unit code has other characters than a-z, 0-9, -"));
    }
    Ok(())
}

fn check_addresses(addresses: &[String]) -> Result<(), DirectoryError> {
    if addresses.len() > ADDRESSES_MAX
        || addresses.iter().any(|a| a.is_empty() || a.len() > ADDRESS_BYTES_MAX)
    {
        return Err(DirectoryError::Senseless("too many or too long addresses"));
    }
    Ok(())
}
