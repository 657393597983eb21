//! What the admin node says: letting nodes in, ending them, defining spaces, handing out keys.
//!
//! | file | owns |
//! |---|---|
//! | here | tokens, and the answer to those who bring one |
//! | `acts` | statements that are made, stored and spread together, and their cuts |
//! | `spaces` | who reads, writes and carries what, and how much |
//! | `root` | what only the root key may say; any member node takes it to the others |

use crate::shared::{DirectoryView, Shared};
use crate::store::StoreError;
use crate::transport::JoinConnection;
use crate::writer::{Command, Stopping, WriterHandle};
use fenbu_protocol::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, DirectoryError, Role, Scope, Signed,
    Template, space_id,
};
use fenbu_protocol::id::{Hash, NodeId, SealingKey, hex};
use fenbu_protocol::seal;
use fenbu_protocol::wire::join::{self, FileRequest, JoinAnswer, JoinRequest, Token};
use minicbor::{Decode, Encode};
use std::sync::Arc;
use tokio::sync::{Mutex, oneshot};

mod acts;
mod root;
mod spaces;

use acts::Acts;
pub use acts::Revoked;
pub(crate) use acts::chance;
pub use root::{Appointment, Recovery, RootRefused};
pub(crate) use spaces::labelled;
pub use spaces::{How, Limits, SpaceChange, SpaceEffect, SpaceRefused};

/// Small named values for the store; `None` deletes.
type Settings = Vec<(String, Option<Vec<u8>>)>;

/// Longest validity of a token.
pub const VALID_MINUTES_MAX: u64 = 72 * 60;
pub const VALID_MINUTES_DEFAULT: u64 = 15;

/// Why an invitation cannot be made, or a node cannot be let in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdmissionError {
    #[error("only the admin node '{0}' can do that: run it there")]
    NotAdmin(String),
    #[error("a token is valid for 1 minute to {} hours", VALID_MINUTES_MAX / 60)]
    Validity,
    #[error("unknown role '{0}'; roles are server, laptop")]
    Role(String),
    #[error("the unit '{code}' is called '{name}' already: leave --name out, or use another code")]
    UnitNamed { code: String, name: String },
    #[error("a new unit needs a name: give --name")]
    UnitNameless,
    #[error(
        "the admin node cannot revoke itself: have the root key appoint another first (`fenbu root appoint`)"
    )]
    RevokesItself,
    #[error(
        "this node does not carry space '{0}', so it cannot say up to where work there counts: let its unit carry the space first"
    )]
    Blind(String),
    #[error(
        "another statement came first, or the directory was stopped by a fork: look at `fenbu directory` and try again"
    )]
    Overtaken,
    #[error(transparent)]
    Space(#[from] SpaceRefused),
    #[error(transparent)]
    Root(#[from] RootRefused),
    #[error("this node has no address others can reach: set `advertise` in fenbu.toml")]
    NoAddress,
    #[error("the request cannot be read ({0}): use the same fenbu version")]
    Request(String),
    #[error("the token is for another federation")]
    OtherFederation,
    #[error("the key was not proven on this connection")]
    Unproven,
    #[error("no such token here: ask for a new one (`fenbu invite`)")]
    TokenUnknown,
    #[error("the token was used already: ask for a new one (`fenbu invite`)")]
    TokenUsed,
    #[error("the token has expired: ask for a new one (`fenbu invite`)")]
    TokenExpired,
    #[error("the directory refuses: {0}")]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

/// What the issuer keeps of a token: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Invitation {
    #[n(0)]
    unit: String,
    #[n(1)]
    unit_name: String,
    #[n(2)]
    role: Role,
    #[n(3)]
    expires_ms: u64,
    /// The node that used it. Kept, so that a second use can be told from a wrong token.
    #[n(4)]
    used_by: Option<NodeId>,
}

/// A request for a token.
#[derive(Debug, Clone)]
pub struct Invite {
    pub unit: String,
    /// Needed when the unit is new.
    pub unit_name: Option<String>,
    pub role: String,
    pub valid_minutes: u64,
}

/// The door of one node.
#[derive(Debug, Clone)]
pub struct Admission {
    shared: Shared,
    writer: WriterHandle,
    addresses: Vec<String>,
    /// One change to the directory at a time: each builds on the one before.
    turn: Arc<Mutex<()>>,
}

impl Admission {
    pub fn new(shared: Shared, writer: WriterHandle, addresses: Vec<String>) -> Self {
        Self { shared, writer, addresses, turn: Arc::default() }
    }

    /// Makes a token; returns it and when it ends, in milliseconds since 1970.
    pub async fn invite(&self, invite: Invite) -> Result<(Token, u64), AdmissionError> {
        let directory = self.shared.directory.now();
        self.check_admin(&directory)?;
        if self.addresses.is_empty() {
            return Err(AdmissionError::NoAddress);
        }
        if !(1..=VALID_MINUTES_MAX).contains(&invite.valid_minutes) {
            return Err(AdmissionError::Validity);
        }
        let role = Role::from_name(&invite.role)
            .ok_or_else(|| AdmissionError::Role(invite.role.clone()))?;
        let unit_name = unit_name(&directory, &invite)?;
        let invitation = Invitation {
            unit: invite.unit.clone(),
            unit_name,
            role,
            expires_ms: self.shared.clock.now_ms() + invite.valid_minutes * 60_000,
            used_by: None,
        };
        // What the directory would refuse is said now, not to the one who joins.
        let probe = Applicant {
            node: NodeId([0; 32]),
            name: "probe",
            addresses: &[],
            sealing: seal::sealing_public(&self.shared.key),
        };
        self.acts(&directory, &invitation, &probe)?;
        let mut secret = [0; 16];
        // INVARIANT: without the system's randomness no key could have been made either.
        getrandom::fill(&mut secret).expect("the system has randomness");
        let expires_ms = invitation.expires_ms;
        self.keep(&secret, &invitation).await?;
        let token = Token {
            federation: directory.federation(),
            issuer: self.shared.me,
            addresses: self.addresses.clone(),
            secret,
            unit: invite.unit,
            role,
        };
        Ok((token, expires_ms))
    }

    /// The directory of the moment.
    pub fn directory(&self) -> DirectoryView {
        self.shared.directory.clone()
    }

    /// Says everything that is due about space keys, if this node is the admin.
    pub async fn hand_out_keys(&self) -> Result<(), AdmissionError> {
        let _turn = self.turn.lock().await;
        let directory = self.shared.directory.now();
        if directory.admin() != self.shared.me {
            return Ok(());
        }
        let mut acts = Acts::after(&self.shared, &directory);
        acts.say_what_is_due()?;
        if acts.said.is_empty() {
            return Ok(());
        }
        tracing::info!(statements = acts.said.len(), "handing out space keys that were due");
        self.say(acts, Vec::new()).await
    }

    fn check_admin(&self, directory: &Directory) -> Result<(), AdmissionError> {
        if directory.admin() == self.shared.me {
            return Ok(());
        }
        let admin = directory.node(&directory.admin()).map(|n| n.name.clone());
        Err(AdmissionError::NotAdmin(admin.unwrap_or_else(|| directory.admin().short())))
    }

    async fn keep(&self, secret: &[u8; 16], invitation: &Invitation) -> Result<(), AdmissionError> {
        self.declare(Vec::new(), vec![(setting_name(secret), Some(to_bytes(invitation)))]).await
    }

    /// Has statements stored, applied and spread, with the settings that go with them.
    async fn say(&self, acts: Acts<'_>, settings: Settings) -> Result<(), AdmissionError> {
        let (epoch, head) = (acts.directory.epoch(), acts.directory.head());
        self.declare(acts.said, settings).await?;
        self.applied(epoch, head).await
    }

    /// Waits until the directory has had this head.
    async fn applied(&self, epoch: u64, head: Hash) -> Result<(), AdmissionError> {
        match self.shared.directory.clone().settles(epoch, head).await {
            true => Ok(()),
            false => Err(AdmissionError::Overtaken),
        }
    }

    async fn declare(
        &self,
        statements: Vec<(u64, Signed)>,
        settings: Settings,
    ) -> Result<(), AdmissionError> {
        let (reply, answer) = oneshot::channel();
        self.writer.send(Command::Declare { statements, settings, reply })?;
        Ok(answer.await.map_err(|_| Stopping)??)
    }

    /// Lets a node in that has asked by file; returns the whole directory with it. One that is a member
    /// already gets it again.
    pub async fn admit_by_file(
        &self,
        request: &FileRequest,
        invite: Invite,
    ) -> Result<Vec<Signed>, AdmissionError> {
        let _turn = self.turn.lock().await;
        let directory = self.shared.directory.now();
        self.check_admin(&directory)?;
        if directory.is_member(&request.node) {
            return Ok(directory.statements_after(0).to_vec());
        }
        let role = Role::from_name(&invite.role)
            .ok_or_else(|| AdmissionError::Role(invite.role.clone()))?;
        let unit_name = unit_name(&directory, &invite)?;
        let invitation =
            Invitation { unit: invite.unit, unit_name, role, expires_ms: 0, used_by: None };
        let applicant = Applicant {
            node: request.node,
            name: request.name.as_ref().unwrap_or(&invitation.unit),
            addresses: &request.addresses,
            sealing: request.sealing,
        };
        let acts = self.acts(&directory, &invitation, &applicant)?;
        let all = acts.directory.statements_after(0).to_vec();
        self.say(acts, Vec::new()).await?;
        tracing::info!(peer = %request.node.short(), unit = invitation.unit, "let a node in by file");
        Ok(all)
    }

    /// Talks to one who knocks, to the end.
    pub async fn answer(&self, mut knock: JoinConnection) {
        let (peer, exporter) = (knock.peer(), knock.exporter());
        let request = match knock.request().await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::info!(peer = %peer.short(), %error, "a join request did not arrive");
                return;
            }
        };
        let answer = match self.admit(peer, &exporter, &request).await {
            Ok(statements) => JoinAnswer { statements, refusal: None },
            Err(refusal) => {
                tracing::warn!(peer = %peer.short(), %refusal, "a node was not let in");
                JoinAnswer { statements: Vec::new(), refusal: Some(refusal.to_string()) }
            }
        };
        // INVARIANT: encoding to memory cannot fail.
        let bytes = minicbor::to_vec(&answer).expect("encoding to memory");
        if let Err(error) = knock.answer(bytes.into()).await {
            tracing::info!(peer = %peer.short(), %error, "the answer to a join was not heard");
        }
    }

    /// The whole directory with the new node in it, or why not, for the one who joins.
    async fn admit(
        &self,
        peer: NodeId,
        exporter: &[u8; 32],
        request: &[u8],
    ) -> Result<Vec<Signed>, AdmissionError> {
        let request: JoinRequest =
            join::decode(request).map_err(|e| AdmissionError::Request(e.to_string()))?;
        let _turn = self.turn.lock().await;
        let directory = self.shared.directory.now();
        if request.federation != directory.federation() {
            return Err(AdmissionError::OtherFederation);
        }
        if !request.is_proven(&peer, exporter) {
            return Err(AdmissionError::Unproven);
        }
        let mut invitation = self.invitation(&request).await?;
        if invitation.used_by == Some(peer) && directory.is_member(&peer) {
            // It joined and the answer was lost: give it again.
            return Ok(directory.statements_after(0).to_vec());
        }
        if invitation.used_by.is_some() {
            return Err(AdmissionError::TokenUsed);
        }
        if invitation.expires_ms < self.shared.clock.now_ms() {
            return Err(AdmissionError::TokenExpired);
        }
        self.check_admin(&directory)?;
        let applicant = Applicant {
            node: peer,
            name: &request.name,
            addresses: &request.addresses,
            sealing: request.sealing,
        };
        let acts = self.acts(&directory, &invitation, &applicant)?;
        invitation.used_by = Some(peer);
        let settings = vec![(setting_name(&request.secret), Some(to_bytes(&invitation)))];
        let all = acts.directory.statements_after(0).to_vec();
        self.say(acts, settings).await?;
        tracing::info!(peer = %peer.short(), unit = invitation.unit, "let a node in");
        Ok(all)
    }

    async fn invitation(&self, request: &JoinRequest) -> Result<Invitation, AdmissionError> {
        let name = setting_name(&request.secret);
        let readers = self.shared.readers.clone();
        let found = tokio::task::spawn_blocking(move || readers.with(|r| r.setting(&name)))
            .await
            .map_err(|_| Stopping)??;
        found.and_then(|bytes| minicbor::decode(&bytes).ok()).ok_or(AdmissionError::TokenUnknown)
    }

    /// The statements that let a node in: its unit and the unit's space where they are new.
    fn acts(
        &self,
        directory: &Directory,
        invitation: &Invitation,
        applicant: &Applicant<'_>,
    ) -> Result<Acts<'_>, AdmissionError> {
        let mut acts = Acts::after(&self.shared, directory);
        let code = &invitation.unit;
        if acts.directory.unit(code).is_none() {
            let unit = DefineUnit { code: code.clone(), name: invitation.unit_name.clone() };
            acts.say(&Act::DefineUnit(unit))?;
        }
        if acts.directory.unit_space(code).is_none() {
            let space = unit_space(&acts.directory, code);
            acts.say(&Act::DefineSpace(space))?;
        }
        let admit = AdmitNode {
            node: applicant.node,
            unit: code.clone(),
            name: applicant.name.to_owned(),
            role: invitation.role,
            addresses: applicant.addresses.to_vec(),
            sealing: applicant.sealing,
        };
        acts.say(&Act::AdmitNode(admit))?;
        acts.say_what_is_due()?;
        Ok(acts)
    }
}

/// A node that wants in, as it presents itself.
struct Applicant<'a> {
    node: NodeId,
    name: &'a str,
    addresses: &'a [String],
    sealing: SealingKey,
}

/// The space of a unit's own records: its nodes and head office read and write, all carry.
pub fn unit_space(directory: &Directory, unit: &str) -> DefineSpace {
    let mut units = vec![unit.to_owned()];
    if directory.head_office() != unit {
        units.push(directory.head_office().to_owned());
    }
    DefineSpace {
        space: space_id(&directory.federation(), unit),
        label: unit.to_owned(),
        template: Template::UNIT,
        unit: Some(unit.to_owned()),
        readers: Scope::units(units.clone()),
        writers: Scope::units(units),
        carriers: Scope::everyone(),
        cuts: None,
    }
}

fn unit_name(directory: &Directory, invite: &Invite) -> Result<String, AdmissionError> {
    match (directory.unit(&invite.unit), &invite.unit_name) {
        (Some(unit), None) => Ok(unit.name.clone()),
        (Some(unit), Some(name)) if *name == unit.name => Ok(unit.name.clone()),
        (Some(unit), Some(_)) => {
            Err(AdmissionError::UnitNamed { code: unit.code.clone(), name: unit.name.clone() })
        }
        (None, Some(name)) => Ok(name.clone()),
        (None, None) => Err(AdmissionError::UnitNameless),
    }
}

/// The secret itself is never stored.
fn setting_name(secret: &[u8; 16]) -> String {
    format!("invitation/{}", hex(&Hash::of("fenbu/secret/1", &[secret]).0))
}

fn to_bytes(invitation: &Invitation) -> Vec<u8> {
    // INVARIANT: encoding to memory cannot fail.
    minicbor::to_vec(invitation).expect("encoding to memory")
}

#[cfg(test)]
mod tests;
