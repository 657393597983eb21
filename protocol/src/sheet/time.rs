//! Dates and times as people and their programs write them.
//!
//! Offices keep one clock, Asia/Shanghai, which is UTC+8 without daylight saving since 1991.

use crate::record::{days_of, instant_ms_of};

const DAY_MS: i64 = 86_400_000;
const SHANGHAI_MS: i64 = 8 * 3_600_000;
/// Day numbers of spreadsheets that are taken for dates: 1954 to 2119.
const SERIALS: std::ops::RangeInclusive<i64> = 20_000..=80_000;
/// Day number of 1970-01-01 in a spreadsheet.
const SERIAL_EPOCH: i64 = 25_569;

/// `YYYY-MM-DD` of a day counted from 1970-01-01 (Hinnant's civil-from-days).
fn date_of(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Date and time of day in a zone this many milliseconds east of Greenwich, without what is zero after
/// the minutes: `2018-12-11 09:00`, or with seconds, or with milliseconds.
pub fn zoned(ms: i64, offset_ms: i64) -> String {
    let local = ms.saturating_add(offset_ms);
    let (days, rest) = (local.div_euclid(DAY_MS), local.rem_euclid(DAY_MS));
    let (minutes, seconds, fraction) = (rest / 60_000, rest / 1000 % 60, rest % 1000);
    let mut out = format!("{} {:02}:{:02}", date_of(days), minutes / 60, minutes % 60);
    if seconds != 0 || fraction != 0 {
        out.push_str(&format!(":{seconds:02}"));
    }
    if fraction != 0 {
        out.push_str(&format!(".{fraction:03}"));
    }
    out
}

/// An instant in Asia/Shanghai.
pub fn show_instant(ms: i64) -> String {
    zoned(ms, SHANGHAI_MS)
}

/// `2018-03-05`, `2018/3/5`, `2018.3.5`, `20180305`, `2018年3月5日`, with midnight behind it, or a
/// spreadsheet's day number; as `YYYY-MM-DD`.
pub(super) fn date(text: &str) -> Option<String> {
    let text = text.trim();
    let midnight = [" 00:00:00", "T00:00:00", " 0:00:00", " 00:00", " 0:00"];
    let text = midnight.iter().find_map(|tail| text.strip_suffix(tail)).unwrap_or(text);
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let out = match text.len() {
            8 => format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..]),
            5 => {
                let serial = text.parse().ok().filter(|n| SERIALS.contains(n))?;
                date_of(serial - SERIAL_EPOCH)
            }
            _ => return None,
        };
        return days_of(&out).map(|_| out);
    }
    let plain = text.trim_end_matches('日').replace(['年', '月', '/', '.'], "-");
    let mut parts = plain.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 || month.len() > 2 || day.len() > 2 {
        return None;
    }
    let out = format!("{year}-{month:0>2}-{day:0>2}");
    days_of(&out).map(|_| out)
}

/// Milliseconds since 1970 of a date as above with a time of day, read in Asia/Shanghai unless it brings
/// its own offset. A date alone would silently mean midnight, and is none.
pub(super) fn instant(text: &str) -> Option<i64> {
    let text = text.trim();
    let day_ends = text.find(['T', 't', ' ', '日'])?;
    let (day, rest) = text.split_at(day_ends);
    let rest = rest.trim_start_matches(['T', 't', ' ', '日']);
    let rest = rest.replace(['：', '时'], ":").replace('分', "");
    let day = date(day)?;
    // Hours may lack their zero.
    let rest = if rest.find(':') == Some(1) { format!("0{rest}") } else { rest };
    let bare = !rest.ends_with(['Z', 'z']) && !rest.contains('+') && !rest.contains('-');
    let offset = if bare { "+08:00" } else { "" };
    instant_ms_of(&format!("{day}T{}{offset}", rest.trim_end_matches(':')))
}
