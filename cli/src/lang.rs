//! Every sentence in Chinese and in English.
//!
//! One table: a key, the Chinese, the English. Placeholders are `{name}`, the same in both. Texts
//! travel as [`Text`] and become strings where they are written, so that what raises an error need
//! not know who reads it.

use std::ffi::OsString;

use crate::commands::Environment;

/// A language people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    Zh,
    En,
}

impl Lang {
    /// The language of a tag or a locale: `zh-CN`, `zh_CN.UTF-8`, `en`. None if it is neither.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_', '.', '@']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "zh" => Some(Self::Zh),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The language before anything is parsed, so that usage errors speak it too: the flag, then
    /// `FENBU_LANG`, then the locale. English where none says Chinese.
    pub(crate) fn choose(args: &[OsString], environment: &Environment) -> Self {
        let mut args = args.iter().filter_map(|arg| arg.to_str());
        while let Some(arg) = args.next() {
            let value = match arg {
                "--" => break,
                "--lang" => args.next(),
                _ => arg.strip_prefix("--lang="),
            };
            if let Some(lang) = value.and_then(Self::of_tag) {
                return lang;
            }
        }
        if let Some(lang) = environment.get("FENBU_LANG").and_then(Self::of_tag) {
            return lang;
        }
        ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| environment.get(name))
            .and_then(Self::of_tag)
            .unwrap_or(Self::En)
    }

    /// The tag for `Accept-Language`.
    pub fn tag(self) -> &'static str {
        self.pick("zh-CN", "en")
    }

    /// The one of two that fits.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

/// A sentence in waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// From the table, with its placeholders' values.
    Key(Key, Vec<(&'static str, String)>),
    /// Chinese and English, from a table elsewhere.
    Both(&'static str, &'static str),
    /// As [`Text::Both`], as the head of a column: English in capitals.
    Heading(&'static str, &'static str),
    /// From outside: the daemon, the system, a record.
    Plain(String),
    /// From the node's library, Chinese and English.
    Told(Box<str>, Box<str>),
}

impl Text {
    pub fn render(&self, lang: Lang) -> String {
        match self {
            Self::Key(key, args) => fill(key.text(lang), args),
            Self::Both(zh, en) => lang.pick(*zh, *en).to_owned(),
            Self::Heading(zh, en) => lang.pick((*zh).to_owned(), en.to_uppercase()),
            Self::Plain(text) => text.clone(),
            Self::Told(zh, en) => lang.pick(zh, en).to_string(),
        }
    }

    /// Whether this is the sentence of `key`, whatever its values.
    pub fn is(&self, key: Key) -> bool {
        matches!(self, Self::Key(own, _) if *own == key)
    }
}

impl From<Key> for Text {
    fn from(key: Key) -> Self {
        Self::Key(key, Vec::new())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

/// Replaces placeholders in one pass: a value that looks like a placeholder stays what it is.
fn fill(template: &str, args: &[(&'static str, String)]) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let Some(length) = rest[open..].find('}') else { break };
        let name = &rest[open + 1..open + length];
        let value = args.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
        debug_assert!(value.is_some(), "no value for '{name}' in '{template}'");
        out.push_str(&rest[..open]);
        out.push_str(value.unwrap_or("?"));
        rest = &rest[open + length + 1..];
    }
    out.push_str(rest);
    out
}

macro_rules! catalogue {
    ($($key:ident: $zh:literal, $en:literal;)*) => {
        /// A sentence's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the English beside each key says what it is")]
        pub enum Key { $($key),* }

        /// Indexed by [`Key`].
        const TABLE: &[(Key, &str, &str)] = &[$((Key::$key, $zh, $en)),*];
    };
}

impl Key {
    /// The sentence, placeholders unfilled.
    pub fn text(self, lang: Lang) -> &'static str {
        let (_, zh, en) = TABLE[self as usize];
        lang.pick(zh, en)
    }

    /// The sentence with its placeholders' values.
    pub fn with<const N: usize>(self, args: [(&'static str, String); N]) -> Text {
        Text::Key(self, args.into())
    }
}

catalogue! {
    // Errors, and how they are written.
    ErrorLine: "错误：{text}", "Error: {text}";
    CauseLine: "原因：{text}", "Caused by: {text}";
    HintLine: "怎么办：{text}", "Hint: {text}";
    AlarmLine: "警报：{text}", "Alarm: {text}";
    OutputFailed: "写不出结果", "cannot write the output";
    FileUnusable: "无法使用 {path}", "cannot use {path}";
    RuntimeFailed: "无法启动异步运行环境", "cannot start the asynchronous runtime";

    // The demo.
    DemoNotEmpty: "{dir} 不是空目录；换一个，或先清空", "{dir} is not empty; name another folder, or empty it";
    DemoFounded: "联邦已建立，{nodes} 个节点在运行", "the federation is founded, {nodes} nodes run";
    DemoImport: "各单位同时录入共 {records} 条记录", "every unit takes in its share of {records} records";
    DemoImported: "各单位录入完毕，等待同步一致", "all taken in; waiting for all nodes to agree";
    DemoProgress: "{nodes} 个节点中 {agreeing} 个一致", "{agreeing} of {nodes} nodes agree";
    DemoUsed: "使用起来：战时党支部誓师大会、查阅个人信息、封存报表", "in use: a rally of the task force, a look at personal data, a sealed report";
    DemoCut: "网络断成两半，两边修改同样的稿件", "the network is cut in two; both sides edit the same posts";
    DemoKill: "{unit} 断电（SIGKILL）", "{unit} loses its power (SIGKILL)";
    DemoRestarted: "{unit} 重新启动", "{unit} is back";
    DemoHeal: "网络恢复", "the network heals";
    DemoDaemonEnded: "{unit} 的节点退出了（{status}）", "the node of {unit} ended ({status})";
    DemoDisagree: "以下节点未能一致：{units}", "these nodes did not come to agree: {units}";
    DemoPosts: "稿件", "POSTS";
    DemoMembers: "党员", "MEMBERS";
    DemoMeetings: "会议", "MEETINGS";
    DemoSent: "发送", "SENT";
    DemoReceived: "接收", "RECEIVED";
    DemoHealed: "恢复用时 ms", "HEALED MS";
    DemoDigest: "摘要", "DIGEST";
    DemoEnd:
        "录入并同步一致 {bulk} 毫秒；恢复后 {heal} 毫秒一致；{conflicts} 处冲突待人处理",
        "taken in and agreed in {bulk} ms; agreed {heal} ms after the cut; {conflicts} conflicts for people to settle";
    DemoGood: "全部节点一致，数目准确", "all nodes agree and every count is exact";
    DemoBad: "结果不对：见上", "this is not as it should be: see above";
    DemoLook: "查看 {unit}：{url} 或 fenbu --dir {dir} status", "look at {unit}: {url} or fenbu --dir {dir} status";
    DemoPeople: "网页登录名：{logins}；口令都是 {password}", "sign in as one of {logins}; the password is {password}";
    DemoKept: "节点仍在运行，按 Ctrl-C 结束", "the nodes keep running; Ctrl-C ends them";

    // The daemon.
    DirMissing: "没有目录 {dir}", "there is no folder {dir}";
    DirNotNode: "{dir} 里没有节点", "{dir} holds no node";
    DaemonStopped: "节点没有运行（{dir}）", "the node is not running ({dir})";
    DaemonGone: "节点在应答途中断开", "the node went away while answering";
    DaemonSilent: "节点 {seconds} 秒内没有应答", "the node did not answer within {seconds} s";
    SocketDenied: "无权访问 {dir} 里的节点", "not allowed to talk to the node in {dir}";
    SocketPathLong:
        "套接字路径 {path} 有 {length} 字节，系统最多允许 {max}",
        "the socket path {path} has {length} bytes, the system allows {max}";
    AnswerUnreadable: "看不懂节点的应答", "the node's answer cannot be read";
    RefusedWithStatus: "节点拒绝了请求（{status}）", "the node refused the request ({status})";
    RouteUnsendable: "这个请求无法发送", "that request cannot be sent";
    HintDir:
        "用 --dir 指明节点目录，或设置 FENBU_DIR",
        "name the node's folder with --dir, or set FENBU_DIR";
    HintInit:
        "新建联邦：fenbu init --dir {dir} --name 名称；加入联邦：fenbu join 令牌 --dir {dir}",
        "found a federation: fenbu init --dir {dir} --name NAME; or join one: fenbu join TOKEN --dir {dir}";
    HintStart:
        "启动：fenbu node run --dir {dir}（作为服务：systemctl start fenbu）",
        "start it: fenbu node run --dir {dir} (as a service: systemctl start fenbu)";
    HintDoctor: "检查：fenbu doctor --dir {dir}", "look into it: fenbu doctor --dir {dir}";
    HintOwner:
        "以运行节点的用户执行，如 sudo -u fenbu fenbu …",
        "run as the user the node runs as, such as sudo -u fenbu fenbu …";
    HintShorterDir:
        "把节点放到路径较短的目录，或用较短的符号链接作 --dir",
        "move the node to a folder with a shorter path, or give a shorter symbolic link as --dir";
    HintVersions:
        "命令与节点的版本可能不同：比较 fenbu --version 和 fenbu status",
        "the command and the node may differ in version: compare fenbu --version with fenbu status";
    HintCandidates: "指的是其中哪一个：{ids}", "which of these is meant: {ids}";
    HintMeant: "是不是指 {name}", "perhaps {name} is meant";
    HintHelp: "加 --help 查看用法", "see --help";
    HintWhy:
        "查看谁落后、为什么：fenbu peers",
        "see who trails, and why: fenbu peers";

    // The command line.
    BadLang: "--lang 不认识 '{value}'：用 zh-CN 或 en", "--lang does not know '{value}': use zh-CN or en";
    BadListen:
        "'{value}' 不是地址和端口，应如 0.0.0.0:4433 或 [::]:4433",
        "'{value}' is no address and port such as 0.0.0.0:4433 or [::]:4433";
    BadAdvertise:
        "'{value}' 不是主机和端口，应如 hq.example.cn:4433",
        "'{value}' is no host and port such as hq.example.cn:4433";
    BadInstant:
        "'{value}' 不是时间：写 \"2018-03-05 14:00\"（北京时间）或 2018-03-05T14:00:00+08:00",
        "'{value}' is no time: write \"2018-03-05 14:00\" (Asia/Shanghai) or 2018-03-05T14:00:00+08:00";
    BadDate: "'{value}' 不是日期：写 2018-03-05", "'{value}' is no date: write 2018-03-05";
    BadSpan: "'{value}' 不是时长：写 30s、15m、2h 或 3d", "'{value}' is no span: write 30s, 15m, 2h or 3d";
    BadValid: "'{value}' 不在 1m 到 72h 之间", "'{value}' is not between 1m and 72h";
    BadSize: "'{value}' 不是大小：写字节数，可带 K、M、G", "'{value}' is no size: bytes, or with K, M, G";
    BadInt: "'{value}' 不是整数", "'{value}' is no whole number";
    BadBool: "'{value}' 既不是 true 也不是 false", "'{value}' is neither true nor false";
    BadPair: "'{value}' 不是 键=值", "'{value}' is not KEY=VALUE";
    BadSet: "--set 要写成 字段=值，不是 '{value}'", "--set takes FIELD=VALUE, not '{value}'";
    BadField: "--{flag} 的值不对", "the value of --{flag} does not fit";
    BadRecordJson:
        "{path} 不是一条记录：要一个 JSON 对象，键为字段名",
        "{path} is no record: a JSON object from field names to values is wanted";
    BadLogFilter: "日志过滤条件 '{value}' 无法解析", "the log filter '{value}' cannot be parsed";
    StdinTwice: "标准输入只能读一次：只给一个 -", "stdin can be read once: give one -";
    InputBroken: "读取输入时出错，上传中断", "the input could not be read to its end";
    InputLarge: "{path} 太大，最多 {max}", "{path} is too large, at most {max}";
    TokenEmpty: "令牌应是一个不含空格的词", "a token is one word without spaces";
    HintInvite:
        "在管理节点上用 fenbu invite --unit 单位代码 取得令牌",
        "get one at the admin node: fenbu invite --unit CODE";
    UsageValue: "{arg} 不接受 '{value}'", "{arg} does not take '{value}'";
    UsageNoValue: "{arg} 缺少值", "{arg} lacks its value";
    UsageChoice:
        "{arg} 不接受 '{value}'，可用：{valid}",
        "{arg} does not take '{value}'; it takes: {valid}";
    UsageUnknown: "没有 {arg} 这个选项或参数", "there is no flag or argument {arg}";
    UsageCommand: "没有 '{name}' 这个命令", "there is no command '{name}'";
    UsageNoCommand: "缺少子命令", "a command is missing";
    UsageMissing: "缺少 {arg}", "missing: {arg}";
    UsageConflict: "{arg} 不能与 {prior} 同用", "{arg} cannot be used with {prior}";
    UsageCount: "{arg} 的值的个数不对", "{arg} has the wrong number of values";

    // What verbs say.
    InitNext:
        "联邦已创建。启动节点：fenbu node run --dir {dir}；然后邀请其他单位：fenbu invite --unit 代码 --name 名称",
        "The federation is founded. Start the node: fenbu node run --dir {dir}; then invite the others: fenbu invite --unit CODE --name NAME";
    JoinNext:
        "已加入联邦。启动节点：fenbu node run --dir {dir}",
        "Joined. Start the node: fenbu node run --dir {dir}";
    JoinRequested:
        "请求已写出。把 {file} 带到管理节点：fenbu admit 文件 --unit 代码 --answer 应答文件；两边核对节点标识，再把应答文件带回：fenbu join --answer 文件 --dir {dir}",
        "The request is written. Bring {file} to the admin node: fenbu admit FILE --unit CODE --answer FILE; compare the node ids there and here, and bring the answer back: fenbu join --answer FILE --dir {dir}";
    JoinCompare:
        "核对联邦标识与管理节点上显示的是否相同",
        "Make sure that the federation's id is the one the admin node shows";
    Admitted:
        "已接纳。核对节点标识与那台机器上显示的是否相同，不同就撤销它；把 {file} 带过去：fenbu join --answer 文件 --dir 目录",
        "Let in. Make sure that the node id is the one that machine printed, else revoke it; bring {file} there: fenbu join --answer FILE --dir DIR";
    FileExists: "{path} 已经存在：请换个名字", "{path} exists already: choose another name";
    Revoked:
        "{name} 已在目录第 {epoch} 版撤销；它的 {logs} 份日志到目前收到的位置为止有效。以后收到的内容见 fenbu quarantine",
        "{name} is revoked at epoch {epoch}; {logs} of its logs count up to what is here now. What turns up later is in fenbu quarantine";
    DirectoryDone: "已完成：目录第 {epoch} 版", "Done, at epoch {epoch} of the directory";
    DirectoryPreview: "只是预览，什么也没有做", "This is a preview, nothing was done";
    NotConfirmed: "这会收回已有的权限，尚未确认", "this takes away what somebody has, and was not confirmed";
    HintConfirm: "看清上面的内容；确实要做就加 --yes", "look at what stands above; add --yes if it is meant";
    NothingToChange: "没有给出要修改的内容", "nothing to change was given";
    RootExported:
        "副本已写出并读回核对。像保管印章一样保管它；拔下再插上介质，用 fenbu root verify {file} 检查，然后 fenbu root remove --copy {file}",
        "The copy is written and reads back. Keep it like a seal. Unplug the stick, plug it in again, check it with fenbu root verify {file}, then fenbu root remove --copy {file}";
    RootVerified: "这是本联邦的根密钥", "This is the federation's root key";
    RootRemoved:
        "根密钥已不在本机。以前的备份里仍有它：一并移走或销毁",
        "The root key is no longer on this machine. Earlier backups still hold it: move them away too, or destroy them";
    RootOther: "{path} 里是另一个联邦（{found}）的根密钥", "{path} holds the root key of another federation, {found}";
    QuarantineEmpty: "没有待查看的内容", "Nothing is in quarantine";
    Reviewed: "已标为审阅过：{entries} 条", "Marked as reviewed: {entries} entries";
    InviteNext:
        "令牌只能用一次，供单位 {unit} 使用，有效至 {until}。在新节点上执行：fenbu join 令牌 --dir 目录",
        "The token works once, for unit {unit}, until {until}. On the new node run: fenbu join TOKEN --dir DIR";
    ImportDry: "只做了检查，没有写入", "Checked only, nothing was written";
    ImportNothing:
        "有坏行，什么也没有导入；加 --partial 可导入好的行",
        "Because of the bad lines nothing was imported; --partial imports the good ones";
    SheetKind: "表格本身不说明是哪种记录：加 --kind，如 --kind member", "a sheet does not say what its rows are: add --kind, such as --kind member";
    PicturesLeft: "文档里有 {count} 张图片未导入", "{count} pictures of the document are not in it";
    NotASheet: "{path} 应以 .xlsx 或 .csv 结尾", "{path} should end in .xlsx or .csv";
    Marked: "已在 {spaces} 个数据范围声明数据截至此刻", "marked in {spaces} spaces: all there was to say up to now has been said";
    ArchiveNoted: "已登记：本单位存有 {code} 的归档", "noted: this unit holds the archive of {code}";
    ExtractNoted: "已登记：{unit} 已有 {code} 的摘录", "noted: {unit} has its extract of {code}";
    Written: "已写入 {path}", "Written to {path}";
    PreviewNew: "第 {line} 行：新增 {title}", "row {line}: new {title}";
    PreviewChanged: "第 {line} 行：{title} 的{label}由 {before} 改为 {after}", "row {line}: {title}, {label}: {before} -> {after}";
    Warning: "注意：{text}", "Note: {text}";
    RecordAdded: "已新增", "Added";
    RecordEdited: "已修改", "Edited";
    NothingToEdit: "没有要修改的字段", "no field to edit was given";
    ListEmpty: "没有符合条件的记录", "No records match";
    ListMore: "还有更多：加 --after {next}，或用 --all", "There is more: add --after {next}, or use --all";
    ConflictHint:
        "有冲突待裁定：fenbu {kind} edit {id} --字段 值",
        "A conflict waits to be settled: fenbu {kind} edit {id} --FIELD VALUE";
    NoPeers:
        "目录里还没有其他节点；用 fenbu invite 邀请",
        "There are no other nodes in the directory yet; fenbu invite brings them";
    DoctorWell: "一切正常", "All is well";
    DoctorProblems: "发现 {count} 个问题", "{count} problem(s) found";
    RepairSame: "没有出入：与日志完全一致", "Nothing differed: all is as the logs say";
    RepairChanged:
        "有 {changed} 处出入（其中 {damaged} 处已损坏），都已改正；常见原因是磁盘故障：检查磁盘",
        "{changed} differed, {damaged} of them damaged; all are put right. A failing disk is the usual cause: look at it";
    RepairViews: "（列表）", "(lists)";
    BackupKey:
        "备份已写出并检查过。其中有本节点的私钥：像保管钥匙一样保管它",
        "The backup is written and checked. It holds this node's private key: keep it like one";
    BackupRootKey:
        "备份已写出并检查过。其中有本节点的私钥和联邦的根密钥：像保管钥匙一样保管它",
        "The backup is written and checked. It holds this node's private key and the federation's root key: keep it like them";
    RestoreNext:
        "已恢复。确保原来那份不再运行，然后启动节点：fenbu node run --dir {dir}；可以立即录入，备份之后写的内容会从其他节点取回",
        "Restored. Make sure that the old copy never runs again, then start the node: fenbu node run --dir {dir}; it can be written to at once, and what it wrote after the backup comes back from its peers";
    ConfigOffline:
        "节点没有应答，以下是配置文件和本环境中的设置，不含默认值",
        "The node does not answer; these are the settings of the files and this environment, without defaults";
    WaitTimedOut: "等了 {span} 仍未达到", "not there after {span}";
    LackPeers: "没有连上任何其他节点", "no other node is connected";
    LackEntries: "本节点还缺 {entries} 条", "{entries} entries are missing here";
    LackBehind: "有 {peers} 个节点落后", "{peers} node(s) trail";
    LackViews: "收到的记录还在整理", "received records are still being worked in";

    // Checks without a daemon.
    CheckDir: "目录 {dir} 存在", "the folder {dir} is there";
    CheckNode: "{dir} 里有节点", "{dir} holds a node";
    CheckMode: "目录 {dir} 仅本用户可访问（{mode}）", "the folder {dir} is private ({mode})";
    CheckModeOpen:
        "目录 {dir} 里有节点私钥，其他用户却能访问（{mode}）",
        "the folder {dir} holds the node's key and others may enter it ({mode})";
    HintMode: "chmod 700 {dir}", "chmod 700 {dir}";
    CheckConfig: "配置 {path} 可以解析", "the settings in {path} parse";
    CheckConfigBad: "配置 {path} 无法解析：{why}", "the settings in {path} do not parse: {why}";
    HintConfig: "改正文件，或移走它以使用默认值", "mend the file, or move it away to use the defaults";
    CheckLocked:
        "有进程占用 {dir}，却不应答",
        "a process holds {dir} and does not answer";
    HintLocked:
        "它可能正在启动：稍后再试；否则查看日志：journalctl -u fenbu",
        "it may be starting: try again shortly; else read its log: journalctl -u fenbu";

    // Labels.
    LabelNode: "节点", "Node";
    LabelName: "名称", "Name";
    LabelUnit: "单位", "Unit";
    LabelUnits: "单位数", "Units";
    LabelFederation: "联邦", "Federation";
    LabelDir: "目录", "Folder";
    LabelFile: "文件", "File";
    LabelEntries: "日志条目", "Entries";
    LabelDocuments: "文档", "Documents";
    LabelVersion: "版本", "Version";
    LabelEpoch: "目录版次", "Epoch";
    LabelHeard: "目录来自", "Heard from";
    LabelHead: "目录头", "Head";
    LabelAdmin: "管理节点", "Admin node";
    LabelSpace: "数据范围", "Space";
    LabelTemplate: "模板", "Template";
    LabelReaders: "可读", "Readers";
    LabelWriters: "可写", "Writers";
    LabelCarriers: "承载", "Carriers";
    LabelKeyHolders: "密钥持有者", "Key holders";
    LabelLimitEntries: "每作者条目上限", "Entries each";
    LabelLimitBytes: "每作者大小上限", "Bytes each";
    LabelLimitDocuments: "每作者记录上限", "Records each";
    LabelOver: "已超出", "Over already";
    LabelTakesReading: "收回可读", "Reads no more";
    LabelTakesWriting: "收回可写", "Writes no more";
    LabelTakesCarrying: "收回承载", "Carries no more";
    LabelLogsCut: "截止的日志", "Logs cut";
    LabelNewKey: "更换密钥", "New key";
    LabelReplaces: "接替", "Replaces";
    LabelUnread: "不能读的数据范围", "Cannot read";
    LabelStands: "有效至版次", "Stands up to";
    LabelVoided: "作废语句数", "Statements void";
    LabelStrangers: "须重新加入的节点", "Must join again";
    LabelUptime: "已运行", "Up for";
    LabelRecords: "记录", "Records";
    LabelPeers: "其他节点", "Peers";
    LabelBehind: "落后", "Behind";
    LabelMaterialising: "整理中", "Working in";
    LabelMoved: "流量", "Traffic";
    LabelImported: "已导入", "Imported";
    LabelNew: "新增", "New";
    LabelChanged: "改动", "Changed";
    LabelUnchanged: "未变", "Unchanged";
    LabelRefused: "被拒", "Refused";
    LabelId: "标识", "Id";
    LabelToken: "令牌", "Token";
    LabelLogin: "登录名", "Login";
    LabelRoles: "角色", "Roles";
    LabelActive: "启用", "Active";
    PasswordUnread: "读不了口令文件 {file}", "the password file {file} cannot be read";
    LabelCreated: "创建", "Created";
    LabelUpdated: "更新", "Updated";
    LabelSafe: "已安全存于", "Safe on";
    LabelConflict: "冲突：{field}", "Conflict: {field}";
    BehindValue: "{entries} 条，{bytes}", "{entries} entries, {bytes}";
    PeersValue:
        "连上 {connected} / {known}，其中 {behind} 个落后",
        "{connected} of {known} connected, {behind} behind";
    MovedValue: "发出 {sent}，收到 {received}", "{sent} sent, {received} received";
    ConflictValue: "{value}（{unit} {node}，{time}）", "{value} ({unit} {node}, {time})";
    SafeOn: "{n} 个节点中的 {k} 个", "{k} of {n}";
    SyncChange:
        "{time} {link} {name} {space} 本节点缺 {here} 对方缺 {there}",
        "{time} {link} {name} {space} missing here {here}, there {there}";
    Yes: "是", "yes";
    No: "否", "no";
    Never: "从未", "never";
    Everyone: "全部", "all";
    Nobody: "无", "none";
    HeardOwn: "此刻：本节点就是管理节点", "now: this is the admin node";
    HeardNow: "此刻：已连上管理节点", "now: the admin node is connected";
    HeardEarlier: "管理节点 {admin}，任何节点 {anyone}", "the admin node {admin}, any node {anyone}";
    Ago: "{span}前", "{span} ago";
    SpanDays: "{days} 天 {hours} 小时", "{days}d {hours}h";
    SpanHours: "{hours} 小时 {minutes} 分", "{hours}h {minutes}m";
    SpanMinutes: "{minutes} 分 {seconds} 秒", "{minutes}m {seconds}s";
    SpanSeconds: "{seconds} 秒", "{seconds}s";

    // Heads of columns.
    ColumnName: "名称", "NAME";
    ColumnUnit: "单位", "UNIT";
    ColumnNode: "节点", "NODE";
    ColumnRole: "类型", "ROLE";
    ColumnConnected: "连接", "LINK";
    ColumnRebuilt: "重建", "REBUILT";
    ColumnChanged: "有出入", "DIFFERED";
    ColumnDamaged: "已损坏", "DAMAGED";
    ColumnBefore: "重建前摘要", "BEFORE";
    ColumnAfter: "重建后摘要", "AFTER";
    ColumnBehind: "对方落后", "BEHIND";
    ColumnMissing: "本节点缺", "MISSING";
    ColumnRtt: "往返", "RTT";
    ColumnContact: "最近联系", "LAST CONTACT";
    ColumnAddress: "地址", "ADDRESS";
    ColumnSent: "发出", "SENT";
    ColumnReceived: "收到", "RECEIVED";
    ColumnWhy: "原因", "WHY";
    ColumnSpace: "数据范围", "SPACE";
    ColumnReadable: "可读", "READABLE";
    ColumnEntries: "条目", "ENTRIES";
    ColumnLogDigest: "日志摘要", "LOG DIGEST";
    ColumnStateDigest: "状态摘要", "STATE DIGEST";
    ColumnHave: "已有", "HAVE";
    ColumnMissingHere: "本节点缺", "MISSING HERE";
    ColumnMissingThere: "对方缺", "MISSING THERE";
    ColumnToGo: "待传", "TO GO";
    ColumnNewest: "最新", "NEWEST";
    ColumnSafe: "已安全存于", "SAFE ON";
    ColumnAdmitted: "加入版次", "ADMITTED";
    ColumnCounts: "计入", "COUNTS";
    ColumnReviewed: "已审阅", "REVIEWED";
    ColumnRevoked: "已撤销", "REVOKED";
    ColumnTemplate: "模板", "TEMPLATE";
    ColumnLogs: "日志", "LOGS";
    ColumnSize: "大小", "SIZE";
    ColumnReaders: "可读者", "READERS";
    ColumnWriters: "可写者", "WRITERS";
    ColumnCarriers: "承载者", "CARRIERS";
    ColumnSpaceKey: "密钥", "KEY";
    ColumnId: "标识", "ID";
    ColumnLogin: "登录名", "LOGIN";
    ColumnRoles: "角色", "ROLES";
    ColumnActive: "启用", "ACTIVE";
    ColumnKind: "类型", "KIND";
    ColumnTitle: "标题", "TITLE";
    ColumnFound: "内容", "FOUND IN";
    ColumnUpdated: "更新", "UPDATED";
    ColumnConflicts: "冲突", "CONFLICTS";
    ColumnTime: "时间", "TIME";
    ColumnAccount: "账号", "ACCOUNT";
    ColumnChanges: "改动", "CHANGES";
    ColumnHash: "哈希", "HASH";
    ColumnKey: "设置", "KEY";
    ColumnValue: "值", "VALUE";
    ColumnOrigin: "来源", "ORIGIN";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    #[test]
    fn both_languages_are_there_and_agree() {
        for (index, (key, zh, en)) in TABLE.iter().enumerate() {
            assert_eq!(*key as usize, index, "{key:?} is out of place");
            assert!(!zh.is_empty() && !en.is_empty(), "{key:?}");
            assert_eq!(placeholders(zh), placeholders(en), "{key:?}");
            assert!(en.is_ascii() || en.contains('…'), "{key:?}: '{en}' is not English");
        }
    }

    #[test]
    fn values_are_not_read_as_placeholders() {
        let text = Key::FileUnusable.with([("path", "{path}{x}".to_owned())]);
        assert_eq!(text.render(Lang::En), "cannot use {path}{x}");
    }

    #[test]
    fn the_flag_stands_above_the_environment() {
        let choose = |args: &[&str], environment| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            Lang::choose(&args, &environment)
        };
        let zh = || Environment::from([("LANG", "zh_CN.UTF-8")]);
        assert_eq!(choose(&["fenbu"], zh()), Lang::Zh);
        assert_eq!(choose(&["fenbu", "--lang", "en"], zh()), Lang::En);
        assert_eq!(choose(&["fenbu", "--lang=en"], zh()), Lang::En);
        assert_eq!(choose(&["fenbu", "--", "--lang=en"], zh()), Lang::Zh);
        assert_eq!(choose(&["fenbu"], Environment::default()), Lang::En);
        let over = Environment::from([("LANG", "zh_CN"), ("LC_ALL", "C")]);
        assert_eq!(choose(&["fenbu"], over), Lang::En, "LC_ALL overrides LANG");
        let own = Environment::from([("FENBU_LANG", "zh-CN"), ("LC_ALL", "en_US")]);
        assert_eq!(choose(&["fenbu"], own), Lang::Zh);
    }
}
