//! `fenbu invite`: a one-time token for a node that may join.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Session, instant};
use crate::client::Route;
use crate::error::{BadValue, Error, Exit, Result};
use crate::lang::Key;
use crate::output;

/// The longest a federation may let a token live.
const VALID_MINUTES_MAX: u64 = 72 * 60;

/// Print a one-time token with which a node may join
///
/// The token alone goes to stdout, so that it can be piped into a file; what to do with it goes to
/// stderr.
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// Code of the unit, such as lianyungang
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    unit: String,
    /// Name of the unit, when it is new
    #[arg(long)]
    name: Option<String>,
    /// How long the token is good: 1m to 72h [default: 15m]
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = valid_minutes)]
    #[arg(hide_default_value = true)]
    valid: u64,
    /// What the node is: server or laptop [default: server]
    #[arg(long, value_enum, default_value = "server")]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    role: Role,
}

pub(super) const HELP_ZH: &[(&str, &str)] = &[
    ("", "给出一次性令牌，凭它可加入一个节点"),
    ("unit", "单位代码，如 lianyungang"),
    ("name", "单位名称（新单位需要）"),
    ("valid", "令牌有效期：1m 到 72h[默认：15m]"),
    ("role", "节点类型：server 服务器 或 laptop 便携机[默认：server]"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Role {
    Server,
    Laptop,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Laptop => "laptop",
        }
    }
}

fn valid_minutes(text: &str) -> Result<u64, BadValue> {
    let minutes = instant::parse_span_ms(text)?.div_ceil(60_000);
    match minutes {
        1..=VALID_MINUTES_MAX => Ok(minutes),
        _ => Err(BadValue(Key::BadValid.with([("value", text.to_owned())]))),
    }
}

pub(super) async fn run(args: InviteArgs, session: &mut Session) -> Result<Exit> {
    let answer = session.client().post(Route::new("invites"), &body(&args)).await?;
    let token = output::text(&answer, "token");
    if token.is_empty() {
        return Err(Error::failed(Key::AnswerUnreadable).hint(Key::HintVersions));
    }
    if session.output.is_json() {
        session.output.json("fenbu.invite/1", &answer)?;
        return Ok(Exit::Ok);
    }
    session.output.line(&token)?;
    session.output.say(
        Key::InviteNext
            .with([("unit", args.unit), ("until", instant::show(&answer["expires_ms"]))]),
    );
    Ok(Exit::Ok)
}

fn body(args: &InviteArgs) -> Value {
    let mut body = json!({
        "unit": args.unit,
        "role": args.role.as_str(),
        "valid_minutes": args.valid,
    });
    if let Some(name) = &args.name {
        body["name"] = name.as_str().into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_a_minute_to_three_days() {
        assert_eq!(valid_minutes("15m"), Ok(15));
        assert_eq!(valid_minutes("90s"), Ok(2));
        assert_eq!(valid_minutes("72h"), Ok(VALID_MINUTES_MAX));
        assert!(valid_minutes("73h").is_err());
        assert!(valid_minutes("0m").is_err());
        assert!(valid_minutes("soon").is_err());
    }
}
