//! Streams used against the rules, or hardly at all.

use super::{Adversary, Tally};
use anyhow::Result;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(2);

/// Announces a large frame on every lane and gives it a byte a second.
pub(super) async fn slow(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    line.listens();
    for lane in [0, 2, 3, 4] {
        line.raw(lane, &[0, 16, 0, 0, 8]).await?;
    }
    while Instant::now() < end {
        for lane in [0, 2, 3, 4] {
            tally.tries += 1;
            line.raw(lane, &[0]).await.inspect_err(|_| tally.close(line.code()))?;
        }
        if let Some(code) = line.closed(Duration::from_secs(1)).await {
            tally.close(Some(code));
            return Ok(());
        }
    }
    Ok(())
}

pub(super) async fn too_many(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    let mut streams = Vec::new();
    for lane in 0..32_u8 {
        tally.tries += 1;
        let Ok(mut stream) = line.connection.open_uni().await else { break };
        if stream.write_all(&[lane]).await.is_err() {
            break;
        }
        streams.push(stream);
    }
    tally.close(line.closed(SOON).await);
    Ok(())
}

pub(super) async fn both_ways(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    tally.tries += 1;
    let (mut send, _receive) = line.connection.open_bi().await?;
    send.write_all(b"x").await?;
    tally.close(line.closed(SOON).await);
    Ok(())
}

pub(super) async fn reset(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    line.raw(2, &[0, 0, 4, 0, 8, 1]).await?;
    // What was written arrives before it is taken back.
    tokio::time::sleep(Duration::from_millis(20)).await;
    line.reset(2);
    tally.close(line.closed(SOON).await);
    Ok(())
}
