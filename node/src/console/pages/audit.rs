//! Who signed in, who changed accounts, who looked at personal data.

use super::super::Office;
use super::super::cells::Names;
use super::super::shell::page as full_page;
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::records::table;
use super::{Refused, ToldTo, blocking, check};
use crate::store::{ListQuery, Order, OrderBy};
use axum::extract::State;
use fenbu_protocol::access::Action;
use fenbu_protocol::record::schema_named;
use maud::{Markup, html};

const SHOWN: usize = 200;

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Audit, None)?;
    let lang = visitor.lang;
    let directory = office.records().shared.directory.now();
    let mut parts = Vec::new();
    for (name, word) in [("audit", Word::Audit), ("disclosure", Word::Disclosures)] {
        // INVARIANT: kinds of this program.
        let schema = schema_named(name).expect("a kind of this program");
        let order = Order { by: OrderBy::Created, descending: true };
        let query = ListQuery { order, limit: SHOWN, ..ListQuery::default() };
        let records = office.records().clone();
        let rows = blocking(move || records.list(schema, query)).await.told_to(&visitor)?.rows;
        parts.push((word, schema, rows));
    }
    let records = office.records().clone();
    let names = blocking(move || Names::of(&records)).await;
    let body = html! {
        @for (word, schema, rows) in &parts {
            h2 { (word.say(lang)) }
            div id=(schema.plural) data-live=(schema.plural) { (table(&visitor, schema, &names, &directory, rows)) }
        }
    };
    Ok(full_page(&visitor, Word::Audit.say(lang), body))
}
