//! One record: what it says, how it stands, what can be done with it.

use super::super::Office;
use super::super::cells::{
    Names, People, is_prose, kind_label, label, prose, safe, tag, time, unit_name, value,
};
use super::super::shell::{flash, page as full_page, trouble};
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::{Refused, ToldTo, blocking, check};
use crate::api::{Problem, branch_of, safe_on, schema_of, unit_of};
use crate::driver::DriverStatus;
use crate::records::{Records, Shown};
use crate::words::Lang;
use axum::extract::{Path, Query, State};
use fenbu_protocol::access::Action;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::record::conflict::settlers;
use fenbu_protocol::record::{Course, Field, Merge, RECORD, Schema, Step, Workflow, schema_named};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Steps shown as buttons; where there are more they are folded away.
const STEPS_MAX: usize = 4;

/// What happened on the way here.
#[derive(Debug, Default, Deserialize)]
pub(in crate::console) struct Said {
    #[serde(default)]
    said: String,
    /// Names of fields others changed meanwhile.
    #[serde(default)]
    came: String,
    #[serde(default)]
    over: String,
    #[serde(default)]
    warning: String,
}

pub(super) struct Looked {
    pub(super) shown: Shown,
    pub(super) json: Value,
    pub(super) branch: Option<String>,
}

pub(super) async fn look(
    office: &Office,
    visitor: &Visitor,
    schema: &'static Schema,
    id: &str,
) -> Result<Looked, Refused> {
    check(visitor, Action::Read(schema.name), None)?;
    let (records, id) = (office.records().clone(), id.to_owned());
    let shown = blocking(move || records.show(schema, &id)).await.told_to(visitor)?;
    let json = shown.record.to_json();
    let branch = branch_of(&json);
    Ok(Looked { shown, json, branch })
}

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Query(said): Query<Said>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    let status = status(&office, &visitor).await?;
    let directory = office.records().shared.directory.now();
    let view = View {
        visitor: &visitor,
        schema,
        looked: &looked,
        directory: &directory,
        status: &status,
        records: office.records(),
        names: Names::of(office.records()),
    };
    let title = title_of(schema, &looked.json, visitor.lang);
    let body = html! {
        (remarks(schema, &said, visitor.lang))
        (view.actions())
        div #record data-live=(schema.plural) {
            (view.steps())
            (view.fields())
            (view.texts())
            (view.courses())
        }
    };
    Ok(full_page(&visitor, &title, body))
}

pub(super) async fn status(office: &Office, visitor: &Visitor) -> Result<DriverStatus, Refused> {
    office.daemon.status().await.ok_or_else(Problem::stopping).told_to(visitor)
}

/// What a record is recognised by.
pub(super) fn title_of(schema: &'static Schema, json: &Value, lang: Lang) -> String {
    let title =
        schema.title().map(|field| super::super::cells::text(field, &json[field.name], lang));
    let kind = schema.field("kind").filter(|f| !f.codes().is_empty());
    let kind = kind.map(|f| super::super::cells::text(f, &json["kind"], lang));
    [title, kind]
        .into_iter()
        .flatten()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| kind_label(schema, lang).to_owned())
}

/// What was saved, what came in with it, and what to mind.
fn remarks(schema: &Schema, said: &Said, lang: Lang) -> Markup {
    let names = |list: &str| -> String {
        let fields = list.split(',').filter_map(|name| schema.field(name));
        fields.map(|field| label(field, lang)).collect::<Vec<_>>().join(Word::Comma.say(lang))
    };
    let text = match said.said.as_str() {
        "saved" => Some(Word::Saved),
        "unchanged" => Some(Word::Unchanged),
        _ => None,
    };
    html! {
        @if let Some(text) = text { (flash(text.say(lang))) }
        @if !said.came.is_empty() { (flash(&format!("{}{}", Word::CameIn.say(lang), names(&said.came)))) }
        @if !said.over.is_empty() { (trouble(&format!("{}{}", Word::Overwrote.say(lang), names(&said.over)))) }
        @if !said.warning.is_empty() { (trouble(&said.warning)) }
    }
}

struct View<'a> {
    visitor: &'a Visitor,
    schema: &'static Schema,
    looked: &'a Looked,
    directory: &'a Arc<Directory>,
    status: &'a DriverStatus,
    records: &'a Records,
    names: Names,
}

impl View<'_> {
    fn may(&self, action: Action<'_>) -> bool {
        self.visitor.may_in(action, self.looked.branch.as_deref())
    }

    fn to(&self, rest: &str) -> String {
        format!("/r/{}/{}{rest}", self.schema.plural, self.looked.shown.document)
    }

    fn actions(&self) -> Markup {
        let lang = self.visitor.lang;
        let page = matches!(self.schema.name, "journal-issue" | "transfer");
        html! {
            p.bar {
                @if self.may(Action::Write(self.schema.name)) {
                    a.button href=(self.to("/edit")) { (Word::Edit.say(lang)) }
                }
                a.button href=(self.to("/history")) { (Word::History.say(lang)) }
                @if matches!(self.schema.name, "post" | "meeting") {
                    a.button href=(format!("/word/{}/{}", self.schema.name, self.looked.shown.document)) { (Word::DocxFile.say(lang)) }
                }
                @if page { a.button href=(format!("/site/{}", self.looked.shown.document)) { (Word::Page.say(lang)) } }
                button type="button" data-print { (Word::Print.say(lang)) }
                span.push.faint.small { (self.safe()) }
            }
        }
    }

    fn safe(&self) -> String {
        let space = self.looked.shown.space;
        let carriers = self.directory.nodes().filter(|n| self.directory.carries(&n.node, &space));
        let of = carriers.count();
        safe_on(self.status, &self.looked.shown)
            .map_or_else(String::new, |held| safe(self.visitor.lang, held, of))
    }

    /// Short values; who and when at the end.
    fn fields(&self) -> Markup {
        let lang = self.visitor.lang;
        let json = &self.looked.json;
        let row = self.looked.shown.record.row();
        let fields = self.schema.fields.iter().filter(|f| !is_prose(f) && f.merge != Merge::Log);
        let filled = fields.filter(|f| !is_empty(&json[f.name]));
        let unit = unit_of(self.directory, &self.looked.shown.space);
        html! {
            dl.fields {
                @for field in filled {
                    dt { (label(field, lang)) }
                    dd {
                        (self.one(field, &json[field.name]))
                        (self.rivals(field))
                        @if field.personal { (self.reveal(field)) }
                    }
                }
                @if let Some(unit) = unit {
                    dt { (Word::Unit.say(lang)) } dd { (unit_name(self.directory, Some(&unit))) }
                }
                dt { (Word::Created.say(lang)) } dd { (time(row.created_ms)) }
                dt { (Word::Updated.say(lang)) } dd { (time(row.updated_ms)) }
            }
            @for field in self.schema.fields.iter().filter(|f| f.merge == Merge::Notes) { (self.add_note(field)) }
        }
    }

    fn one(&self, field: &'static Field, json: &Value) -> Markup {
        let lang = self.visitor.lang;
        match (field.merge, json) {
            // What a person marked by id is shown by name where their record is here.
            (Merge::Map, Value::Object(entries)) if field.name == "attendance" => html! {
                @for (who, what) in entries {
                    @let one = Value::Object(Map::from_iter([(who.clone(), what.clone())]));
                    @let told = super::super::cells::text(field, &one, lang);
                    @let state = told.rsplit(['：', ':']).next().unwrap_or_default().trim().to_owned();
                    span.tag { (self.member(who)) " " (state) } " "
                }
            },
            (Merge::Set, Value::Array(items))
                if matches!(field.name, "expected" | "observers" | "members") =>
            {
                html! {
                    (items.iter().filter_map(Value::as_str).map(|who| self.member(who)).collect::<Vec<_>>().join(Word::Comma.say(lang)))
                }
            }
            _ => self.names.value(field, json, lang),
        }
    }

    /// A member's name; what is no member's id is what it is.
    fn member(&self, text: &str) -> String {
        let is_id = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let schema = schema_named("member").filter(|_| is_id);
        let shown = schema.and_then(|schema| self.records.show(schema, text).ok());
        let name = shown.and_then(|s| Some(s.record.to_json()["name"].as_str()?.to_owned()));
        name.unwrap_or_else(|| text.to_owned())
    }

    /// Other values that were written at the same time.
    fn rivals(&self, field: &Field) -> Markup {
        let lang = self.visitor.lang;
        let values = self.looked.json["conflicts"][field.name].as_array();
        html! {
            @if let Some(values) = values {
                p.small {
                    a.tag.warn href="/conflicts" { (Word::OpenConflict.say(lang)) }
                    @for one in values.iter().skip(1) { " " (super::super::cells::text(field, &one["value"], lang)) }
                }
            }
        }
    }

    fn reveal(&self, field: &Field) -> Markup {
        let lang = self.visitor.lang;
        html! {
            @if self.may(Action::Reveal(self.schema.name)) {
                details.small {
                    summary { (Word::Reveal.say(lang)) }
                    form method="post" action=(self.to("/reveal")) {
                        input type="hidden" name="field" value=(field.name);
                        input name="reason" required placeholder=(Word::RevealReason.say(lang)) aria-label=(Word::RevealReason.say(lang));
                        " " button type="submit" { (Word::Reveal.say(lang)) }
                    }
                }
            }
        }
    }

    fn add_note(&self, field: &'static Field) -> Markup {
        let lang = self.visitor.lang;
        html! {
            @if self.may(Action::Write(self.schema.name)) || self.may(Action::Step(self.schema.name, "return")) {
                form.bar.noprint method="post" action=(self.to("/note")) {
                    input type="hidden" name="field" value=(field.name);
                    div {
                        label for=(format!("n-{}", field.name)) { (label(field, lang)) }
                        input id=(format!("n-{}", field.name)) name="text" required size="40";
                    }
                    button type="submit" { (Word::Remark.say(lang)) }
                }
            }
        }
    }

    fn texts(&self) -> Markup {
        let lang = self.visitor.lang;
        let texts = self.schema.fields.iter().filter(|f| is_prose(f));
        html! {
            @for field in texts.filter(|f| !is_empty(&self.looked.json[f.name])) {
                h2 { (label(field, lang)) }
                article.prose { (prose(self.looked.json[field.name].as_str().unwrap_or_default())) }
            }
        }
    }

    /// The steps that can be taken now by this person's unit, as far as their roles allow.
    fn steps(&self) -> Markup {
        let lang = self.visitor.lang;
        let record = &self.looked.shown.record;
        let unit = self.records.shared.unit();
        let head = unit == self.directory.head_office();
        let mine = |step: &&'static Step| {
            let units = settlers(step.by, record);
            self.may(Action::Step(self.schema.name, step.op))
                && (units.is_empty() || units.contains(&unit))
        };
        let now: Vec<(&'static Field, &'static Workflow, Course)> = self
            .schema
            .workflows()
            .filter_map(|(field, workflow)| Some((field, workflow, record.course(field)?)))
            .collect();
        html! {
            @for (field, workflow, course) in &now {
                div.bar.steps {
                    span {
                        (label(field, lang)) (Word::Colon.say(lang))
                        (value(field, &self.looked.json[field.name], lang))
                        @if course.revised { " " span.tag.warn { (Word::Revised.say(lang)) } }
                    }
                    @if let Some(progress) = &course.progress {
                        span.faint.small { (progress.told(lang == Lang::Zh)) }
                    }
                    @let offered = |step: &&'static Step| course.progress.as_ref().is_none_or(|p| p.offers(step, head));
                    @let steps: Vec<&'static Step> = workflow.from(&course.state).filter(mine).filter(offered).collect();
                    @if steps.len() > STEPS_MAX {
                        // Many ways on are rare ones, and no accident.
                        details {
                            summary { (Word::MoreSteps.say(lang)) }
                            @for step in steps { (self.step(step)) }
                        }
                    } @else {
                        @for step in steps { (self.step(step)) }
                    }
                }
            }
        }
    }

    fn step(&self, step: &'static Step) -> Markup {
        let lang = self.visitor.lang;
        html! {
            form method="post" action=(self.to("/step")) {
                input type="hidden" name="op" value=(step.op);
                @if step.needs_note {
                    input name="note" required placeholder=(Word::Reason.say(lang)) aria-label=(Word::Reason.say(lang));
                }
                button type="submit" { (match lang { Lang::Zh => step.zh, Lang::En => step.en }) }
            }
        }
    }

    /// The steps that were taken, and those that did not count with the reason.
    fn courses(&self) -> Markup {
        let lang = self.visitor.lang;
        let record = &self.looked.shown.record;
        let mut people = People::new(self.directory, self.status, self.records);
        let space = self.looked.shown.space;
        html! {
            @for (field, workflow) in self.schema.workflows() {
                @if let Some(course) = record.course(field).filter(|c| !c.steps.is_empty()) {
                    h2 { (Word::Steps.say(lang)) (Word::Colon.say(lang)) (label(field, lang)) }
                    ol.course {
                        @for happened in &course.steps {
                            @let name = step_name(workflow, &happened.taken.op, lang);
                            li {
                                strong { (name) } " "
                                @if let Ok(to) = &happened.outcome {
                                    @let code = field.code(to);
                                    (tag(code.map_or(to.as_str(), |c| match lang { Lang::Zh => c.zh, Lang::En => c.en }), ""))
                                }
                                " " (people.who(space, happened.actor, &happened.account))
                                " " span.faint { (time(happened.time_ms)) }
                                @if let Some(note) = &happened.taken.note { " — " (note) }
                                @if let Err(why) = &happened.outcome {
                                    " " span.tag.bad { (Word::Ignored.say(lang)) } " " (lang.say(&why.to_string()))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn step_name(workflow: &Workflow, op: &str, lang: Lang) -> String {
    let step = workflow.step(op).map(|s| match lang {
        Lang::Zh => s.zh,
        Lang::En => s.en,
    });
    let own = match (op, lang) {
        (RECORD, Lang::Zh) => Some("登记"),
        (RECORD, Lang::En) => Some("Recorded"),
        ("correct", Lang::Zh) => Some("更正"),
        ("settle", Lang::Zh) => Some("裁定"),
        _ => None,
    };
    step.or(own).unwrap_or(op).to_owned()
}

pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => false,
    }
}
