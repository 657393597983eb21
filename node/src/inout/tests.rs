//! Sheets against a node's records.

use super::*;
use crate::clock::Clock;
use crate::import::ImportOptions;
use crate::store::SqliteStore;
use crate::testing::Bench;
use crate::words::Lang;
use fenbu_protocol::record::{ALL, ATTENDANCE_ROWS, Field, Merge, Schema, ValueType, schema_named};
use fenbu_protocol::sheet;
use serde_json::{Value, json};

struct Office {
    bench: Bench,
    dir: tempfile::TempDir,
}

const DRY: ImportOptions = ImportOptions { partial: false, dry_run: true };
const WHOLE: ImportOptions = ImportOptions { partial: false, dry_run: false };
const PARTIAL: ImportOptions = ImportOptions { partial: true, dry_run: false };

fn kind(name: &str) -> &'static Schema {
    if name == "attendance" { ATTENDANCE_ROWS } else { schema_named(name).unwrap() }
}

impl Office {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fenbu.db");
        let store = SqliteStore::open(path, &crate::views::specs()).unwrap();
        Self { bench: Bench::start(Box::new(store), Clock::start()), dir }
    }

    fn add(&self, name: &str, fields: &Value) {
        let records = &self.bench.records;
        records.create(kind(name), fields, None, None, "test").unwrap();
    }

    fn takes(&self, name: &str, csv: &str, options: ImportOptions) -> SheetReport {
        self.takes_file(name, Format::Csv, csv.as_bytes(), options)
    }

    fn takes_file(
        &self,
        name: &str,
        format: Format,
        bytes: &[u8],
        options: ImportOptions,
    ) -> SheetReport {
        let table = Table::read(format, bytes).unwrap();
        import(&self.bench.records, kind(name), &table, options, "test", Lang::Zh).unwrap()
    }

    fn file(&self, name: &str, format: Format, lang: sheet::Lang, reveal: bool) -> Vec<u8> {
        let export = Export { format, lang, unit: None, reveal };
        super::export(&self.bench.records, kind(name), export).unwrap()
    }

    fn count(&self, name: &str) -> usize {
        let mut count = 0;
        self.bench.records.each(kind(name), |_| count += 1).unwrap();
        count
    }

    fn stop(self) {
        self.bench.stop();
        drop(self.dir);
    }
}

/// A record of every kind, with every field but steps set.
fn filled(schema: &'static Schema, which: usize) -> Value {
    fn one(field: &Field, which: usize) -> Value {
        match field.value {
            ValueType::Text if field.name.ends_with("unit") => json!("head"),
            ValueType::Text => json!(format!("=第{which}、项")),
            ValueType::Code(codes) => json!(codes[which % codes.len()].code),
            ValueType::Date => json!(format!("2018-12-{:02}", which + 1)),
            ValueType::Instant => json!(1_544_490_000_123u64 + which as u64),
            ValueType::Int => json!(-7 - which as i64),
            ValueType::Bool => json!(true),
            ValueType::Id(_) => json!("0".repeat(32)),
            ValueType::Object(parts) => parts
                .iter()
                .map(|part| {
                    let value = match part.merge {
                        Merge::Set => json!(["甲", "乙，丙"]),
                        _ => one(part, which),
                    };
                    (part.name.to_owned(), value)
                })
                .collect(),
            ValueType::State(workflow) => json!(workflow.initial),
        }
    }
    let fields = schema.fields.iter().filter(|f| f.workflow().is_none());
    let value = |field: &Field| match (field.merge, field.name) {
        (_, "id_number") => json!(format!("11010119900307{:04}", 1000 + which)),
        (_, "phone") => json!(format!("1380013{:04}", 8000 + which)),
        (Merge::Set | Merge::List | Merge::Notes, _) => json!([one(field, which), one(field, 9)]),
        (Merge::Map, _) => json!({ "甲": one(field, which), "乙": one(field, 8) }),
        (Merge::Text, _) => json!("第一段\n\n= 第二段 *重*"),
        _ => one(field, which),
    };
    fields.map(|f| (f.name.to_owned(), value(f))).collect()
}

#[test]
fn an_export_of_any_kind_comes_back_and_says_nothing_new() {
    let office = Office::new();
    for schema in ALL {
        for which in 0..2 {
            let mut fields = filled(schema, which);
            // A set has each member once.
            for (name, value) in fields.as_object_mut().unwrap() {
                if schema.field(name).unwrap().merge == Merge::Set {
                    *value = json!(["甲", "乙，丙"]);
                }
            }
            office.add(schema.name, &fields);
        }
        for (format, lang, reveal) in [
            (Format::Csv, sheet::Lang::Zh, false),
            (Format::Csv, sheet::Lang::En, true),
            (Format::Xlsx, sheet::Lang::Zh, true),
            (Format::Xlsx, sheet::Lang::En, false),
        ] {
            let file = office.file(schema.name, format, lang, reveal);
            let report = office.takes_file(schema.name, format, &file, WHOLE);
            let name = (schema.name, format, reveal);
            assert_eq!(report.errors, vec![], "{name:?}");
            assert_eq!((report.unchanged, report.imported), (2, 0), "{name:?}: {:?}", report.rows);
        }
        assert_eq!(office.count(schema.name), 2);
    }
    office.stop();
}

#[test]
fn a_revealed_export_makes_the_same_records_elsewhere() {
    let (here, there) = (Office::new(), Office::new());
    for name in ["member", "meeting", "post"] {
        here.add(name, &filled(kind(name), 0));
        for format in [Format::Csv, Format::Xlsx] {
            let file = here.file(name, format, sheet::Lang::Zh, true);
            let report = there.takes_file(name, format, &file, WHOLE);
            assert_eq!(report.errors, vec![], "{name}");
        }
        let told = |office: &Office| office.file(name, Format::Csv, sheet::Lang::En, true);
        let plain = |bytes: Vec<u8>| {
            let table = Table::read(Format::Csv, &bytes).unwrap();
            // All but the version, which names changes of other authors.
            let last = table.names.len() - 1;
            table.lines.into_iter().map(|l| l.cells[..last].to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(plain(told(&here)), plain(told(&there)), "{name}");
    }
    here.stop();
    there.stop();
}

#[test]
fn a_roster_is_previewed_taken_and_taken_again() {
    let office = Office::new();
    let roster = "姓名,所在党组织,发展阶段,电话\n张伟,nj-1,正式党员,13800138000\n李娜,nj-1,,\n";
    let preview = office.takes("member", roster, DRY);
    assert_eq!((preview.good, preview.new, preview.imported), (2, 2, 0));
    assert_eq!(preview.rows[0].title, "张伟 nj-1");
    let shown: Vec<_> = preview.rows[0].changes.iter().map(|c| c.after.as_str()).collect();
    assert_eq!(shown, ["张伟", "nj-1", "正式党员", "138****8000"]);
    assert_eq!(office.count("member"), 0);

    assert_eq!(office.takes("member", roster, WHOLE).imported, 2);
    let again = office.takes("member", roster, WHOLE);
    assert_eq!((again.unchanged, again.imported, again.rows.len()), (2, 0, 0));

    let more = "name,branch,phone,gender\n张伟,nj-1,13900139000,男\n张伟,nj-2,,\n";
    let report = office.takes("member", more, WHOLE);
    assert_eq!((report.changed, report.new, report.imported), (1, 1, 2));
    let change = &report.rows[0].changes[0];
    assert_eq!((change.before.as_str(), change.after.as_str()), ("138****8000", "139****9000"));
    assert_eq!(office.count("member"), 3);
    office.stop();
}

#[test]
fn mistakes_say_where_they_are_and_leave_nothing_half_done() {
    let office = Office::new();
    let bad = "姓名,发展阶段,入党日期\n张伟,正式,2018-12-11\n,正式党员,\n李娜,,2018-02-30\n王芳,,\n王芳,,\n";
    let report = office.takes("member", bad, WHOLE);
    let at: Vec<_> = report.errors.iter().map(|e| (e.line, e.column, e.name.as_str())).collect();
    assert_eq!(at, [(2, 2, "发展阶段"), (3, 1, "姓名"), (4, 3, "入党日期"), (6, 1, "姓名")]);
    let told = |i: usize| report.errors[i].message.as_str();
    assert!(told(0).contains("正式党员"), "{}", told(0));
    assert!(told(2).contains("写成 2018-12-11"), "{}", told(2));
    assert!(told(3).contains("第 5 行"), "{}", told(3));
    assert_eq!((report.bad, report.good, report.imported), (4, 1, 0));
    assert_eq!(office.count("member"), 0);
    assert_eq!(office.takes("member", bad, PARTIAL).imported, 1);

    let report = office.takes("member", "姓名,电活\n张伟,1\n", WHOLE);
    assert_eq!((report.errors[0].line, report.errors[0].column), (1, 2));
    assert_eq!(office.takes("member", "", WHOLE).bad, 1);
    office.stop();
}

#[test]
fn two_of_one_name_are_told_apart_by_a_person() {
    let office = Office::new();
    for job in ["一科", "二科"] {
        office.add("member", &json!({"name": "张伟", "branch": "nj-1", "job": job}));
    }
    let report = office.takes("member", "姓名,所在党组织,职务\n张伟,nj-1,三科\n", WHOLE);
    assert_eq!(report.bad, 1);
    assert!(report.errors[0].message.contains("标识"), "{}", report.errors[0].message);
    office.stop();
}

#[test]
fn a_step_that_is_not_possible_is_a_mistake_of_its_cell() {
    let office = Office::new();
    let sheet = |state: &str| format!("标题,成稿日期,状态\n党日,2018-12-11,{state}\n");
    assert_eq!(office.takes("post", &sheet("草稿"), WHOLE).imported, 1);
    let report = office.takes("post", &sheet("已发布"), DRY);
    assert_eq!((report.errors[0].line, report.errors[0].column), (2, 3));
    let report = office.takes("post", &sheet("已提交"), DRY);
    assert_eq!((report.changed, report.imported), (1, 0));
    assert_eq!(office.takes("post", &sheet("已提交"), WHOLE).imported, 1);
    office.stop();
}

#[test]
fn templates_are_what_an_import_takes() {
    let office = Office::new();
    for schema in ALL {
        for lang in [sheet::Lang::Zh, sheet::Lang::En] {
            for format in [Format::Csv, Format::Xlsx] {
                let file = template(schema, format, lang).unwrap();
                let report = office.takes_file(schema.name, format, &file, WHOLE);
                assert_eq!((report.good, report.errors), (0, vec![]), "{}", schema.name);
            }
        }
    }
    office.stop();
}

/// A CSV file of ours that a spreadsheet has opened and saved: its apostrophes, its dates, its numbers.
#[test]
fn a_csv_file_saved_as_a_workbook_says_nothing_new() {
    use rust_xlsxwriter::{ExcelDateTime, Format as Look, Workbook};
    let office = Office::new();
    office.add(
        "member",
        &json!({"name": "=1+1", "branch": "'007", "joined": "2010-07-01",
        "phone": "13800138000", "id_number": "110101199003071234"}),
    );
    let file = office.file("member", Format::Csv, sheet::Lang::Zh, true);
    let text = String::from_utf8(file).unwrap();
    let mut rows = text.trim_start_matches('\u{feff}').lines();
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (at, (name, cell)) in
        (0..).zip(rows.next().unwrap().split(',').zip(rows.next().unwrap().split(',')))
    {
        sheet.write(0, at, name).unwrap();
        match name {
            "电话" => sheet.write(1, at, 13_800_138_000_i64).unwrap(),
            "入党日期" => {
                let day = Look::new().set_num_format("yyyy/m/d");
                let date = ExcelDateTime::from_ymd(2010, 7, 1).unwrap();
                sheet.write_with_format(1, at, &date, &day).unwrap()
            }
            _ => sheet.write(1, at, cell).unwrap(),
        };
    }
    let report = office.takes_file("member", Format::Xlsx, &book.save_to_buffer().unwrap(), WHOLE);
    assert_eq!((report.unchanged, report.bad), (1, 0), "{report:?}");
    office.stop();
}

/// A workbook as a person makes one: typed dates and numbers, a formula.
#[test]
fn a_workbook_of_typed_cells_is_understood() {
    use rust_xlsxwriter::{ExcelDateTime, Format as Look, Workbook};
    let office = Office::new();
    let mut book = Workbook::new();
    let (day, time) =
        (Look::new().set_num_format("yyyy/m/d"), Look::new().set_num_format("yyyy/m/d h:mm"));
    let sheet = book.add_worksheet();
    for (at, name) in (0..).zip(["会议类型", "党组织", "开始时间", "标题", "编号"]) {
        sheet.write(0, at, name).unwrap();
    }
    let nine = ExcelDateTime::from_ymd(2018, 12, 11).unwrap().and_hms(9, 0, 0).unwrap();
    sheet.write(1, 0, "党课").unwrap();
    sheet.write(1, 1, "nj-1").unwrap();
    sheet.write_with_format(1, 2, &nine, &time).unwrap();
    sheet.write(1, 4, 12).unwrap();
    let midnight = ExcelDateTime::from_ymd(2018, 12, 11).unwrap();
    sheet.write(2, 0, "党课").unwrap();
    sheet.write(2, 1, "nj-1").unwrap();
    sheet.write_with_format(2, 2, &midnight, &day).unwrap();
    sheet.write_formula(3, 3, "=1+1").unwrap();
    sheet.write(3, 0, "党课").unwrap();
    sheet.write(4, 0, "党课").unwrap();
    sheet.write(4, 4, 110_101_199_003_071_234_i64).unwrap();
    let file = book.save_to_buffer().unwrap();
    let report = office.takes_file("meeting", Format::Xlsx, &file, PARTIAL);
    assert_eq!(report.imported, 1);
    let at: Vec<_> = report.errors.iter().map(|e| (e.line, e.column)).collect();
    // A day without a time of day is no time.
    assert_eq!(at, [(3, 3), (4, 4), (5, 5)], "{:?}", report.errors);
    let csv = office.file("meeting", Format::Csv, sheet::Lang::Zh, false);
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.contains("2018-12-11 09:00") && csv.contains(",12,"), "{csv}");
    office.stop();
}

#[test]
fn attendance_is_a_row_for_each_meeting_and_member() {
    let office = Office::new();
    office.add("member", &json!({"name": "张伟", "branch": "nj-1"}));
    office.add("member", &json!({"name": "李娜", "branch": "nj-1"}));
    office.add("member", &json!({"name": "李娜", "branch": "nj-1", "job": "二科"}));
    let meeting = json!({"kind": "lecture", "branch": "nj-1", "start": "2018-12-11T09:00:00+08:00",
        "attendance": {"m1": "late"}});
    office.add("meeting", &meeting);
    let sheet = "会议类型,党组织,开始时间,党员标识,姓名,出席情况\n\
        党课,nj-1,2018-12-11 09:00,,张伟,出席\n\
        党课,nj-1,2018-12-11 09:00,m1,,请假\n";
    let preview = office.takes("attendance", sheet, DRY);
    assert_eq!((preview.changed, preview.imported), (2, 0));
    let change = &preview.rows[1].changes[0];
    assert_eq!((change.before.as_str(), change.after.as_str()), ("迟到", "请假"));
    // Both rows are of one meeting: one record is written.
    assert_eq!(office.takes("attendance", sheet, WHOLE).imported, 1);
    let again = office.takes("attendance", sheet, WHOLE);
    assert_eq!((again.unchanged, again.imported), (2, 0));
    for format in [Format::Csv, Format::Xlsx] {
        let file = office.file("attendance", format, sheet::Lang::En, false);
        let report = office.takes_file("attendance", format, &file, WHOLE);
        assert_eq!((report.unchanged, report.imported, report.bad), (2, 0, 0));
    }
    let bad = "会议类型,党组织,开始时间,姓名,出席情况\n\
        党课,nj-1,2018-12-11 09:00,李娜,出席\n\
        党课,nj-1,2018-12-11 09:00,王芳,出席\n\
        党课,nj-2,2018-12-11 09:00,张伟,出席\n\
        党课,nj-1,2018-12-11 09:00,,出席\n\
        党课,nj-1,2018-12-11 09:00,张伟,到了\n\
        党课,nj-1,2018-12-11 09:00,张伟,缺席\n\
        党课,nj-1,2018-12-11 09:00,张伟,缺席\n";
    let report = office.takes("attendance", bad, PARTIAL);
    let at: Vec<_> = report.errors.iter().map(|e| (e.line, e.column)).collect();
    assert_eq!(at, [(2, 4), (3, 4), (4, 1), (5, 4), (6, 5), (8, 4)], "{:?}", report.errors);
    assert_eq!(report.imported, 1);
    office.stop();
}

#[test]
fn a_meeting_stays_one_event_and_a_cancelled_one_is_cancelled() {
    let office = Office::new();
    let of = calendar::CalendarOf::default();
    let told = || calendar::calendar(&office.bench.records, &of, sheet::Lang::Zh).unwrap();
    let line = |text: &str, name: &str| {
        text.lines().find(|l| l.starts_with(name)).map(str::to_owned).unwrap_or_default()
    };
    office.add(
        "meeting",
        &json!({"kind": "theme_day", "branch": "nj-1", "title": "义务植树",
        "planned": "2018-12-11T09:00:00+08:00", "place": "紫金山"}),
    );
    let first = told();
    assert!(first.starts_with("BEGIN:VCALENDAR\r\n") && first.ends_with("END:VCALENDAR\r\n"));
    assert_eq!(line(&first, "DTSTART"), "DTSTART:20181211T010000Z");
    assert_eq!(line(&first, "DTEND"), "DTEND:20181211T020000Z");
    assert_eq!(line(&first, "SUMMARY"), "SUMMARY:义务植树");
    let schema = kind("meeting");
    let records = &office.bench.records;
    let id = records.list(schema, crate::store::ListQuery::default()).unwrap().rows[0].document;
    let cancel = json!({"status": {"op": "cancel", "note": "暴雪"}});
    records.edit(schema, &id.to_string(), &cancel, "test").unwrap();
    let second = told();
    assert_eq!(line(&first, "UID"), line(&second, "UID"));
    assert_eq!(
        (line(&first, "SEQUENCE"), line(&second, "SEQUENCE")),
        ("SEQUENCE:1".into(), "SEQUENCE:2".into(),)
    );
    assert_eq!(line(&second, "STATUS"), "STATUS:CANCELLED");
    let of = calendar::CalendarOf { branch: Some("nj-2".into()), unit: None };
    let none = calendar::calendar(records, &of, sheet::Lang::Zh).unwrap();
    assert!(!none.contains("VEVENT"));
    office.stop();
}

#[test]
fn the_feed_has_what_was_approved_and_forgets_what_was_withdrawn() {
    let office = Office::new();
    let schema = kind("post");
    let records = &office.bench.records;
    let saved = records
        .create(
            schema,
            &json!({"title": "<党日>", "body": "**好**", "column": "news", "kind": "clipping"}),
            None,
            None,
            "a",
        )
        .unwrap();
    let id = saved.document.to_string();
    let feed_of = |column: &str| {
        let of = feed::FeedOf { column: Some(column.into()), unit: Some("head".into()) };
        feed::feed(records, &of, sheet::Lang::Zh).unwrap()
    };
    let step = |who: &str, step: Value| {
        records.edit(schema, &id, &json!({ "status": step }), who).unwrap();
    };
    assert!(!feed_of("news").contains("<entry>"));
    step("a", json!("submitted"));
    step("b", json!("approved"));
    step("b", json!("published"));
    records.edit(schema, &id, &json!({"body": "没有审过"}), "a").unwrap();
    let out = feed_of("news");
    assert!(out.contains("<title>&lt;党日&gt;</title>"), "{out}");
    assert!(out.contains("&lt;strong&gt;好&lt;/strong&gt;"), "{out}");
    assert!(!out.contains("没有审过"), "unreviewed text is not out: {out}");
    assert!(!feed_of("style").contains("<entry>"));

    let issue = records
        .create(
            kind("journal-issue"),
            &json!({"number": 7, "title": "党建专栏", "cover": "# 卷首",
            "items": [{"title": "一<", "post": id}, {"title": "二", "post": "0".repeat(32)}]}),
            None,
            None,
            "a",
        )
        .unwrap();
    let page = || {
        let shown = records.show(kind("journal-issue"), &issue.document.to_string()).unwrap();
        page::journal_issue(records, &shown, sheet::Lang::Zh).unwrap()
    };
    let html = page();
    assert!(html.contains("<strong>好</strong>") && html.contains("一&lt;"), "{html}");
    assert_eq!(html.matches("该稿件未发布").count(), 1, "{html}");

    step("b", json!({"op": "withdraw", "note": "事实有误"}));
    let gone = feed_of("news");
    assert!(
        !gone.contains("<entry>") && gone.contains("<at:deleted-entry ref=\"urn:uuid:"),
        "{gone}"
    );
    assert_eq!(page().matches("该稿件未发布").count(), 2);
    office.stop();
}

#[test]
fn a_letter_of_transfer_names_the_member_where_the_record_is_here() {
    let office = Office::new();
    let records = &office.bench.records;
    let member = records
        .create(
            kind("member"),
            &json!({"name": "张<伟", "branch": "nj-1", "stage": "full"}),
            None,
            None,
            "a",
        )
        .unwrap();
    let transfer = |member: String| {
        let fields = json!({"member": member, "from_unit": "head", "to_unit": "head",
            "letter": "2018-7", "issued": "2018-12-11", "expiry": "2019-03-11"});
        let saved = records.create(kind("transfer"), &fields, None, None, "a").unwrap();
        let shown = records.show(kind("transfer"), &saved.document.to_string()).unwrap();
        page::transfer_letter(records, &shown, sheet::Lang::Zh).unwrap()
    };
    let letter = transfer(member.document.to_string());
    assert!(letter.contains("张&lt;伟 同志（正式党员）"), "{letter}");
    assert!(letter.contains("由 局机关 转到 局机关") && letter.contains("2018-7"), "{letter}");
    assert_eq!(letter.matches("<section class=\"letter\">").count(), 3);
    assert!(transfer("0".repeat(32)).contains("＿＿＿＿ 同志"));
    office.stop();
}

#[test]
fn a_post_goes_to_a_word_processor_and_comes_back_as_it_was() {
    let office = Office::new();
    let records = &office.bench.records;
    let fields = json!({"title": "雪夜", "body": "一**重**段\n\n- 甲\n- 乙"});
    let saved = records.create(kind("post"), &fields, None, None, "a").unwrap();
    let shown = records.show(kind("post"), &saved.document.to_string()).unwrap();
    let file = docx::post(&shown, sheet::Lang::Zh).unwrap();
    let table = draft::read(&file).unwrap().table().unwrap();
    let report = import(records, kind("post"), &table, WHOLE, "a", Lang::Zh).unwrap();
    assert_eq!((report.unchanged, report.imported), (1, 0), "{:?}", report.rows);
    assert!(draft::read(b"PK").is_err() && draft::Draft::default().table().is_err());

    office.add(
        "meeting",
        &json!({"kind": "committee", "branch": "nj-1", "minutes": "研究\n\n1. 甲",
        "start": "2018-12-11T09:00:00+08:00", "attendance": {"张*伟": "present"},
        "decisions": {"1": {"text": "同意", "for": 3}}}),
    );
    let id =
        records.list(kind("meeting"), crate::store::ListQuery::default()).unwrap().rows[0].document;
    let shown = records.show(kind("meeting"), &id.to_string()).unwrap();
    let minutes = draft::read(&docx::minutes(&shown, sheet::Lang::Zh).unwrap()).unwrap();
    assert_eq!(minutes.title, "支委会");
    for told in ["党组织：nj-1", "- 张\\*伟：出席", "# 决议", "# 会议记录\n\n研究\n\n1. 甲"]
    {
        assert!(minutes.body.contains(told), "{told}: {}", minutes.body);
    }
    office.stop();
}
