//! People who sign in on this node: their accounts, passwords and sessions.
//!
//! Accounts are records of the unit, so that the unit's laptop knows them too; a password's hash is
//! sealed to the unit's nodes alone (`credential`). What belongs to this node only, sessions, tokens and
//! how often somebody failed, is in a database of its own (`desk`). What a person may do is
//! [`fenbu_protocol::access`]'s to say. Everything here blocks.

mod credential;
mod desk;

use crate::records::{RecordError, Records, Shown};
use crate::store::{ListQuery, Place, StoreError};
pub use desk::{Desk, DeskError, Session, TOKEN_DAYS_MAX, Token};
use fenbu_protocol::access::{Action, Person, RoleError, Scoped, allows};
use fenbu_protocol::id::DocId;
use fenbu_protocol::record::{Schema, schema_named};
use serde_json::{Value, json};
use std::str::FromStr;

/// Fewest characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 10;
/// Most bytes of a password: what hashing it may cost is bounded.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// Most bytes of a login.
const LOGIN_BYTES_MAX: usize = 64;

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: DocId,
    pub login: String,
    pub name: String,
    /// Roles this version knows.
    pub roles: Vec<Scoped>,
    /// Id of the member they are.
    pub member: Option<DocId>,
    pub is_active: bool,
}

impl Account {
    fn of(shown: &Shown) -> Self {
        let json = shown.record.to_json();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let roles = json["roles"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Self {
            id: shown.document,
            login: text("login"),
            name: text("name"),
            roles: roles.filter_map(|role| Scoped::from_str(role).ok()).collect(),
            member: text("member").parse().ok(),
            is_active: text("state") == "active",
        }
    }

    pub fn person(&self) -> Person {
        Person::Account(self.roles.clone())
    }

    /// Whether they may do something with a record of this branch.
    pub fn may(&self, action: Action<'_>, branch: Option<&str>) -> bool {
        allows(&self.person(), action, branch)
    }
}

/// Why something about accounts does not happen; each says what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AccountError {
    #[error(
        "the login or the password is not right; passwords are told apart by upper and lower case"
    )]
    Wrong,
    #[error(
        "too many wrong passwords for this login; try again in {minutes} minutes, or ask your administrator"
    )]
    Locked { minutes: u64 },
    #[error(
        "this node has no password for this account yet: sign in once it has synced with your unit's server, or ask your administrator to set one here"
    )]
    NotHere,
    #[error("'{login}' is an account already; change that one, or choose another login")]
    Taken { login: String },
    #[error("there is no account '{login}'; see the list of accounts")]
    Unknown { login: String },
    #[error("a login has letters, digits, '.', '-' and '_', at most {LOGIN_BYTES_MAX}")]
    Login,
    #[error(
        "a password has at least {PASSWORD_CHARS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes, and is not the login"
    )]
    Password,
    #[error(transparent)]
    Role(#[from] RoleError),
    #[error(
        "somebody must remain who may change accounts: give another account the role administrator first"
    )]
    LastAdministrator,
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error("a password could not be hashed: {0}")]
    Hash(String),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Record(error.into())
    }
}

/// A new account, as an administrator describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewAccount {
    pub login: String,
    pub name: String,
    pub roles: Vec<String>,
    pub member: Option<String>,
}

/// The accounts of this node's unit.
#[derive(Debug, Clone)]
pub struct Accounts {
    records: Records,
    desk: Desk,
}

fn kind(name: &str) -> &'static Schema {
    // INVARIANT: the kinds named here are this program's.
    schema_named(name).expect("a kind of this program")
}

impl Accounts {
    pub fn new(records: Records, desk: Desk) -> Self {
        Self { records, desk }
    }

    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Every account of this unit, by login.
    pub fn all(&self) -> Result<Vec<Account>, AccountError> {
        let mut found = self.listed(ListQuery { limit: 1000, ..ListQuery::default() })?;
        found.sort_by(|a, b| (&a.login, a.id).cmp(&(&b.login, b.id)));
        Ok(found)
    }

    /// Accounts of this unit's own space: head office's nodes read other units' accounts too, and nobody
    /// signs in there with one of those.
    fn listed(&self, mut query: ListQuery) -> Result<Vec<Account>, AccountError> {
        let schema = kind("account");
        let directory = self.records.shared.directory.now();
        let unit = self.records.shared.unit();
        query.spaces = Some(directory.unit_space(&unit).map(|s| s.id).into_iter().collect());
        let page = self.records.list(schema, query)?;
        let mut out = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            let place = Place { document: row.document, space: row.space, kind: schema.kind };
            out.extend(self.records.record(schema, place)?.as_ref().map(Account::of));
        }
        Ok(out)
    }

    /// Accounts with a login: several where two nodes made one each.
    pub fn with_login(&self, login: &str) -> Result<Vec<Account>, AccountError> {
        let equals = vec![("login".to_owned(), login.to_owned())];
        self.listed(ListQuery { equals, ..ListQuery::default() })
    }

    pub fn account(&self, id: DocId) -> Result<Option<Account>, AccountError> {
        let schema = kind("account");
        let directory = self.records.shared.directory.now();
        let unit = self.records.shared.unit();
        let Some(space) = directory.unit_space(&unit).map(|s| s.id) else { return Ok(None) };
        let place = Place { document: id, space, kind: schema.kind };
        Ok(self.records.record(schema, place)?.as_ref().map(Account::of))
    }

    /// Makes an account with its first password. `by` is the account of whoever makes it.
    pub fn create(
        &self,
        new: &NewAccount,
        password: &str,
        by: &str,
    ) -> Result<DocId, AccountError> {
        check_login(&new.login)?;
        check_password(&new.login, password)?;
        new.roles.iter().try_for_each(|role| Scoped::from_str(role).map(drop))?;
        if !self.with_login(&new.login)?.is_empty() {
            return Err(AccountError::Taken { login: new.login.clone() });
        }
        let name = if new.name.is_empty() { &new.login } else { &new.name };
        let mut fields = json!({
            "login": new.login, "name": name, "roles": new.roles, "state": "active",
        });
        if let Some(member) = &new.member {
            fields["member"] = member.as_str().into();
        }
        let made = self.records.create(kind("account"), &fields, None, None, by)?;
        self.store_password(made.document, password, by)?;
        self.note("account_made", &new.login, by, "", "");
        Ok(made.document)
    }

    /// Changes an account's name, roles, member or state. Whoever may change accounts is never lost.
    pub fn change(&self, id: DocId, fields: &Value, by: &str) -> Result<(), AccountError> {
        let all = self.all()?;
        let known = all.iter().find(|account| account.id == id);
        let known = known.ok_or_else(|| AccountError::Unknown { login: id.to_string() })?;
        let given = fields["roles"].as_array().into_iter().flatten().filter_map(Value::as_str);
        given.map(Scoped::from_str).collect::<Result<Vec<_>, _>>()?;
        if let Some(login) = fields["login"].as_str() {
            check_login(login)?;
            if all.iter().any(|account| account.login == login && account.id != id) {
                return Err(AccountError::Taken { login: login.to_owned() });
            }
        }
        let administers =
            |account: &Account| account.is_active && account.may(Action::Accounts, None);
        if administers(known) && !keeps_administering(fields) {
            let others = all.iter().filter(|account| account.id != id);
            if !others.into_iter().any(administers) {
                return Err(AccountError::LastAdministrator);
            }
        }
        self.records.edit(kind("account"), &id.to_string(), fields, by)?;
        if fields.get("state").is_some_and(|state| state != "active") {
            self.desk.end_all(id)?;
        }
        self.note("account_changed", &known.login, by, "", "");
        Ok(())
    }

    /// Sets a password; everybody who is signed in with the old one is signed out.
    pub fn set_password(&self, id: DocId, password: &str, by: &str) -> Result<(), AccountError> {
        let unknown = || AccountError::Unknown { login: id.to_string() };
        let account = self.account(id)?.ok_or_else(unknown)?;
        check_password(&account.login, password)?;
        self.store_password(id, password, by)?;
        self.desk.end_all(id)?;
        self.desk.succeeded(&account.login)?;
        self.note("password_set", &account.login, by, "", "");
        Ok(())
    }

    /// Lets somebody in. `from` is where they sit, for the audit. Returns the session's secret, which is
    /// nowhere else.
    pub fn sign_in(
        &self,
        login: &str,
        password: &str,
        from: &str,
    ) -> Result<(String, Account), AccountError> {
        let now_ms = self.records.shared.clock.now_ms();
        let login = login.trim();
        if login.len() > LOGIN_BYTES_MAX || password.len() > PASSWORD_BYTES_MAX {
            return Err(AccountError::Wrong);
        }
        if let Some(minutes) = self.desk.locked_minutes(login, now_ms)? {
            return Err(AccountError::Locked { minutes });
        }
        let accounts = self.with_login(login)?;
        let active = accounts.into_iter().filter(|account| account.is_active);
        let mut not_here = false;
        let mut tried = false;
        for account in active {
            match self.password_fits(account.id, password)? {
                Some(true) => {
                    self.desk.succeeded(login)?;
                    let secret = self.desk.begin(account.id, from, now_ms)?;
                    self.note("signed_in", login, &account.id.to_string(), "", from);
                    return Ok((secret, account));
                }
                Some(false) => tried = true,
                None => not_here = true,
            }
        }
        if not_here && !tried {
            return Err(AccountError::NotHere);
        }
        if !tried {
            // As slow as for a login that exists.
            credential::spend(password);
        }
        let locked = self.desk.failed(login, now_ms)?;
        if locked {
            self.note("locked", login, "", "", from);
        }
        Err(AccountError::Wrong)
    }

    /// Who a session's secret stands for.
    pub fn signed_in(&self, secret: &str) -> Result<Option<Account>, AccountError> {
        let now_ms = self.records.shared.clock.now_ms();
        let Some(id) = self.desk.session(secret, now_ms)? else { return Ok(None) };
        Ok(self.account(id)?.filter(|account| account.is_active))
    }

    pub fn sign_out(&self, secret: &str, account: &Account) -> Result<(), AccountError> {
        self.desk.end(secret)?;
        self.note("signed_out", &account.login, &account.id.to_string(), "", "");
        Ok(())
    }

    /// Who an API token stands for.
    pub fn token_holder(&self, secret: &str) -> Result<Option<Account>, AccountError> {
        let now_ms = self.records.shared.clock.now_ms();
        let Some(id) = self.desk.token(secret, now_ms)? else { return Ok(None) };
        Ok(self.account(id)?.filter(|account| account.is_active))
    }

    /// Makes an API token that stands for the account, with all it may do, for so many days. Its secret
    /// is nowhere else.
    pub fn make_token(
        &self,
        account: &Account,
        name: &str,
        days: u32,
    ) -> Result<String, AccountError> {
        let now_ms = self.records.shared.clock.now_ms();
        let secret = self.desk.make_token(account.id, name, days, now_ms)?;
        self.note("token_made", &account.login, &account.id.to_string(), name, "");
        Ok(secret)
    }

    pub fn end_token(&self, account: &Account, number: i64) -> Result<(), AccountError> {
        self.desk.end_token(account.id, number)?;
        let about = number.to_string();
        self.note("token_ended", &account.login, &account.id.to_string(), &about, "");
        Ok(())
    }

    /// Writes an audit entry. That it cannot be written keeps nobody from their work, and is logged.
    pub fn note(&self, what: &str, login: &str, by: &str, about: &str, from: &str) {
        let mut fields = json!({ "what": what, "at": self.records.shared.clock.now_ms() });
        for (name, value) in [("login", login), ("by", by), ("about", about), ("from", from)] {
            if !value.is_empty() {
                fields[name] = value.into();
            }
        }
        if let Err(error) = self.records.create(kind("audit"), &fields, None, None, by) {
            tracing::error!(%error, what, "an audit entry could not be written");
        }
    }
}

/// Whether whoever may change accounts still may after this change.
fn keeps_administering(fields: &Value) -> bool {
    let state = fields.get("state").is_none_or(|state| state == "active");
    let roles = fields.get("roles").and_then(Value::as_array);
    state && roles.is_none_or(|roles| roles.iter().any(|role| role == "administrator"))
}

fn check_login(login: &str) -> Result<(), AccountError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = !login.is_empty() && login.len() <= LOGIN_BYTES_MAX && login.chars().all(plain);
    if fits { Ok(()) } else { Err(AccountError::Login) }
}

fn check_password(login: &str, password: &str) -> Result<(), AccountError> {
    let long = password.chars().count() >= PASSWORD_CHARS_MIN;
    let fits =
        long && password.len() <= PASSWORD_BYTES_MAX && !password.eq_ignore_ascii_case(login);
    if fits { Ok(()) } else { Err(AccountError::Password) }
}

#[cfg(test)]
mod tests;
