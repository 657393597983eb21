//! What each record noun carries, so that help and flags work without a daemon.
//!
//! One table per kind; the verbs are built from it, so the next kind is the next table.

/// How concurrent values meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    /// Last writer wins, losers stay readable.
    Register,
    /// Concurrent values are kept and a person settles them.
    Contested,
    /// Character-wise.
    Text,
    /// Add wins.
    Set,
    /// Ordered.
    List,
    /// Key by key.
    Map,
}

/// What one value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ValueType {
    Text,
    /// One of these, or one that a newer node knows.
    Code(&'static [Code]),
    Date,
    Instant,
    #[expect(dead_code, reason = "no kind of this version counts anything")]
    Int,
    #[expect(dead_code, reason = "no kind of this version has a flag")]
    Bool,
}

/// A language-neutral code and its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) code: &'static str,
    pub(crate) zh: &'static str,
    pub(crate) en: &'static str,
}

/// One field of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) merge: Merge,
    pub(crate) value: ValueType,
    /// A record cannot be added without it.
    pub(crate) required: bool,
    pub(crate) label_zh: &'static str,
    pub(crate) label_en: &'static str,
}

impl Field {
    /// The codes a value may be, when it is a code.
    pub(crate) fn codes(&self) -> &'static [Code] {
        match self.value {
            ValueType::Code(codes) => codes,
            _ => &[],
        }
    }

    /// The flag's name, without dashes.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The code's label in the language; an unknown code as it is.
    pub(crate) fn label_of<'a>(&self, code: &'a str, lang: crate::lang::Lang) -> &'a str
    where
        Self: 'a,
    {
        let known = self.codes().iter().find(|known| known.code == code);
        known.map_or(code, |known| lang.pick(known.zh, known.en))
    }
}

/// A record noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) zh: &'static str,
    pub(crate) fields: &'static [Field],
    /// Fields that `list` filters by.
    pub(crate) filters: &'static [&'static str],
    /// Fields that `list` shows, the longest text last.
    pub(crate) columns: &'static [&'static str],
    /// Fields that only `list -o wide` shows.
    pub(crate) columns_wide: &'static [&'static str],
}

impl Kind {
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// Every kind this version has verbs for.
pub(crate) fn kinds() -> &'static [Kind] {
    &[POST, MEMBER, MEETING]
}

const fn code(code: &'static str, zh: &'static str, en: &'static str) -> Code {
    Code { code, zh, en }
}

const fn field(
    name: &'static str,
    merge: Merge,
    value: ValueType,
    label_zh: &'static str,
    label_en: &'static str,
) -> Field {
    Field { name, merge, value, required: false, label_zh, label_en }
}

const fn coded(
    name: &'static str,
    merge: Merge,
    codes: &'static [Code],
    label_zh: &'static str,
    label_en: &'static str,
) -> Field {
    field(name, merge, ValueType::Code(codes), label_zh, label_en)
}

const fn required(mut field: Field) -> Field {
    field.required = true;
    field
}

const POST: Kind = Kind {
    name: "post",
    plural: "posts",
    zh: "稿件",
    fields: &[
        required(field("title", Merge::Contested, ValueType::Text, "标题", "Title")),
        field("body", Merge::Text, ValueType::Text, "正文", "Body"),
        coded("column", Merge::Contested, COLUMNS, "栏目", "Column"),
        coded("kind", Merge::Register, POST_KINDS, "类别", "Kind"),
        coded("status", Merge::Contested, POST_STATUS, "状态", "Status"),
        field("bylines", Merge::List, ValueType::Text, "作者", "Bylines"),
        field("tags", Merge::Set, ValueType::Text, "标签", "Tags"),
        field("source_url", Merge::Register, ValueType::Text, "来源网址", "Source URL"),
        field("written", Merge::Register, ValueType::Date, "成稿日期", "Written"),
        field("programme", Merge::Register, ValueType::Text, "专题", "Programme"),
    ],
    filters: &["column", "status"],
    columns: &["column", "status", "title"],
    columns_wide: &["kind", "written", "bylines"],
};

const COLUMNS: &[Code] = &[
    code("style", "缉私风采", "Style"),
    code("pioneer", "国门先锋", "Pioneers"),
    code("news", "党建动态", "News"),
    code("culture", "警营文化", "Culture"),
];

const POST_KINDS: &[Code] = &[
    code("case", "案件信息", "Case"),
    code("policy", "政策宣讲", "Policy"),
    code("deeds", "先进事迹", "Deeds"),
    code("clipping", "媒体摘编", "Clipping"),
    code("work", "作品", "Work"),
];

const POST_STATUS: &[Code] = &[
    code("draft", "草稿", "Draft"),
    code("submitted", "已提交", "Submitted"),
    code("returned", "退回修改", "Returned"),
    code("approved", "已审核", "Approved"),
    code("published", "已发布", "Published"),
    code("withdrawn", "已撤稿", "Withdrawn"),
    code("archived", "已归档", "Archived"),
];

const MEMBER: Kind = Kind {
    name: "member",
    plural: "members",
    zh: "党员",
    fields: &[
        required(field("name", Merge::Contested, ValueType::Text, "姓名", "Name")),
        field("branch", Merge::Contested, ValueType::Text, "所在党组织", "Home branch"),
        coded("stage", Merge::Contested, STAGES, "发展阶段", "Stage"),
        coded("standing", Merge::Contested, STANDINGS, "党籍状态", "Standing"),
        field("joined", Merge::Contested, ValueType::Date, "入党日期", "Joined"),
        field("converted", Merge::Contested, ValueType::Date, "转正日期", "Converted"),
        coded("gender", Merge::Register, GENDERS, "性别", "Gender"),
        field("education", Merge::Register, ValueType::Text, "学历", "Education"),
        field("job", Merge::Register, ValueType::Text, "职务", "Job"),
        field("groups", Merge::Set, ValueType::Text, "分组", "Groups"),
    ],
    filters: &["branch", "stage", "standing"],
    columns: &["name", "branch", "stage", "standing"],
    columns_wide: &["joined", "converted", "job"],
};

const STAGES: &[Code] = &[
    code("applicant", "入党申请人", "Applicant"),
    code("activist", "入党积极分子", "Activist"),
    code("candidate", "发展对象", "Candidate"),
    code("probationary", "预备党员", "Probationary member"),
    code("full", "正式党员", "Full member"),
];

const STANDINGS: &[Code] = &[
    code("normal", "正常", "Normal"),
    code("on_probation_discipline", "留党察看", "On disciplinary probation"),
    code("suspended", "中止党籍", "Suspended"),
    code("expelled", "开除党籍", "Expelled"),
    code("removed", "党内除名", "Removed"),
    code("quit", "退党", "Quit"),
    code("deceased", "去世", "Deceased"),
];

const GENDERS: &[Code] = &[code("male", "男", "Male"), code("female", "女", "Female")];

const MEETING: Kind = Kind {
    name: "meeting",
    plural: "meetings",
    zh: "会议",
    fields: &[
        required(coded("kind", Merge::Register, MEETING_KINDS, "会议类型", "Kind")),
        required(field("branch", Merge::Contested, ValueType::Text, "党组织", "Branch")),
        field("title", Merge::Contested, ValueType::Text, "标题", "Title"),
        field("topic", Merge::Register, ValueType::Text, "主题", "Topic"),
        field("lecturer", Merge::Register, ValueType::Text, "主讲人", "Lecturer"),
        field("place", Merge::Register, ValueType::Text, "地点", "Place"),
        field("host", Merge::Register, ValueType::Text, "主持人", "Host"),
        field("recorder", Merge::Register, ValueType::Text, "记录人", "Recorder"),
        field("planned", Merge::Register, ValueType::Instant, "计划时间", "Planned"),
        field("start", Merge::Register, ValueType::Instant, "开始时间", "Start"),
        field("end", Merge::Register, ValueType::Instant, "结束时间", "End"),
        field("agenda", Merge::List, ValueType::Text, "议程", "Agenda"),
        coded("attendance", Merge::Map, ATTENDANCE, "出席情况", "Attendance"),
        field("minutes", Merge::Text, ValueType::Text, "会议记录", "Minutes"),
        coded("status", Merge::Contested, MEETING_STATUS, "状态", "Status"),
        field("tags", Merge::Set, ValueType::Text, "标签", "Tags"),
    ],
    filters: &["kind", "status", "branch"],
    columns: &["start", "kind", "branch", "status", "title"],
    columns_wide: &["planned", "place", "host", "recorder"],
};

const MEETING_KINDS: &[Code] = &[
    code("general", "党员大会", "General meeting"),
    code("committee", "支委会", "Committee meeting"),
    code("group", "党小组会", "Group meeting"),
    code("lecture", "党课", "Lecture"),
    code("talk", "谈心谈话", "Talk"),
    code("theme_day", "主题党日", "Theme day"),
    code("org_life", "组织生活会", "Organisational-life meeting"),
    code("appraisal", "民主评议党员", "Appraisal"),
    code("rally", "誓师动员大会", "Rally"),
    code("study", "集体自学/座谈讨论", "Study"),
    code("seminar", "研讨会", "Seminar"),
    code("election", "换届选举", "Election"),
];

const ATTENDANCE: &[Code] = &[
    code("present", "出席", "Present"),
    code("late", "迟到", "Late"),
    code("leave", "请假", "On leave"),
    code("absent", "缺席", "Absent"),
    code("excluded", "不计应到", "Excluded"),
    code("makeup", "补学", "Made up"),
    code("online", "线上", "Online"),
];

const MEETING_STATUS: &[Code] = &[
    code("planned", "计划", "Planned"),
    code("held", "已召开", "Held"),
    code("postponed", "已延期", "Postponed"),
    code("cancelled", "已取消", "Cancelled"),
    code("confirmed", "已确认", "Confirmed"),
    code("archived", "已归档", "Archived"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        for kind in kinds() {
            let mut names: Vec<_> = kind.fields.iter().map(|f| f.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), kind.fields.len(), "{}: a field twice", kind.name);
            for name in kind.filters.iter().chain(kind.columns).chain(kind.columns_wide) {
                assert!(kind.field(name).is_some(), "{}: no field '{name}'", kind.name);
            }
            for field in kind.fields {
                let coded = matches!(field.value, ValueType::Code(_));
                assert_eq!(coded, !field.codes().is_empty(), "{}.{}", kind.name, field.name);
                assert!(!field.label_zh.is_empty() && !field.label_en.is_empty());
            }
            assert!(kind.fields.iter().any(|f| f.required), "{}", kind.name);
        }
    }
}
