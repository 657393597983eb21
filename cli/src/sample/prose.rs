//! Puts the phrases together: a template's slots are filled, sentences are drawn without
//! repeating one, and paragraphs become Markdown.

use jiff::civil::Date;

use super::calendar::month_day_zh;
use super::phrases as p;
use super::rng::Rng;

/// The facts one text must tell the same way throughout.
#[derive(Debug, Clone)]
pub(super) struct Facts<'a> {
    pub(super) unit: &'a str,
    pub(super) branch: &'a str,
    /// Whose name a text gives: the person a portrait is about, or an author.
    pub(super) author: &'a str,
    /// Whether that person is 她.
    pub(super) author_is_female: bool,
    pub(super) day: Date,
    pub(super) theme: &'static str,
    pub(super) activity: &'static str,
    pub(super) topic: &'a str,
}

impl Facts<'_> {
    /// Fills the template's slots, and the slots of what fills them.
    pub(super) fn tell(&self, rng: &mut Rng, template: &str) -> String {
        let mut out = String::with_capacity(template.len() + 32);
        self.tell_into(rng, template, &mut out);
        out
    }

    fn tell_into(&self, rng: &mut Rng, template: &str, out: &mut String) {
        let mut rest = template;
        while let Some((before, slot_on)) = rest.split_once('{') {
            out.push_str(before);
            let (slot, after) =
                slot_on.split_once('}').expect("INVARIANT: every slot in the tables is closed");
            self.fill(rng, slot, out);
            rest = after;
        }
        out.push_str(rest);
    }

    fn fill(&self, rng: &mut Rng, slot: &str, out: &mut String) {
        let table = match slot {
            "unit" => return out.push_str(self.unit),
            "branch" => return out.push_str(self.branch),
            "author" => return out.push_str(self.author),
            "he" => return out.push(if self.author_is_female { '她' } else { '他' }),
            "theme" => return out.push_str(self.theme),
            "activity" => return out.push_str(self.activity),
            "topic" => return out.push_str(self.topic),
            "day" => return out.push_str(&month_day_zh(self.day)),
            "n" => return out.push_str(&rng.between(8, 45).to_string()),
            "few" => return out.push_str(&rng.between(3, 9).to_string()),
            "many" => return out.push_str(&(rng.between(10, 60) * 10).to_string()),
            "place" => p::PLACES,
            "role" => p::ROLES,
            "front" => p::FRONTS,
            "deed" => p::DEEDS,
            "study" => p::STUDIES,
            "duty" => p::DUTIES,
            "harvest" => p::HARVESTS,
            unknown => unreachable!("INVARIANT: no table uses the slot {unknown}"),
        };
        let template = rng.pick(table);
        self.tell_into(rng, template, out);
    }

    /// `count` different templates of a pool in an order of chance, filled and joined.
    pub(super) fn several(&self, rng: &mut Rng, pool: &[&str], count: usize) -> String {
        let mut out = String::new();
        for template in draw(rng, pool, count) {
            self.tell_into(rng, template, &mut out);
        }
        out
    }
}

/// `count` different items of a pool (all of it, if it has fewer), in an order of chance.
pub(super) fn draw<'p>(rng: &mut Rng, pool: &[&'p str], count: usize) -> Vec<&'p str> {
    let mut items = pool.to_vec();
    rng.shuffle(&mut items);
    items.truncate(count);
    items
}

/// `count` different items of a pool (all of it, if it has fewer), in the pool's order: the pools
/// of sentences run from a story's beginning to its end.
fn draw_in_order<'p>(rng: &mut Rng, pool: &[&'p str], count: usize) -> Vec<&'p str> {
    let mut places: Vec<usize> = (0..pool.len()).collect();
    rng.shuffle(&mut places);
    places.truncate(count);
    places.sort_unstable();
    places.into_iter().map(|place| pool[place]).collect()
}

/// What a column's texts are made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Genre {
    pub(super) titles: &'static [&'static str],
    pub(super) leads: &'static [&'static str],
    pub(super) sentences: &'static [&'static str],
}

pub(super) const NEWS: Genre =
    Genre { titles: p::NEWS_TITLES, leads: p::NEWS_LEADS, sentences: p::NEWS_SENTENCES };
pub(super) const STYLE: Genre =
    Genre { titles: p::STYLE_TITLES, leads: p::STYLE_LEADS, sentences: p::STYLE_SENTENCES };
pub(super) const PIONEER: Genre =
    Genre { titles: p::PIONEER_TITLES, leads: p::PIONEER_LEADS, sentences: p::PIONEER_SENTENCES };
pub(super) const CULTURE: Genre =
    Genre { titles: p::CULTURE_TITLES, leads: p::CULTURE_LEADS, sentences: p::CULTURE_SENTENCES };

impl Genre {
    /// A Markdown text: a lead, three to six paragraphs (some under headings), a closing.
    pub(super) fn body(&self, rng: &mut Rng, facts: &Facts<'_>, is_clipping: bool) -> String {
        let leads = if is_clipping { p::CLIPPING_LEADS } else { self.leads };
        let lead = rng.pick(leads);
        let mut out = facts.tell(rng, lead);
        let paragraphs = rng.between(3, 6);
        let sizes: Vec<usize> = (0..paragraphs).map(|_| rng.between(3, 4)).collect();
        let headings = draw(rng, p::HEADINGS, paragraphs);
        let with_headings = rng.chance(300);
        let sentences = draw_in_order(rng, self.sentences, sizes.iter().sum());
        let mut rest = sentences.as_slice();
        for (heading, size) in headings.into_iter().zip(sizes) {
            let (paragraph, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            if paragraph.is_empty() {
                break;
            }
            out.push_str("\n\n");
            if with_headings {
                out.push_str(&format!("## {heading}\n\n"));
            }
            for template in paragraph {
                facts.tell_into(rng, template, &mut out);
            }
        }
        out.push_str("\n\n");
        let closing = rng.pick(p::CLOSINGS);
        facts.tell_into(rng, closing, &mut out);
        out
    }
}

/// Minutes of 100 to 400 characters: who was there, what the kind of meeting calls for, the rest.
pub(super) fn minutes(rng: &mut Rng, facts: &Facts<'_>, kind: &str, opening: &str) -> String {
    let mut out = String::from(opening);
    if let Some((_, own)) = p::MINUTES_BY_KIND.iter().find(|(k, _)| *k == kind) {
        for template in *own {
            facts.tell_into(rng, template, &mut out);
        }
    }
    let count = rng.between(2, 4);
    out.push_str(&facts.several(rng, p::MINUTES_SENTENCES, count));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_fills_and_none_is_said_twice() {
        let facts = Facts {
            unit: "连云港分局",
            branch: "第一党支部",
            author: "某某",
            author_is_female: true,
            day: jiff::civil::date(2016, 5, 4),
            theme: p::THEMES[1],
            activity: "植树",
            topic: "题",
        };
        let mut rng = Rng::new(1);
        let mut pools: Vec<&[&str]> = vec![
            p::CLIPPING_LEADS,
            p::CLOSINGS,
            p::AGENDA,
            p::AGENDA_BUSINESS,
            p::AGENDA_INTEGRITY,
            p::MINUTES_SENTENCES,
        ];
        for genre in [NEWS, STYLE, PIONEER, CULTURE] {
            pools.extend([genre.titles, genre.leads, genre.sentences]);
        }
        pools.extend(p::MINUTES_BY_KIND.iter().map(|(_, own)| *own));
        for pool in pools {
            let all = facts.several(&mut rng, pool, usize::MAX);
            assert!(!all.contains(['{', '}']), "{all}");
            let drawn: std::collections::BTreeSet<_> =
                draw(&mut rng, pool, usize::MAX).into_iter().collect();
            assert_eq!(drawn.len(), pool.len(), "a template stands twice in {pool:?}");
        }
    }
}
