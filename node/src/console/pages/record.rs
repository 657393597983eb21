//! One record: shown, made, changed, taken a step further.

use super::super::Office;
use super::super::cells::{
    Names, People, is_prose, kind_label, label, prose, safe, tag, time, unit_name, value,
};
use super::super::fields::{Form, Sent, Suggestion, Wrong, edits};
use super::super::shell::{flash, page as full_page, trouble};
use super::super::visitor::{Visitor, encoded};
use super::super::words::Word;
use super::{Refused, ToldTo, blocking, check};
use crate::api::{Problem, disclose_to, safe_on, schema_of, unit_of, warnings};
use crate::driver::DriverStatus;
use crate::records::{Records, Shown};
use crate::store::{Cell, ListQuery};
use crate::words::Lang;
use axum::extract::{Form as Body, Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use fenbu_protocol::access::Action;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::record::conflict::settlers;
use fenbu_protocol::record::{
    Course, Field, Merge, RECORD, Schema, Step, ValueType, Workflow, schema_named,
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// The branch a record is about, for roles that are good for one branch.
pub(super) fn branch_of(json: &Value) -> Option<String> {
    let code = json["branch"].as_str().or_else(|| json["code"].as_str())?;
    Some(code.to_owned())
}

struct Looked {
    shown: Shown,
    json: Value,
    branch: Option<String>,
}

async fn look(
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
        fields.map(|field| label(field, lang)).collect::<Vec<_>>().join("、")
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
                    a.button href=(format!("/word/{}/{}", self.schema.name, self.looked.shown.document)) { (Word::WordFile.say(lang)) }
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
                    (items.iter().filter_map(Value::as_str).map(|who| self.member(who)).collect::<Vec<_>>().join("、"))
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
                        (label(field, lang)) "："
                        (value(field, &self.looked.json[field.name], lang))
                        @if course.revised { " " span.tag.warn { (Word::Revised.say(lang)) } }
                    }
                    @for step in workflow.from(&course.state).filter(mine) { (self.step(step)) }
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
                    h2 { (Word::Steps.say(lang)) "：" (label(field, lang)) }
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

fn step_name(workflow: &Workflow, op: &str, lang: Lang) -> String {
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

/// Branches people choose among, by code.
pub(super) fn suggestions(
    records: &Records,
    schema: &Schema,
) -> BTreeMap<&'static str, Vec<Suggestion>> {
    let mut out = BTreeMap::new();
    let directory = records.shared.directory.now();
    let units: Vec<Suggestion> = directory
        .units()
        .map(|u| Suggestion { value: u.code.clone(), label: u.name.clone() })
        .collect();
    let branches = branches(records, None);
    for field in schema.fields {
        match field.name {
            "branch" | "parent" | "from_branch" | "to_branch" => {
                out.insert(field.name, branches.clone());
            }
            "unit" | "host_unit" | "from_unit" | "to_unit" | "asked" => {
                out.insert(field.name, units.clone());
            }
            _ => {}
        }
    }
    out
}

/// The branches of a unit, or of all.
pub(super) fn branches(records: &Records, unit: Option<&str>) -> Vec<Suggestion> {
    let mut out = Vec::new();
    for name in ["branch", "temporary-branch"] {
        // INVARIANT: kinds of this program.
        let schema = schema_named(name).expect("a kind of this program");
        let equals = match (unit, name) {
            (Some(unit), "branch") => vec![("unit".to_owned(), unit.to_owned())],
            (Some(unit), _) => vec![("host_unit".to_owned(), unit.to_owned())],
            (None, _) => Vec::new(),
        };
        let query = ListQuery { equals, limit: 1000, ..ListQuery::default() };
        let Ok(page) = records.list(schema, query) else { continue };
        let at = |column: &str| schema.columns.iter().position(|c| *c == column);
        for row in page.rows {
            let text = |column: &str| match at(column).map(|at| &row.row.cells[at]) {
                Some(Cell::Text(text)) => text.clone(),
                _ => String::new(),
            };
            out.push(Suggestion { value: text("code"), label: text("name") });
        }
    }
    out.retain(|branch| !branch.value.is_empty());
    out.sort_by(|a, b| a.value.cmp(&b.value));
    out
}

pub(in crate::console) async fn new_form(
    State(office): State<Office>,
    visitor: Visitor,
    Path(plural): Path<String>,
    Query(given): Query<Sent>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    check_any(&visitor, schema)?;
    // What an address gives is as if it had been typed.
    let (none, wrong) = (Map::new(), Wrong::new());
    Ok(form_page(&office, &visitor, schema, None, &none, &given, &wrong, html! {}))
}

/// Whoever may write the kind for one branch may open the form; what they save is judged by its branch.
fn check_any(visitor: &Visitor, schema: &Schema) -> Result<(), Refused> {
    let scoped = visitor.account.roles.iter().filter_map(|role| role.branch.as_deref());
    let branch = scoped.into_iter().find(|b| visitor.may_in(Action::Write(schema.name), Some(b)));
    check(visitor, Action::Write(schema.name), branch)
}

pub(in crate::console) async fn edit_form(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    check(&visitor, Action::Write(schema.name), looked.branch.as_deref())?;
    let values = looked.json.as_object().cloned().unwrap_or_default();
    let id = looked.shown.document.to_string();
    let newest = newest(&office, &visitor, &looked).await?;
    let (none, wrong) = (Sent::new(), Wrong::new());
    Ok(form_page(&office, &visitor, schema, Some(&id), &values, &none, &wrong, newest))
}

/// Who changed a record last: live on its form, so that whoever types hears of what others save.
async fn newest(office: &Office, visitor: &Visitor, looked: &Looked) -> Result<Markup, Refused> {
    let status = status(office, visitor).await?;
    let directory = office.records().shared.directory.now();
    let mut people = People::new(&directory, &status, office.records());
    let history = looked.shown.record.history();
    let lang = visitor.lang;
    Ok(html! {
        p #newest.faint.small data-live=(looked.shown.record.schema().plural) {
            @if let Some(last) = history.last() {
                (Word::LastChange.say(lang)) (people.who(looked.shown.space, last.actor, &last.account)) " "
                (time(last.time_ms)) " " (Word::Merges.say(lang))
            }
        }
    })
}

#[allow(clippy::too_many_arguments, reason = "each is another thing a form shows")]
fn form_page(
    office: &Office,
    visitor: &Visitor,
    schema: &'static Schema,
    id: Option<&str>,
    values: &Map<String, Value>,
    sent: &Sent,
    wrong: &Wrong,
    said: Markup,
) -> Markup {
    let lang = visitor.lang;
    let suggestions = suggestions(office.records(), schema);
    let form = Form { lang, values, sent, wrong, suggestions: &suggestions };
    let to = match id {
        Some(id) => format!("/r/{}/{id}", schema.plural),
        None => format!("/r/{}", schema.plural),
    };
    let title = match id {
        Some(_) => format!(
            "{}：{}",
            Word::Edit.say(lang),
            title_of(schema, &Value::Object(values.clone()), lang)
        ),
        None => format!("{}：{}", Word::New.say(lang), kind_label(schema, lang)),
    };
    let body = html! {
        (said)
        form.careful method="post" action=(to) {
            (form.inputs(schema))
            p.bar {
                button.primary type="submit" { (Word::Save.say(lang)) }
                a.button href=(to) { (Word::Cancel.say(lang)) }
            }
        }
    };
    full_page(visitor, &title, body)
}

pub(in crate::console) async fn create(
    State(office): State<Office>,
    visitor: Visitor,
    Path(plural): Path<String>,
    Body(sent): Body<Sent>,
) -> Result<Response, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let lang = visitor.lang;
    let again = |wrong: &Wrong, said: Option<&str>| {
        let said = html! { @if let Some(said) = said { (trouble(said)) } };
        form_page(&office, &visitor, schema, None, &Map::new(), &sent, wrong, said).into_response()
    };
    let fields = match edits(schema, &sent, lang) {
        Ok(fields) => Value::Object(fields),
        Err(wrong) => return Ok(again(&wrong, None)),
    };
    check(&visitor, Action::Write(schema.name), branch_of(&fields).as_deref())?;
    let (records, account) = (office.records().clone(), visitor.id());
    let warning = warnings(schema, &fields, lang).join(" ");
    let made = blocking(move || records.create(schema, &fields, None, None, &account)).await;
    match made {
        Ok(saved) => {
            let to = format!("/r/{}/{}", schema.plural, saved.document);
            Ok(Redirect::to(&format!("{to}?said=saved&warning={}", encoded(&warning)))
                .into_response())
        }
        Err(error) => Ok(again(&Wrong::new(), Some(&lang.say(&error.to_string())))),
    }
}

pub(in crate::console) async fn save(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Body(sent): Body<Sent>,
) -> Result<Response, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let lang = visitor.lang;
    let before = look(&office, &visitor, schema, &id).await?;
    check(&visitor, Action::Write(schema.name), before.branch.as_deref())?;
    let values = before.json.as_object().cloned().unwrap_or_default();
    let id = before.shown.document.to_string();
    let again = |wrong: &Wrong, said: Option<&str>| {
        let said = html! { @if let Some(said) = said { (trouble(said)) } };
        form_page(&office, &visitor, schema, Some(&id), &values, &sent, wrong, said).into_response()
    };
    let fields = match edits(schema, &sent, lang) {
        Ok(fields) => fields,
        Err(wrong) => return Ok(again(&wrong, None)),
    };
    let (came, over) = meanwhile(schema, &values, &sent, &fields, lang);
    let fields = Value::Object(fields);
    if let Some(branch) = fields.get("branch").and_then(Value::as_str) {
        check(&visitor, Action::Write(schema.name), Some(branch))?;
    }
    let warning = warnings(schema, &fields, lang).join(" ");
    let (records, account, document) = (office.records().clone(), visitor.id(), id.clone());
    let saved = blocking(move || records.edit(schema, &document, &fields, &account)).await;
    match saved {
        Ok(saved) => {
            let said = if saved.entry.is_some() { "saved" } else { "unchanged" };
            let to = format!(
                "/r/{}/{id}?said={said}&came={came}&over={over}&warning={}",
                schema.plural,
                encoded(&warning)
            );
            Ok(Redirect::to(&to).into_response())
        }
        Err(error) => Ok(again(&Wrong::new(), Some(&lang.say(&error.to_string())))),
    }
}

/// Fields that others changed since the form was made: those that are kept or merged, and those whose
/// value this save takes the place of.
fn meanwhile(
    schema: &'static Schema,
    now: &Map<String, Value>,
    sent: &Sent,
    fields: &Map<String, Value>,
    lang: Lang,
) -> (String, String) {
    let none = Sent::new();
    let (wrong, suggestions) = (Wrong::new(), BTreeMap::new());
    let form = Form { lang, values: now, sent: &none, wrong: &wrong, suggestions: &suggestions };
    let changed = form.changed_since(schema, sent);
    let single = |f: &&'static Field| {
        fields.contains_key(f.name) && matches!(f.merge, Merge::Register | Merge::Contested)
    };
    let names =
        |list: Vec<&'static Field>| list.iter().map(|f| f.name).collect::<Vec<_>>().join(",");
    let (over, came): (Vec<_>, Vec<_>) = changed.into_iter().partition(single);
    (names(came), names(over))
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Taking {
    op: String,
    #[serde(default)]
    note: String,
    /// Where to go on; the record if not given.
    #[serde(default)]
    next: String,
}

pub(in crate::console) async fn step(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Body(taking): Body<Taking>,
) -> Result<Response, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    check(&visitor, Action::Step(schema.name, &taking.op), looked.branch.as_deref())?;
    let Some((field, _)) = schema.step(&taking.op) else {
        return Err(Problem::not_found("this version knows no such step")).told_to(&visitor);
    };
    let mut want = json!({ "op": taking.op });
    if !taking.note.trim().is_empty() {
        want["note"] = taking.note.trim().into();
    }
    let fields = json!({ field.name: want });
    let (records, account) = (office.records().clone(), visitor.id());
    let document = looked.shown.document.to_string();
    let to = match taking.next.strip_prefix('/') {
        Some(rest) if !rest.starts_with(['/', '\\']) => taking.next.clone(),
        _ => format!("/r/{plural}/{document}?said=saved"),
    };
    blocking(move || records.edit(schema, &document, &fields, &account)).await.told_to(&visitor)?;
    Ok(Redirect::to(&to).into_response())
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Noting {
    field: String,
    text: String,
}

pub(in crate::console) async fn note(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Body(noting): Body<Noting>,
) -> Result<Response, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    let branch = looked.branch.as_deref();
    if !visitor.may_in(Action::Step(schema.name, "return"), branch) {
        check(&visitor, Action::Write(schema.name), branch)?;
    }
    let field = schema.field(&noting.field).filter(|f| f.merge == Merge::Notes);
    let Some(field) = field else {
        return Err(Problem::not_found("this page takes no such remark")).told_to(&visitor);
    };
    let mut remark = json!({ "text": noting.text.trim() });
    if let ValueType::Object(parts) = field.value {
        if parts.iter().any(|part| part.name == "by") {
            remark["by"] = visitor.account.name.as_str().into();
        }
        if parts.iter().any(|part| part.name == "on") {
            let now_ms = office.records().shared.clock.now_ms();
            remark["on"] = time(now_ms).get(..10).unwrap_or_default().into();
        }
    }
    let fields = json!({ field.name: { "add": [remark] } });
    let (records, account) = (office.records().clone(), visitor.id());
    let document = looked.shown.document.to_string();
    let to = format!("/r/{plural}/{document}?said=saved");
    blocking(move || records.edit(schema, &document, &fields, &account)).await.told_to(&visitor)?;
    Ok(Redirect::to(&to).into_response())
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Revealing {
    field: String,
    reason: String,
}

/// Shows one personal value. That somebody looks is on disk before.
pub(in crate::console) async fn reveal(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
    Body(asked): Body<Revealing>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    check(&visitor, Action::Reveal(schema.name), looked.branch.as_deref())?;
    let Some(field) = schema.field(&asked.field).filter(|f| f.personal) else {
        return Err(Problem::not_found("this is no personal field")).told_to(&visitor);
    };
    let (records, account) = (office.records().clone(), visitor.id());
    let document = looked.shown.document.to_string();
    let to = format!("/r/{plural}/{document}");
    let reason = asked.reason;
    blocking(move || disclose_to(&records, schema, &document, field.name, &reason, &account))
        .await
        .told_to(&visitor)?;
    let lang = visitor.lang;
    let told = fenbu_protocol::sheet::show(field, &looked.json[field.name], lang.into());
    let body = html! {
        dl.fields { dt { (label(field, lang)) } dd { (told) } }
        p { a.button href=(to) { (Word::GoBack.say(lang)) } }
    };
    Ok(full_page(&visitor, &title_of(schema, &looked.json, lang), body))
}

pub(in crate::console) async fn history(
    State(office): State<Office>,
    visitor: Visitor,
    Path((plural, id)): Path<(String, String)>,
) -> Result<Markup, Refused> {
    let schema = schema_of(&plural).told_to(&visitor)?;
    let looked = look(&office, &visitor, schema, &id).await?;
    let status = status(&office, &visitor).await?;
    let directory = office.records().shared.directory.now();
    let lang = visitor.lang;
    let mut people = People::new(&directory, &status, office.records());
    let space = looked.shown.space;
    let items = looked.shown.record.history();
    let body = html! {
        p { a.button href=(format!("/r/{plural}/{}", looked.shown.document)) { (Word::GoBack.say(lang)) } }
        div #history data-live=(schema.plural) {
            table {
                thead { tr {
                    th scope="col" { (Word::When.say(lang)) } th scope="col" { (Word::ByWhom.say(lang)) }
                    th scope="col" { (Word::What.say(lang)) }
                } }
                tbody {
                    @for item in items.iter().rev() {
                        tr {
                            td.nowrap { (time(item.time_ms)) }
                            td { (people.who(space, item.actor, &item.account)) }
                            td { @for (name, change) in &item.changes { (changed(schema, name, change, lang)) } }
                        }
                    }
                }
            }
        }
    };
    let title = format!("{}：{}", Word::History.say(lang), title_of(schema, &looked.json, lang));
    Ok(full_page(&visitor, &title, body))
}

/// One field's change, as the history gives it.
fn changed(schema: &'static Schema, name: &str, change: &Value, lang: Lang) -> Markup {
    let Some(field) = schema.field(name) else { return html! { p { (name) } } };
    let told = match (field.merge, change) {
        (Merge::Register | Merge::Contested, value) => {
            super::super::cells::text(field, value, lang)
        }
        _ if field.personal => "***".to_owned(),
        (Merge::Text | Merge::List, parts) => {
            let excerpt = parts["excerpt"].as_str().unwrap_or_default();
            format!("+{} −{} {excerpt}", parts["inserted"], parts["deleted"])
        }
        (Merge::Set, parts) => {
            let list = |name: &str, sign: &str| -> Vec<String> {
                let items = parts[name].as_array().into_iter().flatten().filter_map(Value::as_str);
                items.map(|item| format!("{sign}{item}")).collect()
            };
            [list("added", "+"), list("removed", "−")].concat().join(" ")
        }
        (Merge::Log, steps) => steps_told(field, steps, lang),
        (_, other) => super::super::cells::text(field, other, lang),
    };
    html! { p { strong { (label(field, lang)) } "：" (told) } }
}

fn steps_told(field: &Field, steps: &Value, lang: Lang) -> String {
    let Some(workflow) = field.workflow() else { return steps.to_string() };
    let list: Vec<&Value> = match steps {
        Value::Array(items) => items.iter().collect(),
        Value::Object(entries) if entries.contains_key("op") => vec![steps],
        Value::Object(entries) => entries.values().collect(),
        _ => Vec::new(),
    };
    let one = |step: &&Value| {
        let name = step_name(workflow, step["op"].as_str().unwrap_or_default(), lang);
        match step["note"].as_str() {
            Some(note) => format!("{name}（{note}）"),
            None => name,
        }
    };
    list.iter().map(one).collect::<Vec<_>>().join("；")
}

#[derive(Debug, Deserialize)]
pub(in crate::console) struct Text {
    text: String,
}

pub(in crate::console) async fn preview(_visitor: Visitor, Body(text): Body<Text>) -> Markup {
    prose(&text.text)
}
