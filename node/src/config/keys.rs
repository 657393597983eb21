//! The one list of what can be set, and finding a key's value in a table.

use std::path::Path;

use toml::{Table, Value};

use super::ConfigError;

/// What kind of value a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Flag,
    List,
}

impl Shape {
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_str(),
            Self::Number => value.as_integer().is_some_and(|n| n >= 0),
            Self::Flag => value.is_bool(),
            Self::List => value.as_array().is_some_and(|a| a.iter().all(Value::is_str)),
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Text => "give text in double quotes",
            Self::Number => "give a whole number, 0 or more, without quotes or a unit",
            Self::Flag => "give true or false",
            Self::List => "give a list of texts, such as [\"node.example.org:4433\"]",
        }
    }

    /// A variable's text as a value of this shape; `None` where it cannot be one.
    pub(super) fn parse(self, text: &str) -> Option<Value> {
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

pub(super) struct Key {
    /// `name` or `section.name`.
    pub(super) path: &'static str,
    pub(super) shape: Shape,
    /// What the example file says, a line each.
    pub(super) about: &'static str,
}

const fn key(path: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { path, shape, about }
}

/// Every setting, in the order of the example file; a section's keys stand together.
pub(super) const KEYS: &[Key] = &[
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
    key(
        "transport.frame_patience_ms",
        Shape::Number,
        "How long a message may be under way before its link must have brought 64 bytes a second.\nA slower one is closed with code 0x106.",
    ),
    key(
        "transport.peer_bytes_per_s",
        Shape::Number,
        "Bytes one peer may send a second, in the long run. Above, it is held back, not refused.",
    ),
    key(
        "transport.peer_work_per_s",
        Shape::Number,
        "Work one peer may cause a second, in units of about a microsecond: 200000 is a fifth of a\nprocessor core. Above, it is held back, not refused.",
    ),
    key("transport.redial_min_ms", Shape::Number, "Shortest pause before dialling a peer again."),
    key("transport.redial_max_ms", Shape::Number, "Longest pause between attempts."),
    key("store.readers", Shape::Number, "Database connections for reading."),
    key("store.writer_cache_bytes", Shape::Number, "SQLite page cache of the writer."),
    key("store.reader_cache_bytes", Shape::Number, "SQLite page cache of each reader."),
    key("store.document_cache_bytes", Shape::Number, "Loaded documents kept in memory."),
    key(
        "store.free_bytes_min",
        Shape::Number,
        "Free space kept on the disk: with less, nothing is written or received until there is a\nquarter more. 0 keeps none.",
    ),
    key(
        "store.scrub_bytes_per_s",
        Shape::Number,
        "Bytes a second that are looked through for damage, in the background.",
    ),
    key(
        "store.scrub_every_s",
        Shape::Number,
        "Seconds from one look through everything to the next.",
    ),
    key(
        "api.socket",
        Shape::Text,
        "Unix socket the `fenbu` command talks to. A relative path stands in the node's directory.",
    ),
    key(
        "console.listen",
        Shape::Text,
        "Where the web console listens: \"auto\" is 127.0.0.1 at the number `listen` has, \"off\" is\nno console. An address other machines reach needs a certificate.",
    ),
    key(
        "console.hosts",
        Shape::List,
        "Names the console answers to beside localhost and the address it listens at, such as that\nof a proxy before it: [\"node.example.org\"].",
    ),
    key(
        "console.tls_certificate",
        Shape::Text,
        "Certificate chain, PEM, for a console that other machines reach.",
    ),
    key("console.tls_key", Shape::Text, "Its private key, PEM."),
];

pub(super) fn variable(path: &str) -> String {
    format!("FENBU_{}", path.replace('.', "_").to_uppercase())
}

pub(super) fn acceptable(path: &str) -> &'static str {
    match path {
        "listen" => "give an IP address and port, such as \"0.0.0.0:4433\" or \"[::]:4433\"",
        "log_format" => "give \"human\" or \"json\"",
        "console.listen" => {
            "give \"auto\", \"off\", or an IP address and port, such as \"127.0.0.1:8080\""
        }
        "transport.mtu" => "give a number from 1200 to 65527",
        _ => "it is too large; give a smaller number",
    }
}

pub(super) fn lookup<'t>(table: &'t Table, path: &str) -> Option<&'t Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((section, name)) => table.get(section)?.as_table()?.get(name),
    }
}

pub(super) fn insert(table: &mut Table, path: &str, value: Value) {
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

pub(super) fn check_shape(key: &Key, value: &Value, place: &str) -> Result<(), ConfigError> {
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

pub(super) fn check_known(table: &Table, path: &Path) -> Result<(), ConfigError> {
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

/// The known key or section a person probably meant: the same name in another section, or the
/// fewest edits away, if fewer than half the letters differ.
fn nearest(wrong: &str) -> Option<&'static str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let name = last(wrong);
    if let Some(key) = KEYS.iter().find(|k| last(k.path) == name) {
        return Some(key.path);
    }
    let sections = KEYS.iter().filter_map(|k| k.path.split_once('.')).map(|(section, _)| section);
    KEYS.iter()
        .map(|k| k.path)
        .chain(sections)
        .map(|path| {
            let whole = edits(wrong, path);
            // Of two that end alike, the one that is like it as a whole.
            (whole.min(edits(&name, &last(path))), whole, path)
        })
        .min()
        .filter(|(edits, ..)| edits * 2 < name.chars().count().max(2))
        .map(|(.., path)| path)
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
