//! Every bound in one place, with its arithmetic. All sizes in bytes unless the name says otherwise.
//!
//! A bound is a promise to the receiver: nothing a peer sends makes us hold more than these say.

/// Largest body of one entry as it is stored: one Automerge change, uncompressed, and its seal. A year of minutes is under 100 KiB,
/// so a mebibyte is ten times what a person writes and still small beside a node's memory.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// What sealing adds to a body: nonce 24, tag 16.
pub const SEAL_BYTES: usize = 24 + 16;

/// Largest change, in plain. The same in spaces that are sealed and in those that are not, so that one
/// gate judges both and a record fits wherever it goes.
pub const CHANGE_BYTES_MAX: usize = BODY_BYTES_MAX - SEAL_BYTES;

/// A header in a run: flags 1, shape (version 1, lane 1, kind 2, genesis 2, encoding 1, key epoch 4)
/// 11, epoch 8 and directory prefix 8, clock 8, document 16, body length 4, body hash 32 when the body is absent.
pub const ENTRY_HEAD_BYTES_MAX: usize = 1 + 11 + 16 + 8 + 16 + 4 + 32;

/// An author closes a run (signs a checkpoint) at the latest after this many entries.
pub const RUN_ENTRIES_MAX: usize = 256;
/// … or once its entries take this much; the entry that crosses the line is the run's last.
pub const RUN_BYTES_TARGET: usize = 64 << 10;

/// Runs joined for transfer or after compaction: several checkpoints' worth under the last signature.
pub const JOINED_RUN_BYTES_TARGET: usize = 1 << 20;
pub const JOINED_RUN_ENTRIES_MAX: usize = 4096;

/// The fixed part of a run: log 32, first seq 8, previous hash 32, count 4, opening flag 1 and
/// opening 16 + 32 + 4 + 64, signature 64.
pub const RUN_HEAD_BYTES_MAX: usize = 32 + 8 + 32 + 4 + 1 + 116 + 64;

/// Largest run anyone may send or store: joining stops at the target, then one more author's run may
/// have been added, whose last entry may be a full body.
pub const RUN_BYTES_MAX: usize = RUN_HEAD_BYTES_MAX
    + JOINED_RUN_BYTES_TARGET
    + RUN_BYTES_TARGET
    + BODY_BYTES_MAX
    + (RUN_ENTRIES_MAX + 1) * ENTRY_HEAD_BYTES_MAX;

/// One branch in a proof of a fork: the headers of a run that is as long as runs get, without bodies.
pub const PROOF_RUN_BYTES_MAX: usize =
    RUN_HEAD_BYTES_MAX + (JOINED_RUN_ENTRIES_MAX + RUN_ENTRIES_MAX) * ENTRY_HEAD_BYTES_MAX;

/// Largest frame payload: one run, plus the message around it.
pub const FRAME_BYTES_MAX: usize = RUN_BYTES_MAX + 1024;

/// Logs one space may have: nodes (64 at most today) times incarnations kept open (16).
pub const LOGS_PER_SPACE_MAX: usize = 1024;
/// How far above the last one a node's next incarnation may be numbered; how many there may be is
/// bounded by a space's logs.
pub const INCARNATION_STEP_MAX: u32 = 1 << 20;
/// Spaces in a federation: units and temporary branches of many years.
pub const SPACES_MAX: usize = 4096;
/// Units in a federation; each has at least a space.
pub const UNITS_MAX: usize = 1024;
/// Nodes in a federation.
pub const NODES_MAX: usize = 1024;
/// Positions in one `Have`: longer vectors are sent in several.
pub const POSITIONS_MAX: usize = 8192;
/// Ranges in one `Want`.
pub const WANTS_MAX: usize = 64;

/// A directory statement: names and addresses of one node, the rights of a space, or the cuts of a
/// revocation.
pub const STATEMENT_BYTES_MAX: usize = 64 << 10;
/// The statement with its signature: array 1, byte string heads 5 and 2, signature 64.
pub const SIGNED_BYTES_MAX: usize = STATEMENT_BYTES_MAX + 72;
/// Cuts in one statement, each at most 78 bytes (array 1, log 34, seq 9, hash 34): 59,904, which
/// leaves 5,632 for the rest of it. A whole space may have more logs; the next statement goes on.
pub const CUTS_PER_STATEMENT_MAX: usize = 768;
/// Wraps in one statement, each at most 165 bytes (array 1, node 34, bytes 2 + 128): 42,240. More
/// readers get theirs from the next.
pub const WRAPS_PER_STATEMENT_MAX: usize = 256;
/// A space key sealed to one node.
pub const WRAP_BYTES_MAX: usize = 128;
/// What one author may have in one space unless the directory says otherwise. A unit that saves a
/// thousand entries a day fills these in eleven years; a flood from one node is stopped.
pub const AUTHOR_ENTRIES_DEFAULT: u64 = 1 << 22;
/// … body bytes: a kibibyte for each of those entries.
pub const AUTHOR_BYTES_DEFAULT: u64 = 1 << 32;
/// … documents named by its entries.
pub const AUTHOR_DOCUMENTS_DEFAULT: u64 = 1 << 20;
/// Statements in one message; the directory of sixteen nodes is about fifty.
pub const STATEMENTS_PER_MESSAGE_MAX: usize = 64;
/// Heads in one `Parted`: the last, and those 1, 2, 4 … before it.
pub const PARTED_HEADS_MAX: usize = 65;
pub const NAME_BYTES_MAX: usize = 256;
pub const UNIT_CODE_BYTES_MAX: usize = 64;
pub const ADDRESSES_MAX: usize = 8;
pub const ADDRESS_BYTES_MAX: usize = 255;
/// Why a link was closed, in words.
pub const REASON_BYTES_MAX: usize = 256;

/// Operations one change may make: a pasted chapter of 20,000 characters.
pub const CHANGE_OPS_MAX: u64 = 20_000;
/// Dependencies of one change: at least one head for each log of its space.
pub const CHANGE_DEPS_MAX: usize = LOGS_PER_SPACE_MAX;
/// Other actors named by one change, likewise.
pub const CHANGE_ACTORS_MAX: usize = LOGS_PER_SPACE_MAX;
/// Columns of a change chunk; Automerge 0.12 writes at most sixteen.
pub const CHANGE_COLUMNS_MAX: usize = 32;
/// A change's message carries an opaque account id.
pub const CHANGE_MESSAGE_BYTES_MAX: usize = 128;
/// Nesting of objects in a document.
pub const DEPTH_MAX: usize = 32;
/// Greatest operation counter, a little under Automerge's `u32` so that the next honest write fits.
pub const OP_COUNTER_MAX: u64 = (1 << 31) - 1;
/// Entries of one log that wait for a dependency in one document and are looked at together. Those behind
/// wait in the log, counted; they are looked at once the first move on. Per log, so that the verdict does
/// not depend on what others sent, nor on the order of arrival.
pub const PENDING_PER_LOG_MAX: usize = 256;

/// Runs received from one link and not yet durable. Two links' worth of the largest runs fit the
/// memory target of 150 MiB with room to spare.
pub const UNPERSISTED_BYTES_MAX: usize = 16 << 20;
/// Bytes handed to one link and not yet taken by the transport.
pub const OUTBOX_BYTES_MAX: usize = 4 << 20;
/// Wanted ranges open at one peer at a time: enough to keep the pipe full over a slow link, few enough
/// that the peer that greets first is not asked for everything.
pub const OPEN_WANTS_PER_PEER_MAX: usize = 4;
/// Entries asked for in one range, so that a stalled peer holds up little.
pub const WANT_ENTRIES_MAX: u64 = 16_384;

/// Logs of one peer we remember to have declined. An honest peer relays a few of authors we are about to
/// hear of; the rest are counted and not remembered.
pub const REFUSED_PER_PEER_MAX: usize = 256;
/// Bytes handed to one link and not yet taken, messages included: beyond, the peer asks and does not
/// read, and the link is closed. A vector of every log in sixty-four full spaces is 64 × 1,024 × 62 bytes,
/// 4 MiB; as much again twice over.
pub const LINK_OUTBOX_BYTES_MAX: usize = 16 << 20;

/// Frame bytes a second one peer may send, in the long run: half a gigabit, more than a line between
/// offices gives, and hashed and unfolded in a tenth of a second.
pub const PEER_BYTES_PER_S: u64 = 64 << 20;
/// Work a second one peer may cause, in units of about a microsecond: a fifth of a core. Ten thousand of
/// the smallest messages, or 24 whole vectors of POSITIONS_MAX.
pub const PEER_WORK_PER_S: u64 = 200_000;
/// … and how many seconds' worth it may use at once after a rest.
pub const PEER_BURST_SECONDS: u64 = 10;
/// Work of any message: decoding, looking up, waking.
pub const WORK_MESSAGE: u64 = 20;
/// … of greeting or comparing: every shared space is looked at, and a vector may have to be sent.
pub const WORK_DIGESTS: u64 = 4_000;
/// … of one wanted range: a read from disk or a decline.
pub const WORK_RANGE: u64 = 50;
/// … of a statement: a signature.
pub const WORK_STATEMENT: u64 = 100;
/// … of a batch: a signature, and half a unit for each entry's hash.
pub const WORK_BATCH: u64 = 100;
/// … of a proof: three signatures and reads from disk; each of its headers is one more.
pub const WORK_PROOF: u64 = 500;
/// Bytes a second a link must bring while one of its frames is incomplete: 512 bit/s is slower than any
/// line that carries QUIC. Judged over the frame's patience (a minute by default).
pub const LINK_BYTES_PER_S_MIN: u64 = 64;

/// Handshakes under way that others began: four for each of sixty-four nodes after a power cut. Each takes
/// about 20 KiB.
pub const HANDSHAKES_MAX: usize = 256;
/// … from one source (an IPv4 address or an IPv6 /64) that has shown it receives there: a whole
/// federation behind one address translation.
pub const HANDSHAKES_PER_SOURCE_MAX: usize = 64;
/// … from addresses that may be forged, in all, from one source, and begun within a second. Above, a
/// caller is sent a Retry first.
pub const UNVALIDATED_MAX: usize = 100;
pub const UNVALIDATED_PER_SOURCE_MAX: usize = 32;
pub const UNVALIDATED_PER_S: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_run_fits_a_frame() {
        const { assert!(RUN_BYTES_MAX < FRAME_BYTES_MAX) };
        const { assert!(FRAME_BYTES_MAX < u32::MAX as usize) };
        const { assert!(CHANGE_DEPS_MAX >= LOGS_PER_SPACE_MAX) };
    }
}
