//! Entries whose headers and signatures are right and whose bodies mean harm: they are stored and
//! relayed, as whatever an admitted author signs is, and must not count.

use super::runs::{LANE, append, federation_space, own_log, topic};
use super::{Adversary, Tally};
use crate::forgery::bodies;
use anyhow::{Context, Result};
use fenbu_protocol::log::Author;
use fenbu_protocol::wire::Message;
use std::time::{Duration, Instant};

/// Entries of one attack. Bounded: what is signed by a member is kept for good, and a test's disk is not
/// what is attacked here.
const ENTRIES_MAX: u64 = 2_000;
/// Entries in one run.
const RUN_ENTRIES: u64 = 50;

/// Writes entries with these bodies into one new log, each in a document of its own or all in one.
async fn write(
    eve: &Adversary,
    end: Instant,
    tally: &mut Tally,
    (epoch, spread): (u64, bool),
    body: impl Fn(&Author, u64) -> Vec<u8>,
) -> Result<()> {
    let mut line = eve.greet().await?;
    line.listens();
    let mut log = own_log(eve, federation_space(eve)?);
    let first = u64::from(eve.incarnation()) << 32;
    while Instant::now() < end && tally.tries < ENTRIES_MAX {
        for _ in 0..RUN_ENTRIES {
            tally.tries += 1;
            let document = super::runs::document(if spread { first + tally.tries } else { first });
            let body = body(&log, tally.tries);
            append(eve, &mut log, epoch, document, &body);
            if log.is_full() {
                break;
            }
        }
        let run = log.close(&eve.key).context("something was written")?;
        let frame = Message::Batch(run).to_frame();
        line.frame(LANE, &frame).await.inspect_err(|_| tally.close(line.code()))?;
        tokio::task::yield_now().await;
    }
    tally.close(line.closed(end.saturating_duration_since(Instant::now())).await);
    Ok(())
}

pub(super) async fn op_bombs(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let now = (eve.directory.epoch(), true);
    write(eve, end, tally, now, |log, _| bodies::op_bomb(log.log().actor())).await
}

pub(super) async fn deflated(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let now = (eve.directory.epoch(), true);
    write(eve, end, tally, now, |log, _| bodies::deflated(topic(), log.log().actor())).await
}

pub(super) async fn non_canonical(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let now = (eve.directory.epoch(), true);
    write(eve, end, tally, now, |log, n| bodies::non_canonical(log.log().actor(), n)).await
}

pub(super) async fn jumps(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let now = (eve.directory.epoch(), true);
    write(eve, end, tally, now, |log, n| bodies::start_op(log.log().actor(), n, (1 << 31) - 9))
        .await
}

pub(super) async fn nested(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let now = (eve.directory.epoch(), true);
    write(eve, end, tally, now, |log, n| bodies::nested(log.log().actor(), n)).await
}

/// All in one document, so that they wait for each other too.
pub(super) async fn orphans(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let now = (eve.directory.epoch(), false);
    write(eve, end, tally, now, |log, n| bodies::orphan(log.log().actor(), n)).await
}

pub(super) async fn future_epochs(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let later = (eve.directory.epoch() + 1_000_000, true);
    let body = |log: &Author, n| bodies::honest(topic(), log.log().actor(), n);
    write(eve, end, tally, later, body).await?;
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(())
}
