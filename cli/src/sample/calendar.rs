//! Working days and times of day. Everything happens at +08:00, as the offices write it.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday, date};

use super::rng::Rng;

/// The day the founding picture was drawn: nothing in the sample is later.
pub(super) const LAST_DAY: Date = date(2018, 12, 11);
pub(super) const FIRST_YEAR: i16 = 2015;
pub(super) const LAST_YEAR: i16 = 2018;

/// A working day of a month between two days of it. A weekend moves to the Monday after, so the
/// day may be up to two later than `last_day`.
pub(super) fn workday(
    rng: &mut Rng,
    year: i16,
    month: usize,
    first_day: usize,
    last_day: usize,
) -> Date {
    let day = date(year, month as i8, rng.between(first_day, last_day) as i8);
    match day.weekday() {
        Weekday::Saturday => plus_days(day, 2),
        Weekday::Sunday => plus_days(day, 1),
        _ => day,
    }
}

pub(super) fn plus_days(day: Date, days: i32) -> Date {
    day.saturating_add(days.days())
}

/// Days from one to the other; negative if the other is earlier.
pub(super) fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

/// `2016-03-11`.
pub(super) fn iso(day: Date) -> String {
    format!("{:04}-{:02}-{:02}", day.year(), day.month(), day.day())
}

/// `3月11日`.
pub(super) fn month_day_zh(day: Date) -> String {
    format!("{}月{}日", day.month(), day.day())
}

/// `2016-03-11T14:30:00+08:00`; the minute counts from midnight and is under 1,440.
pub(super) fn instant(day: Date, minute_of_day: usize) -> String {
    format!("{}T{:02}:{:02}:00+08:00", iso(day), minute_of_day / 60, minute_of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workdays_are_workdays() {
        let mut rng = Rng::new(3);
        for i in 0..500 {
            let day = workday(&mut rng, 2015 + (i % 4) as i16, 1 + i % 12, 3, 10);
            assert!(!matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday), "{day}");
            assert!((3..=12).contains(&day.day()), "{day}");
        }
    }

    #[test]
    fn dates_read_as_written() {
        assert_eq!(instant(date(2016, 3, 1), 14 * 60 + 5), "2016-03-01T14:05:00+08:00");
        assert_eq!(month_day_zh(date(2016, 3, 1)), "3月1日");
        assert_eq!(days_between(date(2015, 1, 1), LAST_DAY), 1440);
    }
}
