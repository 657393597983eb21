//! A meeting (会议 / 组织生活): one gathering with its attendance and minutes.

use crate::log::{Kind, Lane};
use crate::record::schema::{Code, Field, Home, Merge, Schema, ValueType, code};
use crate::record::workflow::{By, Step, Workflow};

pub(super) const KINDS: &[Code] = &[
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

pub(super) const ATTENDANCE: &[Code] = &[
    code("present", "出席", "Present"),
    code("late", "迟到", "Late"),
    code("leave", "请假", "On leave"),
    code("absent", "缺席", "Absent"),
    code("excluded", "不计应到", "Excluded"),
    code("makeup", "补学", "Made up"),
    code("online", "线上", "Online"),
];

const STATUSES: &[Code] = &[
    code("planned", "计划", "Planned"),
    code("held", "已召开", "Held"),
    code("postponed", "已延期", "Postponed"),
    code("cancelled", "已取消", "Cancelled"),
    code("confirmed", "已确认", "Confirmed"),
    code("archived", "已归档", "Archived"),
];

/// Confirming again confirms what was amended since.
static STATUS: Workflow = Workflow {
    initial: "planned",
    states: STATUSES,
    steps: &[
        Step::new("hold", "召开", "Hold", &["planned", "postponed"], "held", By::Anyone),
        Step::new("postpone", "延期", "Postpone", &["planned"], "postponed", By::Anyone).noted(),
        Step::new("cancel", "取消", "Cancel", &["planned", "postponed"], "cancelled", By::Anyone)
            .noted(),
        Step::new(
            "replan",
            "重新计划",
            "Plan again",
            &["postponed", "cancelled"],
            "planned",
            By::Anyone,
        ),
        Step::new(
            "confirm",
            "确认记录",
            "Confirm",
            &["held", "confirmed", "archived"],
            "confirmed",
            By::Anyone,
        )
        .of_version(),
        Step::new("archive", "归档", "Archive", &["confirmed"], "archived", By::Anyone),
    ],
    correctable: true,
    settled_by: By::OwnerOrHeadOffice,
};

const ITEM: &[Field] = &[
    Field::new("text", Merge::Register, ValueType::Text, "议题", "Item").required(),
    Field::new("tags", Merge::Set, ValueType::Text, "标签", "Tags"),
];

const DECISION: &[Field] = &[
    Field::new("text", Merge::Register, ValueType::Text, "决议", "Decision").required(),
    Field::new("should_attend", Merge::Register, ValueType::Int, "应到", "Should attend"),
    Field::new("present", Merge::Register, ValueType::Int, "实到", "Present"),
    Field::new("for", Merge::Register, ValueType::Int, "赞成", "For"),
    Field::new("against", Merge::Register, ValueType::Int, "反对", "Against"),
    Field::new("abstain", Merge::Register, ValueType::Int, "弃权", "Abstain"),
];

const ACTION: &[Field] = &[
    Field::new("text", Merge::Register, ValueType::Text, "事项", "Action").required(),
    Field::new("owner", Merge::Register, ValueType::Text, "责任人", "Owner"),
    Field::new("due", Merge::Register, ValueType::Date, "期限", "Due"),
    Field::new("done", Merge::Register, ValueType::Date, "完成日期", "Done"),
    // Of a temporary branch that ends: the unit or branch that sees to it from then on.
    Field::new("handed", Merge::Register, ValueType::Text, "移交给", "Handed to"),
];

const FIELDS: &[Field] = &[
    Field::new("kind", Merge::Register, ValueType::Code(KINDS), "会议类型", "Kind").required(),
    Field::new("branch", Merge::Contested, ValueType::Text, "党组织", "Branch").required(),
    Field::new("title", Merge::Contested, ValueType::Text, "标题", "Title"),
    Field::new("topic", Merge::Register, ValueType::Text, "主题", "Topic"),
    Field::new("lecturer", Merge::Register, ValueType::Text, "主讲人", "Lecturer"),
    Field::new("place", Merge::Register, ValueType::Text, "地点", "Place"),
    Field::new("host", Merge::Register, ValueType::Text, "主持人", "Host"),
    Field::new("recorder", Merge::Register, ValueType::Text, "记录人", "Recorder"),
    Field::new("planned", Merge::Register, ValueType::Instant, "计划时间", "Planned"),
    Field::new("start", Merge::Register, ValueType::Instant, "开始时间", "Start"),
    Field::new("end", Merge::Register, ValueType::Instant, "结束时间", "End"),
    Field::new("number", Merge::Contested, ValueType::Text, "编号", "Number"),
    Field::new("agenda", Merge::List, ValueType::Object(ITEM), "议程", "Agenda"),
    Field::new("expected", Merge::Set, ValueType::Text, "应到人员", "Expected"),
    Field::new("observers", Merge::Set, ValueType::Text, "列席人员", "Observers"),
    Field::new("decisions", Merge::Map, ValueType::Object(DECISION), "决议", "Decisions"),
    Field::new("actions", Merge::Map, ValueType::Object(ACTION), "待办事项", "Actions").aside(),
    Field::new("attendance", Merge::Map, ValueType::Code(ATTENDANCE), "出席情况", "Attendance"),
    Field::new("minutes", Merge::Text, ValueType::Text, "会议记录", "Minutes"),
    Field::state("status", &STATUS, "状态", "Status"),
    Field::new("tags", Merge::Set, ValueType::Text, "标签", "Tags").aside(),
    Field::new("same_as", Merge::Contested, ValueType::Id("meeting"), "并入", "Same as")
        .aside()
        .written_by(By::SpaceOrHeadOffice),
];

pub(in crate::record) static SCHEMA: Schema = Schema {
    kind: Kind(3),
    name: "meeting",
    plural: "meetings",
    label_zh: "会议",
    label_en: "Meetings",
    genesis: 1,
    genesis_bytes: include_bytes!("../genesis/meeting.1"),
    lane: Lane::RECORDS,
    home: Home::Unit,
    written_by: By::Anyone,
    hidden: &[],
    fields: FIELDS,
    columns: &[
        "kind",
        "branch",
        "title",
        "topic",
        "lecturer",
        "place",
        "host",
        "recorder",
        "planned",
        "start",
        "end",
        "status",
        "number",
        "actions",
        "tags",
        "expected",
        "attendance",
        "same_as",
    ],
    filters: &["kind", "status", "branch", "same_as"],
    listed: &["start", "kind", "branch", "status", "title"],
    listed_wide: &["planned", "place", "host", "recorder"],
};

const ATTENDANCE_FIELDS: &[Field] = &[
    Field::new("meeting", Merge::Register, ValueType::Id("meeting"), "会议标识", "Meeting id"),
    Field::new("kind", Merge::Register, ValueType::Code(KINDS), "会议类型", "Kind"),
    Field::new("branch", Merge::Register, ValueType::Text, "党组织", "Branch"),
    Field::new("start", Merge::Register, ValueType::Instant, "开始时间", "Start"),
    Field::new("member", Merge::Register, ValueType::Text, "党员标识", "Member id"),
    Field::new("name", Merge::Register, ValueType::Text, "姓名", "Name"),
    Field::new(
        "attendance",
        Merge::Register,
        ValueType::Code(ATTENDANCE),
        "出席情况",
        "Attendance",
    ),
];

/// The attendance of meetings, a row for each meeting and member: a form for sheets, not a kind of
/// record, and so none of [`crate::record::ALL`].
pub(in crate::record) static ATTENDANCE_ROWS: Schema = Schema {
    name: "attendance",
    plural: "attendance",
    label_zh: "出席情况",
    label_en: "Attendance",
    genesis: 0,
    genesis_bytes: &[],
    home: Home::Federation,
    hidden: &[],
    fields: ATTENDANCE_FIELDS,
    columns: &[],
    filters: &[],
    listed: &[],
    listed_wide: &[],
    ..SCHEMA
};
