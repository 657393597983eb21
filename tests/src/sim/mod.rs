//! A federation in a box: nodes, network, disks and clock on one thread, all from one seed.
//!
//! Each node is the daemon's engine over a store in memory that tells written from synced, with real
//! records. The network gives what QUIC gives (frames in order within a lane of a link, and nothing
//! else); everything it may do badly it does: see `faults`. After every step the invariants are
//! checked (`invariants`), and once the faults stop all nodes must come level.
//!
//! | file | owns |
//! |---|---|
//! | `faults` | which mix of troubles a seed draws, and when they strike |
//! | `founding` | the federation's keys, units, spaces and members |
//! | `network` | links, lanes, delays, partitions |
//! | `disk` | a node's store: jobs in order, synced a while after they are written |
//! | `writes` | what the people write, and how received entries become documents |
//! | `copies` | second copies of a disk, backups put back, and what is written anew |
//! | `people`, `storage` | who writes when, and what the disk answers |
//! | `node` | one node: engine, disk, authors |
//! | `world` | the clock and the queue of events |
//! | `driver` | the daemon's duties towards the engine |
//! | `malice` | nodes with valid keys that mean harm |
//! | `oracle` | whose an entry is and who had the right, told without the code under test |
//! | `invariants`, `finale` | what must hold after every step, and at the end |
//! | `markers`, `trace` | proof of what happened |
//! | `planted` | in how many seeds mistakes made on purpose are found |
//! | `replica` | one node without a network, for properties of delivery |
//! | `scenario` | scripted stories over the same pieces |

mod copies;
mod disk;
mod driver;
mod faults;
mod finale;
mod founding;
mod invariants;
mod malice;
mod markers;
mod network;
mod node;
mod oracle;
mod people;
mod planted;
pub mod replica;
pub mod scenario;
mod storage;
mod trace;
mod world;
mod writes;

pub use markers::Markers;
pub use planted::{Found, QUICK, SEEDS_MAX, find};
pub use trace::TAIL_LINES;

use fenbu_protocol::id::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Drawn from the seed where it is not given; at least 2.
    pub nodes: Option<usize>,
    /// Nodes beside these that have valid keys and mean harm; drawn likewise.
    pub adversaries: Option<usize>,
    /// Keep a line for each event.
    pub trace: bool,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// As the design numbers them, or a name.
    pub invariant: &'static str,
    pub what: String,
    /// Simulated time.
    pub at_ms: u64,
}

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    pub nodes: usize,
    /// Events handled.
    pub steps: u64,
    /// Simulated time from the end of the faults until all nodes were level.
    pub settled_ms: u64,
    /// Entries acknowledged to their writers.
    pub writes: u64,
    /// Over everything that happened.
    pub hash: Hash,
    pub markers: Markers,
    pub broken: Option<Broken>,
    /// Empty unless asked for.
    pub lines: Vec<String>,
}

/// Runs one seed to its end, or to the first broken invariant. A panic is one more of these.
pub fn run(seed: u64, options: &Options) -> Outcome {
    let whole = || world::World::new(seed, options).run();
    catch_unwind(AssertUnwindSafe(whole)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let what = text.unwrap_or("a panic without words").to_owned();
        Outcome {
            seed,
            nodes: 0,
            steps: 0,
            settled_ms: 0,
            writes: 0,
            hash: Hash::ZERO,
            markers: Markers::default(),
            broken: Some(Broken { invariant: "panic", what, at_ms: 0 }),
            lines: Vec::new(),
        }
    })
}
