//! What each record noun shows and filters by; what it consists of is the protocol's to say.

pub(crate) use fenbu_protocol::record::{Code, Field, Merge, ValueType};
use fenbu_protocol::record::{Schema, schema_named};
use std::sync::LazyLock;

/// What the command line needs to know of a field beside its schema.
pub(crate) trait Flag {
    /// The codes a value may be, when it is a code.
    fn codes(&self) -> &'static [Code];

    /// The flag's name, without dashes.
    fn flag(&self) -> String;

    /// The code's label in the language; an unknown code as it is.
    fn label_of<'a>(&'a self, code: &'a str, lang: crate::lang::Lang) -> &'a str;
}

impl Flag for Field {
    fn codes(&self) -> &'static [Code] {
        match self.value {
            ValueType::Code(codes) => codes,
            _ => &[],
        }
    }

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

/// Name, filters, columns, further columns of `-o wide`.
type Listing = (&'static str, Names, Names, Names);
type Names = &'static [&'static str];

const LISTINGS: &[Listing] = &[
    (
        "post",
        &["column", "status"],
        &["column", "status", "title"],
        &["kind", "written", "bylines"],
    ),
    (
        "member",
        &["branch", "stage", "standing"],
        &["name", "branch", "stage", "standing"],
        &["joined", "converted", "job"],
    ),
    (
        "meeting",
        &["kind", "status", "branch"],
        &["start", "kind", "branch", "status", "title"],
        &["planned", "place", "host", "recorder"],
    ),
];

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let kind = |(name, filters, columns, columns_wide): &Listing| {
        let schema = schema_named(name)?;
        Some(Kind {
            schema,
            name: schema.name,
            plural: schema.plural,
            zh: schema.label_zh,
            fields: schema.fields,
            filters,
            columns,
            columns_wide,
        })
    };
    LISTINGS.iter().filter_map(kind).collect()
});

/// Every kind this version has verbs for.
pub(crate) fn kinds() -> &'static [Kind] {
    &KINDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        assert_eq!(kinds().len(), fenbu_protocol::record::ALL.len(), "a kind without verbs");
        for kind in kinds() {
            for name in kind.filters.iter().chain(kind.columns).chain(kind.columns_wide) {
                assert!(kind.field(name).is_some(), "{}: no field '{name}'", kind.schema.name);
            }
            for field in kind.schema.fields {
                let coded = matches!(field.value, ValueType::Code(_));
                assert_eq!(coded, !field.codes().is_empty(), "{}.{}", kind.schema.name, field.name);
                assert!(!field.label_zh.is_empty() && !field.label_en.is_empty());
            }
            assert!(kind.schema.fields.iter().any(|f| f.required), "{}", kind.schema.name);
        }
    }
}
