//! Somebody at a browser, told in the verbs of what people do: go, fill in, press, read.

use crate::chromium::{Chromium, Taste};
use anyhow::{Context, Result, bail, ensure};
use fenbu_tests::cluster::{Node, Patience};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Pause between two looks at a page.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) const PASSWORD: &str = "一生二，二生三，三生万物";

/// Somebody at the console of a node.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) browser: Chromium,
    /// The console, without a slash at its end.
    pub(crate) base: String,
}

/// Makes an account as an administrator does on the server.
pub(crate) fn account(node: &Node, login: &str, name: &str, roles: &[&str]) -> Result<()> {
    let mut args = vec!["account", "add", login, "--name", name];
    args.extend(roles.iter().flat_map(|role| ["--role", role]));
    node.fenbu_with(&args, PASSWORD.as_bytes())?
        .ok()
        .with_context(|| format!("account {login}"))?;
    Ok(())
}

impl Person {
    /// A browser before the console of a node; Chinese, as most are.
    pub(crate) fn before(node: &Node) -> Result<Self> {
        let browser = Chromium::start(Taste { language: "zh-CN" })?;
        Ok(Self { browser, base: console_of(node)? })
    }

    /// Somebody who has signed in.
    pub(crate) fn signed_in(node: &Node, login: &str) -> Result<Self> {
        let person = Self::before(node)?;
        person.signs_in(login, PASSWORD)?;
        person.reads("我的待办").with_context(|| format!("{login} signing in at {}", node.name))?;
        Ok(person)
    }

    /// Makes an account with these roles and signs in with it.
    pub(crate) fn new(node: &Node, login: &str, name: &str, roles: &[&str]) -> Result<Self> {
        account(node, login, name, roles)?;
        Self::signed_in(node, login)
    }

    pub(crate) fn signs_in(&self, login: &str, password: &str) -> Result<()> {
        self.goes("/sign-in")?;
        self.fills("#login", login)?;
        self.fills("#password", password)?;
        self.presses("登录")
    }

    pub(crate) fn goes(&self, path: &str) -> Result<()> {
        self.browser.get(&format!("{}{path}", self.base))
    }

    /// Where they are: the path, and what is asked of it.
    pub(crate) fn path(&self) -> Result<String> {
        let url = self.browser.url()?;
        Ok(url.strip_prefix(&self.base).unwrap_or(&url).to_owned())
    }

    /// Waits until something holds of the page.
    pub(crate) fn until<T>(&self, mut look: impl FnMut() -> Result<T>) -> Result<T> {
        let end = Instant::now() + Patience::SETTLE;
        loop {
            match look() {
                Ok(found) => return Ok(found),
                Err(error) if Instant::now() >= end => {
                    let page = self.text().unwrap_or_default();
                    let path = self.path().unwrap_or_default();
                    return Err(error.context(format!("at {path}:\n{page}")));
                }
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    fn element(&self, using: &str, what: &str) -> Result<String> {
        self.until(|| {
            let found = self.browser.find(using, what)?;
            found.into_iter().next().with_context(|| format!("there is no {what}"))
        })
    }

    /// Types into an empty field, or into one that is emptied first.
    pub(crate) fn fills(&self, css: &str, text: &str) -> Result<()> {
        let field = self.element("css selector", css)?;
        self.browser.clear(&field)?;
        self.browser.type_into(&field, text)
    }

    /// Gives a field a value that is not typed, such as a choice or a date.
    pub(crate) fn chooses(&self, css: &str, value: &str) -> Result<()> {
        let field = self.element("css selector", css)?;
        let field = json!({ "element-6066-11e4-a52e-4f735466cecf": field });
        let script = "arguments[0].value = arguments[1]; \
            arguments[0].dispatchEvent(new Event('input', { bubbles: true })); return arguments[0].value";
        let now = self.browser.run(script, &[field, value.into()])?;
        ensure!(now == value, "{css} does not take '{value}'");
        Ok(())
    }

    /// Presses the first button, or follows the first link, with this text.
    pub(crate) fn presses(&self, text: &str) -> Result<()> {
        self.presses_in("//main", text)
    }

    /// As [`Person::presses`], within what an XPath finds.
    pub(crate) fn presses_in(&self, within: &str, text: &str) -> Result<()> {
        let what = format!(
            "{within}//*[(self::button or self::a or self::label) and normalize-space()='{text}']"
        );
        self.element("xpath", &what).and_then(|button| self.browser.click(&button))
    }

    pub(crate) fn text(&self) -> Result<String> {
        let text = self.browser.run("return document.body.innerText", &[])?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the page says something.
    pub(crate) fn reads(&self, words: &str) -> Result<()> {
        self.until(|| {
            ensure!(self.text()?.contains(words), "the page does not say '{words}'");
            Ok(())
        })
    }

    /// Opens a page again and again until it says something.
    pub(crate) fn finds(&self, path: &str, words: &str) -> Result<()> {
        self.until(|| {
            self.goes(path)?;
            ensure!(self.text()?.contains(words), "{path} does not say '{words}'");
            Ok(())
        })
    }

    /// Marks the page, so that [`Person::stayed`] can tell whether it was loaded anew.
    pub(crate) fn stays(&self) -> Result<()> {
        self.browser.run("window.stayed = true", &[]).map(drop)
    }

    pub(crate) fn stayed(&self) -> Result<()> {
        let stayed = self.browser.run("return window.stayed === true", &[])?;
        ensure!(stayed == true, "the page was loaded anew");
        Ok(())
    }

    /// The text of the first element a selector finds.
    pub(crate) fn text_of(&self, css: &str) -> Result<String> {
        let script = "return document.querySelector(arguments[0])?.innerText ?? null";
        match self.browser.run(script, &[css.into()])? {
            Value::String(text) => Ok(text),
            _ => bail!("there is no {css}"),
        }
    }
}

pub(crate) fn console_of(node: &Node) -> Result<String> {
    let status = node.status()?;
    let url = status["console"]["url"].as_str();
    let url = url.with_context(|| format!("no console: {}", status["console"]))?;
    Ok(url.trim_end_matches('/').to_owned())
}
