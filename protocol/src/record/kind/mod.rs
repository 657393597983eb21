//! The kinds of records, a file each: fields, how they merge, codes, workflow.
//!
//! A new kind is a file here, a line in [`super::ALL`], and its genesis change, which
//! `cargo test -p fenbu-protocol -- --ignored new_genesis` writes. Lists, commands, forms and the API
//! follow from the schema.

pub(super) mod meeting;
pub(super) mod member;
pub(super) mod post;
