//! Accounts of each office: the console can be looked at with them once the demo is over.

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

/// Makes the accounts of one office.
pub(super) async fn settle_in(office: &Office) -> Result<()> {
    for (login, name, roles) in PEOPLE {
        let new = json!({ "login": login, "name": name, "roles": roles, "password": PASSWORD });
        office.client.post(Route::new("accounts"), &new).await?;
    }
    Ok(())
}

/// Where an office's console is.
pub(super) async fn console_of(office: &Office) -> Result<String> {
    let status = office.client.get(Route::new("status")).await?;
    Ok(status["console"]["url"].as_str().unwrap_or("—").to_owned())
}
