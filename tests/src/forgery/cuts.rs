//! Forgeries around a right that was taken.

use super::Case;
use super::bodies;
use super::world::{ALICE, Dice, EVE, JUDGE, Pen, directory, id, key, space, topic};
use fenbu_protocol::directory::{Act, Cut, RevokeNode, Signed};
use fenbu_protocol::id::{Hash, LogId};
use fenbu_protocol::record::Record;
use serde_json::json;

/// The admin revokes a node, whose logs count up to these cuts.
fn revoked(who: u8, cuts: Vec<Cut>) -> Vec<Signed> {
    let act = Act::RevokeNode(RevokeNode { node: id(who), cuts });
    vec![directory().draft(&key(JUDGE), &act, 0)]
}

fn cut(log: LogId, seq: u64, hash: Hash) -> Cut {
    Cut { log, seq, hash }
}

/// Two edits of Alice's, one after the other, and the header hash of each.
fn two_edits(dice: &mut Dice) -> (Pen, [Vec<u8>; 2], [Hash; 2]) {
    let mut pen = Pen::new(ALICE, space(), dice.below(8) as u32);
    let (document, mut record) = (dice.document(), Record::new(topic()));
    let mut hashes = [Hash::ZERO; 2];
    let mut at = 0;
    let batches = [(); 2].map(|()| {
        let fields = json!({ "title": format!("{}", dice.roll()) });
        let body = bodies::edit(&mut record, pen.actor(), &fields);
        let bytes = pen.put(document, &body).bytes();
        hashes[at] = pen.author.tip().hash;
        at += 1;
        bytes
    });
    (pen, batches, hashes)
}

fn cut_at(dice: &mut Dice, seq: usize) -> Case {
    let (pen, batches, hashes) = two_edits(dice);
    let said = revoked(ALICE, vec![cut(pen.author.log(), seq as u64, hashes[seq - 1])]);
    Case { said, batches: batches.into(), honest: seq }
}

/// The second of two entries, of which the first alone is within the cut.
pub(super) fn past_cut(dice: &mut Dice) -> Case {
    cut_at(dice, 1)
}

/// Both are.
pub(super) fn within_cut(dice: &mut Dice) -> Case {
    cut_at(dice, 2)
}

/// A cut at an entry that is not the one which is held: another history of the log was meant.
pub(super) fn other_history(dice: &mut Dice) -> Case {
    let (pen, batches, mut hashes) = two_edits(dice);
    hashes[1].0[dice.below(32)] ^= 1 << dice.below(8);
    let said = revoked(ALICE, vec![cut(pen.author.log(), 2, hashes[1])]);
    Case { said, batches: batches.into(), honest: 0 }
}

/// A log begun after its author was revoked, that cites the epoch before.
pub(super) fn back_dated(dice: &mut Dice) -> Case {
    Case { said: revoked(ALICE, Vec::new()), honest: 0, ..one_entry(dice, 0) }
}

/// One that cites the very epoch that revoked its author, or, for the control, was not revoked.
pub(super) fn after_revocation(dice: &mut Dice) -> Case {
    let said = revoked(ALICE, Vec::new());
    Case { said, honest: 0, ..one_entry(dice, 1) }
}

pub(super) fn one_entry(dice: &mut Dice, later: u64) -> Case {
    let mut pen = Pen::new(ALICE, space(), dice.below(8) as u32);
    pen.epoch += later;
    let body = bodies::honest(topic(), pen.actor(), dice.roll());
    let batches = vec![pen.put(dice.document(), &body).bytes()];
    Case { said: Vec::new(), batches, honest: 1 }
}

pub(super) fn unrevoked(dice: &mut Dice) -> Case {
    one_entry(dice, 0)
}

/// An entry past a cut, and one of Eve's that builds on it.
fn built_on(dice: &mut Dice, epoch_to_come: bool) -> Case {
    let mut alice = Pen::new(ALICE, space(), dice.below(8) as u32);
    let mut eve = Pen::new(EVE, space(), dice.below(8) as u32);
    let (document, mut record) = (dice.document(), Record::new(topic()));
    let mut edit = |pen: &Pen, dice: &mut Dice| {
        let fields = json!({ "title": format!("{}", dice.roll()) });
        bodies::edit(&mut record, pen.actor(), &fields)
    };
    let first = edit(&alice, dice);
    let second = edit(&eve, dice);
    if epoch_to_come {
        eve.epoch += 1 + 1 + dice.roll() % 1000;
    }
    let batches = vec![alice.put(document, &first).bytes(), eve.put(document, &second).bytes()];
    let honest = if epoch_to_come { 0 } else { 2 };
    Case { said: revoked(ALICE, Vec::new()), batches, honest }
}

/// What builds on it does not count itself, so it rescues nothing.
pub(super) fn rescued_by_nobody(dice: &mut Dice) -> Case {
    built_on(dice, true)
}

pub(super) fn rescued(dice: &mut Dice) -> Case {
    built_on(dice, false)
}
