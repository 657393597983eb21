//! `fenbu join`: join a federation with a token, or by files.

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Session, usage};
use crate::error::{Error, Exit, Result};
use crate::lang::Key;
use crate::output::Detail;
use crate::wiring::{self, JoinOptions, RequestOptions};

/// A token is a few hundred characters; a longer file is the wrong one.
const TOKEN_BYTES_MAX: u64 = 16 << 10;

/// Join a federation with a token from `fenbu invite`, or by files
///
/// A node that reaches nobody writes a request, which `fenbu admit` answers at the admin node, and takes
/// the answer. Compare the ids that both sides print.
#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The token; - reads it from stdin, where no process list shows it
    #[arg(required_unless_present_any = ["token_file", "request", "answer"])]
    token: Option<String>,
    /// File that holds the token
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Instead of a token: write a request to this file, for the admin node
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "token_file"])]
    request: Option<PathBuf>,
    /// The file that `fenbu admit` wrote for the request made in this folder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token", "token_file", "request"])]
    #[arg(conflicts_with_all = ["name", "listen", "advertise"])]
    answer: Option<PathBuf>,
    /// Name of this node [default: its unit's]
    #[arg(long)]
    name: Option<String>,
    /// Address and UDP port to listen on
    #[arg(long, value_name = "ADDR", value_parser = usage::listen)]
    listen: Option<SocketAddr>,
    /// Where peers reach this node; can be repeated
    #[arg(long, value_name = "HOST:PORT", value_parser = usage::advertise)]
    advertise: Vec<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "凭 fenbu invite 给出的令牌加入联邦，或用文件加入"),
    ("token", "令牌；- 表示从标准输入读取，进程列表里看不到"),
    ("token_file", "存放令牌的文件"),
    ("request", "不用令牌：把加入请求写到这个文件，带给管理节点"),
    ("answer", "fenbu admit 为本目录的请求写出的文件"),
    ("name", "本节点的名称[默认：所属单位的名称]"),
    ("listen", "监听的地址和 UDP 端口"),
    ("advertise", "其他节点访问本节点的地址，可重复"),
];

pub(super) fn run(args: JoinArgs, session: &mut Session) -> Result<Exit> {
    if args.request.is_some() {
        return request(args, session);
    }
    if let Some(file) = args.answer {
        let report = wiring::join_answer(&session.dir, &file)?;
        session.made("fenbu.join/1", &report)?;
        session.output.say(Key::JoinCompare);
        session.output.say(Key::JoinNext.with([("dir", session.shown_dir())]));
        return Ok(Exit::Ok);
    }
    let token = read_token(args.token.as_deref(), args.token_file)?;
    let report = wiring::join(JoinOptions {
        dir: session.dir.clone(),
        token,
        name: args.name,
        listen: args.listen,
        advertise: args.advertise,
    })?;
    session.made("fenbu.join/1", &report)?;
    session.output.say(Key::JoinNext.with([("dir", session.shown_dir())]));
    Ok(Exit::Ok)
}

/// Asks by file: makes the folder, writes the request.
fn request(args: JoinArgs, session: &mut Session) -> Result<Exit> {
    let file = args.request.unwrap_or_default();
    let shown = file.display().to_string();
    let node = wiring::join_request(RequestOptions {
        dir: session.dir.clone(),
        file,
        name: args.name,
        listen: args.listen,
        advertise: args.advertise,
    })?;
    let dir = session.shown_dir();
    session.output.detail(&Detail {
        schema: "fenbu.join-request/1",
        name: "node",
        answer: json!({ "node": node, "file": shown, "dir": dir }),
        rows: vec![
            (Key::LabelNode.into(), node),
            (Key::LabelFile.into(), shown.clone()),
            (Key::LabelDir.into(), dir.clone()),
        ],
    })?;
    session.output.say(Key::JoinRequested.with([("file", shown), ("dir", dir)]));
    Ok(Exit::Ok)
}

fn read_token(token: Option<&str>, file: Option<PathBuf>) -> Result<String> {
    let text = match (token, file) {
        (Some("-"), _) => read(&mut std::io::stdin().lock(), "stdin", TOKEN_BYTES_MAX)?,
        (Some(token), _) => token.to_owned(),
        (None, Some(path)) => read_file(&path, TOKEN_BYTES_MAX)?,
        (None, None) => String::new(),
    };
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Error::usage(Key::TokenEmpty).hint(Key::HintInvite));
    }
    Ok(token.to_owned())
}

/// A small file's text.
pub(super) fn read_file(path: &std::path::Path, bytes_max: u64) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(|e| Error::file(path.display(), &e))?;
    read(&mut file, &path.display().to_string(), bytes_max)
}

fn read(source: &mut dyn Read, name: &str, bytes_max: u64) -> Result<String> {
    let mut text = String::new();
    source.take(bytes_max).read_to_string(&mut text).map_err(|e| Error::file(name, &e))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_trimmed_and_must_be_one_word() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(read_token(None, Some(path)).unwrap(), "abc");
        assert_eq!(read_token(Some(" abc "), None).unwrap(), "abc");
        for bad in ["", " ", "two words"] {
            assert_eq!(read_token(Some(bad), None).unwrap_err().kind.exit(), Exit::Usage);
        }
        let missing = read_token(None, Some(dir.path().join("none"))).unwrap_err();
        assert_eq!(missing.kind.exit(), Exit::Failed);
    }
}
