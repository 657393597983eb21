//! Text in, valid [`Config`] out.
//!
//! Values come from three places, the later winning: built-in defaults, `fenbu.toml` in the node's
//! directory, and `FENBU_*` variables. [`KEYS`] is the one list of what can be set: the checks, the
//! example file and `config show` are made from it, so none of them can forget a key. This module
//! reads no socket and no clock; the environment comes in as a function.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use fenbu_protocol::limits::{ADDRESS_BYTES_MAX, ADDRESSES_MAX};
use fenbu_protocol::log::Lane;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

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
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Unix socket of the control API; after [`Config::load`] always below an absolute or the
    /// node's directory.
    pub socket: PathBuf,
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

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    Flag,
    List,
}

impl Shape {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_str(),
            Self::Number => value.as_integer().is_some_and(|n| n >= 0),
            Self::Flag => value.is_bool(),
            Self::List => value.as_array().is_some_and(|a| a.iter().all(Value::is_str)),
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Text => "give text in double quotes",
            Self::Number => "give a whole number, 0 or more, without quotes or a unit",
            Self::Flag => "give true or false",
            Self::List => "give a list of texts, such as [\"node.example.org:4433\"]",
        }
    }

    /// A variable's text as a value of this shape; `None` where it cannot be one.
    fn parse(self, text: &str) -> Option<Value> {
        let text = text.trim();
        match self {
            Self::Text => Some(Value::String(text.into())),
            Self::Number => text.replace('_', "").parse().ok().map(Value::Integer),
            Self::Flag => match text {
                "true" | "1" | "yes" => Some(Value::Boolean(true)),
                "false" | "0" | "no" => Some(Value::Boolean(false)),
                _ => None,
            },
            Self::List => Some(Value::Array(
                text.split(',')
                    .map(str::trim)
                    .filter(|s| !s.is_empty())
                    .map(|s| Value::String(s.into()))
                    .collect(),
            )),
        }
    }
}

struct Key {
    /// `name` or `section.name`.
    path: &'static str,
    shape: Shape,
    /// What the example file says, a line each.
    about: &'static str,
}

const fn key(path: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { path, shape, about }
}

/// Every setting, in the order of the example file; a section's keys stand together.
const KEYS: &[Key] = &[
    key(
        "listen",
        Shape::Text,
        "UDP address for QUIC. \"0.0.0.0:4433\" is every IPv4 interface, \"[::]:4433\" IPv4 and IPv6.\nOpen this UDP port in the firewall, inbound.",
    ),
    key(
        "advertise",
        Shape::List,
        "What other nodes are told to dial, as \"host:port\". Empty: derived from `listen`.\nSet it behind address translation, or to use a host name.",
    ),
    key(
        "log",
        Shape::Text,
        "Least level to log: error, warn, info, debug, trace; or a filter such as\n\"info,fenbu_node::transport=debug\".",
    ),
    key("log_format", Shape::Text, "\"human\" for people, \"json\" for log collectors."),
    key(
        "transport.keep_alive_ms",
        Shape::Number,
        "A quiet link sends a packet this often, which keeps firewalls from forgetting it.",
    ),
    key(
        "transport.idle_timeout_ms",
        Shape::Number,
        "A peer not heard of for this long is gone. At least twice `keep_alive_ms`.",
    ),
    key("transport.streams_max", Shape::Number, "Streams a peer may have open at once."),
    key(
        "transport.connection_window_bytes",
        Shape::Number,
        "Bytes a peer may have under way to us. Memory per link is bounded by it.",
    ),
    key(
        "transport.disable_gso",
        Shape::Flag,
        "true where a network card or tunnel loses packets sent in batches.",
    ),
    key(
        "transport.mtu",
        Shape::Number,
        "A fixed UDP payload size in bytes, for tunnels that drop large packets silently.\nUnset, the path is probed. At least 1200; 1280 is a good first try.",
    ),
    key("transport.redial_min_ms", Shape::Number, "Shortest pause before dialling a peer again."),
    key("transport.redial_max_ms", Shape::Number, "Longest pause between attempts."),
    key("store.readers", Shape::Number, "Database connections for reading."),
    key("store.writer_cache_bytes", Shape::Number, "SQLite page cache of the writer."),
    key("store.reader_cache_bytes", Shape::Number, "SQLite page cache of each reader."),
    key("store.document_cache_bytes", Shape::Number, "Loaded documents kept in memory."),
    key(
        "api.socket",
        Shape::Text,
        "Unix socket the `fenbu` command talks to. A relative path stands in the node's directory.",
    ),
];

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

    /// [`Config::default_text`] with some settings made: what `init` and `join` write. Values are
    /// in TOML syntax; [`toml::Value`]'s `to_string` gives it.
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
        self.range("transport.redial_min_ms", t.redial_min_ms, 10, 3_600_000)?;
        self.range("transport.redial_max_ms", t.redial_max_ms, t.redial_min_ms, 86_400_000)?;
        let s = &self.store;
        self.range("store.readers", u64::from(s.readers), 1, 64)?;
        self.range("store.writer_cache_bytes", s.writer_cache_bytes, MIB, 65_536 * MIB)?;
        self.range("store.reader_cache_bytes", s.reader_cache_bytes, MIB, 65_536 * MIB)?;
        self.range("store.document_cache_bytes", s.document_cache_bytes, MIB, 65_536 * MIB)?;
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

fn variable(path: &str) -> String {
    format!("FENBU_{}", path.replace('.', "_").to_uppercase())
}

fn place(key: &'static str, set: &BTreeMap<&'static str, Origin>, path: &Path) -> String {
    match set.get(key) {
        Some(Origin::Environment) => variable(key),
        Some(Origin::File) => path.display().to_string(),
        Some(Origin::Default) | None => "the defaults".into(),
    }
}

fn acceptable(path: &str) -> &'static str {
    match path {
        "listen" => "give an IP address and port, such as \"0.0.0.0:4433\" or \"[::]:4433\"",
        "log_format" => "give \"human\" or \"json\"",
        "transport.mtu" => "give a number from 1200 to 65527",
        _ => "it is too large; give a smaller number",
    }
}

fn lookup<'t>(table: &'t Table, path: &str) -> Option<&'t Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((section, name)) => table.get(section)?.as_table()?.get(name),
    }
}

fn insert(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.into(), value);
        }
        Some((section, name)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            // INVARIANT: `check_known` let only tables stand under a section's name.
            inner.as_table_mut().expect("a section is a table").insert(name.into(), value);
        }
    }
}

fn check_shape(key: &Key, value: &Value, place: &str) -> Result<(), ConfigError> {
    if key.shape.fits(value) {
        return Ok(());
    }
    Err(ConfigError::Value {
        key: key.path,
        place: place.into(),
        found: value.to_string(),
        expected: key.shape.describe().into(),
    })
}

fn check_known(table: &Table, path: &Path) -> Result<(), ConfigError> {
    let is_section = |name: &str| {
        KEYS.iter().any(|k| k.path.split_once('.').is_some_and(|(section, _)| section == name))
    };
    let mut found = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) if is_section(name) => {
                found.extend(inner.keys().map(|k| format!("{name}.{k}")));
            }
            _ => found.push(name.clone()),
        }
    }
    match found.into_iter().find(|f| KEYS.iter().all(|k| k.path != f)) {
        None => Ok(()),
        Some(key) => Err(ConfigError::Unknown {
            nearest: nearest(&key),
            place: path.display().to_string(),
            key,
        }),
    }
}

/// The known key a person probably meant: the same name in another section, or the fewest edits
/// away, if fewer than half the letters differ.
fn nearest(wrong: &str) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let name = last(wrong);
    if let Some(key) = KEYS.iter().find(|k| last(k.path) == name) {
        return Some(key.path);
    }
    KEYS.iter()
        .map(|k| (edits(wrong, k.path).min(edits(&name, &last(k.path))), k.path))
        .min()
        .filter(|(edits, _)| edits * 2 < name.chars().count().max(2))
        .map(|(_, path)| path)
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    fn load(text: &str) -> Result<Config, ConfigError> {
        Config::from_text(Path::new("/srv/fenbu"), text, none)
    }

    fn complaint(text: &str) -> String {
        load(text).expect_err("must be refused").to_string()
    }

    fn defaults() -> Config {
        let mut config = Config { dir: "/srv/fenbu".into(), ..Config::default() };
        config.api.socket = "/srv/fenbu/node.sock".into();
        config
    }

    #[test]
    fn an_empty_and_an_absent_file_give_the_defaults() {
        assert_eq!(load("").unwrap(), defaults());
        let dir = tempfile::tempdir().unwrap();
        let config = Config::load(dir.path(), none).unwrap();
        assert_eq!(config.transport, TransportConfig::default());
        assert_eq!(config.api.socket, dir.path().join("node.sock"));
    }

    #[test]
    fn the_example_parses_to_the_defaults_commented_or_not() {
        let text = Config::default_text();
        assert_eq!(load(&text).unwrap(), defaults());
        let uncommented: String = text
            .lines()
            .map(|l| match l.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
                _ => format!("{l}\n"),
            })
            .collect();
        let mut config = load(&uncommented).unwrap();
        let set = std::mem::take(&mut config.set);
        assert_eq!(config, defaults());
        // Only the mtu has no default to show.
        assert_eq!(set.len(), KEYS.len() - 1);
    }

    #[test]
    fn every_serialised_field_is_a_known_key() {
        let mut config = Config::default();
        config.transport.mtu = Some(1280);
        let table = Table::try_from(&config).unwrap();
        check_known(&table, Path::new("x")).unwrap();
        for key in KEYS {
            let value = lookup(&table, key.path).unwrap_or_else(|| panic!("{} is gone", key.path));
            assert!(key.shape.fits(value), "{} has another shape", key.path);
        }
    }

    #[test]
    fn the_environment_overrides_the_file_and_origins_tell() {
        let text = "listen = \"127.0.0.1:1\"\nlog = \"debug\"\n[transport]\nstreams_max = 8\n";
        let config = Config::from_text(Path::new("/d"), text, |name| match name {
            "FENBU_LISTEN" => Some("[::1]:5000".into()),
            "FENBU_TRANSPORT_MTU" => Some("1280".into()),
            "FENBU_TRANSPORT_DISABLE_GSO" => Some("true".into()),
            "FENBU_ADVERTISE" => Some("a.example:1, b.example:2".into()),
            _ => None,
        })
        .unwrap();
        assert_eq!(config.listen, "[::1]:5000".parse().unwrap());
        assert_eq!(config.transport.mtu, Some(1280));
        assert_eq!(config.advertise, ["a.example:1", "b.example:2"]);
        let origins = config.origins();
        let of = |key| origins.iter().find(|(k, _, _)| *k == key).unwrap().clone();
        assert_eq!(of("listen"), ("listen", "\"[::1]:5000\"".into(), Origin::Environment));
        assert_eq!(of("log").2, Origin::File);
        assert_eq!(of("transport.streams_max").1, "8");
        assert_eq!(of("store.readers"), ("store.readers", "2".into(), Origin::Default));
        assert_eq!(of("transport.disable_gso").1, "true");
    }

    #[test]
    fn unknown_keys_are_told_the_nearest() {
        assert!(complaint("lisen = \"x\"").contains("did you mean `listen`?"));
        assert!(complaint("[transport]\nkeepalive_ms = 1").contains("`transport.keep_alive_ms`?"));
        assert!(complaint("mtu = 1300").contains("did you mean `transport.mtu`?"));
        assert!(complaint("[store]\nmtu = 1300").contains("did you mean `transport.mtu`?"));
        assert!(complaint("[tranport]\nmtu = 1300").contains("`tranport`"));
        assert!(complaint("colour = \"red\"").contains("remove it"));
    }

    #[test]
    fn wrong_values_name_the_key_and_the_remedy() {
        for (text, key, remedy) in [
            ("listen = 4433", "listen", "double quotes"),
            ("listen = \"4433\"", "listen", "\"0.0.0.0:4433\""),
            ("log = \"\"", "log", "such as \"info\""),
            ("log_format = \"xml\"", "log_format", "\"human\" or \"json\""),
            ("advertise = [\"host\"]", "advertise", "no port"),
            ("advertise = [\"0.0.0.0:4433\"]", "advertise", "unspecified"),
            ("advertise = [\"::1:4433\"]", "advertise", "brackets"),
            ("advertise = \"a:1\"", "advertise", "a list"),
            ("transport = 3", "transport", "not a setting"),
            ("[transport]\nmtu = 1100", "transport.mtu", "1200"),
            ("[transport]\nmtu = 70000", "transport.mtu", "1200"),
            ("[transport]\nstreams_max = -1", "transport.streams_max", "0 or more"),
            ("[transport]\nstreams_max = 4", "transport.streams_max", "from 5"),
            ("[transport]\nkeep_alive_ms = 30000", "transport.idle_timeout_ms", "60000 or more"),
            ("[transport]\nredial_max_ms = 10", "transport.redial_max_ms", "from 500"),
            ("[store]\nreaders = 0", "store.readers", "from 1 to 64"),
            ("[store]\nreaders = 99999999999", "store.readers", "smaller"),
            ("[api]\nsocket = \"\"", "api.socket", "file name"),
        ] {
            let said = complaint(text);
            assert!(said.contains(&format!("`{key}`")), "{text:?} said: {said}");
            assert!(said.contains(remedy), "{text:?} said: {said}");
        }
        let long = format!("[api]\nsocket = \"/{}\"", "x".repeat(120));
        assert!(complaint(&long).contains("at most 107"));
        assert!(complaint("listen = ").contains("fenbu.toml is not valid TOML"));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let said = Config::from_text(Path::new("/d"), "", |name| {
            (name == "FENBU_STORE_READERS").then(|| "many".into())
        })
        .unwrap_err()
        .to_string();
        assert!(said.contains("`store.readers` from FENBU_STORE_READERS"), "{said}");
        let said = Config::from_text(Path::new("/d"), "", |name| {
            (name == "FENBU_STORE_READERS").then(|| "0".into())
        })
        .unwrap_err()
        .to_string();
        assert!(said.contains("FENBU_STORE_READERS"), "{said}");
    }

    #[test]
    fn settings_written_by_init_are_read_back() {
        let text = Config::text_with(&[
            ("listen", Value::String("127.0.0.1:7000".into())),
            ("advertise", Value::Array(vec![Value::String("head.example:7000".into())])),
            ("transport.mtu", Value::Integer(1280)),
        ]);
        let config = load(&text).unwrap();
        assert_eq!(config.listen, "127.0.0.1:7000".parse().unwrap());
        assert_eq!(config.advertise, ["head.example:7000"]);
        assert_eq!(config.transport.mtu, Some(1280));
        assert_eq!(config.set.len(), 3);
    }

    #[test]
    fn addresses_split() {
        assert_eq!(split_address("head.example:4433"), Ok(("head.example", 4433)));
        assert_eq!(split_address("[::1]:1"), Ok(("::1", 1)));
        for wrong in ["", ":1", "a", "a:0", "a:70000", "[::1:1", "a b:1", "http://a:1"] {
            assert!(split_address(wrong).is_err(), "{wrong}");
        }
    }
}
