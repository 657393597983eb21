//! Passwords: hashed by argon2id, and the hash sealed to each node of the unit.
//!
//! The record is `fenbu_protocol`'s credential. A password that is set makes another one with the next
//! number, sealed to every node the unit has then; whoever has a copy gives one to nodes that come later
//! ([`Accounts::share_credentials`]). Head office reads the unit's records and none of these letters.

use super::{AccountError, Accounts, kind};
use crate::store::{Cell, ListQuery, ListedRow};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use fenbu_protocol::directory::{Directory, NodeInfo};
use fenbu_protocol::id::{DocId, NodeId, hex};
use fenbu_protocol::seal::{open_letter, seal_letter, sealing_secret};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

const DOMAIN: &[u8] = b"fenbu/credential/1\0";

/// One hash at a time: each takes its memory and a core.
static HASHING: Mutex<()> = Mutex::new(());

/// OWASP's second choice for argon2id: 19 MiB, two passes, one lane.
fn hasher() -> Argon2<'static> {
    // INVARIANT: the parameters are within argon2's bounds.
    let params = Params::new(19 * 1024, 2, 1, None).expect("good parameters");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hashed(password: &str) -> Result<String, AccountError> {
    let _one = HASHING.lock().unwrap_or_else(PoisonError::into_inner);
    let hash = hasher().hash_password(password.as_bytes());
    Ok(hash.map_err(|error| AccountError::Hash(error.to_string()))?.to_string())
}

fn verified(password: &str, hash: &str) -> bool {
    let _one = HASHING.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    hasher().verify_password(password.as_bytes(), &hash).is_ok()
}

/// Takes as long as looking at a password does.
pub(super) fn spend(password: &str) {
    let _ = hashed(password);
}

/// A credential as stored.
struct Credential {
    id: DocId,
    account: DocId,
    number: i64,
    sealed: BTreeMap<NodeId, Vec<u8>>,
}

impl Credential {
    fn of(row: &ListedRow) -> Option<Self> {
        let [Cell::Text(account), number, sealed, ..] = &row.row.cells[..] else { return None };
        let number = if let Cell::Int(number) = number { *number } else { 0 };
        let copies: Vec<Value> = match sealed {
            Cell::Text(json) => serde_json::from_str(json).ok()?,
            _ => Vec::new(),
        };
        let sealed = copies.iter().filter_map(|copy| {
            Some((copy["node"].as_str()?.parse().ok()?, unhexed(copy["letter"].as_str()?)?))
        });
        let account = account.parse().ok()?;
        Some(Self { id: row.document, account, number, sealed: sealed.collect() })
    }
}

fn unhexed(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}

/// HPKE's `info`: domain ‖ 00 ‖ federation ‖ account ‖ number ‖ node.
fn info(directory: &Directory, account: DocId, number: i64, node: &NodeId) -> Vec<u8> {
    let mut out = DOMAIN.to_vec();
    out.extend_from_slice(directory.federation().as_bytes());
    out.extend_from_slice(&account.0);
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(node.as_bytes());
    out
}

impl Accounts {
    /// Whether a password is the account's; `None` if this node has no copy of it.
    pub(super) fn password_fits(
        &self,
        account: DocId,
        password: &str,
    ) -> Result<Option<bool>, AccountError> {
        let Some(current) = self.current(account)? else { return Ok(None) };
        Ok(self.opened(&current).map(|hash| verified(password, &hash)))
    }

    pub(super) fn store_password(
        &self,
        account: DocId,
        password: &str,
        by: &str,
    ) -> Result<(), AccountError> {
        let hash = hashed(password)?;
        let number = self.current(account)?.map_or(1, |current| current.number.saturating_add(1));
        let directory = self.records.shared.directory.now();
        let copies: Vec<Value> = self
            .colleagues(&directory)
            .filter_map(|node| letter(&directory, account, number, node, &hash))
            .collect();
        let fields = json!({ "account": account, "number": number, "copies": { "add": copies } });
        self.records.create(kind("credential"), &fields, None, None, by)?;
        Ok(())
    }

    /// Gives each node of the unit the copies it lacks of what this node has. Returns how many.
    pub fn share_credentials(&self) -> Result<usize, AccountError> {
        let directory = self.records.shared.directory.now();
        let mut given = 0;
        for account in self.all()? {
            let Some(current) = self.current(account.id)? else { continue };
            let lacking: Vec<_> = self
                .colleagues(&directory)
                .filter(|node| !current.sealed.contains_key(&node.node))
                .collect();
            let Some(hash) = (!lacking.is_empty()).then(|| self.opened(&current)).flatten() else {
                continue;
            };
            let letters: Vec<Value> = lacking
                .into_iter()
                .filter_map(|n| letter(&directory, account.id, current.number, n, &hash))
                .collect();
            given += letters.len();
            let fields = json!({ "copies": { "add": letters } });
            self.records.edit(kind("credential"), &current.id.to_string(), &fields, "")?;
        }
        Ok(given)
    }

    /// Nodes of this unit that are members.
    fn colleagues<'a>(
        &self,
        directory: &'a Directory,
    ) -> impl Iterator<Item = &'a NodeInfo> + use<'a> {
        let unit = self.records.shared.unit();
        directory.nodes().filter(move |n| n.unit == unit && directory.is_member(&n.node))
    }

    /// The credential that counts.
    fn current(&self, account: DocId) -> Result<Option<Credential>, AccountError> {
        let schema = kind("credential");
        let directory = self.records.shared.directory.now();
        let unit = self.records.shared.unit();
        let spaces = directory.unit_space(&unit).map(|s| s.id).into_iter().collect();
        let equals = vec![("account".to_owned(), account.to_string())];
        let mut query =
            ListQuery { spaces: Some(spaces), equals, limit: 1000, ..ListQuery::default() };
        let mut best: Option<Credential> = None;
        loop {
            let page = self.records.list(schema, query.clone())?;
            let found = page.rows.iter().filter_map(Credential::of);
            best = found.chain(best).max_by_key(|c| (c.number, c.id));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(best),
            }
        }
    }

    /// The hash in this node's copy.
    fn opened(&self, credential: &Credential) -> Option<String> {
        let shared = &self.records.shared;
        let directory = shared.directory.now();
        let info = info(&directory, credential.account, credential.number, &shared.me);
        let letter = credential.sealed.get(&shared.me)?;
        let plain = open_letter(&info, &sealing_secret(&shared.key), letter).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

/// A hash sealed to one node, as the record holds it.
fn letter(
    directory: &Directory,
    account: DocId,
    number: i64,
    node: &NodeInfo,
    hash: &str,
) -> Option<Value> {
    let mut chance = [0; 32];
    // INVARIANT: without the system's randomness no key could have been made either.
    getrandom::fill(&mut chance).expect("the system has randomness");
    let info = info(directory, account, number, &node.node);
    // A key nothing can be sealed for was never admitted.
    let letter = seal_letter(&info, &node.sealing, hash.as_bytes(), chance).ok()?;
    Some(json!({ "node": node.node, "letter": hex(&letter) }))
}
