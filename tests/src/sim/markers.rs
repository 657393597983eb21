//! Proof that rare things really happened: a run of seeds that never meets them tests nothing.

use std::fmt;

macro_rules! markers {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often each rare thing happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Markers {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Markers {
            /// By name, in order.
            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }

            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

markers! {
    /// A crash threw away what was written and not yet synced.
    crash_lost_unsynced,
    /// A crash met a write that nobody had been told was safe.
    crash_lost_unacknowledged,
    /// A push brought nothing new, and its sender was asked to spare such pushes.
    push_duplicate_pruned,
    /// A range that did not move was asked of another peer.
    ask_moved_on_stall,
    /// An entry came from a peer other than its author, whom no link reached.
    carried_by_third,
    /// An entry waited for a change it builds on, and was let in when that came.
    waiting_released,
    /// A reader left a space, and the space got another key.
    key_rotated,
    /// The disk refused a peer's entries, and they became durable later.
    disk_refusal_retried,
    /// The disk refused a local write, which was never acknowledged.
    local_write_refused,
    /// A node let in a stranger by the statements the stranger itself brought.
    stranger_admitted,
    /// Both ends dialled at once and one link was given up.
    simultaneous_dial,
    /// Entries overtook the greeting on another lane.
    batch_before_hello,
    /// A link between two nodes died of silence.
    link_timed_out,
    /// A node's disk was copied and both copies ran.
    disk_copied,
    /// A node was shown two histories of one log, signed by its author.
    fork_proven,
    /// Another branch of a log took the place of the one that was held.
    branch_switched,
    /// What had built on a lost branch, or stood on it, was written anew.
    written_anew,
    /// A backup was put back under a node.
    backup_put_back,
    /// What a space's records come to was known and told to peers.
    states_read,
    /// Frames were left unread because too much was on its way to the disk.
    held_back,
    /// An honest node closed a link to an adversary because of what it sent.
    adversary_blamed,
    /// … because of a statement it had no right to make.
    forged_statement_refused,
    /// An adversary was revoked.
    adversary_revoked,
    /// Adversaries lost the right to write one space.
    adversary_expelled,
    /// A right was taken, and what was shown was made again.
    rights_taken_back,
    /// Past a cut, and counts because somebody built on it.
    past_cut_rescued,
    /// An adversary's entry was sound, and counts.
    adversary_entry_counts,
    /// … cites a history that is not known, builds on what is not there, or lies past a cut.
    adversary_entry_waits,
    /// … is in a space its author may not write.
    adversary_lacked_right,
    /// … is not sealed as it must be.
    adversary_body_refused,
    /// … did not pass the gate.
    adversary_met_gate,
    /// An adversary did it: `Malice::Edit`.
    malice_edit,
    /// An adversary did it: `Malice::BackDate`.
    malice_back_date,
    /// An adversary did it: `Malice::EpochFalls`.
    malice_epoch_falls,
    /// An adversary did it: `Malice::FutureEpoch`.
    malice_future_epoch,
    /// An adversary did it: `Malice::FalseHistory`.
    malice_false_history,
    /// An adversary did it: `Malice::NoRight`.
    malice_no_right,
    /// An adversary did it: `Malice::Clock`.
    malice_clock,
    /// An adversary did it: `Malice::ForeignActor`.
    malice_foreign_actor,
    /// An adversary did it: `Malice::SeqReused`.
    malice_seq_reused,
    /// An adversary did it: `Malice::Twisted`.
    malice_twisted,
    /// An adversary did it: `Malice::Bomb`.
    malice_bomb,
    /// An adversary did it: `Malice::Withhold`.
    malice_withhold,
    /// An adversary did it: `Malice::ReplayBody`.
    malice_replay_body,
    /// An adversary did it: `Malice::WrongSeal`.
    malice_wrong_seal,
    /// An adversary did it: `Malice::Spam`.
    malice_spam,
    /// An adversary did it: `Malice::UnknownKind`.
    malice_unknown_kind,
    /// An adversary did it: `Malice::ForgedAuthor`.
    malice_forged_author,
    /// An adversary did it: `Malice::Altered`.
    malice_altered,
    /// An adversary did it: `Malice::ReplayRun`.
    malice_replay_run,
    /// An adversary did it: `Malice::SelfGrant`.
    malice_self_grant,
    /// An adversary did it: `Malice::FalseHave`.
    malice_false_have,
    /// An adversary did it: `Malice::Nonsense`.
    malice_nonsense,
    /// An adversary did it: `Malice::Garbage`.
    malice_garbage,
    /// An adversary did it: `Malice::Silence`.
    malice_silence,
}

impl fmt::Display for Markers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, count)) in self.counts().into_iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {count}")?;
        }
        Ok(())
    }
}
