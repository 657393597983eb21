//! Frames that are none.

use super::line::Line;
use super::{Adversary, Tally};
use anyhow::Result;
use fenbu_protocol::limits::FRAME_BYTES_MAX;
use std::time::{Duration, Instant};

/// How long the node may take to notice what is wrong at once.
const SOON: Duration = Duration::from_secs(2);

async fn end_of(line: &Line, tally: &mut Tally) {
    tally.close(line.closed(SOON).await);
}

pub(super) async fn lying_length(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    line.raw(3, &[0xff, 0xff, 0xff, 0xff, 8, 1, 2, 3]).await?;
    end_of(&line, tally).await;
    Ok(())
}

pub(super) async fn oversized(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    line.raw(2, &(FRAME_BYTES_MAX as u32 + 1).to_be_bytes()).await?;
    end_of(&line, tally).await;
    Ok(())
}

pub(super) async fn truncated(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    line.raw(3, &[0, 0, 4, 0, 8, 1, 2, 3]).await?;
    line.finish(3);
    end_of(&line, tally).await;
    Ok(())
}

/// Fills every lane's longest frame but for its last byte, and leaves it at that.
pub(super) async fn unfinished(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    line.listens();
    let bytes = vec![8; FRAME_BYTES_MAX - 1];
    for lane in [0, 2, 3, 4] {
        tally.tries += 1;
        line.raw(lane, &(FRAME_BYTES_MAX as u32).to_be_bytes()).await?;
        line.raw(lane, &bytes).await?;
    }
    tally.close(line.closed(end.saturating_duration_since(Instant::now())).await);
    Ok(())
}

/// Claims two mebibytes in a few bytes, and sends a stream of zstd that would unfold to them.
pub(super) async fn bomb(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    let plain = (FRAME_BYTES_MAX as u32).to_be_bytes();
    // An RLE block of zeros, as long as a block may be, many times over: magic, no content size.
    let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for n in 0..200_u32 {
        let block = (128 << 10) << 3 | 1 << 1 | u32::from(n == 199);
        packed.extend_from_slice(&block.to_le_bytes()[..3]);
        packed.push(0);
    }
    line.frame(2, &[&[0x88][..], &plain, &packed].concat()).await?;
    end_of(&line, tally).await;
    Ok(())
}

/// A type nobody knows, one byte each: legal, and ignored.
pub(super) async fn tiny(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    line.listens();
    let many = [0, 0, 0, 1, 99].repeat(1000);
    while Instant::now() < end {
        line.raw(1, &many).await.inspect_err(|_| tally.close(line.code()))?;
        tally.tries += 1000;
    }
    Ok(())
}

pub(super) async fn empty(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    line.frame(1, &[]).await?;
    end_of(&line, tally).await;
    Ok(())
}

/// Known types with bodies drawn from a little generator.
pub(super) async fn garbage(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    let mut state = tally.tries.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    let mut payload: Vec<u8> = (0..500).map(|_| next()).collect();
    payload[0] = 2 + next() % 7;
    line.frame(1, &payload).await?;
    end_of(&line, tally).await;
    Ok(())
}
