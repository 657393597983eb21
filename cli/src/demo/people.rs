//! Accounts to look at the console with, once the demo is over.

use super::office::Office;
use crate::client::Route;
use crate::error::Result;
use serde_json::json;

/// The same everywhere: these nodes are on loopback and hold a sample.
pub(super) const PASSWORD: &str = "fenbu-demo-2018";

/// Login, name, and roles.
const PEOPLE: [(&str, &str, &[&str]); 4] = [
    ("shuji", "演示书记", &["secretary", "recorder", "organisation"]),
    ("zhuangao", "演示撰稿人", &["author"]),
    ("shengao", "演示审稿人", &["reviewer"]),
    ("guanli", "演示管理员", &["administrator", "auditor"]),
];

/// Logins, in the order in which people would use them.
pub(super) fn logins() -> String {
    PEOPLE.map(|(login, _, _)| login).join(", ")
}

/// Makes the accounts of one office and says where its console is.
pub(super) async fn settle_in(office: &Office) -> Result<String> {
    for (login, name, roles) in PEOPLE {
        let new = json!({ "login": login, "name": name, "roles": roles, "password": PASSWORD });
        office.client.post(Route::new("accounts"), &new).await?;
    }
    let status = office.client.get(Route::new("status")).await?;
    Ok(status["console"]["url"].as_str().unwrap_or("—").to_owned())
}
