//! What each act changes, and when it makes no sense.

use super::act::{
    Act, AdmitNode, AppointAdmin, ContinueCuts, Cut, DefineSpace, DefineUnit, Found, Recover,
    RevokeNode, SetLimits, Template, UpdateNode,
};
use super::fold::{Directory, DirectoryError, NodeInfo, Revocation, Unit};
use super::quota::Quota;
use super::space::{Cuts, Removal, Rights, Space};
use super::statement::space_id;
use crate::id::{NodeId, SpaceId};
use crate::limits::{
    ADDRESS_BYTES_MAX, ADDRESSES_MAX, CUTS_PER_STATEMENT_MAX, NAME_BYTES_MAX, NODES_MAX,
    SPACES_MAX, UNIT_CODE_BYTES_MAX, UNITS_MAX,
};
use crate::seal;

/// A right the last statement took, so that the next may go on with the cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Node(NodeId),
    /// The last removal of this space.
    Space(SpaceId),
}

impl Directory {
    /// An error leaves the directory as it was.
    pub(super) fn carry_out(&mut self, epoch: u64, act: Act) -> Result<(), DirectoryError> {
        let taken = match act {
            Act::Found(found) => self.found(epoch, found).map(|()| None),
            Act::DefineUnit(unit) => self.define_unit(unit).map(|()| None),
            Act::AdmitNode(node) => self.admit(epoch, node).map(|()| None),
            Act::UpdateNode(update) => self.update(update).map(|()| None),
            Act::DefineSpace(space) => self.define_space(epoch, space),
            Act::RevokeNode(revoke) => self.revoke(epoch, revoke).map(Some),
            Act::AppointAdmin(appoint) => self.appoint(epoch, appoint),
            Act::GrantKey(grant) => self.grant(grant).map(|()| None),
            Act::SetLimits(limits) => self.set_limits(epoch, &limits).map(|()| None),
            Act::ContinueCuts(more) => self.continue_cuts(more).map(Some),
            Act::Recover(recover) => self.recover(epoch, &recover).map(|()| None),
        }?;
        self.taken = taken;
        Ok(())
    }

    fn found(&mut self, epoch: u64, found: Found) -> Result<(), DirectoryError> {
        if epoch != 1 {
            return senseless("a federation is founded once");
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
            return senseless("too many units");
        }
        self.units.insert(unit.code.clone(), Unit { code: unit.code, name: unit.name });
        Ok(())
    }

    fn admit(&mut self, epoch: u64, admit: AdmitNode) -> Result<(), DirectoryError> {
        if self.nodes.contains_key(&admit.node) {
            return senseless("the node is admitted already");
        }
        if self.nodes.len() >= NODES_MAX {
            return senseless("too many nodes");
        }
        if !self.units.contains_key(&admit.unit) {
            return senseless("no such unit");
        }
        check_name(&admit.name)?;
        check_addresses(&admit.addresses)?;
        if !seal::is_sound(&admit.sealing) {
            return senseless("what is sealed to that key would be sealed to nobody");
        }
        let info = NodeInfo {
            node: admit.node,
            unit: admit.unit,
            name: admit.name,
            role: admit.role,
            addresses: admit.addresses,
            sealing: admit.sealing,
            admitted: epoch,
            revoked: None,
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
        let node = self.node_mut(&update.node)?;
        node.name = update.name.unwrap_or_else(|| node.name.clone());
        node.addresses = update.addresses.unwrap_or_else(|| node.addresses.clone());
        Ok(())
    }

    fn node_mut(&mut self, node: &NodeId) -> Result<&mut NodeInfo, DirectoryError> {
        self.nodes.get_mut(node).ok_or(DirectoryError::Senseless("no such node"))
    }

    fn space_mut(&mut self, space: &SpaceId) -> Result<&mut Space, DirectoryError> {
        self.spaces.get_mut(space).ok_or(DirectoryError::Senseless("no such space"))
    }

    fn define_space(
        &mut self,
        epoch: u64,
        define: DefineSpace,
    ) -> Result<Option<Taken>, DirectoryError> {
        self.check_space(&define)?;
        let losers = self.losers(&define);
        let removal = match (losers.is_empty(), define.cuts) {
            (true, None) => None,
            (true, Some(_)) => return senseless("cuts, and no unit loses the right to write"),
            (false, None) => return senseless("a unit loses the right to write, and no cuts"),
            (false, Some(cuts)) => Some(Removal { epoch, units: losers, cuts: checked(cuts)? }),
        };
        let rights =
            Rights { readers: define.readers, writers: define.writers, carriers: define.carriers };
        let space = self.spaces.entry(define.space).or_insert_with(|| Space {
            id: define.space,
            label: String::new(),
            template: define.template,
            unit: define.unit,
            rights: Vec::new(),
            removals: Vec::new(),
            quotas: Vec::new(),
            keys: Vec::new(),
        });
        space.label = define.label;
        space.rights.push((epoch, rights));
        let taken = removal.is_some().then_some(Taken::Space(define.space));
        space.removals.extend(removal);
        Ok(taken)
    }

    fn check_space(&self, define: &DefineSpace) -> Result<(), DirectoryError> {
        check_name(&define.label)?;
        if define.space != space_id(&self.federation, &define.label) {
            return senseless("the space's id is not its label's");
        }
        if define.template == Template::FEDERATION && !define.readers.all {
            return senseless("every node reads a federation's space");
        }
        match self.spaces.get(&define.space) {
            None if self.spaces.len() >= SPACES_MAX => return senseless("too many spaces"),
            Some(space) if space.template != define.template || space.unit != define.unit => {
                return senseless("a space keeps its template and unit");
            }
            _ => {}
        }
        let named = define.unit.iter().chain(&define.readers.units).chain(&define.writers.units);
        if named.chain(&define.carriers.units).any(|unit| !self.units.contains_key(unit)) {
            return senseless("no such unit");
        }
        Ok(())
    }

    /// The units that write the space now and will not by `define`, ascending.
    fn losers(&self, define: &DefineSpace) -> Vec<String> {
        let Some(space) = self.spaces.get(&define.space) else { return Vec::new() };
        let loses = |unit: &&String| {
            space.writers().includes(unit.as_str()) && !define.writers.includes(unit.as_str())
        };
        self.units.keys().filter(loses).cloned().collect()
    }

    fn revoke(&mut self, epoch: u64, revoke: RevokeNode) -> Result<Taken, DirectoryError> {
        let cuts = checked(revoke.cuts)?;
        let node = self.node_mut(&revoke.node)?;
        if node.revoked.is_some() {
            return senseless("the node is revoked already");
        }
        node.revoked = Some(Revocation { epoch, cuts });
        Ok(Taken::Node(revoke.node))
    }

    fn appoint(
        &mut self,
        epoch: u64,
        appoint: AppointAdmin,
    ) -> Result<Option<Taken>, DirectoryError> {
        if self.nodes.get(&appoint.node).is_some_and(|n| n.revoked.is_some()) {
            return senseless("a revoked node cannot be the admin");
        }
        let taken = match appoint.cuts {
            Some(_) if appoint.node == self.admin => {
                return senseless("an admin is not revoked and appointed at once");
            }
            Some(cuts) => Some(self.revoke(epoch, RevokeNode { node: self.admin, cuts })?),
            None => None,
        };
        self.admin = appoint.node;
        Ok(taken)
    }

    fn set_limits(&mut self, epoch: u64, limits: &SetLimits) -> Result<(), DirectoryError> {
        let usual = Quota::default();
        let quota = Quota {
            entries: limits.entries.unwrap_or(usual.entries),
            bytes: limits.bytes.unwrap_or(usual.bytes),
            documents: limits.documents.unwrap_or(usual.documents),
        };
        self.space_mut(&limits.space)?.quotas.push((epoch, quota));
        Ok(())
    }

    /// In the chain it begins, a recovery only says that it is one: what it voids is not there.
    fn recover(&self, epoch: u64, recover: &Recover) -> Result<(), DirectoryError> {
        if recover.epoch + 1 != epoch || recover.hash != self.head() {
            return senseless("a recovery follows the statement it goes back to");
        }
        if recover.voided < recover.epoch {
            return senseless("a recovery voids what comes after");
        }
        Ok(())
    }

    fn continue_cuts(&mut self, more: ContinueCuts) -> Result<Taken, DirectoryError> {
        let more = (!more.cuts.is_empty()).then_some(more.cuts);
        let more = checked(more.ok_or(DirectoryError::Senseless("no cuts"))?)?;
        let taken = self.taken.ok_or(DirectoryError::Senseless("nothing to go on with"))?;
        let cuts = match taken {
            Taken::Node(node) => self.node_mut(&node)?.revoked.as_mut().map(|r| &mut r.cuts),
            Taken::Space(space) => self.space_mut(&space)?.removals.last_mut().map(|r| &mut r.cuts),
        };
        // INVARIANT: `taken` names what the statement before has just recorded.
        let cuts = cuts.expect("a right that was taken");
        if more.overlaps(cuts) {
            return senseless("a log is cut twice");
        }
        cuts.extend(more);
        Ok(taken)
    }
}

fn senseless<T>(why: &'static str) -> Result<T, DirectoryError> {
    Err(DirectoryError::Senseless(why))
}

fn checked(cuts: Vec<Cut>) -> Result<Cuts, DirectoryError> {
    let ascending = cuts.windows(2).all(|pair| pair[0].log < pair[1].log);
    if cuts.len() > CUTS_PER_STATEMENT_MAX || !ascending || cuts.iter().any(|c| c.seq == 0) {
        return senseless("cuts are too many, out of order, or cut at 0, as what is not listed is");
    }
    Ok(Cuts::new(cuts))
}

fn check_name(name: &str) -> Result<(), DirectoryError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return senseless("a name is empty, too long or has control characters");
    }
    Ok(())
}

fn check_unit_code(code: &str) -> Result<(), DirectoryError> {
    let fits = !code.is_empty() && code.len() <= UNIT_CODE_BYTES_MAX;
    let plain = code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fits || !plain {
        return senseless("a unit code has other characters than a-z, 0-9, -");
    }
    Ok(())
}

fn check_addresses(addresses: &[String]) -> Result<(), DirectoryError> {
    if addresses.len() > ADDRESSES_MAX
        || addresses.iter().any(|a| a.is_empty() || a.len() > ADDRESS_BYTES_MAX)
    {
        return senseless("too many or too long addresses");
    }
    Ok(())
}
