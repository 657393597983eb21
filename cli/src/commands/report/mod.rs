//! `fenbu report`: head office's figures, each with how fresh its data is and the records behind it.

mod figures;
mod kept;

use clap::{Args, Subcommand};
use serde_json::Value;

use self::figures::{columns, lines, write_csv};
use super::{Session, instant};
use crate::client::Route;
use crate::error::{Exit, Result};
use crate::lang::{Key, Lang, Text};
use crate::output::{self, Column, Format, List};

/// Names, and what people call them.
const REPORTS: [(&str, &str, &str); 9] = [
    ("matrix", "三会一课", "Meetings due and held"),
    ("posts", "稿件", "Posts"),
    ("attendance", "出席", "Attendance"),
    ("roster", "党员", "Roster"),
    ("overdue", "逾期事项", "Overdue"),
    ("temporary", "临时党支部", "Temporary branches"),
    ("programmes", "党建+", "Programmes"),
    ("directives", "传达事项", "Directives"),
    ("ledgers", "采用与荣誉", "Adoptions and honours"),
];

fn names() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(REPORTS.map(|(name, ..)| name))
}

/// Show figures: what was due and held, posts, attendance, the roster, what is overdue
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
#[command(subcommand_precedence_over_arg = true)]
pub(crate) struct ReportArgs {
    /// matrix, posts, attendance, roster, overdue, temporary, programmes, directives or ledgers
    #[arg(required = true, value_name = "REPORT", hide_possible_values = true)]
    #[arg(value_parser = names())]
    report: Option<String>,
    #[command(flatten)]
    asked: Asked,
    /// What the lines are: unit, month or author of posts; unit or branch of attendance and roster
    #[arg(long, value_name = "WHAT")]
    by: Option<String>,
    /// Name the records behind a cell: LINE/COLUMN, or total/COLUMN
    #[arg(long, value_name = "CELL")]
    explain: Option<String>,
    #[command(subcommand)]
    kept: Option<Kept>,
}

/// What every report is asked.
#[derive(Debug, Args)]
struct Asked {
    /// 2018, 2018-H1, 2018-Q3, 2018-11, 2015..2018, this-quarter, last-month and the like [default: this-year]
    #[arg(long, value_name = "PERIOD")]
    period: Option<String>,
    /// Only this unit
    #[arg(long, value_name = "UNIT")]
    unit: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Kept {
    Seal(SealArgs),
    Compare(CompareArgs),
    /// Say that all this node has to say up to now has been said, before a folder is put away for weeks
    Mark,
}

/// Keep the figures of a period that is over as they stand now
#[derive(Debug, Args)]
struct SealArgs {
    /// The report, as for `fenbu report`
    #[arg(value_name = "REPORT", hide_possible_values = true)]
    #[arg(value_parser = names())]
    report: String,
    #[command(flatten)]
    asked: Asked,
}

/// Show what reads otherwise now than when a report was sealed
#[derive(Debug, Args)]
struct CompareArgs {
    /// The sealed report's id; see `fenbu sealed-report list`
    id: String,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "查看统计：三会一课、稿件、出席、党员、逾期事项等"),
    (
        "report",
        "matrix 三会一课、posts 稿件、attendance 出席、roster 党员、overdue 逾期、temporary 临时党支部、programmes 党建+、directives 传达、ledgers 采用与荣誉",
    ),
    (
        "period",
        "期间：2018、2018-H1、2018-Q3、2018-11、2015..2018、this-quarter、last-month 等[默认：this-year]",
    ),
    ("unit", "只看这个单位"),
    ("by", "按什么分行：稿件 unit、month 或 author；出席和党员 unit 或 branch"),
    ("explain", "列出某个数字背后的记录：行/列，或 total/列"),
    ("seal", "封存已结束期间的统计，保留现在的数字"),
    ("seal.report", "报表，同 fenbu report"),
    ("seal.period", "期间，同 fenbu report"),
    ("seal.unit", "只封存这个单位"),
    ("compare", "查看封存之后补报引起的变化"),
    ("mark", "声明本节点到此刻为止的数据已齐，如长期离线之前"),
    ("compare.id", "封存报表的标识；见 fenbu sealed-report list"),
];

pub(super) async fn run(args: ReportArgs, session: &mut Session) -> Result<Exit> {
    match (args.kept, args.report) {
        (Some(Kept::Seal(args)), _) => kept::seal(&args.report, args.asked, session).await,
        (Some(Kept::Compare(args)), _) => kept::compare(&args.id, session).await,
        (Some(Kept::Mark), _) => kept::mark(session).await,
        (None, Some(report)) => {
            let mut route = Route::new("reports").segment(&report);
            let asked = [
                ("period", args.asked.period),
                ("unit", args.asked.unit),
                ("by", args.by),
                ("explain", args.explain.clone()),
            ];
            for (name, value) in asked {
                if let Some(value) = value {
                    route = route.query(name, &value);
                }
            }
            let answer = session.client().get(route).await?;
            match args.explain {
                Some(_) => explained(&answer, session),
                None => shown(answer, session),
            }
        }
        // INVARIANT: clap asks for one or the other.
        (None, None) => unreachable!("a report or a subcommand"),
    }
}

fn shown(answer: Value, session: &mut Session) -> Result<Exit> {
    let lang = session.output.lang();
    let items = lines(&answer, lang);
    if session.output.format == Format::Csv {
        write_csv(&answer, &items, &mut session.output)?;
    } else {
        if matches!(session.output.format, Format::Table | Format::Wide) {
            session.output.say(heading(&answer));
        }
        session.output.list(&List {
            schema: "fenbu.report/1",
            item_schema: "fenbu.report.line/1",
            columns: columns(&answer),
            items,
            name: "key",
            answer: answer.clone(),
        })?;
    }
    say_remarks(&answer, session);
    Ok(Exit::Ok)
}

/// `Meetings due and held, 2018-Q3: 2018-07-01 to 2018-09-30`
fn heading(answer: &Value) -> Text {
    let text = |field| output::text(answer, field);
    let [name, period, from, to] = ["report", "period", "from", "to"].map(text);
    let known = REPORTS.iter().find(|(own, ..)| *own == name);
    let (zh, en) = known.map_or((&name[..], &name[..]), |(_, zh, en)| (*zh, *en));
    let zh = format!("{zh}，{period}：{from} 至 {to}");
    Text::Told(zh.into(), format!("{en}, {period}: {from} to {to}").into())
}

fn say_remarks(answer: &Value, session: &mut Session) {
    for remark in output::items(&answer["remarks"], "") {
        session.output.say(Text::from(output::scalar(&remark)));
    }
}

fn explained(answer: &Value, session: &mut Session) -> Result<Exit> {
    let explained = answer["explained"].clone();
    let items = output::items(&explained, "records");
    let none = items.is_empty();
    session.output.list(&List {
        schema: "fenbu.explained/1",
        item_schema: "fenbu.explained.record/1",
        answer: explained,
        items,
        name: "id",
        columns: vec![
            Column::new(Key::ColumnKind, |v, _| output::text(v, "kind")),
            Column::new(Key::ColumnUnit, |v, _| output::text(v, "unit")),
            Column::new(Key::ColumnId, |v, _| output::text(v, "id")),
        ],
    })?;
    if none {
        session.output.say(Text::Both(
            "没有记录：要么是零，要么缺的就是它",
            "No records: it is nothing, or it is what is lacking",
        ));
    }
    Ok(Exit::Ok)
}

/// A date, or a dash and why.
fn as_of(unit: &Value, lang: Lang) -> String {
    match (unit["as_of_ms"].as_i64(), unit["clock_ahead"].as_bool()) {
        (Some(ms), _) => instant::show_ms(ms),
        (None, Some(true)) => lang.pick("时钟超前", "clock ahead").to_owned(),
        (None, _) => lang.pick("未知", "unknown").to_owned(),
    }
}
