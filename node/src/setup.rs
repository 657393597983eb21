//! Making nodes: founding a federation, and joining one.

use crate::admission::{chance, unit_space};
use crate::clock::wall_ms;
use crate::config::{Config, ConfigError, FILE_NAME};
use crate::folder::{Folder, FolderError};
use crate::freshness::Heard;
use crate::store::{SqliteStore, Store, StoreError, WriteBatch};
use crate::transport::{Endpoint, TransportError, advertised};
use ed25519_dalek::SigningKey;
use fenbu_protocol::directory::{
    Act, AdmitNode, DefineSpace, DefineUnit, Directory, DirectoryError, Found, Role, Scope, Signed,
    Template, space_id,
};
use fenbu_protocol::id::{FederationId, NodeId};
use fenbu_protocol::limits::STATEMENT_BYTES_MAX;
use fenbu_protocol::seal::{self, Keyring};
use fenbu_protocol::wire::join::{self as wire_join, JoinAnswer, JoinRequest, Token, TokenError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

mod files;

pub use files::{RequestOptions, answer_bytes, complete, request, write_new};

/// Code of the unit that founds a federation, unless another is asked for.
pub const HEAD_OFFICE: &str = "head";

/// What can go wrong while making a node; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Continuity(#[from] crate::continuity::ContinuityError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("the federation's directory cannot be made: {0}")]
    Directory(#[from] DirectoryError),
    #[error("the node that issued the token refuses: {0}")]
    Refused(String),
    #[error("the answer of the node that issued the token cannot be used: {0}")]
    Answer(String),
    #[error("{0} exists already; nothing is overwritten: choose another name")]
    Exists(PathBuf),
    #[error("cannot {doing} {path}: {source}")]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("none of the token's addresses answered:\n{0}")]
    Unreachable(String),
    #[error(
        "this machine has no network address; give --advertise HOST:PORT that others can reach"
    )]
    NoAddress,
    #[error("the tokio runtime could not start: {0}")]
    Runtime(std::io::Error),
}

#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    pub dir: PathBuf,
    /// The federation's name.
    pub name: String,
    /// Head office's unit code and name; `head` and 局机关 if not given.
    pub unit: Option<String>,
    pub unit_name: Option<String>,
    pub listen: Option<SocketAddr>,
    pub advertise: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct JoinOptions {
    pub dir: PathBuf,
    pub token: String,
    /// The node's name; its unit's code if not given.
    pub name: Option<String>,
    pub listen: Option<SocketAddr>,
    pub advertise: Vec<String>,
}

/// A node that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    pub federation: FederationId,
    pub federation_name: String,
    pub node: NodeId,
    pub unit: String,
}

fn new_key() -> SigningKey {
    let mut seed = [0; 32];
    // INVARIANT: a machine without randomness cannot make keys at all.
    getrandom::fill(&mut seed).expect("the system has randomness");
    SigningKey::from_bytes(&seed)
}

/// Founds a federation: its root key, its directory, and head office's node.
pub fn init(options: &InitOptions) -> Result<NodeReport, SetupError> {
    let folder = Folder::create(&options.dir)?;
    let result = found(&folder, options);
    if result.is_err() {
        clean_up(&folder);
    }
    result
}

fn found(folder: &Folder, options: &InitOptions) -> Result<NodeReport, SetupError> {
    let (root, key) = (new_key(), new_key());
    let node = NodeId(key.verifying_key().to_bytes());
    let config = write_config(folder, options.listen, &options.advertise)?;
    // The port is not bound yet; with port 0 the address is told by the daemon once it runs.
    let addresses = advertised(&config, config.listen);
    let unit = options.unit.clone().unwrap_or_else(|| HEAD_OFFICE.into());
    let federation = FederationId(root.verifying_key().to_bytes());
    let mut directory = Directory::empty(federation);
    let mut say = |key: &SigningKey, act: Act| {
        let signed = directory.draft(key, &act, wall_ms());
        directory.apply(signed)?;
        Ok::<_, SetupError>(directory.clone())
    };
    let found = Found { name: options.name.clone(), admin: node, head_office: unit.clone() };
    say(&root, Act::Found(found))?;
    let name = options.unit_name.clone().unwrap_or_else(|| "局机关".into());
    let defined = say(&key, Act::DefineUnit(DefineUnit { code: unit.clone(), name }))?;
    say(&key, Act::DefineSpace(federation_space(federation)))?;
    say(&key, Act::DefineSpace(unit_space(&defined, &unit)))?;
    let admit = AdmitNode {
        node,
        unit: unit.clone(),
        name: unit.clone(),
        role: Role::SERVER,
        addresses,
        sealing: seal::sealing_public(&key),
    };
    let mut directory = say(&key, Act::AdmitNode(admit))?;
    for act in seal::due(&directory, &Keyring::default(), &mut chance) {
        directory = say(&key, act)?;
    }
    store_directory(folder, directory.statements_after(0))?;
    folder.write_root_key(&root)?;
    folder.write_node_key(&key)?;
    Ok(NodeReport { federation, federation_name: options.name.clone(), node, unit })
}

/// The space every node reads and writes.
fn federation_space(federation: FederationId) -> DefineSpace {
    DefineSpace {
        space: space_id(&federation, "federation"),
        label: "federation".into(),
        template: Template::FEDERATION,
        unit: None,
        readers: Scope::everyone(),
        writers: Scope::everyone(),
        carriers: Scope::everyone(),
        cuts: None,
    }
}

fn write_config(
    folder: &Folder,
    listen: Option<SocketAddr>,
    advertise: &[String],
) -> Result<Config, SetupError> {
    let mut settings = Vec::new();
    if let Some(listen) = listen {
        settings.push(("listen", toml::Value::from(listen.to_string())));
    }
    if !advertise.is_empty() {
        settings.push(("advertise", toml::Value::from(advertise.to_vec())));
    }
    let text = Config::text_with(&settings);
    // Read back before it is written, so that a bad value costs nothing but its message.
    let config = Config::from_text(folder.path(), &text, |name| std::env::var(name).ok())?;
    folder.write(FILE_NAME, &text)?;
    Ok(config)
}

/// The folder's database, with the directory as it was heard just now.
fn store_directory(folder: &Folder, statements: &[Signed]) -> Result<(), SetupError> {
    let mut store = SqliteStore::open(folder.database(), &crate::views::specs())?;
    let statements = (1..).zip(statements.iter().map(Signed::to_wire)).collect();
    let settings = vec![Heard::at(wall_ms()).setting()];
    store.commit(&WriteBatch { statements, settings, ..WriteBatch::default() })?;
    Ok(crate::continuity::begin(folder, &mut store)?)
}

/// A folder we made ourselves and could not finish is emptied, so that the command can be repeated.
pub(crate) fn clean_up(folder: &Folder) {
    if folder.node_key().is_err() {
        // What cannot be removed is reported by the next attempt.
        let _ = std::fs::remove_dir_all(folder.path());
    }
}

/// Joins with a token: proves a new key to the issuer, takes the directory, makes the folder.
pub fn join(options: &JoinOptions) -> Result<NodeReport, SetupError> {
    let token = Token::from_text(&options.token)?;
    let folder = Folder::create(&options.dir)?;
    let result = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(SetupError::Runtime)
        .and_then(|runtime| runtime.block_on(join_with(&folder, &token, options)));
    if result.is_err() {
        clean_up(&folder);
    }
    result
}

async fn join_with(
    folder: &Folder,
    token: &Token,
    options: &JoinOptions,
) -> Result<NodeReport, SetupError> {
    let key = new_key();
    let node = NodeId(key.verifying_key().to_bytes());
    let config = write_config(folder, options.listen, &options.advertise)?;
    // The port others will dial is tried now, so that a taken one is told before the token is used.
    let endpoint = Endpoint::bind_to_dial(config.listen, &key, &config.transport)?;
    let addresses = advertised(&config, endpoint.local_addr());
    if addresses.is_empty() {
        return Err(SetupError::NoAddress);
    }
    let name = options.name.clone().unwrap_or_else(|| token.unit.clone());
    let answer = ask(&endpoint, token, |exporter| {
        let request = JoinRequest {
            federation: token.federation,
            secret: token.secret,
            proof: JoinRequest::prove(&key, &exporter),
            name: name.clone(),
            addresses: addresses.clone(),
            sealing: seal::sealing_public(&key),
        };
        // INVARIANT: encoding to memory cannot fail.
        minicbor::to_vec(&request).expect("encoding to memory")
    })
    .await;
    endpoint.close(0, "joined").await;
    let directory = directory_from(token, &answer?, &node)?;
    store_directory(folder, directory.statements_after(0))?;
    folder.write_node_key(&key)?;
    Ok(NodeReport {
        federation: token.federation,
        federation_name: directory.name().to_owned(),
        node,
        unit: token.unit.clone(),
    })
}

async fn ask(
    endpoint: &Endpoint,
    token: &Token,
    request: impl Fn([u8; 32]) -> Vec<u8>,
) -> Result<Vec<u8>, SetupError> {
    let mut failures = Vec::new();
    for address in &token.addresses {
        match endpoint.join(token.issuer, address, &request).await {
            Ok(answer) => return Ok(answer),
            Err(error) => failures.push(format!("  {address}: {error}")),
        }
    }
    Err(SetupError::Unreachable(failures.join("\n")))
}

fn directory_from(token: &Token, answer: &[u8], node: &NodeId) -> Result<Directory, SetupError> {
    let answer: JoinAnswer =
        wire_join::decode(answer).map_err(|e| SetupError::Answer(e.to_string()))?;
    if let Some(refusal) = answer.refusal {
        return Err(SetupError::Refused(refusal));
    }
    if answer.statements.iter().any(|s| s.bytes.len() > STATEMENT_BYTES_MAX) {
        return Err(SetupError::Answer("a statement is over its limit".into()));
    }
    let directory = Directory::from_chain(token.federation, answer.statements)?;
    if !directory.is_member(node) {
        return Err(SetupError::Answer("it does not admit this node".into()));
    }
    Ok(directory)
}

/// The directory a folder holds.
pub fn stored_directory(statements: &[(u64, Vec<u8>)]) -> Result<Directory, String> {
    let chain: Result<Vec<Signed>, _> =
        statements.iter().map(|(_, bytes)| Signed::from_wire(bytes)).collect();
    let chain = chain.map_err(|e| format!("a directory statement cannot be read: {e}"))?;
    let first = chain.first().ok_or("the directory is empty: this node never joined")?;
    let federation = first.open().map_err(|e| e.to_string())?.federation;
    Directory::from_chain(federation, chain).map_err(|e| e.to_string())
}

/// The path of a node's settings.
pub fn config_path(dir: &Path) -> PathBuf {
    dir.join(FILE_NAME)
}
