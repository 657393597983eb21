//! Everything else an office keeps: ledgers, visits, directives, the temporary branches of 2018. A few of
//! each, so that every kind of record is there; how many follows from the number of units alone.

use fenbu_protocol::id::DocId;
use jiff::civil::{Date, date};
use serde_json::{Map, Value, json};

use super::calendar::{LAST_DAY, days_between, iso, plus_days};
use super::phrases as p;
use super::rng::Rng;
use super::{Sample, SampleRecord};

/// What every unit keeps, and how many.
const OF_EACH_UNIT: [(&str, usize); 4] =
    [("adoption", 3), ("honour", 1), ("activity", 4), ("care-visit", 2)];

/// What head office keeps for all.
const OF_HEAD_OFFICE: [(&str, usize); 10] = [
    ("rule-pack", 1),
    ("document", 4),
    ("directive", 6),
    ("topic", 8),
    ("collection", 2),
    ("journal-issue", 4),
    ("reminder", 4),
    ("temporary-branch", TEMPORARY),
    ("secondment", TEMPORARY * SECONDED),
    // One from each unit that has another to go to.
    ("transfer", 0),
];

const TEMPORARY: usize = 2;
/// Members lent to a temporary branch.
const SECONDED: usize = 4;

/// How many of a kind all units together keep.
pub(super) fn count(kind: &str, units: usize) -> usize {
    let each = OF_EACH_UNIT.iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| n * units);
    let head = OF_HEAD_OFFICE.iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| *n);
    let transfers = if kind == "transfer" && units > 1 { units } else { 0 };
    each + head + transfers
}

/// Every kind this file tells of.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    OF_EACH_UNIT.iter().chain(&OF_HEAD_OFFICE).map(|(kind, _)| *kind)
}

/// Kinds that stay in the unit that wrote them, and how many there are of each.
pub(super) const AT_HOME: (&str, usize) = ("care-visit", 2);

/// One unit's share. Head office is unit 0.
pub(super) fn of_unit(sample: &Sample, unit: usize) -> Vec<SampleRecord> {
    let scene = Scene { sample, unit };
    let mut out = Vec::new();
    let transfers = [("transfer", usize::from(sample.units.len() > 1))];
    let head = if unit == 0 { &OF_HEAD_OFFICE[..] } else { &[] };
    for &(kind, count) in OF_EACH_UNIT.iter().chain(&transfers).chain(head) {
        for n in 0..count {
            let index = (unit * 1000 + n) as u64;
            let mut rng = Rng::derive(sample.seed, kind, index);
            let id = rng.doc_id();
            out.push(SampleRecord { kind, id, fields: scene.fields(&mut rng, kind, n) });
        }
    }
    out
}

struct Scene<'a> {
    sample: &'a Sample,
    unit: usize,
}

/// The fields of an object literal.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A day of 2018 up to the sample's last.
fn this_year(rng: &mut Rng) -> Date {
    let first = date(2018, 1, 8);
    plus_days(first, rng.below(days_between(first, LAST_DAY) as usize) as i32)
}

impl Scene<'_> {
    fn fields(&self, rng: &mut Rng, kind: &str, n: usize) -> Map<String, Value> {
        object(match kind {
            "adoption" => self.adoption(rng, n),
            "honour" => self.honour(rng),
            "activity" => self.activity(rng, n),
            "care-visit" => self.care_visit(rng, n),
            "transfer" => self.transfer(rng),
            "document" => document(n),
            "directive" => self.directive(rng, n),
            "topic" => self.topic(rng, n),
            "collection" => self.collection(n),
            "journal-issue" => self.journal_issue(n),
            "reminder" => self.reminder(n),
            "temporary-branch" => self.temporary_branch(n),
            "secondment" => self.secondment(n),
            _ => json!({"title": "三会一课与稿件审核规则", "effective": "2015-01-01"}),
        })
    }

    fn unit_code(&self, index: usize) -> &str {
        &self.sample.units[index % self.sample.units.len()].code
    }

    /// A person of a unit, leaders first, and the branch they are in.
    fn person(&self, unit: usize, place: usize) -> (&super::Person, &str) {
        let unit = unit % self.sample.units.len();
        let branches = self.sample.branches.iter().enumerate().filter(|(_, b)| b.unit == unit);
        let people = branches.flat_map(|(i, branch)| {
            self.sample.people[i].iter().map(|person| (person, branch.code.as_str()))
        });
        let people: Vec<_> = people.collect();
        people[place % people.len()]
    }

    /// Id and title of one of the published posts; of this unit's where `own`.
    fn post(&self, place: usize, own: bool) -> (DocId, String) {
        let posts = self.sample.posts.iter().enumerate();
        let ours = |plan: &super::posts::Plan| !own || plan.unit == self.unit;
        let posts: Vec<_> = posts.filter(|(_, p)| p.is_published() && ours(p)).collect();
        let (index, plan) = posts[place % posts.len()];
        let post = self.sample.post(index, plan);
        let title = post.fields["title"].as_str().unwrap_or_default().to_owned();
        (post.id, title)
    }

    fn adoption(&self, rng: &mut Rng, n: usize) -> Value {
        let (post, title) = self.post(n, true);
        let (outlet, level) = rng.pick(&[
            ("法制日报", "national"),
            ("海关总署网站", "ministry"),
            ("新华日报", "province"),
            ("江苏法制报", "province"),
            ("本地晚报", "city"),
        ]);
        let kind =
            rng.pick(&["submitted", "reprinted", "recommended", "taken", "shortlisted", "awarded"]);
        let status = if n == 2 { "proposed" } else { "verified" };
        json!({"post": post.to_string(), "title": title, "outlet": outlet, "level": level,
            "kind": kind, "date": iso(this_year(rng)), "status": status})
    }

    fn honour(&self, rng: &mut Rng) -> Value {
        let (person, branch) = self.person(self.unit, 0);
        let title = rng.pick(&["优秀共产党员", "优秀党务工作者", "先进基层党组织", "党员先锋岗"]);
        let of_branch = title == "先进基层党组织";
        let (of, name) =
            if of_branch { ("branch", branch) } else { ("person", person.name.as_str()) };
        json!({"title": title, "of": of, "name": name, "level": "bureau", "grantor": "局党组",
            "year": rng.between(2015, 2018), "status": "verified"})
    }

    fn activity(&self, rng: &mut Rng, n: usize) -> Value {
        let (programme, title) = [
            ("integrity", "警示教育月：观看廉政短片"),
            ("culture", "警营文化节：合唱与书法"),
            ("union", "无偿献血与困难职工慰问"),
            ("youth", "青年突击队志愿服务"),
        ][n % 4];
        let branches: Vec<&str> = self
            .sample
            .branches
            .iter()
            .filter(|b| b.unit == self.unit)
            .map(|b| b.code.as_str())
            .collect();
        let participants = rng.between(8, 40);
        json!({"title": title, "programme": programme, "date": iso(this_year(rng)),
            "place": rng.pick(p::PLACES), "branches": branches, "participants": participants,
            "hours": participants * rng.between(1, 4), "people": rng.between(0, 60),
            "donation_fen": (if n == 2 { rng.between(50, 900) * 1000 } else { 0 }),
            "summary": format!("{}参加了本次活动。", self.sample.units[self.unit].name_zh)})
    }

    fn care_visit(&self, rng: &mut Rng, n: usize) -> Value {
        let (person, _) = self.person(self.unit, 7 + n);
        let (visitor, _) = self.person(self.unit, 0);
        let (kind, need) =
            [("condolence", "老人住院，需要照料"), ("family", "子女入学，需要协调")][n % 2];
        let day = this_year(rng);
        json!({"subject": person.name, "kind": kind, "date": iso(day), "visitor": visitor.name,
            "need": need, "status": (if n == 0 { "closed" } else { "open" }),
            "follow_up": [{"text": "已与工会联系", "on": iso(plus_days(day, 3))}]})
    }

    /// In flight, sent back, or too late: nobody has moved yet, so everybody counts at home.
    fn transfer(&self, rng: &mut Rng) -> Value {
        let (person, branch) = self.person(self.unit, 6);
        let issued = this_year(rng);
        let status = ["issued", "rejected", "expired"][self.unit % 3];
        json!({"member": person.id.to_string(), "from_unit": self.unit_code(self.unit),
            "to_unit": self.unit_code(self.unit + 1), "from_branch": branch,
            "letter": format!("党组介字〔2018〕{}号", self.unit + 1), "issued": iso(issued),
            "expiry": iso(plus_days(issued, 90)), "status": status})
    }

    fn directive(&self, rng: &mut Rng, n: usize) -> Value {
        let issued = plus_days(date(2018, 2, 5), 45 * n as i32);
        let titles = [
            "传达学习全国两会精神",
            "传达学习纪念马克思诞辰大会精神",
            "传达学习全国海关缉私工作会议精神",
            "传达学习廉政建设通报",
            "传达学习组织工作会议精神",
            "传达学习庆祝改革开放四十周年安排",
        ];
        // The last one has not reached everybody.
        let told =
            self.sample.branches.len() - if n == 5 { self.sample.branches.len() / 4 } else { 0 };
        let receipts: Map<String, Value> = self.sample.branches[..told]
            .iter()
            .enumerate()
            .map(|(i, branch)| {
                let on = iso(plus_days(issued, rng.between(0, 12) as i32));
                let by = &self.sample.people[i][0].name;
                (branch.code.clone(), json!({"on": on, "by": by, "people": branch.members}))
            })
            .collect();
        json!({"title": titles[n % titles.len()], "source": "局党组", "issued": iso(issued),
            "due": iso(plus_days(issued, 14)), "text": "请各支部第一时间传达到每名党员。",
            "receipts": receipts, "status": (if n == 5 { "issued" } else { "closed" })})
    }

    fn topic(&self, rng: &mut Rng, n: usize) -> Value {
        let titles = [
            "雪线上的值守",
            "我的入党故事",
            "缉私一线的党旗",
            "家风故事",
            "青年说",
            "一次谈心谈话",
            "口岸的清晨",
            "老党员访谈",
        ];
        let status = ["delivered", "accepted", "open", "dropped"][n % 4];
        let column = ["style", "pioneer", "news", "culture"][n % 4];
        json!({"title": titles[n % titles.len()], "column": column,
            "asked_unit": self.unit_code(n + 1), "due": iso(this_year(rng)), "status": status,
            "brief": "八百字以内，附照片一张。"})
    }

    fn items(&self, from: usize, count: usize) -> Vec<Value> {
        let item = |n| {
            let (id, title) = self.post(n, false);
            json!({"title": title, "post": id.to_string()})
        };
        (from..from + count).map(item).collect()
    }

    fn collection(&self, n: usize) -> Value {
        let (title, kind) = [("优秀作品展示", "featured"), ("影像资料库", "media")][n % 2];
        json!({"title": title, "kind": kind, "items": self.items(40 * n, 5)})
    }

    fn journal_issue(&self, n: usize) -> Value {
        let day = plus_days(date(2018, 3, 30), 90 * n as i32).min(LAST_DAY);
        let status = if n == 3 { "editing" } else { "released" };
        let sent = match n {
            3 => json!([]),
            _ => json!([{"to": "各支部微信群", "channel": "微信", "on": iso(day)},
                {"to": "全体党员邮箱", "channel": "邮件", "on": iso(day)}]),
        };
        json!({"number": n + 1, "title": format!("党建专栏 2018 年第{}期", n + 1), "date": iso(day),
            "cover": "卷首语：把支部建在口岸上。", "items": self.items(100 + 20 * n, 4),
            "sent": sent, "status": status})
    }

    fn reminder(&self, n: usize) -> Value {
        let branch = &self.sample.branches[n % self.sample.branches.len()];
        let what = ["补交第三季度会议记录", "确认十月支委会记录", "更新党员名册", "上报年度计划"];
        json!({"what": what[n % 4], "unit": self.unit_code(branch.unit), "branch": branch.code,
            "due": iso(plus_days(LAST_DAY, n as i32 * 5 - 10)),
            "status": (if n < 2 { "done" } else { "open" })})
    }

    fn temporary_branch(&self, n: usize) -> Value {
        let established = [date(2017, 9, 4), date(2018, 8, 6)][n % 2];
        let squad = |unit: usize| {
            let (leader, _) = self.person(unit, 1);
            let members: Vec<&str> =
                (2..5).map(|place| self.person(unit, place).0.name.as_str()).collect();
            json!({"name": format!("第{}突击队", unit), "leader": leader.name, "members": members,
                "flag": iso(plus_days(established, 2))})
        };
        let done = (n == 0).then(|| iso(plus_days(established, 170)));
        let task = |text: &str| json!({"text": text, "done": done});
        json!({"code": code_of(n), "name": (["“秋风”行动战时党支部", "“利剑”行动战时党支部"][n % 2]),
            "host_unit": self.unit_code(1), "alias": (["秋风", "利剑"][n % 2]),
            "approval": format!("局党组〔{}〕12号", established.year()),
            "established": iso(established), "planned_end": iso(plus_days(established, 170)),
            "secretary": self.person(1, 0).0.name, "squads": {"a": squad(1), "b": squad(2)},
            "checklist": {"minutes": task("会议记录全部确认"), "actions": task("待办事项移交或办结"),
                "honours": task("荣誉登记")},
            "status": (["archived", "active"][n % 2])})
    }

    fn secondment(&self, n: usize) -> Value {
        let (temporary, place) = (n / SECONDED, n % SECONDED);
        // From the units after the host, one each in turn.
        let home = 2 + place;
        let (person, branch) = self.person(home, 5 + temporary);
        let from = [date(2017, 9, 4), date(2018, 8, 6)][temporary % 2];
        let status = ["returned", "confirmed"][temporary % 2];
        json!({"person": person.name, "member": person.id.to_string(), "stage": person.stage,
            "home_unit": self.unit_code(home), "home_branch": branch, "branch": code_of(temporary),
            "from": iso(from), "to": iso(plus_days(from, 170)), "status": status})
    }
}

fn code_of(temporary: usize) -> String {
    format!("temporary-{}", temporary + 1)
}

fn document(n: usize) -> Value {
    let (title, text) = [
        ("三会一课制度", "支部党员大会一般每季度召开一次。"),
        ("组织生活会制度", "组织生活会一般每年召开一次。"),
        ("党建信息审核办法", "稿件须经初审、复审和保密审查。"),
        ("战时党支部工作办法", "战时党支部随专案组成立，任务结束即撤销。"),
    ][n % 4];
    json!({"title": title, "version": "2018", "text": text, "in_force_from": "2018-01-01",
        "status": (if n == 3 { "draft" } else { "in_force" })})
}
