//! Instants, dates, spans: what people type, and how they are shown.
//!
//! Offices keep one clock, Asia/Shanghai, which is UTC+8 without daylight saving since 1991. It is
//! fixed here, so that a machine without zone files, or set to another zone, says the same.

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, tz::Offset};

use crate::error::BadValue;
use crate::lang::{Key, Lang, Text};
use crate::output::View;

const SHANGHAI: Offset = Offset::constant(8);

/// `2018-03-05 14:00`, optionally with seconds, read in Asia/Shanghai; or RFC 3339 with its offset.
pub(crate) fn parse_instant(text: &str) -> Result<Timestamp, BadValue> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let bad = || BadValue(Key::BadInstant.with([("value", text.to_owned())]));
    // A date alone would silently mean midnight.
    if !text.contains(':') {
        return Err(bad());
    }
    let civil: DateTime = text.replace('/', "-").parse().map_err(|_| bad())?;
    SHANGHAI.to_timestamp(civil).map_err(|_| bad())
}

/// `2018-03-05`, `2018/3/5` or `2018年3月5日`.
pub(crate) fn parse_date(text: &str) -> Result<Date, BadValue> {
    let bad = || BadValue(Key::BadDate.with([("value", text.to_owned())]));
    let plain = text.trim().trim_end_matches('日').replace(['年', '月', '/', '.'], "-");
    let parts: Vec<&str> = plain.split('-').collect();
    let [year, month, day] = parts[..] else { return Err(bad()) };
    if year.len() != 4 {
        return Err(bad());
    }
    let (year, month, day) = (
        year.parse().map_err(|_| bad())?,
        month.parse().map_err(|_| bad())?,
        day.parse().map_err(|_| bad())?,
    );
    Date::new(year, month, day).map_err(|_| bad())
}

/// A span such as `30s`, `15m`, `2h`, `3d`; in milliseconds.
pub(crate) fn parse_span_ms(text: &str) -> Result<u64, BadValue> {
    let bad = || BadValue(Key::BadSpan.with([("value", text.to_owned())]));
    let text = text.trim();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count: u64 = text[..text.len() - unit.len()].parse().map_err(|_| bad())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    count.checked_mul(unit_ms).ok_or_else(bad)
}

/// An instant in Asia/Shanghai, to the minute.
pub(crate) fn show_ms(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .map(|t| SHANGHAI.to_datetime(t).strftime("%Y-%m-%d %H:%M").to_string())
        .unwrap_or_default()
}

/// An instant that the daemon gives as milliseconds or as RFC 3339; anything else as it is.
pub(crate) fn show(value: &serde_json::Value) -> String {
    match (value.as_i64(), value.as_str()) {
        (Some(ms), _) => show_ms(ms),
        (_, Some(text)) => text
            .parse::<Timestamp>()
            .map_or_else(|_| text.to_owned(), |t| show_ms(t.as_millisecond())),
        _ => String::new(),
    }
}

/// How long, in the largest two units.
pub(crate) fn show_span(ms: i64, lang: Lang) -> String {
    let seconds = ms.max(0) / 1000;
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let key = match (days, hours, minutes) {
        (1.., ..) => Key::SpanDays,
        (_, 1.., _) => Key::SpanHours,
        (_, _, 1..) => Key::SpanMinutes,
        _ => Key::SpanSeconds,
    };
    let number = |n: i64| n.to_string();
    let args: &[(&'static str, i64)] = match key {
        Key::SpanDays => &[("days", days), ("hours", hours)],
        Key::SpanHours => &[("hours", hours), ("minutes", minutes)],
        Key::SpanMinutes => &[("minutes", minutes), ("seconds", rest)],
        _ => &[("seconds", rest)],
    };
    Text::Key(key, args.iter().map(|(k, v)| (*k, number(*v))).collect()).render(lang)
}

/// How long ago; a future instant is "now", because clocks differ.
pub(crate) fn show_ago(then_ms: i64, now_ms: i64, lang: Lang) -> String {
    Key::Ago.with([("span", show_span(now_ms - then_ms, lang))]).render(lang)
}

/// How old a node's directory is, as the node tells it.
pub(crate) fn heard(heard: &serde_json::Value, view: View) -> String {
    let ago = |field: &str| match heard[field].as_i64() {
        Some(then) => show_ago(then, view.now_ms, view.lang),
        None => Key::Never.text(view.lang).to_owned(),
    };
    match heard["from_admin"].as_str() {
        None => String::new(),
        Some("own") => Key::HeardOwn.text(view.lang).to_owned(),
        Some("linked") => Key::HeardNow.text(view.lang).to_owned(),
        Some(_) => Key::HeardEarlier
            .with([("admin", ago("admin_ms")), ("anyone", ago("anyone_ms"))])
            .render(view.lang),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_without_offset_is_shanghai() {
        let want: Timestamp = "2018-03-05T06:00:00Z".parse().unwrap();
        for text in [
            "2018-03-05 14:00",
            "2018-03-05 14:00:00",
            "2018/03/05 14:00",
            "2018-03-05T14:00",
            "2018-03-05T14:00:00+08:00",
            "2018-03-05T06:00:00Z",
            "2018-03-05T07:00:00+01:00",
        ] {
            assert_eq!(parse_instant(text), Ok(want), "{text}");
        }
        assert_eq!(show_ms(want.as_millisecond()), "2018-03-05 14:00");
        assert_eq!(show(&serde_json::json!("2018-03-05T06:00:00Z")), "2018-03-05 14:00");
        assert_eq!(show(&serde_json::json!(want.as_millisecond())), "2018-03-05 14:00");
    }

    #[test]
    fn what_is_no_instant() {
        for text in ["", "2018-03-05", "14:00", "2018-02-30 14:00", "2018-03-05 25:00", "昨天"] {
            assert!(parse_instant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_as_people_write_them() {
        let want = Date::constant(2018, 3, 5);
        for text in
            ["2018-03-05", "2018-3-5", "2018/3/5", "2018.3.5", "2018年3月5日", " 2018-03-05 "]
        {
            assert_eq!(parse_date(text), Ok(want), "{text}");
        }
        for text in ["2018-02-30", "18-3-5", "2018-03", "2018-03-05 14:00", "x"] {
            assert!(parse_date(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans() {
        assert_eq!(parse_span_ms("15m"), Ok(900_000));
        assert_eq!(parse_span_ms("30s"), Ok(30_000));
        assert_eq!(parse_span_ms("72h"), Ok(259_200_000));
        for text in ["", "15", "m", "-1m", "1.5h", "99999999999999999d", "15 分"] {
            assert!(parse_span_ms(text).is_err(), "{text}");
        }
        assert_eq!(show_span(90_061_000, Lang::En), "1d 1h");
        assert_eq!(show_span(61_000, Lang::En), "1m 1s");
        assert_eq!(show_span(-5, Lang::En), "0s");
        assert_eq!(show_ago(0, 7_200_000, Lang::Zh), "2 小时 0 分前");
    }

    #[test]
    fn the_directorys_age_is_said_in_words() {
        let shown = |lang, told| heard(&told, View { lang, now_ms: 7_200_000 });
        let json = |from: &str| serde_json::json!({"from_admin": from, "admin_ms": 0});
        assert_eq!(shown(Lang::En, json("linked")), "now: the admin node is connected");
        assert_eq!(shown(Lang::En, json("own")), "now: this is the admin node");
        let earlier = "the admin node 2h 0m ago, any node never";
        assert_eq!(shown(Lang::En, json("earlier")), earlier);
        assert_eq!(shown(Lang::Zh, json("earlier")), "管理节点 2 小时 0 分前，任何节点 从未");
        assert_eq!(shown(Lang::En, serde_json::Value::Null), "");
    }
}
