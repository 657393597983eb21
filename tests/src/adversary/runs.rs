//! Batches that do not prove themselves, or belong nowhere.

use super::line::Line;
use super::{Adversary, Tally};
use anyhow::{Context, Result};
use fenbu_protocol::id::{DocId, SpaceId};
use fenbu_protocol::log::{Author, Draft, Encoding, HEADER_VERSION, Opening, Run, Shape, Tip};
use fenbu_protocol::record::{Schema, schema_named};
use fenbu_protocol::wire::Message;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(2);
/// Where a run's head has the checkpoint's signature, and its first entry begins, with an opening.
const SIGNATURE_AT: usize = 32 + 8 + 32 + 4 + 1 + 116;
/// Type byte of a plain Batch frame.
const BATCH: u8 = 8;
/// The lane of a batch of the federation's space.
pub(super) const LANE: u8 = 3;

pub(super) fn topic() -> &'static Schema {
    schema_named("topic").expect("there are topics")
}

/// The space every node writes.
pub(super) fn federation_space(eve: &Adversary) -> Result<SpaceId> {
    let space = eve.directory.spaces().find(|s| s.label == "federation");
    Ok(space.context("the federation has a space")?.id)
}

/// A new log of the adversary's own.
pub(super) fn own_log(eve: &Adversary, space: SpaceId) -> Author {
    let opening = Opening::sign(&eve.key, space, eve.incarnation());
    Author::new(opening, Tip::start(opening.log()), 0)
}

/// Puts a body at the end of a log, as the entry of a topic.
pub(super) fn append(eve: &Adversary, log: &mut Author, epoch: u64, document: DocId, body: &[u8]) {
    let schema = topic();
    log.append(&Draft {
        epoch,
        directory: eve.directory.head_prefix(),
        now_ms: 1_700_000_000_000,
        shape: Shape {
            version: HEADER_VERSION,
            lane: schema.lane,
            kind: schema.kind,
            genesis: schema.genesis,
            encoding: Encoding::CHANGE,
            key_epoch: 0,
        },
        document,
        body,
    });
}

pub(super) fn document(n: u64) -> DocId {
    let mut id = [0xee; 16];
    id[..8].copy_from_slice(&n.to_be_bytes());
    DocId(id)
}

fn one(eve: &Adversary, space: SpaceId, body: &[u8]) -> Result<Run> {
    let mut log = own_log(eve, space);
    append(eve, &mut log, eve.directory.epoch(), document(1), body);
    log.close(&eve.key).context("something was written")
}

async fn altered(eve: &Adversary, tally: &mut Tally, at: usize) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    let run = one(eve, federation_space(eve)?, b"some body")?;
    let mut bytes = run.as_bytes().to_vec();
    let at = if at == usize::MAX { bytes.len() - 1 } else { at };
    bytes[at] ^= 1;
    line.frame(LANE, &[&[BATCH][..], &bytes].concat()).await?;
    tally.close(line.closed(SOON).await);
    Ok(())
}

pub(super) async fn bad_signature(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    altered(eve, tally, SIGNATURE_AT + 3).await
}

pub(super) async fn bad_hash(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    altered(eve, tally, usize::MAX).await
}

/// Two first entries of one log, each properly signed. Both of them are bodies that do not count.
pub(super) async fn forks(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    line.listens();
    let log = own_log(eve, federation_space(eve)?);
    for body in [b"one", b"two"] {
        tally.tries += 1;
        let mut log = log.clone();
        append(eve, &mut log, eve.directory.epoch(), document(2), body);
        let run = log.close(&eve.key).context("something was written")?;
        line.frame(LANE, &Message::Batch(run).to_frame()).await?;
    }
    tally.close(line.closed(Duration::from_millis(100)).await);
    Ok(())
}

/// Sends runs until the time is up or the link is closed.
async fn send_all(
    mut line: Line,
    end: Instant,
    tally: &mut Tally,
    mut next: impl FnMut() -> Result<Run>,
) -> Result<()> {
    line.listens();
    while Instant::now() < end {
        let run = next()?;
        tally.tries += 1;
        let frame = Message::Batch(run).to_frame();
        line.frame(LANE, &frame).await.inspect_err(|_| tally.close(line.code()))?;
    }
    Ok(())
}

pub(super) async fn foreign_space(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    send_all(line, end, tally, || {
        let n = eve.incarnation();
        let mut space = [0xee; 16];
        space[..4].copy_from_slice(&n.to_be_bytes());
        one(eve, SpaceId(space), b"some body")
    })
    .await
}

/// Second runs of logs whose first is never sent.
pub(super) async fn detached(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    let space = federation_space(eve)?;
    send_all(line, end, tally, || {
        let mut log = own_log(eve, space);
        append(eve, &mut log, eve.directory.epoch(), document(3), b"first");
        let _ = log.close(&eve.key);
        append(eve, &mut log, eve.directory.epoch(), document(3), b"second");
        log.close(&eve.key).context("something was written")
    })
    .await
}
