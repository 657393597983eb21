//! What clap says about a command line, in the reader's language.

use std::error::Error as _;
use std::io::Write;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::Streams;
use crate::error::{BadValue, Error, Exit};
use crate::lang::{Key, Lang, Text};

/// Parses `--lang`.
pub(super) fn lang(text: &str) -> Result<Lang, BadValue> {
    Lang::of_tag(text).ok_or_else(|| BadValue(Key::BadLang.with([("value", text.to_owned())])))
}

/// Parses `--listen`: an address and a port.
pub(super) fn listen(text: &str) -> Result<std::net::SocketAddr, BadValue> {
    text.parse().map_err(|_| BadValue(Key::BadListen.with([("value", text.to_owned())])))
}

/// Parses `--advertise`: a host name or address, and a port.
pub(super) fn advertise(text: &str) -> Result<String, BadValue> {
    let bad = || BadValue(Key::BadAdvertise.with([("value", text.to_owned())]));
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = !host.is_empty()
        && !host.contains(|c: char| c.is_whitespace() || c.is_control() || ":/[]".contains(c));
    match port.parse::<u16>() {
        Ok(1..) if bracketed || plain => Ok(text.to_owned()),
        _ => Err(bad()),
    }
}

/// Parses a size: bytes, or with K, M or G, which are powers of 1,024.
pub(super) fn size(text: &str) -> Result<u64, BadValue> {
    let bad = || BadValue(Key::BadSize.with([("value", text.to_owned())]));
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count: u64 = text[..text.len() - unit.len()].parse().map_err(|_| bad())?;
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KIB" => 10,
        "M" | "MIB" => 20,
        "G" | "GIB" => 30,
        _ => return Err(bad()),
    };
    count.checked_mul(1 << shift).ok_or_else(bad)
}

/// Whether a file argument means stdin.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Prints help, a version, or what is wrong with the command line.
pub(super) fn report(error: &clap::Error, lang: Lang, streams: &mut Streams) -> Exit {
    let rendered = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text =
                if streams.terminal { rendered.ansi().to_string() } else { rendered.to_string() };
            let written = streams.out.write_all(text.as_bytes()).and_then(|()| streams.out.flush());
            return written.map_or_else(|e| Error::from(e).kind.exit(), |()| Exit::Ok);
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = write!(streams.err, "{rendered}");
        }
        _ => match (explain(error), lang) {
            (Some(message), lang) if lang == Lang::Zh || source(error).is_some() => {
                let mut shown = Error::usage(message);
                for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg] {
                    if let Some(name) = context(error, kind) {
                        shown = shown.hint(Key::HintMeant.with([("name", name)]));
                    }
                }
                shown.hint(Key::HintHelp).write(&mut *streams.err, lang);
            }
            _ => {
                let _ = write!(streams.err, "{rendered}");
            }
        },
    }
    Exit::Usage
}

/// Our own parser's complaint, if that is the cause.
fn source(error: &clap::Error) -> Option<&BadValue> {
    error.source()?.downcast_ref()
}

fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => Some(texts.join(", ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        ContextValue::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn explain(error: &clap::Error) -> Option<Text> {
    let arg = context(error, ContextKind::InvalidArg).unwrap_or_default();
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    let text = match error.kind() {
        ErrorKind::ValueValidation => match source(error) {
            Some(bad) => bad.0.clone(),
            None => Key::UsageValue.with([("arg", arg), ("value", value)]),
        },
        ErrorKind::InvalidValue if value.is_empty() => Key::UsageNoValue.with([("arg", arg)]),
        ErrorKind::InvalidValue => {
            let valid = context(error, ContextKind::ValidValue).unwrap_or_default();
            Key::UsageChoice.with([("arg", arg), ("value", value), ("valid", valid)])
        }
        ErrorKind::UnknownArgument => Key::UsageUnknown.with([("arg", arg)]),
        ErrorKind::InvalidSubcommand => {
            let name = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            Key::UsageCommand.with([("name", name)])
        }
        ErrorKind::MissingSubcommand => Key::UsageNoCommand.into(),
        ErrorKind::MissingRequiredArgument => Key::UsageMissing.with([("arg", arg)]),
        ErrorKind::ArgumentConflict => {
            let prior = context(error, ContextKind::PriorArg).unwrap_or_default();
            Key::UsageConflict.with([("arg", arg), ("prior", prior)])
        }
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => {
            Key::UsageCount.with([("arg", arg)])
        }
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_advertise() {
        for good in ["hq.example.cn:7400", "10.0.0.1:7400", "[fd00::1]:7400"] {
            assert_eq!(advertise(good).as_deref(), Ok(good));
        }
        for bad in ["hq", "hq:", "hq:0", ":7400", "fd00::1:7400", "a b:1", "http://x:1", "hq:99999"]
        {
            assert!(advertise(bad).is_err(), "{bad}");
        }
    }
}
