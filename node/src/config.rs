//! Text in, valid [`Config`] out.
//!
//! Values come from three places, the later winning: built-in defaults, `fenbu.toml` in the node's
//! directory, and `FENBU_*` variables. `keys::KEYS` is the one list of what can be set: the
//! checks, the example file and `config show` are made from it, so none of them can forget a key.
//! This module opens no socket and reads no clock; the environment comes in as a function.

mod keys;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fenbu_protocol::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX, PEER_BYTES_PER_S, PEER_WORK_PER_S};
use fenbu_protocol::log::Lane;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use keys::{KEYS, acceptable, check_known, check_shape, insert, lookup, variable};

/// The file's name in the node's directory.
pub const FILE_NAME: &str = "fenbu.toml";
/// What `sockaddr_un` holds on Linux, less the closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;
const MIB: u64 = 1 << 20;

/// Everything an administrator can set, checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The node's directory; not a setting, but what relative paths stand in.
    #[serde(skip)]
    pub dir: PathBuf,
    /// UDP address the QUIC endpoint is bound to.
    pub listen: SocketAddr,
    /// `host:port` other nodes are told; empty means derived from `listen`.
    pub advertise: Vec<String>,
    /// Filter in `tracing`'s syntax.
    pub log: String,
    pub log_format: LogFormat,
    pub transport: TransportConfig,
    pub store: StoreConfig,
    pub api: ApiConfig,
    pub console: ConsoleConfig,
    /// Keys that did not keep their defaults.
    #[serde(skip)]
    set: BTreeMap<&'static str, Origin>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line, for collectors.
    Json,
}

/// QUIC's knobs; the defaults suit a province's wide-area network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransportConfig {
    pub keep_alive_ms: u64,
    pub idle_timeout_ms: u64,
    /// Unidirectional streams a peer may have open.
    pub streams_max: u32,
    /// Bytes one admitted peer may have under way to us.
    pub connection_window_bytes: u64,
    pub disable_gso: bool,
    /// A fixed UDP payload size in bytes; `None` probes the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// How long a frame may be incomplete before the link must have brought
    /// `LINK_BYTES_PER_S_MIN` a second.
    pub frame_patience_ms: u64,
    /// Frame bytes one peer may send a second, in the long run.
    pub peer_bytes_per_s: u64,
    /// Work one peer may cause a second, in units of about a microsecond.
    pub peer_work_per_s: u64,
    pub redial_min_ms: u64,
    pub redial_max_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Connections in the reader pool.
    pub readers: u32,
    /// SQLite page cache of the one writer.
    pub writer_cache_bytes: u64,
    /// SQLite page cache of each reader.
    pub reader_cache_bytes: u64,
    /// Loaded documents kept in memory, least recently used going first.
    pub document_cache_bytes: u64,
    /// Free space on the disk below which nothing is written; 0 keeps none.
    pub free_bytes_min: u64,
    /// How fast everything stored is looked through for damage.
    pub scrub_bytes_per_s: u64,
    /// From the end of one such pass to the beginning of the next.
    pub scrub_every_s: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Unix socket of the control API; after [`Config::load`] always below an absolute or the
    /// node's directory.
    #[serde(serialize_with = "lossy")]
    pub socket: PathBuf,
}

/// The web console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsoleConfig {
    /// `auto`, `off`, or an address.
    pub listen: String,
    /// Further names it answers to.
    pub hosts: Vec<String>,
    /// PEM files; both or neither. A relative path stands in the node's directory.
    pub tls_certificate: String,
    pub tls_key: String,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self {
            listen: "auto".into(),
            hosts: Vec::new(),
            tls_certificate: String::new(),
            tls_key: String::new(),
        }
    }
}

/// A directory's name need not be UTF-8; showing it must not fail.
fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            listen: SocketAddr::from(([0, 0, 0, 0], 4433)),
            advertise: Vec::new(),
            log: "info".into(),
            log_format: LogFormat::Human,
            transport: TransportConfig::default(),
            store: StoreConfig::default(),
            api: ApiConfig::default(),
            console: ConsoleConfig::default(),
            set: BTreeMap::new(),
        }
    }
}

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            keep_alive_ms: 10_000,
            idle_timeout_ms: 45_000,
            streams_max: 32,
            connection_window_bytes: 16 * MIB,
            disable_gso: false,
            mtu: None,
            frame_patience_ms: 60_000,
            peer_bytes_per_s: PEER_BYTES_PER_S,
            peer_work_per_s: PEER_WORK_PER_S,
            redial_min_ms: 500,
            redial_max_ms: 60_000,
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            readers: 2,
            writer_cache_bytes: 16 * MIB,
            reader_cache_bytes: 8 * MIB,
            document_cache_bytes: 48 * MIB,
            free_bytes_min: 64 * MIB,
            scrub_bytes_per_s: 2 * MIB,
            scrub_every_s: 24 * 60 * 60,
        }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { socket: "node.sock".into() }
    }
}

/// Where a value in force came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Default,
    File,
    Environment,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
        })
    }
}

/// Why there is no valid configuration. Every message names the key and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {}: {source}; check that the file is readable by this user", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not valid TOML; correct the place shown:\n{source}", path.display())]
    Syntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error("`{key}` in {place} is not a setting{}", hint(nearest))]
    Unknown { key: String, place: String, nearest: Option<&'static str> },
    #[error("`{key}` from {place} is {found}; {expected}")]
    Value { key: &'static str, place: String, found: String, expected: String },
}

fn hint(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(key) => format!("; did you mean `{key}`?"),
        None => "; remove it (`fenbu config show` lists every setting)".into(),
    }
}

/// What stands for a key that has no default in the example file.
const UNSET: &str = "(unset)";

impl Config {
    /// Reads `dir`/fenbu.toml, if there is one, and the `FENBU_*` variables `env` answers for.
    ///
    /// # Errors
    /// An unreadable file, wrong syntax, an unknown key, or a value that cannot be used.
    pub fn load(dir: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let path = dir.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        Self::from_text(dir, &text, env)
    }

    /// [`Config::load`] with the file's text already read.
    pub fn from_text(
        dir: &Path,
        text: &str,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let path = dir.join(FILE_NAME);
        let mut table: Table = toml::from_str(text)
            .map_err(|e| ConfigError::Syntax { path: path.clone(), source: Box::new(e) })?;
        check_known(&table, &path)?;
        let mut set = BTreeMap::new();
        for key in KEYS {
            if let Some(value) = lookup(&table, key.path) {
                check_shape(key, value, &path.display().to_string())?;
                set.insert(key.path, Origin::File);
            }
            let variable = variable(key.path);
            if let Some(text) = env(&variable) {
                let value = key.shape.parse(&text).unwrap_or(Value::String(text));
                check_shape(key, &value, &variable)?;
                insert(&mut table, key.path, value);
                set.insert(key.path, Origin::Environment);
            }
        }
        let mut config = Self::read_values(&table, &set, &path)?;
        config.dir = dir.to_path_buf();
        config.set = set;
        config.api.socket = dir.join(&config.api.socket);
        for file in [&mut config.console.tls_certificate, &mut config.console.tls_key] {
            if !file.is_empty() {
                *file = dir.join(&file).display().to_string();
            }
        }
        config.check()?;
        Ok(config)
    }

    /// Deserialises key by key first, so that a value of the right shape but out of range (a mtu of
    /// 70,000, a format of "xml") is reported under its key.
    fn read_values(
        table: &Table,
        set: &BTreeMap<&'static str, Origin>,
        path: &Path,
    ) -> Result<Self, ConfigError> {
        for key in KEYS {
            let Some(value) = lookup(table, key.path) else { continue };
            let mut alone = Table::new();
            insert(&mut alone, key.path, value.clone());
            if alone.try_into::<Self>().is_err() {
                return Err(ConfigError::Value {
                    key: key.path,
                    place: place(key.path, set, path),
                    found: value.to_string(),
                    expected: acceptable(key.path).into(),
                });
            }
        }
        // INVARIANT: keys are known, and each value alone deserialises; fields are independent.
        Ok(table.clone().try_into().expect("every key was read alone"))
    }

    /// Where each value in force came from, in the order of the example file, for `config show`.
    pub fn origins(&self) -> Vec<(&'static str, String, Origin)> {
        // INVARIANT: every field serialises to TOML; the defaults test covers all of them.
        let table = Table::try_from(self).expect("a config serialises");
        KEYS.iter()
            .map(|key| {
                let value = lookup(&table, key.path).map_or(UNSET.into(), Value::to_string);
                let origin = self.set.get(key.path).copied().unwrap_or(Origin::Default);
                (key.path, value, origin)
            })
            .collect()
    }

    /// A file that explains every setting and sets none: each stands commented out (`#key = …`)
    /// with its default.
    pub fn default_text() -> String {
        Self::text_with(&[])
    }

    /// [`Config::default_text`] with some settings made: what `init` and `join` write.
    ///
    /// # Panics
    /// If a path is not a setting's.
    pub fn text_with(settings: &[(&str, Value)]) -> String {
        for (path, _) in settings {
            assert!(KEYS.iter().any(|k| k.path == *path), "{path} is not a setting");
        }
        let mut out = String::from(
            "# Settings of this fenbu node. A line beginning with # has no effect; remove the # to set\n\
             # a value. Every setting can be overridden by a variable: `listen` by FENBU_LISTEN,\n\
             # `keep_alive_ms` in [transport] by FENBU_TRANSPORT_KEEP_ALIVE_MS. `fenbu config show`\n\
             # tells where each value in force comes from. Changes take effect at the next start.\n",
        );
        let mut section = "";
        for ((path, default, _), key) in Self::default().origins().into_iter().zip(KEYS) {
            let (in_section, name) = path.split_once('.').unwrap_or(("", path));
            if in_section != section {
                section = in_section;
                out += &format!("\n[{section}]\n");
            }
            out.push('\n');
            for line in key.about.lines() {
                out += &format!("# {line}\n");
            }
            match settings.iter().find(|(p, _)| *p == path) {
                Some((_, value)) => out += &format!("{name} = {value}\n"),
                None if default == UNSET => out += &format!("# {name} = …\n"),
                None => out += &format!("#{name} = {default}\n"),
            }
        }
        out
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.check_addresses()?;
        self.check_console()?;
        let t = &self.transport;
        self.range("transport.keep_alive_ms", t.keep_alive_ms, 100, 600_000)?;
        self.range("transport.idle_timeout_ms", t.idle_timeout_ms, 1_000, 3_600_000)?;
        if t.idle_timeout_ms < t.keep_alive_ms * 2 {
            return Err(self.bad(
                "transport.idle_timeout_ms",
                t.idle_timeout_ms,
                format!(
                    "it must be at least twice `transport.keep_alive_ms` ({}), or quiet links would \
                     be taken for dead; raise it to {} or more",
                    t.keep_alive_ms,
                    t.keep_alive_ms * 2
                ),
            ));
        }
        let lanes = Lane::COUNT as u64;
        self.range("transport.streams_max", u64::from(t.streams_max), lanes, 1024)?;
        let window = t.connection_window_bytes;
        self.range("transport.connection_window_bytes", window, MIB, 1024 * MIB)?;
        if let Some(mtu) = t.mtu {
            self.range("transport.mtu", u64::from(mtu), 1200, 65_527)?;
        }
        self.range("transport.frame_patience_ms", t.frame_patience_ms, 1_000, 3_600_000)?;
        // Less than the largest frame in a few seconds would stall honest backlogs.
        self.range("transport.peer_bytes_per_s", t.peer_bytes_per_s, MIB, 4096 * MIB)?;
        self.range("transport.peer_work_per_s", t.peer_work_per_s, 10_000, 10_000_000)?;
        self.range("transport.redial_min_ms", t.redial_min_ms, 10, 3_600_000)?;
        self.range("transport.redial_max_ms", t.redial_max_ms, t.redial_min_ms, 86_400_000)?;
        let s = &self.store;
        self.range("store.readers", u64::from(s.readers), 1, 64)?;
        self.range("store.writer_cache_bytes", s.writer_cache_bytes, MIB, 65_536 * MIB)?;
        self.range("store.reader_cache_bytes", s.reader_cache_bytes, MIB, 65_536 * MIB)?;
        self.range("store.document_cache_bytes", s.document_cache_bytes, MIB, 65_536 * MIB)?;
        self.range("store.free_bytes_min", s.free_bytes_min, 0, MIB * MIB)?;
        self.range("store.scrub_bytes_per_s", s.scrub_bytes_per_s, 4096, 65_536 * MIB)?;
        self.range("store.scrub_every_s", s.scrub_every_s, 1, 365 * 24 * 60 * 60)?;
        self.check_socket()
    }

    fn check_addresses(&self) -> Result<(), ConfigError> {
        if self.log.is_empty() {
            return Err(self.bad("log", "empty", "give a level such as \"info\""));
        }
        if self.advertise.len() > ADDRESSES_MAX {
            let found = format!("{} addresses", self.advertise.len());
            return Err(self.bad("advertise", found, format!("keep at most {ADDRESSES_MAX}")));
        }
        for address in &self.advertise {
            let why = match split_address(address) {
                Err(why) => why,
                Ok(_) if address.len() > ADDRESS_BYTES_MAX => "it is too long",
                Ok((host, _)) => match host.parse::<std::net::IpAddr>() {
                    Ok(ip) if ip.is_unspecified() => "nobody can dial an unspecified address",
                    _ => continue,
                },
            };
            let expected = format!("{why}; give \"host:port\", such as \"node.example.org:4433\"");
            return Err(self.bad("advertise", format!("\"{address}\""), expected));
        }
        Ok(())
    }

    fn check_console(&self) -> Result<(), ConfigError> {
        let listen = &self.console.listen;
        if matches!(listen.as_str(), "auto" | "off") || listen.parse::<SocketAddr>().is_ok() {
            return Ok(());
        }
        let expected = acceptable("console.listen");
        Err(self.bad("console.listen", format!("\"{listen}\""), expected))
    }

    fn check_socket(&self) -> Result<(), ConfigError> {
        let socket = &self.api.socket;
        let bytes = socket.as_os_str().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(self.bad(
                "api.socket",
                format!("{} ({bytes} bytes)", socket.display()),
                format!(
                    "a unix socket's path has at most {SOCKET_PATH_BYTES_MAX} bytes; set a shorter \
                     absolute path, such as \"/run/fenbu/node.sock\""
                ),
            ));
        }
        if *socket == self.dir {
            return Err(self.bad("api.socket", "empty", "give a file name, such as \"node.sock\""));
        }
        Ok(())
    }

    fn range(&self, key: &'static str, value: u64, min: u64, max: u64) -> Result<(), ConfigError> {
        if (min..=max).contains(&value) {
            return Ok(());
        }
        Err(self.bad(key, value, format!("give a number from {min} to {max}")))
    }

    fn bad(
        &self,
        key: &'static str,
        found: impl ToString,
        expected: impl Into<String>,
    ) -> ConfigError {
        ConfigError::Value {
            key,
            place: place(key, &self.set, &self.dir.join(FILE_NAME)),
            found: found.to_string(),
            expected: expected.into(),
        }
    }
}

/// Splits `host:port`, `[v6]:port` included, into a bare host and a port above 0.
pub(crate) fn split_address(address: &str) -> Result<(&str, u16), &'static str> {
    let (host, port) = address.rsplit_once(':').ok_or("it has no port")?;
    let port = port.parse().map_err(|_| "its port is not a number up to 65535")?;
    if port == 0 {
        return Err("port 0 cannot be dialled");
    }
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or("its bracket is not closed")?,
        None if host.contains(':') => return Err("an IPv6 address stands in [brackets]"),
        None => host,
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/' || c == '[') {
        return Err("its host is not a name or an IP address");
    }
    Ok((host, port))
}

fn place(key: &'static str, set: &BTreeMap<&'static str, Origin>, path: &Path) -> String {
    match set.get(key) {
        Some(Origin::Environment) => variable(key),
        Some(Origin::File) => path.display().to_string(),
        Some(Origin::Default) | None => "the defaults".into(),
    }
}

#[cfg(test)]
mod tests;
