//! Every route, in one table: the router is made of it, and so is what `openapi.json` says.
//!
//! Beside each route stands what a caller must be allowed to ([`Needs`]). Whoever lets people in asks
//! [`find`] what the matched path needs; a path that is in no table is nobody's.

use super::{
    accounts, admin, changes, conflicts, doctor, inout, openapi, personal, quarantine, records,
    repair, reports, root, search, spaces, status, temporary, trust,
};
use crate::daemon::Daemon;
use axum::http::Method;
use axum::routing::{MethodRouter, get, patch, post};
use fenbu_protocol::record::Schema;
use std::sync::Arc;
use std::time::Duration;

/// Where all paths of the table begin.
pub const PREFIX: &str = "/api/v1";

/// What a caller must be allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing: how to ask, and what kinds there are.
    Nothing,
    /// To read records; of the kind in the path where there is one.
    Read,
    /// To write records of the kind in the path.
    Write,
    /// To bring in files of any kind.
    Import,
    /// To take out all records of a kind, or of all.
    Export,
    /// To look at personal values.
    Reveal,
    /// To settle conflicts.
    Settle,
    /// To see head office's figures.
    Reports,
    /// To keep figures as they stand.
    Seal,
    /// To see which units, nodes and spaces there are.
    ReadDirectory,
    /// To change which units, nodes and spaces there are.
    Directory,
    /// To see how the node is.
    Node,
    /// To say who may sign in.
    Accounts,
    /// To look through what does not count.
    Quarantine,
    /// To make again what can be made again.
    Repair,
}

impl Needs {
    /// As programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Read => "read",
            Self::Write => "write",
            Self::Import => "import",
            Self::Export => "export",
            Self::Reveal => "reveal",
            Self::Settle => "settle",
            Self::Reports => "reports",
            Self::Seal => "seal",
            Self::ReadDirectory => "read-directory",
            Self::Directory => "directory",
            Self::Node => "node",
            Self::Accounts => "accounts",
            Self::Quarantine => "quarantine",
            Self::Repair => "repair",
        }
    }
}

/// A value of a parameter, or of a request's field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Text,
    Number,
    Flag,
    Texts,
    /// `all`, or an array of unit codes.
    Units,
}

/// A parameter in the query, or a field of the request's body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) name: &'static str,
    pub(super) of: Of,
    pub(super) required: bool,
}

const fn may(name: &'static str, of: Of) -> Given {
    Given { name, of, required: false }
}

const fn must(name: &'static str, of: Of) -> Given {
    Given { name, of, required: true }
}

/// What a request's body is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    None,
    /// An object of these fields.
    Object(&'static [Given]),
    /// A record that is to be made.
    Create,
    /// Fields that are to be changed.
    Edit,
    /// A file or lines.
    Upload,
}

/// What is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// JSON with this under `schema`.
    Json(&'static str),
    /// Rows of the kind in the path.
    List,
    /// A record of the kind in the path.
    Record,
    File(&'static str),
    /// Changes, line by line or as events.
    Changes,
}

/// One method of one path.
pub struct Route {
    pub method: Method,
    /// Below [`PREFIX`].
    pub path: &'static str,
    /// Names it among all.
    pub name: &'static str,
    pub needs: Needs,
    pub zh: &'static str,
    pub en: &'static str,
    pub(super) query: &'static [Given],
    pub(super) body: Body,
    pub(super) answer: Answer,
    /// Kinds it is there for, where the path names one.
    pub(super) kinds: fn(&Schema) -> bool,
    /// Takes an `Idempotency-Key`.
    pub(super) once: bool,
    /// Gives an `ETag`, or holds to `If-Match`.
    pub(super) versions: bool,
    pub(super) limits: Limits,
    handler: fn() -> MethodRouter<Arc<Daemon>>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What one request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) body_bytes: usize,
    /// Until the answer begins.
    pub(super) time: Duration,
}

/// A request for or of a few records.
const SMALL: Limits = Limits { body_bytes: 8 << 20, time: Duration::from_secs(60) };
/// Everything at once: an import of 50,000 records, documents of a whole space made again.
const LARGE: Limits = Limits { body_bytes: 256 << 20, time: Duration::from_secs(2 * 60 * 60) };
/// Waits for other nodes, or reads all there is.
const SLOW: Limits = Limits { body_bytes: 8 << 20, time: Duration::from_secs(2 * 60 * 60) };

type Handler = fn() -> MethodRouter<Arc<Daemon>>;

impl Route {
    const fn new(
        method: Method,
        path: &'static str,
        needs: Needs,
        (name, zh, en): (&'static str, &'static str, &'static str),
        handler: Handler,
    ) -> Self {
        Self {
            method,
            path,
            name,
            needs,
            zh,
            en,
            query: &[],
            body: Body::None,
            answer: Answer::Json(""),
            kinds: |_| true,
            once: false,
            versions: false,
            limits: SMALL,
            handler,
        }
    }

    const fn json(mut self, schema: &'static str) -> Self {
        self.answer = Answer::Json(schema);
        self
    }

    const fn answers(mut self, answer: Answer) -> Self {
        self.answer = answer;
        self
    }

    const fn query(mut self, query: &'static [Given]) -> Self {
        self.query = query;
        self
    }

    const fn takes(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    const fn within(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    const fn of(mut self, kinds: fn(&Schema) -> bool) -> Self {
        self.kinds = kinds;
        self
    }

    const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    const fn versions(mut self) -> Self {
        self.versions = true;
        self
    }

    pub(super) fn handler(&self) -> MethodRouter<Arc<Daemon>> {
        (self.handler)()
    }

    /// Names in braces in the path.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// The route of a request, by its method and the path axum matched (with or without [`PREFIX`]). HEAD is
/// answered where GET is.
pub fn find(method: &Method, matched: &str) -> Option<&'static Route> {
    let path = matched.strip_prefix(PREFIX).unwrap_or(matched);
    let method = if method == Method::HEAD { &Method::GET } else { method };
    ROUTES.iter().find(|route| route.method == *method && route.path == path)
}

const LIST: &[Given] = &[
    may("q", Of::Text),
    may("unit", Of::Text),
    may("order", Of::Text),
    may("limit", Of::Number),
    may("after", Of::Text),
];
const FOLLOW: &[Given] = &[
    may("after", Of::Text),
    may("kind", Of::Text),
    may("unit", Of::Text),
    may("limit", Of::Number),
    may("follow", Of::Flag),
];
const SEARCH: &[Given] = &[
    must("q", Of::Text),
    may("kind", Of::Text),
    may("unit", Of::Text),
    may("column", Of::Text),
    may("from", Of::Text),
    may("to", Of::Text),
    may("limit", Of::Number),
    may("after", Of::Text),
];
const REPORT: &[Given] = &[
    may("period", Of::Text),
    may("unit", Of::Text),
    may("by", Of::Text),
    may("explain", Of::Text),
];
const INVITE: &[Given] = &[
    must("unit", Of::Text),
    may("name", Of::Text),
    may("role", Of::Text),
    may("valid_minutes", Of::Number),
];
const ADMIT: &[Given] = &[
    must("request", Of::Text),
    must("unit", Of::Text),
    may("name", Of::Text),
    may("role", Of::Text),
];
const SPACE: &[Given] = &[
    must("label", Of::Text),
    may("template", Of::Text),
    may("unit", Of::Text),
    may("readers", Of::Units),
    may("writers", Of::Units),
    may("carriers", Of::Units),
    may("preview", Of::Flag),
    may("confirmed", Of::Flag),
];
const LIMITS: &[Given] = &[
    must("label", Of::Text),
    may("bytes", Of::Number),
    may("entries", Of::Number),
    may("documents", Of::Number),
    may("reset", Of::Flag),
    may("preview", Of::Flag),
    may("confirmed", Of::Flag),
];
const IMPORT: &[Given] = &[
    may("partial", Of::Flag),
    may("dry_run", Of::Flag),
    may("kind", Of::Text),
    may("format", Of::Text),
];
const EXPORT: &[Given] = &[
    may("kind", Of::Text),
    may("format", Of::Text),
    may("unit", Of::Text),
    may("reveal", Of::Text),
];

const ACCOUNT: &[Given] = &[
    must("login", Of::Text),
    must("password", Of::Text),
    may("name", Of::Text),
    may("roles", Of::Texts),
    may("member", Of::Text),
];
const ACCOUNT_CHANGE: &[Given] = &[
    may("name", Of::Text),
    may("roles", Of::Texts),
    may("member", Of::Text),
    may("state", Of::Text),
];
const TOKEN: &[Given] = &[must("name", Of::Text), may("days", Of::Number)];

/// Accounts have routes of their own.
pub(super) fn not_accounts(schema: &Schema) -> bool {
    schema.name != "account"
}

/// Whether a kind is written as records are; those about people who sign in are not.
pub(super) fn by_hand(schema: &Schema) -> bool {
    !matches!(schema.name, "account" | "credential" | "audit")
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// The table. Paths with fixed segments win over those with names in their place.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    Route::new(GET, "/openapi.json", Needs::Nothing, ("openapi", "接口说明", "How to ask: this description"), || get(openapi::openapi)).json("openapi"),
    Route::new(GET, "/schema", Needs::Nothing, ("schema", "记录种类及字段", "The kinds of records and their fields"), || get(admin::schema)).json("fenbu.schema/1"),
    Route::new(GET, "/changes", Needs::Read, ("changes", "变更：可从任一位置继续跟随", "What changed since a place in the order of changes, which can be followed for good"), || get(changes::changes)).query(FOLLOW).answers(Answer::Changes),
    Route::new(GET, "/search", Needs::Read, ("search", "全文检索", "Find records by words in them"), || get(search::search)).query(SEARCH).json("fenbu.found/1"),

    Route::new(GET, "/status", Needs::Node, ("status", "节点状态", "How the node is"), || get(status::status)).json("fenbu.status/1"),
    Route::new(GET, "/peers", Needs::Node, ("peers", "其他节点", "How the other nodes are, seen from here"), || get(status::peers)).json("fenbu.peers/1"),
    Route::new(GET, "/sync", Needs::Node, ("sync", "同步情况", "What is still to come, and from whom"), || get(status::sync)).json("fenbu.sync/1"),
    Route::new(GET, "/config", Needs::Node, ("config", "设置及其来源", "The settings, and where each comes from"), || get(admin::config)).json("fenbu.config/1"),
    Route::new(GET, "/doctor", Needs::Node, ("doctor", "体检", "What is wrong, and what to do about it"), || get(doctor::doctor)).query(&[may("net", Of::Text), may("deep", Of::Flag)]).within(SLOW).json("fenbu.doctor/1"),
    Route::new(POST, "/repair/views", Needs::Repair, ("repairViews", "重新生成列表", "Make the lists again from the records"), || post(repair::views)).within(SLOW).json("fenbu.repair/1"),
    Route::new(POST, "/repair/documents", Needs::Repair, ("repairDocuments", "按日志重新生成记录", "Make the records again from the logs"), || post(repair::documents)).takes(Body::Object(&[may("space", Of::Text)])).within(SLOW).json("fenbu.repair/1"),

    Route::new(GET, "/directory", Needs::ReadDirectory, ("directory", "目录：单位、节点、数据范围", "The directory: units, nodes, spaces"), || get(admin::directory)).json("fenbu.directory/1"),
    Route::new(GET, "/directory/spaces/{label}", Needs::ReadDirectory, ("showSpace", "数据范围", "One space: its rights, and what is in it"), || get(spaces::show)).json("fenbu.space/1"),
    Route::new(POST, "/invites", Needs::Directory, ("invite", "邀请一个节点", "A token with which a node joins"), || post(admin::invite)).takes(Body::Object(INVITE)).json("fenbu.invite/1"),
    Route::new(POST, "/admissions", Needs::Directory, ("admit", "按文件接纳节点", "Let a node in that asked by file"), || post(admin::admit)).takes(Body::Object(ADMIT)).within(SLOW).json("fenbu.admitted/1"),
    Route::new(POST, "/directory/revoke", Needs::Directory, ("revoke", "撤销节点", "End a node"), || post(trust::revoke)).takes(Body::Object(&[must("node", Of::Text)])).within(SLOW).json("fenbu.revoked/1"),
    Route::new(POST, "/directory/spaces", Needs::Directory, ("changeSpace", "新建或更改数据范围", "Make a space, or change its rights"), || post(spaces::change)).takes(Body::Object(SPACE)).within(SLOW).json("fenbu.space-change/1"),
    Route::new(POST, "/directory/limits", Needs::Directory, ("changeLimits", "更改数据范围的限额", "Change what one author may have in a space"), || post(spaces::limits)).takes(Body::Object(LIMITS)).within(SLOW).json("fenbu.space-limits/1"),
    Route::new(POST, "/directory/root/appoint", Needs::Directory, ("draftAppointment", "起草：任命管理节点", "Draft the appointment of an admin node, to be signed with the root key"), || post(root::appoint)).takes(Body::Object(&[must("node", Of::Text), may("revoke", Of::Flag)])).within(SLOW).json("fenbu.root-draft/1"),
    Route::new(POST, "/directory/root/recover", Needs::Directory, ("draftRecovery", "起草：恢复目录", "Draft a recovery of the directory, to be signed with the root key"), || post(root::recover)).takes(Body::Object(&[may("epoch", Of::Number)])).within(SLOW).json("fenbu.root-draft/1"),
    Route::new(POST, "/directory/root/take", Needs::Directory, ("takeFromRoot", "录入根密钥签署的语句", "Take what the root key has signed"), || post(root::take)).takes(Body::Object(&[must("signed", Of::Text)])).within(SLOW).json("fenbu.root-taken/1"),

    Route::new(GET, "/quarantine", Needs::Quarantine, ("quarantine", "不计入的内容", "What does not count, and why"), || get(quarantine::list)).json("fenbu.quarantine/1"),
    Route::new(POST, "/quarantine/reviewed", Needs::Quarantine, ("reviewed", "标记为已核对", "Say that somebody has looked at it"), || post(quarantine::reviewed)).takes(Body::Object(&[must("id", Of::Text)])).json("fenbu.reviewed/1"),
    Route::new(GET, "/conflicts", Needs::Read, ("conflicts", "待裁定的冲突", "What somebody has to settle"), || get(conflicts::list)).query(&[may("case", Of::Text), may("kind", Of::Text), may("settler", Of::Text)]).json("fenbu.conflicts/1"),
    Route::new(GET, "/conflicts/{id}", Needs::Read, ("showConflict", "一个冲突", "One conflict"), || get(conflicts::show)).json("fenbu.conflict/1"),
    Route::new(POST, "/conflicts/{id}/settle", Needs::Settle, ("settle", "裁定冲突", "Settle a conflict in one of its ways"), || post(conflicts::settle)).takes(Body::Object(&[must("way", Of::Text), may("note", Of::Text)])).json("fenbu.settled/1"),

    Route::new(POST, "/import", Needs::Import, ("import", "导入", "Bring in records: lines, a sheet, or a document"), || post(inout::import)).query(IMPORT).takes(Body::Upload).within(LARGE).json("fenbu.import/1"),
    Route::new(GET, "/export", Needs::Export, ("export", "导出", "Records as lines, or as a sheet"), || get(inout::export)).query(EXPORT).within(SLOW).answers(Answer::File("application/x-ndjson")),
    Route::new(GET, "/template/{kind}", Needs::Import, ("template", "空白表", "An empty sheet to fill in"), || get(inout::template)).query(&[must("format", Of::Text)]).answers(Answer::File("text/csv")),
    Route::new(GET, "/calendar.ics", Needs::Read, ("calendar", "会议日历", "Meetings as a calendar"), || get(inout::calendar)).query(&[may("branch", Of::Text), may("unit", Of::Text)]).answers(Answer::File("text/calendar")),
    Route::new(GET, "/feed.atom", Needs::Read, ("feed", "已发布稿件的订阅源", "Published posts as an Atom feed"), || get(inout::feed)).query(&[may("column", Of::Text), may("unit", Of::Text)]).answers(Answer::File("application/atom+xml")),

    Route::new(GET, "/freshness", Needs::Reports, ("freshness", "各单位数据截至何时", "How fresh each unit's data are here"), || get(reports::units)).json("fenbu.freshness/1"),
    Route::new(POST, "/freshness", Needs::Node, ("mark", "写下数据截至标记", "Mark how far this node's data goes"), || post(reports::mark)).json("fenbu.marked/1"),
    Route::new(GET, "/temporary/{code}/checklist", Needs::Read, ("checklist", "临时党支部撤销清单", "What stands open before a temporary branch ends"), || get(temporary::checklist)).json("fenbu.temporary-checklist/1"),
    Route::new(GET, "/temporary/{code}/archive", Needs::Export, ("archive", "临时党支部档案", "All a temporary branch kept, in one file"), || get(temporary::archive)).within(SLOW).answers(Answer::File("application/x-ndjson")),
    Route::new(POST, "/temporary/{code}/archive", Needs::Seal, ("archived", "档案已交存", "Say that an archive is kept"), || post(temporary::archived)).takes(Body::Object(&[must("digest", Of::Text)])).json("fenbu.archived/1"),
    Route::new(GET, "/temporary/{code}/extract", Needs::Export, ("extract", "原单位摘要", "What concerns a home unit, in one file"), || get(temporary::extract)).query(&[must("unit", Of::Text)]).within(SLOW).answers(Answer::File("application/x-ndjson")),
    Route::new(POST, "/temporary/{code}/extract", Needs::Seal, ("extracted", "摘要已交付", "Say that an extract was handed over"), || post(temporary::extracted)).takes(Body::Object(&[must("unit", Of::Text)])).json("fenbu.extracted/1"),

    Route::new(GET, "/reports/{name}", Needs::Reports, ("report", "统计", "A report as it stands now"), || get(reports::report)).query(REPORT).json("fenbu.report/1"),
    Route::new(POST, "/reports/{name}/seal", Needs::Seal, ("seal", "封存报表", "Keep a report as it stands"), || post(reports::seal)).takes(Body::Object(REPORT)).json("fenbu.sealed/1"),
    Route::new(GET, "/sealed-reports/{id}/compare", Needs::Reports, ("compare", "封存之后的变化", "What came after a report was sealed"), || get(reports::compare)).json("fenbu.compared/1"),

    Route::new(GET, "/accounts", Needs::Accounts, ("accounts", "本单位的账号", "The accounts of this unit"), || get(accounts::list)).json("fenbu.accounts/1"),
    Route::new(POST, "/accounts", Needs::Accounts, ("createAccount", "新建账号", "Make an account"), || post(accounts::create)).takes(Body::Object(ACCOUNT)).json("fenbu.account/1"),
    Route::new(GET, "/accounts/{name}", Needs::Accounts, ("showAccount", "一个账号", "One account"), || get(accounts::show)).json("fenbu.account/1"),
    Route::new(Method::PATCH, "/accounts/{name}", Needs::Accounts, ("changeAccount", "修改账号", "Change an account"), || patch(accounts::change)).takes(Body::Object(ACCOUNT_CHANGE)).json("fenbu.account/1"),
    Route::new(POST, "/accounts/{name}/password", Needs::Accounts, ("setPassword", "设置口令", "Set a password"), || post(accounts::set_password)).takes(Body::Object(&[must("password", Of::Text)])).json("fenbu.account/1"),
    Route::new(POST, "/accounts/{name}/tokens", Needs::Accounts, ("makeToken", "签发令牌", "Make a token with which a program does what the account may"), || post(accounts::make_token)).takes(Body::Object(TOKEN)).json("fenbu.token/1"),

    Route::new(GET, "/{plural}", Needs::Read, ("list", "列出", "List"), || get(records::list)).of(not_accounts).query(LIST).answers(Answer::List).versions(),
    Route::new(POST, "/{plural}", Needs::Write, ("create", "新建", "Make"), || post(records::create)).of(by_hand).takes(Body::Create).json("fenbu.saved/1").once(),
    Route::new(GET, "/{plural}/{id}", Needs::Read, ("show", "查看", "Show"), || get(records::show)).of(not_accounts).answers(Answer::Record).versions(),
    Route::new(Method::PATCH, "/{plural}/{id}", Needs::Write, ("edit", "修改", "Change"), || patch(records::edit)).of(by_hand).takes(Body::Edit).json("fenbu.saved/1").once().versions(),
    Route::new(POST, "/{plural}/{id}/reveal", Needs::Reveal, ("reveal", "查阅个人信息", "Look at a personal value of"), || post(personal::reveal)).takes(Body::Object(&[must("field", Of::Text), must("reason", Of::Text)])).of(|s| s.fields.iter().any(|f| f.personal)).json("fenbu.revealed/1"),
    Route::new(GET, "/{plural}/{id}/history", Needs::Read, ("history", "修改历史", "Who changed what of"), || get(records::history)).json("fenbu.history/1"),
    Route::new(GET, "/{plural}/{id}/docx", Needs::Read, ("docx", "文档", "As a document for word processors:"), || get(inout::docx_of)).of(|s| matches!(s.name, "post" | "meeting")).answers(Answer::File(DOCX)),
    Route::new(GET, "/{plural}/{id}/page", Needs::Read, ("page", "打印页", "As a page to be printed:"), || get(inout::page_of)).of(|s| matches!(s.name, "journal-issue" | "transfer")).answers(Answer::File("text/html")),
];
