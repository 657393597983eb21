//! Codecs: round trips, bounds, the largest legal message, and bytes that never change.

use super::join::{FileRequest, FileRequestError, JoinAnswer, JoinRequest, Token, TokenError};
use super::*;
use crate::directory::{
    Act, AdmitNode, AppointAdmin, ContinueCuts, Cut, DefineSpace, DefineUnit, Directory, Found,
    GrantKey, Recover, RevokeNode, Role, Scope, SetLimits, Signed, Template, UpdateNode, Wrap,
    space_id,
};
use crate::id::{DocId, FederationId, Hash, HashPrefix, LogId, NodeId, SpaceId, hex, unhex};
use crate::limits::*;
use crate::log::{
    Author, Draft, Encoding, HEADER_VERSION, Kind, Lane, LogDigest, Opening, Position, Proof, Run,
    Shape, StateDigest, Sum, Tip, body_hash,
};
use crate::seal::{SpaceKey, WrapPlace, sealing_public};
use crate::sync::{Engine, Input, LinkId, Output, Settings, StoredLog};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        federation: FederationId([1; 32]),
        epoch: 52,
        directory: Hash([2; 32]),
        digest: Hash([3; 32]),
        agent: "fenbu 0.1.0".into(),
        state: None,
    }
}

fn state_sum() -> StateSum {
    StateSum { rules: 1, sum: HashPrefix([7; 8]) }
}

fn positions(n: usize) -> Vec<Position> {
    (0..n)
        .map(|i| {
            let log = LogId(Hash::of("test", &[&i.to_be_bytes()]).0);
            Tip { seq: i as u64, hash: Hash(log.0), body_bytes: u64::MAX, epoch: 0 }.position(log)
        })
        .collect()
}

fn examples() -> Vec<Message> {
    let space = SpaceId([4; 16]);
    let log = LogId([5; 32]);
    vec![
        Message::Hello(hello()),
        Message::Digests(Digests { spaces: vec![SpaceDigest { space, digest: Hash([6; 32]) }] }),
        Message::Have(Have {
            spaces: vec![SpacePositions { space, positions: positions(2), whole: true }],
        }),
        Message::Want(Want { ranges: vec![Range { log, from: 1, to: 256 }] }),
        Message::Decline(Decline { log, from: 9, reason: DeclineReason::NOT_HELD }),
        Message::Prune(Prune { log }),
        Message::Statements(Statements {
            statements: vec![Signed { bytes: vec![1, 2, 3], signature: [7; 64] }],
        }),
        Message::Unknown(99),
        Message::Parted(Parted { heads: vec![DirectoryHead { epoch: 52, hash: Hash([2; 32]) }] }),
        Message::Proof(Box::new(proof())),
        Message::Have(Have {
            spaces: vec![SpacePositions {
                space,
                positions: vec![Position { fork: Some(2), ..positions(3)[2] }],
                whole: false,
            }],
        }),
        Message::Hello(Hello { state: Some(state_sum()), ..hello() }),
        Message::State(State { digest: Hash([3; 32]), state: state_sum(), spaces: Vec::new() }),
        Message::State(State {
            digest: Hash([3; 32]),
            state: state_sum(),
            spaces: vec![SpaceSum { space, sum: HashPrefix([8; 8]) }],
        }),
    ]
}

/// Two copies of the disk of key seed 07 × 32 wrote `here` and `there` at seq 2 of the log that `first`
/// of `run.hex` begins.
fn proof() -> Proof {
    let key = SigningKey::from_bytes(&[7; 32]);
    let opening = Opening::sign(&key, SpaceId([1; 16]), 0);
    let mut one = Author::new(opening, Tip::start(opening.log()), 0);
    let write = |author: &mut Author, body: &[u8]| {
        author.append(&Draft {
            epoch: 5,
            directory: HashPrefix([5; 8]),
            now_ms: 1_700_000_000_000,
            shape: Shape {
                version: HEADER_VERSION,
                lane: Lane::POSTS,
                kind: Kind(1),
                genesis: 1,
                encoding: Encoding::CHANGE,
                key_epoch: 0,
            },
            document: DocId([1; 16]),
            body,
        });
        author.close(&key).unwrap()
    };
    write(&mut one, b"hello");
    let mut two = one.clone();
    let runs = (write(&mut one, b"here"), write(&mut two, b"there"));
    Proof::of(*one.opening(), &runs.0, &runs.1).unwrap()
}

#[test]
fn a_proof_is_two_signed_headers_and_nothing_less() {
    let proof = proof();
    assert!(proof.verify() && proof.seq() == 2 && proof.author() == proof.opening().node);
    assert!(proof.standing_hash() < proof.other().first_hash());
    let bytes = proof.to_wire();
    assert_eq!(Proof::from_wire(&bytes).unwrap(), proof);
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let read = Proof::from_wire(&bytes);
        assert!(read.is_err() || !read.unwrap().verify(), "byte {at} can be another");
    }
}

#[test]
fn the_largest_proof_fits_a_frame() {
    let wire = 2 * (PROOF_RUN_BYTES_MAX + 8) + 128;
    assert!(wire <= FRAME_BYTES_MAX);
}

#[test]
fn messages_round_trip() {
    for message in examples() {
        assert_eq!(Message::from_frame(&message.to_frame()).unwrap(), message);
    }
}

/// The bytes themselves, so that no refactoring changes what other versions read. `WIRE.md` quotes
/// the same files.
#[test]
fn golden_vectors_hold() {
    let golden = include_str!("../../../tests/vectors/messages.hex");
    let lines: Vec<_> = golden.lines().filter(|l| !l.starts_with('#')).collect();
    // A frame that is compressed is not the same bytes everywhere: the proof has a file of its own.
    let plain = examples().into_iter().filter(|m| !matches!(m, Message::Proof(_)));
    let ours: Vec<_> = plain.map(|m| format!("{} {}", m.name(), hex(&m.to_frame()))).collect();
    assert_eq!(lines, ours);
    let known = self::lines(include_str!("../../../tests/vectors/proof.hex"));
    assert_eq!(known, [("proof", hex(&self::proof().to_wire()).as_str())]);
}

#[test]
fn two_hellos_cost_under_300_stream_bytes() {
    // Lane byte and length prefix included, both directions: the whole of a reconnection with
    // nothing new.
    let frame = Message::Hello(Hello { state: Some(state_sum()), ..hello() }).to_frame();
    assert!(2 * (1 + 4 + frame.len()) < 300, "{}", frame.len());
}

#[test]
fn the_largest_legal_messages_fit_a_frame() {
    let space = SpaceId([9; 16]);
    let mut left = POSITIONS_MAX;
    let mut spaces = Vec::new();
    while left > 0 {
        let n = left.min(LOGS_PER_SPACE_MAX);
        spaces.push(SpacePositions { space, positions: positions(n), whole: false });
        left -= n;
    }
    let digest = SpaceDigest { space, digest: Hash([1; 32]) };
    let statement = Signed { bytes: vec![1; STATEMENT_BYTES_MAX / 2], signature: [1; 64] };
    for message in [
        Message::Have(Have { spaces }),
        Message::Digests(Digests { spaces: vec![digest; SPACES_MAX] }),
        Message::Want(Want {
            ranges: vec![Range { log: LogId([1; 32]), from: 1, to: u64::MAX }; WANTS_MAX],
        }),
        Message::Statements(Statements { statements: vec![statement; STATEMENTS_PER_MESSAGE_MAX] }),
        Message::State(State {
            digest: Hash([1; 32]),
            state: state_sum(),
            spaces: vec![SpaceSum { space, sum: HashPrefix([1; 8]) }; SPACES_MAX],
        }),
        Message::Parted(Parted {
            heads: vec![DirectoryHead { epoch: u64::MAX, hash: Hash([1; 32]) }; PARTED_HEADS_MAX],
        }),
    ] {
        let frame = message.to_frame();
        assert!(frame.len() <= FRAME_BYTES_MAX, "{}", message.name());
    }
}

#[test]
fn bounds_are_checked_on_arrival() {
    let range = Range { log: LogId([1; 32]), from: 1, to: 1 };
    let over = Message::Want(Want { ranges: vec![range; WANTS_MAX + 1] });
    assert_eq!(Message::from_frame(&over.to_frame()), Err(DecodeError::Bound("Want")));
    let head = DirectoryHead { epoch: 1, hash: Hash([1; 32]) };
    let over = Message::Parted(Parted { heads: vec![head; PARTED_HEADS_MAX + 1] });
    assert_eq!(Message::from_frame(&over.to_frame()), Err(DecodeError::Bound("Parted")));
    let backwards = Message::Want(Want { ranges: vec![Range { from: 5, to: 4, ..range }] });
    assert_eq!(Message::from_frame(&backwards.to_frame()), Err(DecodeError::Bound("Want")));
}

#[test]
fn a_compression_bomb_is_refused_before_it_unfolds() {
    let zeros = vec![0u8; FRAME_BYTES_MAX - 1];
    let mut bomb = vec![0x88];
    bomb.extend_from_slice(&(zeros.len() as u32).to_be_bytes());
    bomb.extend_from_slice(&zstd::bulk::compress(&zeros, 3).unwrap());
    assert!(bomb.len() < 1000);
    let honest = frame::encode(8, &zeros);
    assert_eq!(frame::decode(&honest).unwrap().1, zeros, "what compresses too well travels plain");
    assert_eq!(frame::decode(&bomb), Err(frame::FrameError::Compression));
}

#[test]
fn tokens_round_trip_and_say_what_is_wrong() {
    let token = Token {
        federation: FederationId([1; 32]),
        issuer: NodeId([2; 32]),
        addresses: vec!["head.example:4433".into()],
        secret: [3; 16],
        unit: "lianyungang".into(),
        role: Role::SERVER,
    };
    let text = token.to_text();
    assert_eq!(Token::from_text(&format!(" {text}\n")), Ok(token));
    assert_eq!(Token::from_text("hello"), Err(TokenError::Prefix));
    assert_eq!(Token::from_text(&text[..text.len() - 3]), Err(TokenError::Damaged));
}

// Golden vectors: bytes that other versions hold on disk or send. Signatures are deterministic
// (RFC 8032), so they are part of them.

/// The lines of a golden file that are not comments: a name and a text each.
fn lines(text: &'static str) -> Vec<(&'static str, &'static str)> {
    text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split_once(' ').unwrap()).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks_exact(2);
    pairs.map(|p| unhex::<1>(std::str::from_utf8(p).unwrap()).unwrap()[0]).collect()
}

fn golden_key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn golden_node(n: u8) -> NodeId {
    NodeId(golden_key(n).verifying_key().to_bytes())
}

const ROOT: u8 = 1;
const HEAD: u8 = 2;
const ALICE: u8 = 3;

fn golden_federation() -> FederationId {
    FederationId(golden_node(ROOT).0)
}

/// One statement of each act, in the order of a directory that could be: who says it, and what.
fn golden_acts() -> Vec<(&'static str, u8, Act)> {
    let head = || Scope::units(["head".to_owned()]);
    let admit = |n, name: &str, role, addresses: &[&str]| {
        Act::AdmitNode(AdmitNode {
            node: golden_node(n),
            unit: "head".into(),
            name: name.into(),
            role,
            addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
            sealing: sealing_public(&golden_key(n)),
        })
    };
    let found =
        Found { name: "分布".into(), admin: golden_node(HEAD), head_office: "head".into() };
    let unit = DefineUnit { code: "head".into(), name: "局机关".into() };
    let space = DefineSpace {
        space: space_id(&golden_federation(), "head"),
        label: "head".into(),
        template: Template::UNIT,
        unit: Some("head".into()),
        readers: head(),
        writers: head(),
        carriers: Scope::everyone(),
        cuts: None,
    };
    let update = UpdateNode {
        node: golden_node(ALICE),
        name: None,
        addresses: Some(vec!["alice.example:4433".into()]),
    };
    let cut = Cut { log: LogId([5; 32]), seq: 2, hash: Hash([6; 32]) };
    let revoke = RevokeNode { node: golden_node(ALICE), cuts: vec![cut.clone()] };
    let id = space.space;
    let limits = SetLimits { space: id, bytes: Some(1 << 30), entries: None, documents: Some(9) };
    let other = |n| Cut { log: LogId([n; 32]), ..cut.clone() };
    let narrowed =
        DefineSpace { writers: Scope::default(), cuts: Some(vec![other(6)]), ..space.clone() };
    let more = ContinueCuts { cuts: vec![other(7), other(8)] };
    vec![
        ("found", ROOT, Act::Found(found)),
        ("define_unit", HEAD, Act::DefineUnit(unit)),
        ("define_space", HEAD, Act::DefineSpace(space)),
        ("admit_node", HEAD, admit(HEAD, "head", Role::SERVER, &["head.example:4433"])),
        ("admit_laptop", HEAD, admit(ALICE, "alice", Role::LAPTOP, &[])),
        ("update_node", HEAD, Act::UpdateNode(update)),
        ("grant_key", HEAD, Act::GrantKey(golden_grant())),
        ("revoke_node", HEAD, Act::RevokeNode(revoke)),
        (
            "appoint_admin",
            ROOT,
            Act::AppointAdmin(AppointAdmin { node: golden_node(HEAD), cuts: None }),
        ),
        ("set_limits", HEAD, Act::SetLimits(limits)),
        ("narrow_space", HEAD, Act::DefineSpace(narrowed)),
        ("continue_cuts", HEAD, Act::ContinueCuts(more)),
    ]
}

/// The acts, with the recovery, which names what it follows, after them; and what they make.
fn golden_chain() -> (Vec<(&'static str, u8, Act)>, Directory) {
    let mut directory = Directory::empty(golden_federation());
    let say = |directory: &mut Directory, by, act: &Act| {
        let time_ms = 1_700_000_000_000 + directory.epoch();
        let signed = directory.draft(&golden_key(by), act, time_ms);
        directory.apply(signed).unwrap();
    };
    let mut acts = golden_acts();
    for (_, by, act) in &acts {
        say(&mut directory, *by, act);
    }
    let (epoch, hash) = (directory.epoch(), directory.head());
    let recover = Act::Recover(Recover { epoch, hash, voided: epoch + 2 });
    say(&mut directory, ROOT, &recover);
    acts.push(("recover", ROOT, recover));
    (acts, directory)
}

/// The key 09 × 32 of head office's space, for head office's node.
fn golden_grant() -> GrantKey {
    let space = space_id(&golden_federation(), "head");
    let (key, node) = (SpaceKey::new([9; 32]), golden_node(HEAD));
    let place = WrapPlace { federation: golden_federation(), space, key_epoch: 1, node };
    let bytes = key.wrap(&place, &sealing_public(&golden_key(HEAD)), [8; 32]).unwrap();
    let wraps = vec![Wrap { node, bytes }];
    GrantKey { space, key_epoch: 1, check: key.check(&space, 1), wraps }
}

fn golden_directory() -> Directory {
    golden_chain().1
}

#[test]
fn golden_statements_hold() {
    let golden = lines(include_str!("../../../tests/vectors/statement.hex"));
    let (acts, directory) = golden_chain();
    let chain = directory.statements_after(0).to_vec();
    let said: BTreeSet<u16> = acts.iter().map(|(_, _, act)| act.number()).collect();
    assert!(said.into_iter().eq(1..=11), "every act is among them");
    assert_eq!(golden.len(), acts.len());
    for (((name, hex), (our_name, by, act)), signed) in golden.iter().zip(&acts).zip(&chain) {
        assert_eq!(name, our_name);
        let read = Signed::from_wire(&bytes(hex)).unwrap();
        assert_eq!(&read, signed, "{name}");
        assert_eq!(read.to_wire(), bytes(hex), "{name}");
        assert!(read.verify(&golden_node(*by)), "{name}");
        let statement = read.open().unwrap();
        assert_eq!(minicbor::to_vec(&statement).unwrap(), read.bytes, "{name}");
        let again = Act::parse(statement.act, &statement.payload).unwrap().unwrap();
        assert_eq!((&again, again.payload()), (act, statement.payload), "{name}");
    }
    let read = golden.iter().map(|(_, hex)| Signed::from_wire(&bytes(hex)).unwrap());
    assert_eq!(Directory::from_chain(golden_federation(), read), Ok(golden_directory()));
}

#[test]
fn golden_join_holds() {
    let exporter = [9; 32];
    let key = golden_key(ALICE);
    let request = JoinRequest {
        federation: golden_federation(),
        secret: [8; 16],
        proof: JoinRequest::prove(&key, &exporter),
        name: "alice".into(),
        addresses: vec!["alice.example:4433".into()],
        sealing: sealing_public(&key),
    };
    assert!(request.is_proven(&golden_node(ALICE), &exporter));
    let statements = golden_directory().statements_after(0)[..1].to_vec();
    let admitted = JoinAnswer { statements, refusal: None };
    let refused = JoinAnswer { statements: vec![], refusal: Some("the token has expired".into()) };
    let golden = lines(include_str!("../../../tests/vectors/join.hex"));
    let ours = [
        ("request", minicbor::to_vec(&request).unwrap()),
        ("admitted", minicbor::to_vec(&admitted).unwrap()),
        ("refused", minicbor::to_vec(&refused).unwrap()),
    ];
    let read: Vec<_> = golden.iter().map(|(name, hex)| (*name, bytes(hex))).collect();
    assert_eq!(read, ours);
    assert_eq!(minicbor::decode::<JoinRequest>(&read[0].1).unwrap(), request);
    assert_eq!(minicbor::decode::<JoinAnswer>(&read[1].1).unwrap(), admitted);
    assert_eq!(minicbor::decode::<JoinAnswer>(&read[2].1).unwrap(), refused);
}

#[test]
fn the_golden_token_holds() {
    let token = Token {
        federation: golden_federation(),
        issuer: golden_node(HEAD),
        addresses: vec!["head.example:4433".into()],
        secret: [8; 16],
        unit: "head".into(),
        role: Role::LAPTOP,
    };
    let cbor = minicbor::to_vec(&token).unwrap();
    let check = Hash::of("fenbu/token/1", &[&cbor]);
    let golden = lines(include_str!("../../../tests/vectors/token.hex"));
    let (cbor, check, text) = (hex(&cbor), hex(&check.0[..4]), token.to_text());
    assert_eq!(golden, [("cbor", &cbor[..]), ("check", &check[..]), ("text", &text[..])]);
    assert_eq!(Token::from_text(golden[2].1), Ok(token));
}

#[test]
fn the_golden_file_request_holds() {
    let key = golden_key(ALICE);
    let addresses = vec!["alice.example:4433".into()];
    let request = FileRequest::sign(&key, sealing_public(&key), Some("alice".into()), addresses);
    let cbor = hex(&minicbor::to_vec(&request).unwrap());
    let golden = lines(include_str!("../../../tests/vectors/join-file.hex"));
    let text = request.to_text();
    assert_eq!(golden, [("cbor", &cbor[..]), ("text", &text[..])]);
    assert_eq!(FileRequest::from_text(&format!(" {text}\n")), Ok(request.clone()));

    let damaged = Err(FileRequestError::Damaged);
    assert_eq!(FileRequest::from_text(&text[..text.len() - 1]), damaged);
    assert_eq!(FileRequest::from_text("fenbu1aaaa"), Err(FileRequestError::Prefix));
    // Whole, and not by the key it names.
    let forged = FileRequest { node: golden_node(HEAD), ..request };
    assert_eq!(FileRequest::from_text(&forged.to_text()), damaged);
}

/// What zstd makes of a body may differ from version to version; what it unfolds to may not.
#[test]
fn the_golden_compressed_frame_unfolds() {
    let golden = lines(include_str!("../../../tests/vectors/frame.hex"));
    assert_eq!(golden.len(), 1);
    assert_eq!(golden[0].0, "compressed");
    let (kind, body) = frame::decode(&bytes(golden[0].1)).unwrap();
    assert_eq!((kind, body), (99, "分布".repeat(200).into_bytes()));
}

/// The Hello of Head towards Alice before she is revoked, in a space with one log.
fn golden_hello() -> Hello {
    let chain = golden_directory().statements_after(0)[..6].to_vec();
    let directory = Directory::from_chain(golden_federation(), chain).unwrap();
    let space = space_id(&golden_federation(), "head");
    let log = Opening::sign(&golden_key(HEAD), space, 0).log();
    let tip = Tip { seq: 3, hash: Hash([7; 32]), body_bytes: 11, epoch: 5 };
    let stored = StoredLog { log, space, author: golden_node(HEAD), tip, fork: None };
    let me = golden_node(HEAD);
    let mut engine = Engine::new(0, 0, me, Settings::default(), directory, [stored], []);
    let link = LinkId(0);
    engine.handle(0, Input::LinkUp { link, peer: golden_node(ALICE), dialed: true });
    let mut outputs = std::iter::from_fn(|| engine.poll_output());
    let frame = outputs.find_map(|o| match o {
        Output::Send { frame, .. } => Some(frame),
        _ => None,
    });
    match Message::from_frame(&frame.unwrap()).unwrap() {
        Message::Hello(hello) => hello,
        other => panic!("{} instead of Hello", other.name()),
    }
}

fn golden_ids() -> Vec<(&'static str, String)> {
    let (space, author) = (SpaceId([1; 16]), golden_key(7));
    let opening = Opening::sign(&author, space, 0);
    let log = opening.log();
    let joined = lines(include_str!("../../../tests/vectors/run.hex"))[3].1;
    let run = Run::parse(bytes(joined)).unwrap();
    let hashes: Vec<_> = run.entries().map(|e| e.hash.to_string()).collect();
    let tip = run.verify(&opening.node, &Tip::start(log)).unwrap().tip;
    let other = Opening::sign(&author, space, 1).log();
    let other_tip = Tip { seq: 1, hash: Hash([9; 32]), body_bytes: 0, epoch: 0 };
    let mut logs = LogDigest::default();
    logs.advance(space, log, &Tip::start(log), &tip);
    let one_log = logs.0.to_hash().to_string();
    logs.advance(space, other, &Tip::start(other), &other_tip);
    let mut states = StateDigest::default();
    states.advance(DocId([5; 16]), &[], &[[1; 32], [2; 32]]);
    let mut wrapped = Sum::default();
    wrapped.add(&Hash([0xff; 32]));
    wrapped.add(&Hash([2; 32]));
    let directory = golden_directory();
    let first = directory.statements_after(0)[0].hash();
    vec![
        ("node_id", opening.node.to_string()),
        ("space_id", space_id(&golden_federation(), "head").to_string()),
        ("log_id", log.to_string()),
        ("actor", hex(&log.actor())),
        ("opening", hex(&opening.to_wire())),
        ("body_hash_empty", body_hash(b"").to_string()),
        ("body_hash_hello", body_hash(b"hello").to_string()),
        ("header_hash_1", hashes[0].clone()),
        ("header_hash_2", hashes[1].clone()),
        ("header_hash_3", hashes[2].clone()),
        ("sum_wrapped", wrapped.to_hash().to_string()),
        ("log_digest_one", one_log),
        ("log_digest_two", logs.0.to_hash().to_string()),
        ("state_digest", states.0.to_hash().to_string()),
        ("statement_hash", first.to_string()),
        ("directory_head", directory.head().to_string()),
        ("hello_digest", golden_hello().digest.to_string()),
        ("state_sum", StateSum::of(1, [(space, states)]).sum.to_string()),
    ]
}

#[test]
fn golden_ids_and_digests_hold() {
    let golden = lines(include_str!("../../../tests/vectors/ids.hex"));
    let ours = golden_ids();
    let ours: Vec<_> = ours.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(golden, ours);
}

/// The description next to this crate's manifest quotes the vectors and the limits; neither may
/// drift from the other.
#[test]
fn the_description_quotes_what_the_code_does() {
    let wire = include_str!("../../WIRE.md");
    for (name, value) in lines(include_str!("../../../tests/vectors/ids.hex")) {
        assert!(wire.contains(&format!("| `{name}` | ")), "{name} is not in the table");
        // An opening is three ids in a row and a signature; the table of the run shows it.
        assert!(name == "opening" || wire.contains(value), "{name} is quoted with another value");
    }
    let token = lines(include_str!("../../../tests/vectors/token.hex"));
    assert!(wire.contains(token[2].1), "the token");
    for schema in crate::record::ALL {
        let quoted = format!("| {} | {} |", schema.kind.0, schema.name);
        assert!(wire.contains(&quoted) && wire.contains(&hex(schema.genesis_bytes)), "{quoted}");
    }
    for (name, value) in described_limits() {
        let row = format!("| `{name}` | {value} |");
        assert!(wire.contains(&row), "limits table lacks {row}");
    }
}

macro_rules! limits {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), $name as u64)),*]
    };
}

/// Limits another implementation has to know.
fn described_limits() -> impl IntoIterator<Item = (&'static str, u64)> {
    limits![
        BODY_BYTES_MAX,
        SEAL_BYTES,
        CHANGE_BYTES_MAX,
        ENTRY_HEAD_BYTES_MAX,
        RUN_ENTRIES_MAX,
        RUN_BYTES_TARGET,
        JOINED_RUN_BYTES_TARGET,
        JOINED_RUN_ENTRIES_MAX,
        RUN_HEAD_BYTES_MAX,
        RUN_BYTES_MAX,
        PROOF_RUN_BYTES_MAX,
        FRAME_BYTES_MAX,
        LOGS_PER_SPACE_MAX,
        INCARNATION_STEP_MAX,
        SPACES_MAX,
        NODES_MAX,
        POSITIONS_MAX,
        WANTS_MAX,
        STATEMENT_BYTES_MAX,
        WRAPS_PER_STATEMENT_MAX,
        WRAP_BYTES_MAX,
        STATEMENTS_PER_MESSAGE_MAX,
        PARTED_HEADS_MAX,
        NAME_BYTES_MAX,
        UNIT_CODE_BYTES_MAX,
        ADDRESSES_MAX,
        ADDRESS_BYTES_MAX,
        REASON_BYTES_MAX,
        CHANGE_OPS_MAX,
        CHANGE_DEPS_MAX,
        CHANGE_ACTORS_MAX,
        CHANGE_COLUMNS_MAX,
        CHANGE_MESSAGE_BYTES_MAX,
        DEPTH_MAX,
        OP_COUNTER_MAX,
        PENDING_PER_LOG_MAX,
        UNPERSISTED_BYTES_MAX,
        OUTBOX_BYTES_MAX,
        OPEN_WANTS_PER_PEER_MAX,
        WANT_ENTRIES_MAX,
        REFUSED_PER_PEER_MAX,
        LINK_OUTBOX_BYTES_MAX,
        PEER_BYTES_PER_S,
        PEER_WORK_PER_S,
        PEER_BURST_SECONDS,
        LINK_BYTES_PER_S_MIN,
        HANDSHAKES_MAX,
        HANDSHAKES_PER_SOURCE_MAX,
        UNVALIDATED_MAX,
        UNVALIDATED_PER_SOURCE_MAX,
        UNVALIDATED_PER_S,
    ]
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Message::from_frame(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(which in 0usize..11, at: usize, to: u8) {
        let mut frame = examples()[which].to_frame().to_vec();
        let at = at % frame.len();
        frame[at] = to;
        let _ = Message::from_frame(&frame);
    }

    #[test]
    fn frames_round_trip(kind in 0u8..0x80, body in prop::collection::vec(0u8..4, 0..5000)) {
        prop_assert_eq!(frame::decode(&frame::encode(kind, &body)).unwrap(), (kind, body));
    }
}
