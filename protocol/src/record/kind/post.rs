//! A post (稿件): a text for one of the columns. It lies in its unit's space; what everybody reads of it is
//! its publication, see [`crate::record::Record::is_publication`].

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, HIDDEN, Hidden, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Part, Step, Workflow};

pub(super) const COLUMNS: &[Code] = &[
    code("style", "缉私风采", "Style"),
    code("pioneer", "国门先锋", "Pioneers"),
    code("news", "党建动态", "News"),
    code("culture", "警营文化", "Culture"),
];

const KINDS: &[Code] = &[
    code("case", "案件信息", "Case"),
    code("policy", "政策宣讲", "Policy"),
    code("deeds", "先进事迹", "Deeds"),
    code("clipping", "媒体摘编", "Clipping"),
    code("work", "作品", "Work"),
];

const STATUSES: &[Code] = &[
    code("draft", "草稿", "Draft"),
    code("submitted", "已提交", "Submitted"),
    code("returned", "退回修改", "Returned"),
    code("approved", "已审核", "Approved"),
    code("published", "已发布", "Published"),
    code(HIDDEN, "已隐藏", "Hidden"),
    code("withdrawn", "已撤稿", "Withdrawn"),
    code("archived", "已归档", "Archived"),
];

/// Withdrawing may be taken before publishing as well, so that whichever comes first, a post that is
/// published and withdrawn at once is withdrawn; and returning after approval, so that the stricter of
/// two reviewers holds.
static STATUS: Workflow = Workflow {
    initial: "draft",
    states: STATUSES,
    steps: &[
        Step::new(
            "submit",
            "提交",
            "Submit",
            &["draft", "returned", "withdrawn"],
            "submitted",
            By::Owner,
        )
        .of_version()
        .part(Part::Submits),
        Step::new("recall", "撤回提交", "Recall", &["submitted"], "draft", By::Owner),
        Step::new(
            "return",
            "退回修改",
            "Return",
            &["submitted", "approved"],
            "returned",
            By::OwnerOrHeadOffice,
        )
        .noted()
        .not_by("submit"),
        Step::new(
            "pass",
            "通过本轮",
            "Pass the round",
            &["submitted"],
            "submitted",
            By::OwnerOrHeadOffice,
        )
        .staying()
        .not_by("submit")
        .of_version()
        .part(Part::Passes),
        Step::new(
            "approve",
            "审核通过",
            "Approve",
            &["submitted"],
            "approved",
            By::OwnerOrHeadOffice,
        )
        .not_by("submit")
        .of_version()
        .part(Part::Approves),
        Step::new(
            "review",
            "审定修订",
            "Review revision",
            &["approved", "published", "archived"],
            "approved",
            By::OwnerOrHeadOffice,
        )
        .staying()
        .not_by("submit")
        .of_version()
        .part(Part::Revises),
        Step::new("publish", "发布", "Publish", &["approved"], "published", By::OwnerOrHeadOffice)
            .part(Part::Publishes),
        Step::new(
            "withdraw",
            "撤稿",
            "Withdraw",
            &["approved", "published", "archived"],
            "withdrawn",
            By::OwnerOrHeadOffice,
        )
        .noted(),
        Step::new("archive", "归档", "Archive", &["published"], "archived", By::OwnerOrHeadOffice),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

const SECRECIES: &[Code] = &[
    code("unreviewed", "未审", "Not reviewed"),
    code("public", "可公开", "Public"),
    code("not_public", "不宜公开", "Not public"),
    code("escalate", "提级审核", "Escalated"),
];

/// The stricter of two reviews taken at once holds: each step may follow the more lenient ones.
static SECRECY: Workflow = Workflow {
    initial: "unreviewed",
    states: SECRECIES,
    steps: &[
        Step::new(
            "clear",
            "定为可公开",
            "Clear",
            &["unreviewed", "escalate"],
            "public",
            By::OwnerOrHeadOffice,
        )
        .of_version(),
        Step::new(
            "escalate",
            "提级审核",
            "Escalate",
            &["unreviewed", "public"],
            "escalate",
            By::OwnerOrHeadOffice,
        ),
        Step::new("withhold", "定为不宜公开", "Withhold", &[], "not_public", By::OwnerOrHeadOffice)
            .noted(),
        Step::new("reopen", "重新审查", "Reopen", &["not_public"], "escalate", By::HeadOffice)
            .noted(),
    ],
    correctable: false,
    settled_by: By::HeadOffice,
};

/// A published post stays out of sight unless nobody objects.
const HIDES: Hidden =
    Hidden { by: "secrecy", when: &["not_public", "escalate"], among: &["published", "archived"] };

const CREDIT: &[Field] = &[
    Field::new("name", Merge::Register, ValueType::Text, "姓名", "Name").required(),
    Field::new("role", Merge::Register, ValueType::Text, "分工", "Role"),
];

const FIGURE: &[Field] = &[
    Field::new("what", Merge::Register, ValueType::Text, "指标", "What").required(),
    Field::new("value", Merge::Register, ValueType::Int, "数值", "Value").required(),
    Field::new("source", Merge::Register, ValueType::Text, "来源", "Source"),
    Field::new("date", Merge::Register, ValueType::Date, "日期", "Date"),
];

const COMMENT: &[Field] = &[
    Field::new("text", Merge::Register, ValueType::Text, "意见", "Comment").required(),
    Field::new("by", Merge::Register, ValueType::Text, "署名", "By"),
];

const FIELDS: &[Field] = &[
    Field::new("title", Merge::Contested, ValueType::Text, "标题", "Title").required(),
    Field::new("body", Merge::Text, ValueType::Text, "正文", "Body"),
    Field::new("column", Merge::Contested, ValueType::Code(COLUMNS), "栏目", "Column"),
    Field::new("kind", Merge::Register, ValueType::Code(KINDS), "类别", "Kind"),
    Field::state("status", &STATUS, "状态", "Status").hidden_by(HIDES),
    Field::state("secrecy", &SECRECY, "保密审查", "Secrecy review"),
    Field::new("bylines", Merge::List, ValueType::Text, "作者", "Bylines"),
    Field::new("tags", Merge::Set, ValueType::Text, "标签", "Tags").aside(),
    Field::new("source_url", Merge::Register, ValueType::Text, "来源网址", "Source URL"),
    Field::new("written", Merge::Register, ValueType::Date, "成稿日期", "Written"),
    Field::new("programme", Merge::Register, ValueType::Text, "专题", "Programme").aside(),
    Field::new("editors", Merge::List, ValueType::Text, "责任编辑", "Editors").aside(),
    Field::new("media", Merge::Set, ValueType::Text, "影像", "Media"),
    Field::new("credits", Merge::List, ValueType::Object(CREDIT), "主创", "Credits"),
    Field::new("figures", Merge::List, ValueType::Object(FIGURE), "站外数据", "Outside figures")
        .aside(),
    Field::new("comments", Merge::Notes, ValueType::Object(COMMENT), "审稿意见", "Comments"),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(1),
    name: "post",
    plural: "posts",
    label_zh: "稿件",
    label_en: "Posts",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/post.1"),
    lane: Lane::POSTS,
    home: Home::Published,
    written_by: By::Anyone,
    hidden: &[("status", "withdrawn"), ("status", HIDDEN), ("secrecy", "not_public")],
    fields: FIELDS,
    columns: &[
        "title",
        "column",
        "kind",
        "status",
        "secrecy",
        "bylines",
        "tags",
        "written",
        "programme",
    ],
    filters: &["column", "status", "kind", "secrecy", "programme"],
    listed: &["column", "status", "title"],
    listed_wide: &["kind", "secrecy", "written", "bylines"],
};
