//! Scripted stories: the simulator's nodes, network and disks, moved by hand, one verb at a time.
//!
//! A story is a text file in `tests/scenarios/`. Commands stand above a line of dashes, what followed
//! them below it, up to an empty line; lines that begin with `#` tell why. After etcd-raft's
//! interaction tests. Unlike in a seeded run nothing happens by itself: no frame arrives, no dial
//! succeeds and no time passes unless a verb says so. `verbs.txt` shows each of them:
//!
//! | verb | what it does |
//! |---|---|
//! | `nodes NAME… [members=N]` | founds a federation of these, all up; the first is the admin; those past N join later |
//! | `link A B` | A's dial to B succeeds; B learns of it as of any frame |
//! | `cut A B`, `heal A B` | links between the two end, and dials fail, until healed |
//! | `write A KIND N [on=NAME] [in=SPACE]` | one save of N new records; with `on`, N saves of one record |
//! | `declare A space`, `declare A admit B` | the admin makes a statement |
//! | `deliver [A B] [only=MESSAGE] [first=N] [drop=N]` | what is under way now arrives (the first N of it), or is lost; what it causes is under way then |
//! | `stabilize [MS]` | everything arrives as it is sent, for so long |
//! | `tick MS` | time passes, nothing arrives |
//! | `hold A`, `sync A` | A's disk writes and does not sync; it syncs, and no longer holds |
//! | `refuse A` | A's disk refuses the next write |
//! | `crash A`, `restart A` | power is lost, with what was not synced; power is back |
//! | `backup A`, `restore A` | keeps a copy of A's disk; puts it back while A is down |
//! | `spoil A` | a bug puts a change that nobody made into A's first record |
//! | `status [A…]` | what each node holds, whom it talks to, and who shows the same records |
//! | `count` | messages and their stream bytes since the last count |
//! | `trace off`, `trace on` | a beginning that is told elsewhere needs no lines |

mod script;
mod stage;
mod verbs;
mod words;

pub use script::{Script, ScriptError};
pub use verbs::VERBS;

/// Plays a script from the beginning and returns it with what really followed each command.
///
/// # Errors
/// A command that is none, or a promise of the nodes that was broken: neither can be accepted as
/// output.
pub fn play(script: &Script) -> Result<Script, ScriptError> {
    let mut stage = stage::Stage::default();
    script.replay(|command| stage.command(command))
}
