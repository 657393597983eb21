//! The console of a real node, without a network: every route for every role, and what is typed into it.

use super::*;
use crate::accounts::NewAccount;
use crate::config::Config;
use crate::setup;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode, header};
use fenbu_protocol::access::{Action, Role};
use serde_json::json;
use tower::ServiceExt;

const PASSWORD: &str = "a long password";

/// A node with an account for each role, named like the role.
struct House {
    office: Office,
    post: String,
    member: String,
    account: String,
    _folder: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("node");
        let options = setup::InitOptions {
            dir: dir.clone(),
            name: "全局".into(),
            unit: None,
            unit_name: None,
            listen: Some("127.0.0.1:0".parse().unwrap()),
            advertise: Vec::new(),
        };
        setup::init(&options).unwrap();
        let config = Config::load(&dir, |_| None).unwrap();
        let daemon = Arc::new(Daemon::start(config).unwrap());
        let office = Office { daemon: daemon.clone(), hosts: Arc::from(["localhost".to_owned()]) };
        let (post, member, account) = tokio::task::spawn_blocking(move || {
            let mut last = String::new();
            for role in Role::ALL {
                let new = NewAccount {
                    login: role.code().into(),
                    name: role.code().into(),
                    roles: vec![role.code().into()],
                    member: None,
                };
                last = daemon.accounts.create(&new, PASSWORD, "").unwrap().to_string();
            }
            let make = |kind: &str, fields: serde_json::Value| {
                let schema = fenbu_protocol::record::schema_named(kind).unwrap();
                let saved = daemon.records.create(schema, &fields, None, None, "").unwrap();
                saved.document.to_string()
            };
            let post = make("post", json!({ "title": HOSTILE, "body": HOSTILE, "column": "news" }));
            let member = make("member", json!({ "name": HOSTILE, "phone": "13812345678" }));
            (post, member, last)
        })
        .await
        .unwrap();
        Self { office, post, member, account, _folder: folder }
    }

    async fn sign_in(&self, login: &str) -> String {
        let accounts = self.office.accounts().clone();
        let login = login.to_owned();
        let signed = tokio::task::spawn_blocking(move || accounts.sign_in(&login, PASSWORD, ""));
        let (secret, _) = signed.await.unwrap().unwrap();
        format!("{}={secret}", visitor::session_cookie(&self.office))
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        cookie: Option<&str>,
        body: &str,
    ) -> (StatusCode, String) {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::HOST, "localhost:1")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        let from = ConnectInfo(Origin("127.0.0.1:9".parse().unwrap()));
        request.extensions_mut().insert(from);
        let response = router(self.office.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let location =
            response.headers().get(header::LOCATION).map(|v| v.to_str().unwrap().to_owned());
        if let Some(to) = location {
            return (status, to);
        }
        if path.starts_with("/events") {
            return (status, String::new());
        }
        let bytes = axum::body::to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn close(self) {
        self.office.daemon.stop().await;
    }
}

/// What somebody would type to have it run by whoever reads it.
const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'><a href=\"javascript:alert(1)\">x</a>[x](javascript:alert(1))";

/// Every route, what it takes, and what it asks leave for; none where being signed in is enough.
fn routes(house: &House) -> Vec<(Method, String, &'static str, Option<Action<'static>>)> {
    let get = |path: String, needs| (Method::GET, path, "", needs);
    let post = |path: String, body, needs| (Method::POST, path, body, needs);
    let (p, m, a) = (&house.post, &house.member, &house.account);
    vec![
        get("/".into(), None),
        get("/password".into(), None),
        post("/password".into(), "old=x&new=y", None),
        get("/events?kinds=posts".into(), None),
        post("/preview".into(), "text=x", None),
        get("/r/posts".into(), Some(Action::Read("post"))),
        get("/r/members".into(), Some(Action::Read("member"))),
        get("/r/care-visits".into(), Some(Action::Read("care-visit"))),
        get("/r/accounts".into(), Some(Action::Read("account"))),
        get("/r/audits".into(), Some(Action::Read("audit"))),
        get("/r/disclosures".into(), Some(Action::Read("disclosure"))),
        get("/r/credentials".into(), Some(Action::Read("credential"))),
        post("/r/posts".into(), "title=x", Some(Action::Write("post"))),
        post("/r/accounts".into(), "login=x", Some(Action::Write("account"))),
        post("/r/credentials".into(), "number=1", Some(Action::Write("credential"))),
        post("/r/audits".into(), "what=signed_in", Some(Action::Write("audit"))),
        get("/r/posts/new".into(), Some(Action::Write("post"))),
        get(format!("/r/posts/{p}"), Some(Action::Read("post"))),
        post(format!("/r/posts/{p}"), "tags=x", Some(Action::Write("post"))),
        get(format!("/r/posts/{p}/edit"), Some(Action::Write("post"))),
        get(format!("/r/posts/{p}/history"), Some(Action::Read("post"))),
        post(format!("/r/posts/{p}/step"), "op=approve", Some(Action::Step("post", "approve"))),
        post(format!("/r/posts/{p}/step"), "op=submit", Some(Action::Step("post", "submit"))),
        post(format!("/r/posts/{p}/note"), "field=comments&text=x", Some(Action::Write("post"))),
        post(
            format!("/r/members/{m}/reveal"),
            "field=phone&reason=x",
            Some(Action::Reveal("member")),
        ),
        get("/meetings/record?branch=x&kind=general".into(), Some(Action::Write("meeting"))),
        post("/meetings/record".into(), "branch=x&kind=general", Some(Action::Write("meeting"))),
        get("/meetings/calendar".into(), Some(Action::Read("meeting"))),
        get("/review".into(), Some(Action::Step("post", "approve"))),
        get("/site".into(), Some(Action::Read("post"))),
        get(format!("/site/{p}"), Some(Action::Read("post"))),
        get("/conflicts".into(), Some(Action::Settle)),
        post("/conflicts/00".into(), "way=x", Some(Action::Settle)),
        get("/search?q=x".into(), None),
        get("/figures".into(), Some(Action::Reports)),
        get("/figures/posts".into(), Some(Action::Reports)),
        post("/figures/posts/seal".into(), "period=2018", Some(Action::Seal)),
        get("/figures/posts/sheet?format=csv".into(), Some(Action::Reports)),
        post(
            "/figures/remind".into(),
            "unit=head&branch=x&what=y",
            Some(Action::Write("reminder")),
        ),
        get("/sealed/00".into(), Some(Action::Reports)),
        get("/sync".into(), Some(Action::Node)),
        get("/accounts".into(), Some(Action::Accounts)),
        post("/accounts".into(), "login=&name=x&password=y", Some(Action::Accounts)),
        get(format!("/accounts/{a}"), Some(Action::Accounts)),
        post(
            format!("/accounts/{a}"),
            "name=x&state=active&role%3Aauditor=on",
            Some(Action::Accounts),
        ),
        post(format!("/accounts/{a}/password"), "password=short", Some(Action::Accounts)),
        get("/import".into(), Some(Action::Import)),
        post("/import".into(), "", Some(Action::Import)),
        get("/export?kind=post&format=csv".into(), Some(Action::Export)),
        get("/template/post?format=csv".into(), Some(Action::Import)),
        get(format!("/word/post/{p}"), Some(Action::Read("post"))),
        get("/audit".into(), Some(Action::Audit)),
        // Last: it ends the session.
        post("/sign-out".into(), "", None),
    ]
}

/// Routes anybody may ask for.
const OPEN: [&str; 5] = ["/sign-in", "/language", "/assets/{name}", "/favicon.ico", "/healthz"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_asks_leave_of_every_role() {
    let house = House::new().await;
    let known = routes(&house);
    for role in Role::ALL {
        let cookie = house.sign_in(role.code()).await;
        let person = fenbu_protocol::access::Person::Account(vec![role.code().parse().unwrap()]);
        for (method, path, body, needs) in &known {
            let (status, said) = house.ask(method, path, Some(&cookie), body).await;
            let allowed = needs.is_none_or(|needs| fenbu_protocol::access::allows(&person, needs, None))
                // Reviewers remark on posts they do not write.
                || (path.ends_with("/note") && fenbu_protocol::access::allows(&person, Action::Step("post", "return"), None));
            let refused = status == StatusCode::FORBIDDEN && said.contains("角色");
            let malformed = path == "/import" && *method == Method::POST;
            assert_eq!(
                !refused,
                allowed || malformed,
                "{role:?} {method} {path}: {status} {said:.300}"
            );
            assert!(!status.is_server_error(), "{role:?} {method} {path}: {status} {said:.300}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_shown_or_done_without_signing_in() {
    let house = House::new().await;
    let wrong = format!("{}=00", visitor::session_cookie(&house.office));
    for (method, path, body, _) in routes(&house) {
        for cookie in [None, Some(wrong.as_str())] {
            let (status, to) = house.ask(&method, &path, cookie, body).await;
            assert_eq!(status, StatusCode::SEE_OTHER, "{method} {path}: {to}");
            assert!(to.starts_with("/sign-in"), "{method} {path}: {to}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_route_is_forgotten() {
    let house = House::new().await;
    let known = routes(&house);
    let source = include_str!("mod.rs");
    let declared = source.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    for route in declared.filter(|route| !OPEN.contains(route)) {
        let parts: Vec<&str> = route.split('/').collect();
        let is = |path: &str| {
            let path: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
            path.len() == parts.len()
                && path.iter().zip(&parts).all(|(p, r)| r.starts_with('{') || p == r)
        };
        assert!(known.iter().any(|(_, path, _, _)| is(path)), "{route} is walked by no test");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_type_is_text_wherever_it_is_shown() {
    let house = House::new().await;
    let cookie = house.sign_in("secretary").await;
    let (p, m) = (&house.post, &house.member);
    let pages = [
        "/r/posts".to_owned(),
        format!("/r/posts/{p}"),
        format!("/r/posts/{p}/edit"),
        format!("/r/posts/{p}/history"),
        "/r/members".to_owned(),
        format!("/r/members/{m}"),
        "/search?q=%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
        "/r/posts?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E".to_owned(),
        format!("/r/posts/{p}?said=saved&warning=%3Cscript%3Ealert(1)%3C/script%3E"),
        "/".to_owned(),
    ];
    for path in &pages {
        let (status, page) = house.ask(&Method::GET, path, Some(&cookie), "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {page:.300}");
        for hostile in ["<script>alert", "<img", "<a href=\"javascript:"] {
            assert!(!page.contains(hostile), "{path} has {hostile}");
        }
    }
    let (_, shown) = house
        .ask(
            &Method::POST,
            "/preview",
            Some(&cookie),
            "text=%3Cscript%3Ealert(1)%3C/script%3E%5Bx%5D(javascript:alert(1))",
        )
        .await;
    assert!(!shown.contains("<script>") && !shown.contains("javascript:\""), "{shown}");
    let (_, member) = house.ask(&Method::GET, &format!("/r/members/{m}"), Some(&cookie), "").await;
    assert!(member.contains("138****5678") && !member.contains("13812345678"), "it is masked");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_over_a_newer_version_merges_and_says_so() {
    let house = House::new().await;
    let cookie = house.sign_in("secretary").await;
    let made = house
        .ask(&Method::POST, "/r/posts", Some(&cookie), "title=t&body=one%0Atwo&column=news")
        .await;
    let path = made.1.split('?').next().unwrap().to_owned();
    // Two people open the form; one saves first.
    let first = "body=one%0Atwo%0Athree&was%3Abody=one%0Atwo&title=t&was%3Atitle=t";
    house.ask(&Method::POST, &path, Some(&cookie), first).await;
    let second = "body=zero%0Aone%0Atwo&was%3Abody=one%0Atwo&title=new&was%3Atitle=t";
    let (status, to) = house.ask(&Method::POST, &path, Some(&cookie), second).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{to}");
    assert!(to.contains("came=body"), "{to}");
    let (_, page) = house.ask(&Method::GET, &format!("{path}/edit"), Some(&cookie), "").await;
    assert!(page.contains("zero\none\ntwo\nthree"), "{page}");
    house.close().await;
}

/// The HTTP API over TCP: closed without a token, and open for what the holder's roles allow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_asks_who_is_there_and_what_they_may() {
    let house = House::new().await;
    for route in crate::api::ROUTES {
        let path = route.path.replace("{plural}", "posts").replace("{kind}", "post");
        let path = path.replace("{name}", "author").replace("{id}", &house.post);
        let path = format!("/api/v1{}", path.replace("{label}", "head"));
        let (status, said) = house.ask(&route.method, &path, None, "{}").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{route:?}: {said:.200}");
    }
    let (p, m) = (&house.post, &house.member);
    let get = |path: &str| (Method::GET, format!("/api/v1{path}"), "");
    let cases = [
        (get("/posts"), vec![Role::Author, Role::Administrator], vec![]),
        (get("/care-visits"), vec![Role::Secretary], vec![Role::Author, Role::Administrator]),
        (get("/accounts"), vec![Role::Administrator], vec![Role::Secretary, Role::Auditor]),
        (get("/audits"), vec![Role::Auditor], vec![Role::Secretary]),
        (get("/credentials"), vec![], vec![Role::Administrator, Role::Secretary]),
        (get("/status"), vec![Role::Secretary], vec![Role::Author]),
        (get("/changes"), vec![], vec![Role::Author, Role::Secretary]),
        (get("/changes?kind=post"), vec![Role::Author], vec![]),
        (get("/search?q=x&kind=post"), vec![Role::Author], vec![]),
        (get("/search?q=x&kind=care-visit"), vec![Role::Organisation], vec![Role::Author]),
        (get("/directory"), vec![Role::Administrator], vec![Role::Recorder]),
        (get("/quarantine"), vec![Role::Administrator], vec![Role::Secretary]),
        (get("/export?kind=post"), vec![Role::Reviewer], vec![Role::Author]),
        (get("/export"), vec![], vec![Role::Secretary]),
        (
            (Method::PATCH, format!("/api/v1/posts/{p}"), r#"{"fields":{"tags":["x"]}}"#),
            vec![Role::Author],
            vec![Role::Recorder, Role::Administrator],
        ),
        (
            (
                Method::PATCH,
                format!("/api/v1/posts/{p}"),
                r#"{"fields":{"status":{"op":"withdraw","note":"n"}}}"#,
            ),
            vec![],
            vec![Role::Author],
        ),
        (
            (Method::PATCH, format!("/api/v1/posts/{p}"), r#"{"fields":{"status":"withdrawn"}}"#),
            vec![],
            vec![Role::Author],
        ),
        (
            (
                Method::POST,
                "/api/v1/meetings".to_owned(),
                r#"{"fields":{"kind":"general","branch":"b"}}"#,
            ),
            vec![Role::Recorder],
            vec![Role::Author],
        ),
        (
            (
                Method::POST,
                format!("/api/v1/members/{m}/reveal"),
                r#"{"field":"phone","reason":"r"}"#,
            ),
            vec![Role::Organisation],
            vec![Role::Recorder],
        ),
        (
            (Method::POST, "/api/v1/accounts".to_owned(), r#"{"login":"x","password":"short"}"#),
            vec![],
            vec![Role::Secretary],
        ),
        (
            (Method::POST, "/api/v1/repair/views".to_owned(), "{}"),
            vec![Role::Administrator],
            vec![Role::Secretary],
        ),
    ];
    for ((method, path, body), allowed, refused) in cases {
        for (roles, may) in [(allowed, true), (refused, false)] {
            for role in roles {
                let cookie = house.sign_in(role.code()).await;
                let (status, said) = house.ask(&method, &path, Some(&cookie), body).await;
                let forbidden = status == StatusCode::FORBIDDEN;
                assert_eq!(!forbidden, may, "{role:?} {method} {path}: {status} {said:.200}");
                assert!(
                    !may || status.is_success(),
                    "{role:?} {method} {path}: {status} {said:.200}"
                );
            }
        }
    }
    house.close().await;
}
