//! Units, their branches, and the people in them. Names are surnames and given names put together
//! by chance: nobody in particular.

use std::collections::BTreeSet;

use fenbu_protocol::id::DocId;
use jiff::ToSpan;
use jiff::civil::{Date, date};
use serde_json::{Map, Value, json};

use super::calendar::iso;
use super::rng::Rng;

/// One office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleUnit {
    /// Language-neutral; `head`, or the port's pinyin.
    pub code: String,
    pub name_zh: String,
    pub name_en: String,
}

/// One Party branch of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleBranch {
    /// The unit's code and a number from 1: `lianyungang-1`.
    pub code: String,
    pub name_zh: String,
    /// Index into the sample's units.
    pub unit: usize,
    /// Members of every stage and standing.
    pub members: usize,
    /// Party groups. 0 in a branch of fewer than seven full members, which has no committee
    /// either, so that neither's meetings are due there.
    pub groups: usize,
}

impl SampleBranch {
    pub fn has_committee(&self) -> bool {
        self.groups > 0
    }
}

const PORTS: [(&str, &str, &str); 23] = [
    ("lianyungang", "连云港", "Lianyungang"),
    ("nantong", "南通", "Nantong"),
    ("suzhou", "苏州", "Suzhou"),
    ("zhangjiagang", "张家港", "Zhangjiagang"),
    ("jiangyin", "江阴", "Jiangyin"),
    ("yangzhou", "扬州", "Yangzhou"),
    ("taizhou", "泰州", "Taizhou"),
    ("zhenjiang", "镇江", "Zhenjiang"),
    ("changzhou", "常州", "Changzhou"),
    ("wuxi", "无锡", "Wuxi"),
    ("xuzhou", "徐州", "Xuzhou"),
    ("yancheng", "盐城", "Yancheng"),
    ("huaian", "淮安", "Huai'an"),
    ("taicang", "太仓", "Taicang"),
    ("changshu", "常熟", "Changshu"),
    ("rugao", "如皋", "Rugao"),
    ("qidong", "启东", "Qidong"),
    ("kunshan", "昆山", "Kunshan"),
    ("suqian", "宿迁", "Suqian"),
    ("dafeng", "大丰", "Dafeng"),
    ("yizheng", "仪征", "Yizheng"),
    ("jingjiang", "靖江", "Jingjiang"),
    ("haimen", "海门", "Haimen"),
];

/// The unit at an index; 0 is head office. Past the named ports, units are numbered.
pub(super) fn unit(index: usize) -> SampleUnit {
    let (code, name_zh, name_en) = match (index, index.checked_sub(1).and_then(|i| PORTS.get(i))) {
        (0, _) => ("head".into(), "局机关".into(), "Head Office".into()),
        (_, Some((code, zh, en))) => {
            ((*code).into(), format!("{zh}分局"), format!("{en} Sub-bureau"))
        }
        (n, None) => (format!("port-{n}"), format!("第{n}分局"), format!("Sub-bureau {n}")),
    };
    SampleUnit { code, name_zh, name_en }
}

/// Members of a unit's first branch differ from unit to unit; over sixteen units this sums to 0.
const FIRST_BRANCH_SHIFT: [isize; 16] = [4, 1, 2, 3, -2, -1, 0, 1, -3, 2, -2, 0, 1, -3, -1, -2];
const FIRST_BRANCH_MEMBERS: isize = 18;
const SECOND_BRANCH_MEMBERS: usize = 16;
const SMALL_BRANCH_MEMBERS: usize = 7;

/// A unit's branches: two with a committee and two groups each; every other unit, head office
/// included, has a third and small one without.
pub(super) fn branches(index: usize, unit: &SampleUnit) -> Vec<SampleBranch> {
    let shift = FIRST_BRANCH_SHIFT[index % FIRST_BRANCH_SHIFT.len()];
    let first = FIRST_BRANCH_MEMBERS.saturating_add(shift).unsigned_abs();
    let mut shapes = vec![("第一党支部", first, 2), ("第二党支部", SECOND_BRANCH_MEMBERS, 2)];
    if index.is_multiple_of(2) {
        shapes.push(("第三党支部", SMALL_BRANCH_MEMBERS, 0));
    }
    let branch = |(i, (name, members, groups)): (usize, (&str, usize, usize))| SampleBranch {
        code: format!("{}-{}", unit.code, i + 1),
        name_zh: name.into(),
        unit: index,
        members,
        groups,
    };
    shapes.into_iter().enumerate().map(branch).collect()
}

/// A person on a roster, as the rest of the sample needs to know them.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) id: DocId,
    pub(super) name: String,
    pub(super) is_female: bool,
    pub(super) stage: &'static str,
    pub(super) standing: &'static str,
    pub(super) joined: Option<Date>,
    pub(super) converted: Option<Date>,
    born: i16,
    education: &'static str,
    job: &'static str,
}

/// Full members from the first on in every branch: the leaders come from among them.
const LEADERS: usize = 5;
/// The office's "young" are those under 31 in 2018.
const YOUTH_BORN_FROM: i16 = 1988;

/// The people of one branch. `taken` keeps names from being given twice.
pub(super) fn people(
    seed: u64,
    branch_index: usize,
    branch: &SampleBranch,
    taken: &mut BTreeSet<String>,
) -> Vec<Person> {
    (0..branch.members)
        .map(|place| {
            let index = (branch_index * 1000 + place) as u64;
            person(&mut Rng::derive(seed, "member", index), branch, place, taken)
        })
        .collect()
}

fn person(
    rng: &mut Rng,
    branch: &SampleBranch,
    place: usize,
    taken: &mut BTreeSet<String>,
) -> Person {
    let id = rng.doc_id();
    let is_female = rng.chance(220);
    let name = name(rng, is_female, taken);
    let stage = stage(rng, branch, place);
    let standing = match stage {
        "full" if place >= LEADERS => STANDINGS[rng.weighted(&STANDING_WEIGHTS)],
        _ => "normal",
    };
    let (born, joined) = dates(rng, stage, place);
    let converted = joined.filter(|_| stage == "full").map(|day| day.saturating_add(1.year()));
    let education = rng.pick(EDUCATION);
    let job = if place < LEADERS { JOBS_LEADING[place] } else { rng.pick(JOBS) };
    Person { id, name, is_female, stage, standing, joined, converted, born, education, job }
}

const STANDINGS: [&str; 7] =
    ["normal", "on_probation_discipline", "suspended", "expelled", "removed", "quit", "deceased"];
const STANDING_WEIGHTS: [u32; 7] = [950, 8, 5, 4, 6, 7, 20];

fn stage(rng: &mut Rng, branch: &SampleBranch, place: usize) -> &'static str {
    if place < LEADERS {
        return "full";
    }
    // A small branch stays under seven full members, or it would need a committee.
    let full = if branch.has_committee() { 850 } else { 0 };
    let stages = ["applicant", "activist", "candidate", "probationary", "full"];
    stages[rng.weighted(&[45, 40, 25, 50, full])]
}

/// Year of birth, and the day of joining the Party. Leaders joined before the sample begins.
fn dates(rng: &mut Rng, stage: &str, place: usize) -> (i16, Option<Date>) {
    let (first, last) = match stage {
        "full" if place < LEADERS => (1988, 2011),
        "full" => (1984, 2016),
        "probationary" => (2018, 2018),
        _ => return (rng.between(1987, 1997) as i16, None),
    };
    let year = rng.between(first, last);
    let joined = date(year as i16, rng.between(1, 11) as i8, rng.between(1, 28) as i8);
    ((year - rng.between(20, 30)) as i16, Some(joined))
}

fn name(rng: &mut Rng, is_female: bool, taken: &mut BTreeSet<String>) -> String {
    let (first, second) = if is_female { FEMALE } else { MALE };
    loop {
        let mut name = String::from(rng.pick(SURNAMES));
        name.push_str(rng.pick(first));
        name.push_str(rng.pick(second));
        if taken.insert(name.clone()) {
            return name;
        }
    }
}

impl Person {
    /// Whether the person takes part in meetings on a day: of the Party, or (`wide`) on the way to
    /// it, and not gone from it.
    pub(super) fn takes_part(&self, day: Date, wide: bool) -> bool {
        let here = matches!(self.standing, "normal" | "on_probation_discipline");
        let counted = match self.joined {
            Some(joined) => joined <= day,
            None => wide && day.year() >= 2018,
        };
        here && counted
    }

    pub(super) fn fields(&self, branch: &SampleBranch) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |key: &str, value: Value| fields.insert(key.into(), value);
        set("name", json!(self.name));
        set("branch", json!(branch.code));
        set("stage", json!(self.stage));
        set("standing", json!(self.standing));
        if let Some(day) = self.joined {
            set("joined", json!(iso(day)));
        }
        if let Some(day) = self.converted {
            set("converted", json!(iso(day)));
        }
        set("gender", json!(if self.is_female { "female" } else { "male" }));
        set("education", json!(self.education));
        set("job", json!(self.job));
        if self.born >= YOUTH_BORN_FROM {
            set("groups", json!(["youth"]));
        }
        fields
    }
}

const EDUCATION: &[&str] = &["大学本科", "大学本科", "大学本科", "硕士研究生", "大学专科"];

const JOBS_LEADING: [&str; LEADERS] =
    ["党支部书记", "党支部副书记", "组织委员", "宣传委员", "纪检委员"];

const JOBS: &[&str] = &[
    "科员",
    "副主任科员",
    "主任科员",
    "综合科内勤",
    "法制员",
    "船长",
    "轮机长",
    "水手长",
    "技术民警",
    "驾驶员",
    "财务",
    "政工干事",
];

const SURNAMES: &[&str] = &[
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "郭", "何",
    "林", "高", "罗", "郑", "梁", "谢", "宋", "唐", "许", "韩", "冯", "曹", "曾", "萧", "程", "袁",
    "傅", "沈", "吕", "苏", "卢", "蒋", "蔡", "贾", "丁", "魏", "薛", "叶", "阎", "余", "潘", "杜",
    "戴", "夏", "钟", "汪", "田", "任", "姜", "范", "方", "石", "姚", "谭", "廖", "邹", "熊", "金",
    "陆", "郝", "孔", "白", "崔", "康", "毕", "邱", "秦", "史", "顾", "侯", "邵", "孟", "龙", "万",
];

type GivenNames = (&'static [&'static str], &'static [&'static str]);

const MALE: GivenNames = (
    &[
        "晓", "志", "文", "海", "明", "立", "永", "长", "家", "少", "俊", "子", "宏", "启", "思",
        "卫", "承", "景", "守", "正",
    ],
    &[
        "东", "峰", "波", "林", "宁", "杰", "斌", "松", "航", "舟", "远", "川", "岩", "鸣", "锐",
        "恒", "洋", "凯", "毅", "澄",
    ],
);

const FEMALE: GivenNames = (
    &[
        "晓", "文", "春", "海", "雅", "思", "佳", "雪", "婉", "秀", "慧", "美", "子", "晨", "若",
        "书", "亦", "清",
    ],
    &[
        "敏", "静", "芳", "燕", "萍", "洁", "琳", "娟", "颖", "婷", "雯", "玲", "莹", "岚", "蕾",
        "薇", "桐", "霞",
    ],
);
