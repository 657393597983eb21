//! How the node is: who sees whom, what is missing where, what is wrong and what to do. Looks again by
//! itself every few seconds.

use super::super::Office;
use super::super::cells::{time, unit_name};
use super::super::shell::{page as full_page, trouble};
use super::super::visitor::Visitor;
use super::super::words::Word;
use super::record::status;
use super::{Refused, ToldTo, check};
use crate::api::{alarms_of, findings};
use crate::driver::DriverStatus;
use axum::extract::State;
use fenbu_protocol::access::Action;
use fenbu_protocol::directory::Directory;
use fenbu_protocol::id::NodeId;
use maud::{Markup, html};
use std::f64::consts::TAU;

pub(in crate::console) async fn page(
    State(office): State<Office>,
    visitor: Visitor,
) -> Result<Markup, Refused> {
    check(&visitor, Action::Node, None)?;
    let lang = visitor.lang;
    let status = status(&office, &visitor).await?;
    let directory = office.records().shared.directory.now();
    let me = office.daemon.me();
    let daemon = office.daemon.clone();
    let alarms = alarms_of(&daemon, &status, lang).await.told_to(&visitor)?;
    let checked = findings(&daemon, lang).await.told_to(&visitor)?;
    let body = html! {
        div #node data-live="node" {
            @if alarms.is_empty() && checked.is_empty() { p { span.light.good { (Word::NoAlarms.say(lang)) } } }
            @for alarm in &alarms { (trouble(alarm)) }
            @for (word, detail) in &checked { (trouble(&format!("{word}{}{detail}", Word::Colon.say(lang)))) }
            (map(&status, &directory, &me, lang))
            (peers(&status, &directory, &me, lang))
            (spaces(&status, &directory, lang))
        }
    };
    Ok(full_page(&visitor, Word::Sync.say(lang), body))
}

/// Every node on a circle, this one in the middle of it; a line where a link is.
fn map(
    status: &DriverStatus,
    directory: &Directory,
    me: &NodeId,
    lang: crate::words::Lang,
) -> Markup {
    let peers: Vec<_> = status.engine.peers.iter().collect();
    let count = peers.len().max(1) as f64;
    let place = |at: usize| {
        let angle = TAU * at as f64 / count - TAU / 4.0;
        (320.0 + 230.0 * angle.cos(), 190.0 + 150.0 * angle.sin())
    };
    let name = |node: &NodeId| {
        let info = directory.node(node);
        info.map_or_else(|| node.short(), |info| unit_name(directory, Some(&info.unit)))
    };
    let missing = |at: usize| -> u64 {
        peers[at]
            .spaces
            .iter()
            .map(|(_, gap)| gap.missing_here.saturating_add(gap.missing_there))
            .fold(0, u64::saturating_add)
    };
    let this = format!("{} {}", name(me), Word::ThisNode.say(lang));
    let others = peers.iter().map(|p| {
        let how = if p.live { Word::Connected } else { Word::NotConnected };
        format!("{} {}", name(&p.peer), how.say(lang))
    });
    let said: Vec<String> = std::iter::once(this).chain(others).collect();
    html! {
        figure {
            svg.map viewBox="0 0 640 400" role="img" aria-label=(said.join(Word::Comma.say(lang))) {
                @for (at, peer) in peers.iter().enumerate() {
                    @let (x, y) = place(at);
                    @let colour = if !peer.live { "var(--line)" } else if missing(at) > 0 { "var(--warn)" } else { "var(--good)" };
                    line x1="320" y1="190" x2=(format!("{x:.0}")) y2=(format!("{y:.0}")) stroke=(colour) stroke-width="2"
                        stroke-dasharray=[(!peer.live).then_some("4 6")] {}
                    circle cx=(format!("{x:.0}")) cy=(format!("{y:.0}")) r="9" fill=(colour) {}
                    text x=(format!("{x:.0}")) y=(format!("{:.0}", y + 24.0)) text-anchor="middle" { (name(&peer.peer)) }
                }
                circle cx="320" cy="190" r="13" fill="var(--red)" {}
                text x="320" y="220" text-anchor="middle" { (name(me)) " (" (Word::ThisNode.say(lang)) ")" }
            }
        }
    }
}

fn peers(
    status: &DriverStatus,
    directory: &Directory,
    me: &NodeId,
    lang: crate::words::Lang,
) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr {
                    @for word in [Word::Node, Word::Unit, Word::State, Word::LastContact] { th scope="col" { (word.say(lang)) } }
                    @for word in [Word::MissingHere, Word::MissingThere] { th.number.nowrap scope="col" { (word.say(lang)) } }
                    th scope="col" { (Word::Why.say(lang)) }
                } }
                tbody {
                    @for peer in status.engine.peers.iter().filter(|p| p.peer != *me) {
                        @let info = directory.node(&peer.peer);
                        @let sum = |part: fn(&fenbu_protocol::sync::SpaceGap) -> u64| peer.spaces.iter().map(|(_, gap)| part(gap)).fold(0u64, u64::saturating_add);
                        tr {
                            td.nowrap { (info.map_or_else(|| peer.peer.short(), |i| i.name.clone())) }
                            td.nowrap { (unit_name(directory, info.map(|i| i.unit.as_str()))) }
                            td.nowrap {
                                @if peer.live { span.tag.good { (Word::Connected.say(lang)) } }
                                @else { span.tag { (Word::NotConnected.say(lang)) } }
                            }
                            td.nowrap { (peer.last_contact_ms.map_or_else(|| Word::Never.say(lang).to_owned(), time)) }
                            td.number { (sum(|gap| gap.missing_here)) }
                            td.number { (sum(|gap| gap.missing_there)) }
                            td { (peer.why.as_deref().map(|why| lang.say(why)).unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    }
}

/// For each space: what is here, and on how many nodes its least spread log is held in full.
fn spaces(status: &DriverStatus, directory: &Directory, lang: crate::words::Lang) -> Markup {
    let rows = directory.spaces().map(|space| {
        let logs = status.engine.logs.iter().filter(|l| l.space == space.id && l.tip.seq > 0);
        let entries: u64 = logs.clone().map(|l| l.tip.seq).sum();
        let safe = logs.map(|l| l.safe_on).min();
        let carriers = directory.nodes().filter(|n| directory.carries(&n.node, &space.id)).count();
        let unit = space.unit.as_deref().filter(|unit| *unit == space.label);
        let name = match unit {
            Some(unit) => unit_name(directory, Some(unit)),
            None if space.label == "federation" => Word::Federation.say(lang).to_owned(),
            None => space.label.clone(),
        };
        (name, entries, safe, carriers)
    });
    html! {
        h2 { (Word::Space.say(lang)) }
        div.wide {
            table {
                thead { tr {
                    th scope="col" { (Word::Space.say(lang)) }
                    th.number scope="col" { (Word::Entries.say(lang)) }
                    th scope="col" { (Word::SafeOn.say(lang)) }
                } }
                tbody {
                    @for (name, entries, safe, carriers) in rows {
                        tr {
                            td { (name) } td.number { (entries) }
                            td { (safe.map_or_else(|| "—".to_owned(), |k| super::super::cells::safe(lang, k, carriers))) }
                        }
                    }
                }
            }
        }
    }
}
