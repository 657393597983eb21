//! The classes.

use super::cuts::{
    after_revocation, back_dated, other_history, past_cut, rescued, rescued_by_nobody, unrevoked,
    within_cut,
};
use super::world::{ALICE, Dice, EVE, Pen, alices, directory, key, space, topic};
use super::{Case, Decided, bodies};
use automerge::legacy::{ElementId, Key, OpId};
use automerge::{ActorId, ChangeHash};
use fenbu_protocol::directory::space_id;
use fenbu_protocol::id::SpaceId;
use fenbu_protocol::log::{Author, Opening, Tip};
use fenbu_protocol::record::{Record, schema_named};
use serde_json::json;

/// Where a run's head has the space of its opening, and the checkpoint's signature.
const SPACE_AT: usize = 77;
const SIGNATURE_AT: usize = 77 + Opening::LEN;
const ENTRIES_AT: usize = SIGNATURE_AT + 64;
/// Where its first entry has its document, its body's length and its body.
const DOCUMENT_AT: usize = ENTRIES_AT + 1 + 11 + 16 + 8;
const BODY_AT: usize = DOCUMENT_AT + 16 + 4;

macro_rules! classes {
    ($($(#[doc = $doc:literal])* $name:ident => $forge:ident / $control:ident, $decided:ident;)*) => {
        /// Ways to forge an entry.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Class {
            $($(#[doc = $doc])* $name,)*
        }

        impl Class {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What finds it out.
            pub fn decided(self) -> Decided {
                match self { $(Self::$name => Decided::$decided,)* }
            }

            /// A forgery of this class.
            pub fn forged(self, dice: &mut Dice) -> Case {
                match self { $(Self::$name => $forge(dice),)* }
            }

            /// The same without the forgery.
            pub fn control(self, dice: &mut Dice) -> Case {
                match self { $(Self::$name => $control(dice),)* }
            }
        }
    };
}

classes! {
    /// A log said to be Alice's, signed by the third peer that delivers it.
    ForgedAuthor => forged_author / one_entry, BySignature;
    /// An entry of Alice's once more, at the next seq, chained properly.
    ReplayedAtSeq => replayed_at_seq / two_runs, BySignature;
    /// Alice's body, signed by Eve in a log of her own.
    ReplayedInLog => replayed_in_log / one_entry, Statically;
    /// Alice's run with another space in its opening, and the log id that follows from it.
    ReplayedInSpace => replayed_in_space / one_entry, BySignature;
    /// Alice's run with another document in its header.
    ReplayedInDocument => replayed_in_document / one_entry, BySignature;
    /// A run of Alice's own that belongs to another federation.
    ReplayedInFederation => replayed_in_federation / one_entry, Statically;
    /// A run under the checkpoint of another log of the same author.
    ForeignCheckpoint => foreign_checkpoint / one_entry, BySignature;
    /// Eve's log, with an opening in her name that another key signed.
    ForeignOpening => foreign_opening / eves_entry, BySignature;
    /// One bit of one field of the run's head or of a header altered.
    HeaderAltered => header_altered / one_entry, BySignature;
    /// Two bodies of one run exchanged.
    BodiesSwapped => bodies_swapped / two_documents, BySignature;
    /// One bit of a body altered.
    BodyAltered => body_altered / one_entry, BySignature;
    /// A new change under Alice's actor, in Eve's log.
    ForeignActor => foreign_actor / eves_entry, Statically;
    /// Two changes with one (actor, sequence): the first in the log stands.
    SeqReused => seq_reused / two_runs, ByTrial;
    /// Operation counters that do not begin where the past ends.
    StartOpJumps => start_op_jumps / eves_entry, ByTrial;
    /// An operation that refers to one outside the change's past.
    DanglingReference => dangling_reference / eves_entry, ByTrial;
    /// A topic built on the genesis change of another kind, or said to have another genesis.
    GenesisMismatch => genesis_mismatch / eves_entry, ByTrial;
    /// A valid meaning in a spelling no encoder writes.
    NonCanonical => non_canonical / canonical, Statically;
    /// The cited epoch falls within a run.
    EpochFalls => epoch_falls / two_documents, Statically;
    /// An epoch is cited that the directory has not reached.
    EpochToCome => epoch_to_come / eves_entry, Statically;
    /// Signed and sound in all else, in a space its author may not write.
    NoRight => no_right / alices_entry, Statically;
    /// Past the cut of a right that was taken.
    PastCut => past_cut / within_cut, Statically;
    /// Within a cut that names another history of the log.
    OtherHistory => other_history / within_cut, Statically;
    /// A log begun after its author was revoked, citing the epoch before.
    BackDated => back_dated / unrevoked, Statically;
    /// Cites the epoch that revoked its author.
    AfterRevocation => after_revocation / unrevoked, Statically;
    /// Past a cut, and built on by what does not count.
    RescuedByNobody => rescued_by_nobody / rescued, Statically;
}

fn honest(pen: &Pen, dice: &mut Dice) -> Vec<u8> {
    bodies::honest(topic(), pen.actor(), dice.roll())
}

/// A log with one new topic in it.
fn started(who: u8, space: SpaceId, dice: &mut Dice) -> (Pen, Vec<u8>) {
    let mut pen = Pen::new(who, space, dice.below(8) as u32);
    let body = honest(&pen, dice);
    pen.put(dice.document(), &body);
    let bytes = pen.bytes();
    (pen, bytes)
}

fn one(bytes: Vec<u8>, honest: usize) -> Case {
    Case { said: Vec::new(), batches: vec![bytes], honest }
}

/// The one body, in a log of Eve's that is right in all else.
fn eves(dice: &mut Dice, make: impl FnOnce(&Pen, &mut Dice) -> Vec<u8>, honest: usize) -> Case {
    let mut pen = Pen::new(EVE, space(), dice.below(8) as u32);
    let body = make(&pen, dice);
    one(pen.put(dice.document(), &body).bytes(), honest)
}

// Controls.

fn one_entry(dice: &mut Dice) -> Case {
    one(started(ALICE, space(), dice).1, 1)
}

fn eves_entry(dice: &mut Dice) -> Case {
    one(started(EVE, space(), dice).1, 1)
}

fn alices_entry(dice: &mut Dice) -> Case {
    one(started(ALICE, alices(), dice).1, 1)
}

fn two_documents(dice: &mut Dice) -> Case {
    one(two_topics(dice).bytes(), 2)
}

fn two_runs(dice: &mut Dice) -> Case {
    let mut pen = Pen::new(EVE, space(), 0);
    let (document, mut record) = (dice.document(), Record::new(topic()));
    let fields = json!({ "title": format!("{}", dice.roll()) });
    let first = bodies::edit(&mut record, pen.actor(), &fields);
    let second = bodies::edit(&mut record, pen.actor(), &json!({ "column": "style" }));
    let batches = [first, second].map(|body| pen.put(document, &body).bytes());
    Case { said: Vec::new(), batches: batches.into(), honest: 2 }
}

fn canonical(dice: &mut Dice) -> Case {
    eves(dice, |pen, dice| bodies::canonical(pen.actor(), dice.roll()), 1)
}

// Forgeries.

fn forged_author(dice: &mut Dice) -> Case {
    let honest_opening = Opening::sign(&key(ALICE), space(), dice.below(8) as u32);
    let opening = match dice.below(2) {
        // Alice's own opening, which any carrier has.
        0 => honest_opening,
        _ => {
            Opening { signature: Opening::sign(&key(EVE), space(), 0).signature, ..honest_opening }
        }
    };
    let mut pen = Pen::with(opening, key(EVE));
    let body = honest(&pen, dice);
    one(pen.put(dice.document(), &body).bytes(), 0)
}

fn replayed_at_seq(dice: &mut Dice) -> Case {
    let (mut pen, first) = started(ALICE, space(), dice);
    let body = honest(&pen, dice);
    pen.put(dice.document(), &body);
    let second = pen.bytes();
    let mut third = second.clone();
    third[32..40].copy_from_slice(&3_u64.to_be_bytes());
    third[40..72].copy_from_slice(&pen.author.tip().hash.0);
    Case { said: Vec::new(), batches: vec![first, second, third], honest: 2 }
}

fn replayed_in_log(dice: &mut Dice) -> Case {
    let alice = Pen::new(ALICE, space(), 0);
    eves(dice, |_, dice| honest(&alice, dice), 0)
}

fn replayed_in_space(dice: &mut Dice) -> Case {
    let (pen, mut bytes) = started(ALICE, space(), dice);
    let opening = Opening { space: alices(), ..*pen.author.opening() };
    bytes[..32].copy_from_slice(opening.log().as_bytes());
    bytes[40..72].copy_from_slice(opening.log().as_bytes());
    bytes[SPACE_AT..SPACE_AT + 16].copy_from_slice(alices().as_bytes());
    one(bytes, 0)
}

fn replayed_in_document(dice: &mut Dice) -> Case {
    let (_, mut bytes) = started(ALICE, space(), dice);
    bytes[DOCUMENT_AT..DOCUMENT_AT + 16].copy_from_slice(dice.document().as_bytes());
    one(bytes, 0)
}

fn replayed_in_federation(dice: &mut Dice) -> Case {
    let other = super::world::federation(9);
    one(started(ALICE, space_id(&other, "federation"), dice).1, 0)
}

fn foreign_checkpoint(dice: &mut Dice) -> Case {
    let (_, mut bytes) = started(ALICE, space(), dice);
    let (_, other) = started(ALICE, alices(), dice);
    bytes[SIGNATURE_AT..ENTRIES_AT].copy_from_slice(&other[SIGNATURE_AT..ENTRIES_AT]);
    one(bytes, 0)
}

fn foreign_opening(dice: &mut Dice) -> Case {
    let mine = Opening::sign(&key(EVE), space(), dice.below(8) as u32);
    let signature = Opening::sign(&key(ALICE), space(), mine.incarnation).signature;
    let mut pen = Pen::with(Opening { signature, ..mine }, key(EVE));
    let body = honest(&pen, dice);
    one(pen.put(dice.document(), &body).bytes(), 0)
}

fn header_altered(dice: &mut Dice) -> Case {
    let (_, mut bytes) = started(ALICE, space(), dice);
    bytes[dice.below(BODY_AT)] ^= 1 << dice.below(8);
    one(bytes, 0)
}

/// Two topics in one run; their bodies have one length.
fn two_topics(dice: &mut Dice) -> Pen {
    let mut pen = Pen::new(ALICE, space(), dice.below(8) as u32);
    for n in 0..2 {
        let body = bodies::honest(topic(), pen.actor(), 10 + n + 2 * dice.below(40) as u64);
        pen.put(dice.document(), &body);
    }
    pen
}

fn bodies_swapped(dice: &mut Dice) -> Case {
    let run = two_topics(dice).close();
    let found: Vec<Vec<u8>> = run.entries().filter_map(|e| e.body.map(<[u8]>::to_vec)).collect();
    let mut bytes = run.as_bytes().to_vec();
    let (first, second) = (found[0].len(), found[1].len());
    let end = bytes.len();
    assert_eq!(first, second, "titles of two digits have one length");
    bytes[BODY_AT..BODY_AT + first].copy_from_slice(&found[1]);
    bytes[end - second..].copy_from_slice(&found[0]);
    one(bytes, 0)
}

fn body_altered(dice: &mut Dice) -> Case {
    let (_, mut bytes) = started(ALICE, space(), dice);
    let at = BODY_AT + dice.below(bytes.len() - BODY_AT);
    bytes[at] ^= 1 << dice.below(8);
    one(bytes, 0)
}

fn foreign_actor(dice: &mut Dice) -> Case {
    let alice = ActorId::from(Pen::new(ALICE, space(), 0).actor());
    eves(dice, |pen, dice| bodies::twisted(&honest(pen, dice), |change| change.actor_id = alice), 0)
}

fn seq_reused(dice: &mut Dice) -> Case {
    let mut pen = Pen::new(EVE, space(), 0);
    let document = dice.document();
    let batches = [(); 2].map(|()| {
        let body = honest(&pen, dice);
        pen.put(document, &body).bytes()
    });
    Case { said: Vec::new(), batches: batches.into(), honest: 1 }
}

fn start_op_jumps(dice: &mut Dice) -> Case {
    eves(
        dice,
        |pen, dice| {
            let to = match dice.below(3) {
                0 => 1,
                1 => 100 + dice.roll() % 1_000_000,
                _ => (1 << 31) - 2 + dice.roll() % (1 << 31),
            };
            bodies::start_op(pen.actor(), dice.roll(), to)
        },
        0,
    )
}

fn dangling_reference(dice: &mut Dice) -> Case {
    eves(
        dice,
        |pen, dice| {
            let mut record = Record::new(topic());
            let fields = json!({ "title": "t", "brief": "国门先锋" });
            let body = bodies::edit(&mut record, pen.actor(), &fields);
            let actor = match dice.below(2) {
                0 => ActorId::from(pen.actor()),
                _ => ActorId::from(Pen::new(ALICE, space(), 0).actor()),
            };
            let nowhere = OpId(1000 + dice.roll() % 1000, actor);
            bodies::twisted(&body, |change| {
                let inserts = change.operations.iter_mut().find(|op| op.insert);
                inserts.expect("a text is inserted").key = Key::Seq(ElementId::Id(nowhere));
            })
        },
        0,
    )
}

fn genesis_mismatch(dice: &mut Dice) -> Case {
    if dice.below(2) == 0 {
        let mut pen = Pen::new(EVE, space(), dice.below(8) as u32);
        pen.genesis = 2 + dice.below(1000) as u16;
        let body = honest(&pen, dice);
        return one(pen.put(dice.document(), &body).bytes(), 0);
    }
    let other = Record::new(schema_named("member").expect("there are members")).heads()[0];
    eves(
        dice,
        |pen, dice| {
            bodies::twisted(&honest(pen, dice), |change| change.deps = vec![ChangeHash(other)])
        },
        0,
    )
}

fn non_canonical(dice: &mut Dice) -> Case {
    eves(dice, |pen, dice| bodies::non_canonical(pen.actor(), dice.roll()), 0)
}

fn epoch_falls(dice: &mut Dice) -> Case {
    let mut pen = Pen::new(EVE, space(), dice.below(8) as u32);
    let body = honest(&pen, dice);
    let first = pen.put(dice.document(), &body).close();
    // An author that has forgotten what it cited before.
    let tip = Tip { epoch: 0, ..pen.author.tip() };
    pen.author = Author::new(*pen.author.opening(), tip, 1 << 62);
    pen.epoch -= 1;
    let body = honest(&pen, dice);
    let second = pen.put(dice.document(), &body).close();
    let joined = first.joined(&second).expect("one follows the other");
    one(joined.as_bytes().to_vec(), 0)
}

fn epoch_to_come(dice: &mut Dice) -> Case {
    let mut pen = Pen::new(EVE, space(), dice.below(8) as u32);
    pen.epoch = directory().epoch() + 1 + dice.roll() % 1000;
    let body = honest(&pen, dice);
    one(pen.put(dice.document(), &body).bytes(), 0)
}

fn no_right(dice: &mut Dice) -> Case {
    one(started(EVE, alices(), dice).1, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twenty_five() {
        assert_eq!(Class::ALL.len(), 25);
    }
}
