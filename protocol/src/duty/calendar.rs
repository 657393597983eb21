//! Days and periods. Offices keep one clock, UTC+8 without daylight saving.

use crate::record::days_of;
use std::fmt;

const DAY_MS: i64 = 86_400_000;
const SHANGHAI_MS: i64 = 8 * 3_600_000;

/// A calendar date, as days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// `2018-12-11`.
    pub fn parse(text: &str) -> Option<Self> {
        days_of(text).map(Self)
    }

    /// The day in Asia/Shanghai of an instant in milliseconds since 1970.
    pub fn of_ms(ms: i64) -> Self {
        Self(ms.saturating_add(SHANGHAI_MS).div_euclid(DAY_MS))
    }

    /// The instant the day begins in Asia/Shanghai.
    pub fn start_ms(self) -> i64 {
        self.0.saturating_mul(DAY_MS) - SHANGHAI_MS
    }

    pub fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Year, month and day, by the proleptic Gregorian calendar.
    ///
    /// <https://howardhinnant.github.io/date_algorithms.html>, `civil_from_days`.
    pub fn civil(self) -> (i64, i64, i64) {
        let z = self.0 + 719_468;
        let era = z.div_euclid(146_097);
        let of_era = z.rem_euclid(146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        (year + era * 400 + i64::from(month <= 2), month, day)
    }

    /// Months since January of year 0.
    fn month(self) -> i64 {
        let (year, month, _) = self.civil();
        year * 12 + month - 1
    }

    /// First day of a month counted so: `days_from_civil` of the same source.
    fn of_month(month: i64) -> Self {
        let (year, of_year) = (month.div_euclid(12), month.rem_euclid(12));
        // Years that begin in March.
        let (year, shifted) =
            if of_year < 2 { (year - 1, of_year + 10) } else { (year, of_year - 2) };
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let days = of_era * 365 + of_era / 4 - of_era / 100 + (153 * shifted + 2) / 5;
        Self(era * 146_097 + days - 719_468)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// What was meant to be a period.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no period: say 2018, 2018-H1, 2018-Q3, 2018-11, 2015..2018, this-year, last-quarter or this-month"
)]
pub struct PeriodError(pub String);

/// Whole months, one or more, within the years 1 to 9998.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// Months since January of year 0.
    first: i64,
    months: i64,
}

impl Period {
    /// `2018`, `2018-H1`, `2018-Q3`, `2018-11`, two of them with `..` between, and `this-` or `last-` with
    /// `year`, `half`, `quarter` or `month`, seen from `today`.
    pub fn parse(text: &str, today: Day) -> Result<Self, PeriodError> {
        let error = || PeriodError(text.to_owned());
        let plain = text.trim();
        if let Some((from, to)) = plain.split_once("..") {
            let (from, to) = (Self::parse(from, today)?, Self::parse(to, today)?);
            let months = to.first + to.months - from.first;
            return if months > 0 { Ok(Self { months, ..from }) } else { Err(error()) };
        }
        Self::relative(plain, today).or_else(|| Self::absolute(plain)).ok_or_else(error)
    }

    fn relative(text: &str, today: Day) -> Option<Self> {
        let (back, unit) = match text.split_once('-')? {
            ("this", unit) => (0, unit),
            ("last", unit) => (1, unit),
            _ => return None,
        };
        let months = match unit {
            "month" => 1,
            "quarter" => 3,
            "half" => 6,
            "year" => 12,
            _ => return None,
        };
        Some(Self { first: (today.month().div_euclid(months) - back) * months, months })
    }

    fn absolute(text: &str) -> Option<Self> {
        let year = text.get(..4).filter(|y| y.bytes().all(|b| b.is_ascii_digit()))?;
        let first = year.parse::<i64>().ok().filter(|y| (1..9999).contains(y))? * 12;
        let part = |text: &str, most: i64| text.parse().ok().filter(|n| (1..=most).contains(n));
        let (at, months) = match text.get(4..)? {
            "" => (0, 12),
            rest => match rest.strip_prefix('-')?.to_ascii_uppercase().as_str() {
                half if half.starts_with('H') => ((part(&half[1..], 2)? - 1) * 6, 6),
                quarter if quarter.starts_with('Q') => ((part(&quarter[1..], 4)? - 1) * 3, 3),
                month if month.len() == 2 => (part(month, 12)? - 1, 1),
                _ => return None,
            },
        };
        Some(Self { first: first + at, months })
    }

    pub fn start(self) -> Day {
        Day::of_month(self.first)
    }

    /// The day after the last one.
    pub fn end(self) -> Day {
        Day::of_month(self.first + self.months)
    }

    pub fn contains(self, day: Day) -> bool {
        (self.start()..self.end()).contains(&day)
    }

    /// The part of the calendar, cut into parts of this many months, that ends where this period ends.
    pub(super) fn ending_here(self, months: i64) -> Option<Self> {
        let end = self.first + self.months;
        (end % months == 0).then_some(Self { first: end - months, months })
    }

    /// Its months, in order.
    pub fn months(self) -> impl Iterator<Item = Self> {
        (self.first..self.first + self.months).map(|first| Self { first, months: 1 })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = (self.first.div_euclid(12), self.first.rem_euclid(12));
        match self.months {
            12 if month == 0 => write!(f, "{year:04}"),
            6 if month % 6 == 0 => write!(f, "{year:04}-H{}", month / 6 + 1),
            3 if month % 3 == 0 => write!(f, "{year:04}-Q{}", month / 3 + 1),
            1 => write!(f, "{year:04}-{:02}", month + 1),
            months => {
                let last = self.first + months - 1;
                if month == 0 && months % 12 == 0 {
                    return write!(f, "{year:04}..{:04}", last.div_euclid(12));
                }
                let (to, of) = (last.div_euclid(12), last.rem_euclid(12));
                write!(f, "{year:04}-{:02}..{to:04}-{:02}", month + 1, of + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn period(text: &str) -> Period {
        Period::parse(text, day("2018-11-24")).unwrap()
    }

    #[test]
    fn days_come_and_go() {
        for text in ["0001-01-01", "1969-12-31", "2000-02-29", "2018-12-11", "9998-12-31"] {
            assert_eq!(day(text).to_string(), text);
        }
        for days in (-719_162..1_000_000).step_by(997) {
            assert_eq!(Day::parse(&Day(days).to_string()), Some(Day(days)));
        }
        // 2018-12-11 00:00 in Shanghai, and a millisecond before.
        assert_eq!(Day::of_ms(1_544_457_600_000), day("2018-12-11"));
        assert_eq!(Day::of_ms(1_544_457_599_999), day("2018-12-10"));
        assert_eq!(day("2018-12-11").start_ms(), 1_544_457_600_000);
    }

    #[test]
    fn periods_read_as_written() {
        for text in ["2018", "2018-H2", "2018-Q3", "2018-11", "2015..2018", "2018-02..2018-03"] {
            assert_eq!(period(text).to_string(), text);
        }
        assert_eq!(period("this-year"), period("2018"));
        assert_eq!(period("this-quarter"), period("2018-Q4"));
        assert_eq!(period("last-quarter"), period("2018-q3"));
        assert_eq!(period("last-month"), period("2018-10"));
        assert_eq!(period("last-half"), period("2018-H1"));
        let (start, end) = (period("2018-Q4").start(), period("2018-Q4").end());
        assert_eq!((start, end), (day("2018-10-01"), day("2019-01-01")));
        let bad = [
            "",
            "18",
            "2018-13",
            "2018-0",
            "2018-Q5",
            "2018-H",
            "2019..2018",
            "0000",
            "last",
            "党",
        ];
        for text in bad {
            assert!(Period::parse(text, day("2018-11-24")).is_err(), "{text}");
        }
    }

    #[test]
    fn parts_of_the_year_end_in_one_of_its_months() {
        let parts = |text, months| -> Vec<String> {
            let ending = period(text).months().filter_map(|m| m.ending_here(months));
            ending.map(|part| part.to_string()).collect()
        };
        assert_eq!(parts("2018", 3), ["2018-Q1", "2018-Q2", "2018-Q3", "2018-Q4"]);
        assert_eq!(parts("2018-11", 1), ["2018-11"]);
        assert_eq!(parts("2018-11", 3), Vec::<String>::new());
        assert_eq!(parts("2018-12", 3), ["2018-Q4"]);
        assert_eq!(parts("2018-12", 12), ["2018"]);
        assert_eq!(parts("2018-Q2", 12), Vec::<String>::new());
        assert_eq!(parts("2015..2018", 12).len(), 4);
        for month in period("1999..2101").months() {
            let (start, end) = (month.start(), month.end());
            assert_eq!(start.to_string(), format!("{month}-01"));
            assert_eq!(end.plus(-1).to_string()[..7], month.to_string());
        }
    }
}
