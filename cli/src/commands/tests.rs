//! The command line from end to end: arguments in; stdout, stderr and an exit code out; a pretended
//! node behind the socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::run_with;

/// A stream that can be read afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that has gone.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

/// How a command ended.
#[derive(Debug)]
struct Ran {
    code: u8,
    out: String,
    err: String,
}

fn fenbu(args: &[&str]) -> Ran {
    fenbu_in(&Environment::from([("HOME", "/nowhere")]), args)
}

fn fenbu_in(environment: &Environment, args: &[&str]) -> Ran {
    let (out, err) = (Shared::default(), Shared::default());
    let streams =
        Streams { out: Box::new(out.clone()), err: Box::new(err.clone()), terminal: false };
    let args = std::iter::once("fenbu").chain(args.iter().copied()).map(OsString::from);
    let code = run_with(args, environment, streams);
    Ran { code, out: out.text(), err: err.text() }
}

/// Serves one answer per connection at `dir`, chosen by the request line; unknown paths get 404.
fn serve(dir: &Path, answers: Vec<(&'static str, u16, Value)>) -> Arc<Mutex<Vec<String>>> {
    let listener = UnixListener::bind(dir.join(crate::client::SOCKET_FILE)).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut first = String::new();
            reader.read_line(&mut first).unwrap();
            let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
            let body = read_body(&mut reader);
            log.lock().unwrap().push(format!("{line} {body}").trim_end().to_owned());
            let found = answers.iter().find(|(path, ..)| line == *path);
            let none = json!({"title": "no such path", "detail": line});
            let (status, body) = found.map_or((404, &none), |(_, status, body)| (*status, body));
            let body = body.to_string();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    heard
}

fn read_body(reader: &mut impl BufRead) -> String {
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        chunked |= line == "transfer-encoding: chunked";
    }
    let mut body = Vec::new();
    while chunked {
        let mut size = String::new();
        reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    let mut rest = vec![0; length];
    reader.read_exact(&mut rest).unwrap();
    body.extend_from_slice(&rest);
    String::from_utf8(body).unwrap()
}

#[test]
fn every_verb_parses() {
    let lines = [
        "init --dir a --name hq --listen 0.0.0.0:7400 --advertise hq.cn:7400 --advertise 10.0.0.1:7400",
        "join TOKEN --dir b --name n --listen [::]:7400 --advertise b.cn:1",
        "join --token-file t --dir b",
        "join -",
        "join --request r --dir b --name n --listen 127.0.0.1:7400",
        "join --answer a --dir b",
        "admit r --unit u --name n --role laptop --answer a",
        "space list -o wide",
        "space show federation",
        "space define t --unit u --readers u,head --carriers none",
        "space set t --writers none --yes",
        "space limits t --bytes 10M --documents 3 --dry-run",
        "root export k",
        "root verify k",
        "root remove --copy k",
        "root appoint n --revoke --root-key k --yes",
        "root recover --epoch 7 --root-key k",
        "quarantine --all",
        "quarantine --reviewed ab",
        "node run --dir a --log-format json --log debug",
        "invite --unit lianyungang --name 连云港分局 --valid 15m --role laptop",
        "import a.jsonl --partial --dry-run",
        "import -",
        "export --kind post",
        "changes --after 0-1 --kind post --unit hq --limit 3",
        "changes --follow",
        "status --wait synced --timeout 30s",
        "peers -o wide",
        "sync --watch",
        "directory --json",
        "doctor --net hq",
        "config show",
        "completions zsh",
        "backup b.fenbu --dir a",
        "restore b.fenbu --dir a --json",
        "demo --units 4 --seed 7 --keep --dir d --json",
        "post add --title t --body x --tags a,b --tags c --set column=news --clear written",
        "post edit ab --body-file -",
        "post list --column news --status draft --unit hq -q 雪 --limit 5 --after c",
        "post list --all -o name",
        "post show ab -o json",
        "post history ab --lang en",
        "member add --name n --joined 2018-03-05 --groups 青年",
        "member list --branch b",
        "meeting add --kind talk --branch b --attendance m=present",
        "meeting add --from-json -",
        "meeting edit ab --minutes-file m.md",
    ];
    for line in lines {
        let args = std::iter::once("fenbu").chain(line.split(' '));
        for lang in [Lang::Zh, Lang::En] {
            let parsed = command(lang).try_get_matches_from(args.clone());
            let matches = parsed.unwrap_or_else(|e| panic!("{line}: {e}"));
            let noun = matches.subcommand_name().unwrap();
            if record::kind(noun).is_none() {
                Cli::from_arg_matches(&matches).unwrap_or_else(|e| panic!("{line}: {e}"));
            }
        }
    }
}

#[test]
fn misuse_exits_2_and_says_why() {
    let lines = [
        "",
        "nonsense",
        "init",
        "init --name hq --listen here",
        "join",
        "join T --token-file f",
        "join T --request f",
        "join --answer f --listen 127.0.0.1:1",
        "admit r --unit u",
        "space",
        "space set t --dry-run --yes",
        "space limits t --bytes much",
        "root remove",
        "root appoint",
        "quarantine --all --reviewed ab",
        "node",
        "invite",
        "invite --unit u --valid 100h",
        "invite --unit u --role king",
        "import",
        "status --timeout 3s",
        "status --wait nonsense",
        "status --lang fr",
        "status -o xml",
        "status -o wide --json",
        "completions tcsh",
        "backup",
        "restore",
        "demo --units 1",
        "post",
        "post add",
        "post add --title t --written never",
        "post add --title t --body x --body-file y",
        "post edit",
        "post edit ab",
        "post show",
        "post list --limit 0",
        "meeting add --kind talk",
    ];
    for line in lines {
        for lang in ["zh-CN", "en"] {
            let environment = Environment::from([("FENBU_LANG", lang)]);
            let args: Vec<&str> = line.split(' ').filter(|arg| !arg.is_empty()).collect();
            let ran = fenbu_in(&environment, &args);
            assert_eq!(ran.code, 2, "'{line}' {ran:?}");
            assert!(!ran.err.is_empty() && ran.out.is_empty(), "'{line}' {ran:?}");
            let shown_in_chinese = ran.err.contains("错误") || ran.err.contains("用法");
            assert_eq!(shown_in_chinese, lang == "zh-CN", "'{line}' {ran:?}");
        }
    }
}

#[test]
fn help_and_version_are_data() {
    let zh = fenbu(&["--lang", "zh-CN", "--help"]);
    assert_eq!((zh.code, zh.err.as_str()), (0, ""));
    assert!(zh.out.contains("用法") && zh.out.contains("稿件"), "{}", zh.out);
    let en = fenbu(&["post", "add", "--help"]);
    assert!(en.out.contains("--body-file") && en.out.contains("--source-url"), "{}", en.out);
    let meant = fenbu(&["--lang", "zh-CN", "statu"]);
    assert!(meant.err.contains("是不是指 status"), "{meant:?}");
    assert!(fenbu(&["--version"]).out.starts_with("fenbu "));
    let script = fenbu(&["completions", "bash"]);
    assert!(script.code == 0 && script.out.contains("fenbu__"), "{}", script.code);
}

#[test]
fn the_folder_comes_from_flag_environment_or_state() {
    let cases = [
        (vec![("FENBU_DIR", "/f"), ("STATE_DIRECTORY", "/s")], "/f"),
        (vec![("STATE_DIRECTORY", "/s:/t"), ("XDG_STATE_HOME", "/x")], "/s"),
        (vec![("XDG_STATE_HOME", "/x"), ("HOME", "/h")], "/x/fenbu"),
        (vec![("HOME", "/h"), ("FENBU_DIR", "")], "/h/.local/state/fenbu"),
    ];
    for (pairs, want) in cases {
        let pairs = pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(default_dir(&Environment(pairs.collect())), Path::new(want));
    }
}

#[test]
fn no_daemon_is_exit_3_with_the_remedy() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().to_str().unwrap();
    let empty = fenbu(&["status", "--dir", dir]);
    assert_eq!(empty.code, 3, "{empty:?}");
    assert!(empty.err.contains("holds no node") && empty.err.contains("fenbu init"), "{empty:?}");
    std::fs::write(temp.path().join("node.key"), "k").unwrap();
    let stopped = fenbu(&["peers", "--dir", dir, "--lang", "zh-CN"]);
    assert_eq!(stopped.code, 3);
    assert!(stopped.err.contains("节点没有运行"), "{stopped:?}");
    assert!(stopped.err.contains(&format!("fenbu node run --dir {dir}")), "{stopped:?}");
    let wrong = fenbu(&["post", "list", "--dir", "/no/such/folder"]);
    assert_eq!(wrong.code, 3);
    assert!(wrong.err.contains("there is no folder /no/such/folder"), "{wrong:?}");
    let doctor = fenbu(&["doctor", "--dir", dir]);
    assert_eq!(doctor.code, 6, "{doctor:?}");
    assert!(doctor.out.contains("✗ the node is not running"), "{doctor:?}");
}

#[test]
fn waiting_times_out_with_7() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("node.key"), "k").unwrap();
    let dir = temp.path().to_str().unwrap();
    let stopped = fenbu(&["status", "--wait", "ready", "--timeout", "50ms", "--dir", dir]);
    assert_eq!(stopped.code, 7, "{stopped:?}");
    let behind = json!({"peers": {"known": 1, "connected": 1}, "behind_entries": 9});
    let fresh = ("GET /api/v1/freshness", 200, json!({"units": []}));
    serve(temp.path(), vec![("GET /api/v1/status", 200, behind), fresh]);
    let waited = fenbu(&["status", "--wait", "synced", "--timeout", "1500ms", "--dir", dir]);
    assert_eq!(waited.code, 7, "{waited:?}");
    assert!(waited.err.contains("9 entries are missing here"), "{waited:?}");
    let ready = fenbu(&["status", "--wait", "ready", "--dir", dir, "--json"]);
    assert_eq!(ready.code, 0, "{ready:?}");
    let shown: Value = serde_json::from_str(&ready.out).unwrap();
    assert_eq!((&shown["schema"], &shown["behind_entries"]), (&json!("fenbu.status/1"), &json!(9)));
}

#[test]
fn an_invitation_prints_the_token_alone() {
    let temp = tempfile::tempdir().unwrap();
    let answer = json!({"token": "tok1", "expires_ms": 1_520_229_600_000_i64, "unit": "lyg"});
    let heard = serve(temp.path(), vec![("POST /api/v1/invites", 201, answer)]);
    let dir = temp.path().to_str().unwrap();
    let ran = fenbu(&["invite", "--unit", "lyg", "--name", "连云港分局", "--dir", dir]);
    assert_eq!((ran.code, ran.out.as_str()), (0, "tok1\n"), "{ran:?}");
    assert!(ran.err.contains("2018-03-05 14:00") && ran.err.contains("fenbu join"), "{ran:?}");
    assert_eq!(
        heard.lock().unwrap()[0],
        r#"POST /api/v1/invites {"unit":"lyg","role":"server","valid_minutes":15,"name":"连云港分局"}"#
    );
}

#[test]
fn records_are_written_listed_and_shown() {
    let temp = tempfile::tempdir().unwrap();
    let item = json!({"id": "abcdef012345", "unit": "hq", "title": "雪夜", "column": "style",
        "status": "draft", "updated_ms": 1_520_229_600_000_i64, "conflicts": ["title"]});
    let page = |next: Value| json!({"items": [item], "next": next});
    let heard = serve(
        temp.path(),
        vec![
            ("POST /api/v1/posts", 201, json!({"id": "abcdef012345", "seq": 1})),
            ("PATCH /api/v1/posts/abc", 200, json!({"id": "abcdef012345", "seq": 2})),
            ("GET /api/v1/posts?limit=50", 200, page(json!("n1"))),
            ("GET /api/v1/posts?limit=50&after=n1", 200, page(Value::Null)),
            ("GET /api/v1/posts?unit=none&limit=50", 200, json!({"items": [], "next": null})),
            (
                "GET /api/v1/posts/ab",
                409,
                json!({"title": "ambiguous", "candidates": ["ab1", "ab2"]}),
            ),
        ],
    );
    let dir = temp.path().to_str().unwrap().to_owned();
    let run = |args: &[&str]| fenbu(&[args, &["--dir", &dir, "--lang", "zh-CN"]].concat());

    assert_eq!(run(&["post", "add", "--title", "雪夜"]).out, "abcdef012345\n");
    assert_eq!(heard.lock().unwrap()[0], r#"POST /api/v1/posts {"fields":{"title":"雪夜"}}"#);
    assert_eq!(run(&["post", "edit", "abc", "--clear", "written"]).code, 0);
    assert_eq!(heard.lock().unwrap()[1], r#"PATCH /api/v1/posts/abc {"fields":{"written":null}}"#);

    let list = run(&["post", "list"]);
    assert!(list.out.contains("缉私风采") && list.out.contains("2018-03-05 14:00"), "{list:?}");
    assert!(list.err.contains("--after n1"), "{list:?}");
    let all = run(&["post", "list", "--all", "-o", "name"]);
    assert_eq!(all.out, "abcdef012345\nabcdef012345\n");
    let lines = run(&["post", "list", "--all", "-o", "ndjson"]).out;
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((lines.lines().count(), &first["schema"]), (2, &json!("fenbu.record/1")));

    let none = run(&["post", "list", "--unit", "none"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));
    let ambiguous = run(&["post", "show", "ab"]);
    assert_eq!(ambiguous.code, 1);
    assert!(ambiguous.err.contains("ab1, ab2"), "{ambiguous:?}");
    assert_eq!(run(&["post", "show", "zz"]).code, 4);
}

#[test]
fn an_import_names_its_bad_lines() {
    let temp = tempfile::tempdir().unwrap();
    let errors = json!([{"line": 2, "column": 5, "message": "unknown column 'x'"}]);
    serve(
        temp.path(),
        vec![
            (
                "POST /api/v1/import?partial=true&dry_run=false",
                200,
                json!({"imported": 1, "unchanged": 2, "errors": errors}),
            ),
            (
                "POST /api/v1/import?partial=false&dry_run=false",
                200,
                json!({"imported": 3, "unchanged": 0, "errors": []}),
            ),
        ],
    );
    let file = temp.path().join("a.jsonl");
    std::fs::write(&file, "{}\n{}\n").unwrap();
    let (dir, file) = (temp.path().to_str().unwrap(), file.to_str().unwrap());
    let bad = fenbu(&["import", file, "--partial", "--dir", dir]);
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.err.contains(&format!("{file}:2:5: unknown column 'x'")), "{bad:?}");
    let good = fenbu(&["import", file, "--dir", dir, "--json"]);
    assert_eq!(good.code, 0, "{good:?}");
    assert!(good.out.contains("\"fenbu.import/1\""), "{good:?}");
    assert_eq!(fenbu(&["import", "/no/such.jsonl", "--dir", dir]).code, 1);
}

#[test]
fn doctor_exits_6_only_when_something_is_wrong() {
    let temp = tempfile::tempdir().unwrap();
    let check = |ok: bool| {
        json!({"checks": [{"name": "clock", "ok": ok, "level": "error", "message_zh": "时钟",
            "message_en": "clock", "hint_zh": "校时", "hint_en": "set it"}]})
    };
    serve(
        temp.path(),
        vec![
            ("GET /api/v1/doctor", 200, check(true)),
            ("GET /api/v1/doctor?net=hq", 200, check(false)),
        ],
    );
    let dir = temp.path().to_str().unwrap();
    assert_eq!(fenbu(&["doctor", "--dir", dir]).code, 0);
    let bad = fenbu(&["doctor", "--net", "hq", "--dir", dir, "--lang", "zh-CN"]);
    assert_eq!((bad.code, bad.out.as_str()), (6, "✗ 时钟 → 校时\n"));
}

#[test]
fn every_reading_verb_prints_tables_and_tagged_json() {
    let temp = tempfile::tempdir().unwrap();
    let peer = json!({"node": "aa11", "name": "南京", "connected": true, "behind_entries": 3,
        "why": "quota", "spaces": [{"label": "federation", "have": 1, "missing_here": 2,
        "missing_there": 0, "bytes_to_go": 2048}]});
    serve(
        temp.path(),
        vec![
            (
                "GET /api/v1/status",
                200,
                json!({"node": "aa", "name": "hq", "spaces": [
                {"label": "federation", "readable": true, "entries": 5, "log_digest": "00", "state_digest": "11"}],
                "alarms": ["fork"]}),
            ),
            (
                "GET /api/v1/freshness",
                200,
                json!({"units": [{"unit": "nt", "as_of_ms": 1_520_229_600_000_i64}]}),
            ),
            ("GET /api/v1/peers", 200, json!([peer])),
            (
                "GET /api/v1/sync",
                200,
                json!({"peers": [peer],
                "safe": [{"label": "federation", "newest_seq": 9, "safe_on": 3, "of": 15}]}),
            ),
            (
                "GET /api/v1/directory",
                200,
                json!({"name": "南京局", "nodes": [
                {"node": "aa", "name": "hq", "addresses": ["a:1"], "revoked": null}], "spaces": [
                {"id": "00", "label": "federation", "readers": ["hq"], "writers": "all", "carriers": []}]}),
            ),
            (
                "GET /api/v1/config",
                200,
                json!({"values": [{"key": "listen", "value": "x", "origin": "default"}]}),
            ),
            (
                "GET /api/v1/posts/ab/history",
                200,
                json!({"items": [
                {"hash": "ff", "node_name": "hq", "time_ms": 0, "changes": [{"field": "title"}]}]}),
            ),
        ],
    );
    let dir = temp.path().to_str().unwrap();
    let cases: [(&[&str], &str, &str); 6] = [
        (&["status"], "fenbu.status/1", "STATE DIGEST"),
        (&["peers"], "fenbu.peers/1", "BEHIND"),
        (&["sync"], "fenbu.sync/1", "3 of 15"),
        (&["directory"], "fenbu.directory/1", "WRITERS"),
        (&["config", "show"], "fenbu.config/1", "ORIGIN"),
        (&["post", "history", "ab"], "fenbu.history/1", "Title"),
    ];
    for (verb, schema, shown) in cases {
        let table = fenbu(&[verb, &["--dir", dir]].concat());
        assert_eq!(table.code, 0, "{verb:?} {table:?}");
        assert!(table.out.contains(shown), "{verb:?}\n{}", table.out);
        let json = fenbu(&[verb, &["--dir", dir, "--json"]].concat());
        let parsed: Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(parsed["schema"], schema);
        let name = fenbu(&[verb, &["--dir", dir, "-o", "name"]].concat());
        assert!(name.code == 0 && !name.out.contains(' '), "{verb:?} {name:?}");
    }
    let status = fenbu(&["status", "--dir", dir]);
    assert!(status.err.contains("Alarm: fork"));
    assert!(status.out.contains("2018-03-05 14:00 (nt)"), "{}", status.out);
}

#[test]
fn a_gone_reader_is_no_panic_and_no_failure() {
    let temp = tempfile::tempdir().unwrap();
    serve(temp.path(), vec![("GET /api/v1/peers", 200, json!([{"node": "aa"}]))]);
    let err = Shared::default();
    let streams = Streams { out: Box::new(Gone), err: Box::new(err.clone()), terminal: false };
    let args = ["fenbu", "peers", "--dir", temp.path().to_str().unwrap()];
    let code = run_with(args.map(OsString::from), &Environment::default(), streams);
    assert_eq!((code, err.text().as_str()), (0, ""));
}
