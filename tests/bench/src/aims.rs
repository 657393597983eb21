//! What fenbu is to reach, held against the figures of the same run.

use serde_json::{Value, json};

use crate::report::{Median, rounded};

/// Two runs of one program differ by more than what this leaves.
const LEVEL: f64 = 0.95;

/// What a figure of fenbu's is held against.
#[derive(Debug, Clone, Copy)]
enum Mark {
    /// Another system's figure is at least so many times fenbu's.
    Ahead {
        system: &'static str,
        metric: &'static str,
        times: f64,
    },
    /// fenbu's is at most so many times another system's.
    Within {
        system: &'static str,
        metric: &'static str,
        times: f64,
    },
    Below(f64, &'static str),
    AtLeast(f64, &'static str),
}

#[derive(Debug)]
struct Aim {
    name: &'static str,
    /// The greatest of these counts, and all must have been measured.
    metrics: &'static [&'static str],
    mark: Mark,
}

const MEMORY: &[&str] =
    &["rss_idle_joiner", "rss_idle_sender", "bulk_rss_peak_joiner", "bulk_rss_peak_sender"];

const AIMS: [Aim; 12] = [
    ahead("BULK durable, against iroh-docs", &["bulk_stored"], "iroh-docs", 2.0),
    ahead("BULK readable, level with iroh-docs", &["bulk"], "iroh-docs", LEVEL),
    ahead("BULK readable, against samod", &["bulk"], "samod", 10.0),
    ahead("BULK readable, against subduction", &["bulk"], "subduction", 3.0),
    Aim {
        name: "BULK durable, against SQLite inserting the same bytes",
        metrics: &["bulk_stored"],
        mark: Mark::Within { system: "sqlite-raw", metric: "sqlite", times: 2.0 },
    },
    Aim {
        name: "BULK readable, against Automerge alone on all cores",
        metrics: &["bulk"],
        mark: Mark::Within { system: "automerge", metric: "apply_save", times: 1.5 },
    },
    alone("NOOP, stream bytes", &["noop_bytes"], Mark::Below(300.0, "B")),
    alone("DELTA of 100, UDP bytes", &["delta_udp_bytes"], Mark::Below(40_000.0, "B")),
    alone("LIVE, p50", &["live_p50"], Mark::Below(2.0, "ms")),
    alone("new records, 1 in flight", &["write_1"], Mark::AtLeast(3000.0, "records/s")),
    alone("new records, 64 in flight", &["write_64"], Mark::AtLeast(6500.0, "records/s")),
    alone("resident memory, idle and at its peak, both sides", MEMORY, Mark::Below(150.0, "MiB")),
];

const fn ahead(
    name: &'static str,
    metrics: &'static [&'static str],
    system: &'static str,
    times: f64,
) -> Aim {
    Aim { name, metrics, mark: Mark::Ahead { system, metric: "bulk", times } }
}

const fn alone(name: &'static str, metrics: &'static [&'static str], mark: Mark) -> Aim {
    Aim { name, metrics, mark }
}

/// Whether an aim was reached in this run.
#[derive(Debug)]
pub struct Verdict {
    aim: &'static Aim,
    fenbu: Option<Median>,
    /// What it is held against; none where that is a number, or was not measured.
    other: Option<Median>,
}

/// The header of [`Verdict::row`].
pub const HEADER: [&str; 6] = ["aim of fenbu", "fenbu", "against", "wanted", "ratio", "reached"];

/// Every aim; none where fenbu was not measured at all.
pub fn judge(medians: &[Median]) -> Vec<Verdict> {
    if !medians.iter().any(|m| m.system == "fenbu") {
        return Vec::new();
    }
    let find = |system: &str, metric: &str| {
        medians.iter().find(|m| m.system == system && m.metric == metric).cloned()
    };
    let verdict = |aim: &'static Aim| {
        let ours: Option<Vec<Median>> = aim.metrics.iter().map(|m| find("fenbu", m)).collect();
        let fenbu = ours.into_iter().flatten().max_by(|a, b| a.value.total_cmp(&b.value));
        let other = match aim.mark {
            Mark::Ahead { system, metric, .. } | Mark::Within { system, metric, .. } => {
                find(system, metric)
            }
            Mark::Below(..) | Mark::AtLeast(..) => None,
        };
        Verdict { aim, fenbu, other }
    };
    AIMS.iter().map(verdict).collect()
}

impl Verdict {
    /// Theirs over ours where we are to be ahead, ours over the limit elsewhere.
    fn ratio(&self) -> Option<f64> {
        let ours = self.fenbu.as_ref()?.value;
        let other = self.other.as_ref().map(|o| o.value);
        Some(match self.aim.mark {
            Mark::Ahead { .. } => other? / ours,
            Mark::Within { .. } => ours / other?,
            Mark::Below(limit, _) | Mark::AtLeast(limit, _) => ours / limit,
        })
    }

    fn reached(&self) -> Option<bool> {
        let ratio = self.ratio()?;
        Some(match self.aim.mark {
            Mark::Ahead { times, .. } => ratio >= times,
            Mark::Within { times, .. } => ratio <= times,
            Mark::Below(..) => ratio < 1.0,
            Mark::AtLeast(..) => ratio >= 1.0,
        })
    }

    fn wanted(&self) -> String {
        match self.aim.mark {
            Mark::Ahead { times, .. } => format!("at least {times}x"),
            Mark::Within { times, .. } => format!("at most {times}x"),
            Mark::Below(limit, unit) => format!("below {limit} {unit}"),
            Mark::AtLeast(limit, unit) => format!("at least {limit} {unit}"),
        }
    }

    /// The cells below [`HEADER`].
    pub fn row(&self) -> [String; 6] {
        let figure = |m: &Median| format!("{} {}", rounded(m.value), m.unit);
        let ours = self.fenbu.as_ref().map_or("–".into(), figure);
        let other = self.other.as_ref().map(|m| format!("{} {}", m.system, figure(m)));
        let ratio = self.ratio().map_or("–".into(), |r| format!("{r:.2}"));
        let reached = match self.reached() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not measured",
        };
        let name = self.aim.name.into();
        [name, ours, other.unwrap_or("–".into()), self.wanted(), ratio, reached.into()]
    }

    pub fn json(&self, records: usize) -> Value {
        let other = self.other.as_ref();
        json!({
            "aim": self.aim.name,
            "records": records,
            "fenbu": self.fenbu.as_ref().map(|f| rounded(f.value)),
            "unit": self.fenbu.as_ref().map(|f| f.unit),
            "against": other.map(|o| json!([o.system, o.metric, rounded(o.value)])),
            "wanted": self.wanted(),
            "ratio": self.ratio().map(rounded),
            "reached": self.reached(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(system: &str, metric: &str, value: f64) -> Median {
        Median { system: system.into(), metric: metric.into(), value, unit: "s" }
    }

    fn verdict(medians: &[Median], name: &str) -> (Option<f64>, Option<bool>) {
        let all = judge(medians);
        let found = all.iter().find(|v| v.aim.name.contains(name)).expect("an aim of that name");
        (found.ratio(), found.reached())
    }

    #[test]
    fn ahead_means_that_theirs_is_the_greater() {
        let run = [median("fenbu", "bulk", 0.5), median("samod", "bulk", 5.0)];
        assert_eq!(verdict(&run, "against samod"), (Some(10.0), Some(true)));
        let run = [median("fenbu", "bulk", 0.5), median("samod", "bulk", 4.0)];
        assert_eq!(verdict(&run, "against samod"), (Some(8.0), Some(false)));
    }

    #[test]
    fn within_means_that_ours_may_be_the_greater() {
        let run = [median("fenbu", "bulk_stored", 0.3), median("sqlite-raw", "sqlite", 0.15)];
        assert_eq!(verdict(&run, "against SQLite"), (Some(2.0), Some(true)));
        let run = [median("fenbu", "bulk_stored", 0.6), median("sqlite-raw", "sqlite", 0.15)];
        assert_eq!(verdict(&run, "against SQLite"), (Some(4.0), Some(false)));
    }

    #[test]
    fn a_limit_is_not_below_itself_and_is_at_least_itself() {
        assert_eq!(verdict(&[median("fenbu", "noop_bytes", 300.0)], "NOOP").1, Some(false));
        assert_eq!(verdict(&[median("fenbu", "write_1", 3000.0)], "1 in flight").1, Some(true));
    }

    #[test]
    fn the_greatest_counts_and_all_must_be_there() {
        let mut run: Vec<_> = MEMORY.iter().map(|m| median("fenbu", m, 60.0)).collect();
        assert_eq!(verdict(&run, "resident").1, Some(true));
        run[3].value = 151.0;
        assert_eq!(verdict(&run, "resident").1, Some(false));
        run.pop();
        assert_eq!(verdict(&run, "resident").1, None);
    }

    #[test]
    fn what_was_not_measured_is_neither_reached_nor_missed() {
        assert_eq!(verdict(&[median("fenbu", "bulk", 0.5)], "against samod"), (None, None));
        assert!(judge(&[median("samod", "bulk", 5.0)]).is_empty());
    }
}
