//! Power cuts: what was acknowledged is there afterwards, and the node goes on by itself.

use super::{FENBU, fail};
use fenbu_tests::crash::{self, Plan};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// On a busy machine fewer cycles do.
const TIME_MAX: Duration = Duration::from_secs(60);

#[test]
fn nothing_acknowledged_is_lost_to_kills_at_random_moments() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.subsec_nanos().into());
    eprintln!("moments drawn from seed {seed}");
    let plan = Plan { seed, cycles: 50, time_max: TIME_MAX };
    let totals = crash::run(Path::new(FENBU), &plan).unwrap_or_else(|error| fail(&error));
    assert!(totals.writes > 0, "nothing was written before the kills: {totals:?}");
    assert_eq!(totals.lost, 0, "{totals:?}");
}
