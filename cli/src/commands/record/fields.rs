//! What each record noun shows and filters by; what it consists of is the protocol's to say.

use fenbu_protocol::record::{ALL, Schema};
pub(crate) use fenbu_protocol::record::{Code, Field, Merge, ValueType};
use std::sync::LazyLock;

/// What the command line needs to know of a field beside its schema.
pub(crate) trait Flag {
    /// The flag's name, without dashes.
    fn flag(&self) -> String;

    /// The code's label in the language; an unknown code as it is.
    fn label_of<'a>(&'a self, code: &'a str, lang: crate::lang::Lang) -> &'a str;
}

impl Flag for Field {
    fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    fn label_of<'a>(&'a self, code: &'a str, lang: crate::lang::Lang) -> &'a str {
        let known = self.codes().iter().find(|known| known.code == code);
        known.map_or(code, |known| lang.pick(known.zh, known.en))
    }
}

/// A record noun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) schema: &'static Schema,
    pub(crate) name: &'static str,
    pub(crate) plural: &'static str,
    pub(crate) zh: &'static str,
    pub(crate) fields: &'static [Field],
    /// Fields that `list` filters by.
    pub(crate) filters: &'static [&'static str],
    /// Fields that `list` shows, the longest text last.
    pub(crate) columns: &'static [&'static str],
    /// Fields that only `list -o wide` shows.
    pub(crate) columns_wide: &'static [&'static str],
}

impl Kind {
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.schema.field(name)
    }
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let kind = |schema: &'static Schema| Kind {
        schema,
        name: schema.name,
        plural: schema.plural,
        zh: schema.label_zh,
        fields: schema.fields,
        filters: schema.filters,
        columns: schema.listed,
        columns_wide: schema.listed_wide,
    };
    let people = |schema: &&Schema| !ABOUT_PEOPLE.contains(&schema.name);
    ALL.into_iter().filter(people).map(kind).collect()
});

/// Kinds about people who sign in have verbs of their own, or none.
const ABOUT_PEOPLE: [&str; 3] = ["account", "credential", "audit"];

/// Every kind this version has verbs for.
pub(crate) fn kinds() -> &'static [Kind] {
    &KINDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        let all = fenbu_protocol::record::ALL.len();
        assert_eq!(kinds().len() + ABOUT_PEOPLE.len(), all, "a kind without verbs");
        for kind in kinds() {
            for name in kind.filters.iter().chain(kind.columns).chain(kind.columns_wide) {
                assert!(kind.field(name).is_some(), "{}: no field '{name}'", kind.schema.name);
            }
            for field in kind.schema.fields {
                let coded = matches!(field.value, ValueType::Code(_) | ValueType::State(_));
                assert_eq!(coded, !field.codes().is_empty(), "{}.{}", kind.schema.name, field.name);
                assert!(!field.label_zh.is_empty() && !field.label_en.is_empty());
            }
            assert!(kind.schema.fields.iter().any(|f| f.required), "{}", kind.schema.name);
        }
    }
}
