//! Every text of the console that is not a record's, in both languages. One list: neither can forget one.

use crate::words::Lang;

macro_rules! words {
    ($($name:ident: $zh:literal, $en:literal;)*) => {
        /// A text of the console.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Word { $($name),* }

        impl Word {
            pub(super) fn say(self, lang: Lang) -> &'static str {
                match (self, lang) {
                    $((Self::$name, Lang::Zh) => $zh, (Self::$name, Lang::En) => $en,)*
                }
            }
        }
    };
}

words! {
    Fenbu: "分布", "fenbu";
    Notice: "本系统不得存储、处理涉密信息。", "This system is not for classified material.";
    SkipToContent: "跳到正文", "Skip to content";
    Colon: "：", ": ";
    Comma: "、", ", ";
    Menu: "菜单", "Menu";
    OtherLanguage: "English", "中文";

    SignIn: "登录", "Sign in";
    SignOut: "退出", "Sign out";
    Login: "登录名", "Login";
    Password: "口令", "Password";
    NewPassword: "新口令", "New password";
    OldPassword: "当前口令", "Present password";
    ChangePassword: "修改口令", "Change password";
    PasswordChanged: "口令已修改，请重新登录。", "The password is changed; sign in again.";
    ForgotPassword: "忘记口令请找本单位管理员重设。", "Whoever forgot theirs asks the unit's administrator for a new one.";
    NoAccounts: "本节点还没有账号。请管理员在服务器上运行 fenbu account add 建立第一个账号。", "This node has no accounts yet. Its administrator makes the first one on the server: fenbu account add";

    MyDay: "我的待办", "My day";
    Posts: "稿件", "Posts";
    Review: "审稿", "Review";
    Site: "已发布", "Published";
    Meetings: "会议", "Meetings";
    RecordMeeting: "记录会议", "Record a meeting";
    Calendar: "日历", "Calendar";
    Members: "党员", "Members";
    TemporaryBranches: "临时党支部", "Temporary branches";
    Everything: "全部记录", "All records";
    Conflicts: "待裁定", "Conflicts";
    Search: "搜索", "Search";
    SearchHint: "搜索稿件、会议、党员…", "Search posts, meetings, members…";
    Figures: "统计", "Figures";
    Sync: "同步", "Sync";
    Accounts: "账号", "Accounts";
    Audit: "审计", "Audit";

    New: "新建", "New";
    Edit: "编辑", "Edit";
    Save: "保存", "Save";
    Cancel: "取消", "Cancel";
    Filter: "筛选", "Filter";
    All: "全部", "All";
    Unit: "单位", "Unit";
    NextPage: "下一页", "Next page";
    FirstPage: "第一页", "First page";
    NothingHere: "没有记录。", "Nothing here.";
    Saved: "已保存。", "Saved.";
    Unchanged: "没有改动。", "Nothing was changed.";
    CameIn: "保存时并入了别人刚做的改动：", "Merged with what others changed meanwhile: ";
    Overwrote: "这些内容别人刚改过，已用您的值，对方的值在历史里：", "Others had just changed these; yours stand, theirs are in the history: ";
    LastChange: "最近一次修改：", "Last changed by ";
    Merges: "。您保存时会与之合并。", ". What you save is merged with it.";
    PageChanged: "页面内容已更新", "The page has changed";
    History: "历史", "History";
    Steps: "流程", "Steps";
    State: "状态", "State";
    Reason: "理由或说明", "Reason or note";
    ByWhom: "经手", "By";
    When: "时间", "When";
    What: "内容", "What";
    SafeOn: "已保存于", "Safe on";
    Nodes: "个节点", "nodes";
    Created: "建立", "Created";
    Updated: "更新", "Updated";
    Reveal: "查阅", "Reveal";
    RevealReason: "查阅理由（会留下记录）", "Why (this is recorded)";
    Preview: "预览", "Preview";
    Revised: "审定之后又有修改，尚未审定。", "Changed since it was approved; the revision is not reviewed.";
    Ignored: "未生效", "Did not count";
    Remark: "添加", "Add";
    DocxFile: "Word 文档", "Word document";
    Print: "打印", "Print";
    Page: "网页", "Page";
    FormHint: "每行一项", "One a line";
    PartsHint: "每行一项，各部分用｜隔开：", "One a line, parts divided by |: ";
    MapHint: "每行一项：键：值", "One a line, KEY: VALUE";
    OpenConflict: "有待裁定的不同值", "Has values to be settled";
    NotFound: "没有这个页面", "There is no such page";
    AskAdministrator: "需要时请本单位管理员调整角色。", "If you need it, ask your unit's administrator for the role.";
    GoBack: "返回", "Go back";

    WaitsForYou: "等您处理", "Waiting for you";
    NothingWaits: "现在没有等您处理的事。", "Nothing waits for you now.";
    PostsToReview: "等待审核的稿件", "Posts to review";
    PostsReturned: "退回修改的稿件", "Posts returned to you";
    PostsApproved: "已审核、待发布的稿件", "Approved posts to publish";
    DraftsOfYours: "草稿", "Drafts";
    MeetingsPlanned: "计划中的会议", "Meetings planned";
    MeetingsToConfirm: "待确认的会议记录", "Minutes to confirm";
    Reminders: "催办", "Reminders";
    DirectivesToConvey: "待传达的事项", "Directives to convey";
    Transfers: "待接收的组织关系", "Transfers to receive";
    DueThisPeriod: "本月、本季应办", "Due this month and quarter";
    OverdueMatters: "逾期事项", "Overdue";
    InSync: "已同步", "In sync";
    Alone: "未连接其他节点；照常记录，连上后自动同步", "No other node is connected; go on recording, it syncs by itself later";
    CatchingUp: "正在同步", "Catching up";
    Trouble: "需要管理员处理", "Needs the administrator";
    ConnectedTo: "已连接", "Connected to";

    ChooseBranch: "哪个党组织？", "Which branch?";
    ChooseKind: "什么会议？", "What kind of meeting?";
    Attendance: "签到", "Attendance";
    Expected: "应到", "Expected";
    Observers: "列席人员", "Observers";
    ObserversHint: "每行一位", "One a line";
    MeetingTime: "开始时间", "Started";
    Minutes: "会议记录", "Minutes";
    RecordHeld: "保存会议", "Save the meeting";
    NoMembersHere: "这个党组织在本节点没有党员名册；可以先记录会议，以后再补签到。", "This node has no roster of this branch; record the meeting now and add attendance later.";
    NoBranches: "本单位还没有党组织，请先建立。", "This unit has no branches yet; make one first.";

    ReviewQueue: "审稿队列", "Review queue";
    SinceApproved: "与审定版本对照", "Compared with the approved version";
    Before: "原来", "Before";
    After: "现在", "Now";

    SettleFor: "裁定为", "Settle for";
    MoreSteps: "更多操作", "More";
    SettledBy: "裁定", "Settled by";
    Meanwhile: "裁定之前", "Until then";
    NoConflicts: "没有待裁定的事。", "Nothing is to be settled.";
    Anyone: "有写入权的单位", "whoever may write there";

    SearchNothing: "没有找到。", "Nothing was found.";

    InAndOut: "导入导出", "In and out";
    File: "文件", "File";
    FileHint: "Excel（.xlsx）、CSV（UTF-8 或 GBK）；稿件也可以是 Word 或 WPS 文档（.docx）", "Excel (.xlsx), CSV (UTF-8 or GBK); a post may also be a Word or WPS document (.docx)";
    TryImport: "先试一下，不写入", "Try it, write nothing";
    ImportAll: "导入，有错就都不导入", "Import all or nothing";
    ImportGood: "导入没有错的行", "Import the rows without mistakes";
    EmptySheets: "空白模板", "Empty sheets";
    OnlyTried: "试过了，没有写入。", "Tried; nothing was written.";
    NothingImported: "没有写入任何记录。", "Nothing was written.";
    Imported: "已导入。", "Imported.";
    PicturesLeftOut: "文档里的图片没有导入：", "Pictures in the document that were left out: ";
    Row: "行", "Row";
    Column: "列", "Column";
    Download: "下载", "Download";
    SealReport: "封存", "Seal";
    SealedReports: "封存报表", "Sealed reports";
    SealedAsOf: "封存于", "Sealed";
    Later: "封存之后补报的", "What arrived later";
    NothingLater: "封存之后没有变化。", "Nothing has changed since.";
    Remind: "催办", "Send a reminder";
    RemindWhat: "催办事项", "What is asked for";
    DueDate: "期限", "Due";

    Period: "时段", "Period";
    Show: "查看", "Show";
    Fresh: "数据截至", "Data as of";
    NotSynced: "未同步", "not synced";
    RecordsBehind: "数字背后的记录", "Records behind the figure";
    Total: "合计", "Total";
    TableOfIt: "数据表", "As a table";
    SmallCells: "少于 3 人的格子不显示。", "Cells of fewer than 3 people are not shown.";

    Node: "节点", "Node";
    ThisNode: "本节点", "this node";
    Connected: "已连接", "connected";
    NotConnected: "未连接", "not connected";
    LastContact: "最近联系", "Last contact";
    MissingHere: "本节点缺", "Missing here";
    MissingThere: "对方缺", "Missing there";
    Why: "原因", "Why";
    Space: "数据范围", "Space";
    Federation: "全局共享", "Whole federation";
    Entries: "条目", "Entries";
    NoAlarms: "没有告警。", "No alarms.";
    Never: "从未", "never";

    Name: "姓名", "Name";
    Roles: "角色", "Roles";
    RolesHint: "可选多个；只管一个党组织的写作 角色@党组织代码", "Several may be chosen; one branch only as ROLE@BRANCH";
    Scopes: "仅限某党组织的角色", "Roles in one branch";
    LinkedMember: "党员标识", "Member id";
    NewAccount: "新建账号", "New account";
    ResetPassword: "重设口令", "Set a new password";
    Sessions: "登录中", "Sessions";
    Tokens: "令牌", "Tokens";
    Disclosures: "个人信息查阅记录", "Who looked at personal data";
}
