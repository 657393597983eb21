//! `fenbu feed`: published posts as an Atom feed.

use std::path::PathBuf;

use clap::Args;

use super::Session;
use super::export::save;
use crate::client::Route;
use crate::error::{Exit, Result};

/// Write the published posts as an Atom feed; withdrawn ones are in it as deleted
#[derive(Debug, Args)]
pub(crate) struct FeedArgs {
    /// New file, such as news.atom
    file: PathBuf,
    /// Only this column: style, pioneer, news, culture
    #[arg(long, value_name = "CODE")]
    column: Option<String>,
    /// Only posts of this unit
    #[arg(long, value_name = "CODE")]
    unit: Option<String>,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "把已发布的稿件写成 Atom 订阅源；已撤稿件标为删除"),
    ("file", "新文件，如 news.atom"),
    ("column", "只要该栏目：style、pioneer、news、culture"),
    ("unit", "只要该单位的稿件"),
];

pub(super) async fn run(args: FeedArgs, session: &mut Session) -> Result<Exit> {
    let mut route = Route::new("feed.atom");
    for (name, value) in [("column", &args.column), ("unit", &args.unit)] {
        if let Some(value) = value {
            route = route.query(name, value);
        }
    }
    save(session, route, &args.file).await
}
