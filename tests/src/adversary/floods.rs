//! Legal messages in numbers nobody needs.

use super::line::Line;
use super::{Adversary, Tally};
use anyhow::Result;
use fenbu_protocol::id::{Hash, HashPrefix, LogId};
use fenbu_protocol::limits::{LOGS_PER_SPACE_MAX, STATEMENTS_PER_MESSAGE_MAX, WANTS_MAX};
use fenbu_protocol::log::{Opening, Position};
use fenbu_protocol::wire::{
    Decline, DeclineReason, Digests, Have, Message, Prune, Range, SpaceDigest, SpacePositions,
    Statements, Want,
};
use std::time::Instant;

/// Says what `next` makes, until the time is up or the link is closed.
async fn flood(
    mut line: Line,
    end: Instant,
    tally: &mut Tally,
    mut next: impl FnMut(u64) -> Message,
) -> Result<()> {
    while Instant::now() < end {
        let message = next(tally.tries);
        tally.tries += 1;
        line.say(&message).await.inspect_err(|_| tally.close(line.code()))?;
    }
    Ok(())
}

fn made_up(n: u64) -> LogId {
    LogId(Hash::of("eve", &[&n.to_be_bytes()]).0)
}

/// Whole vectors of a thousand logs nobody has, others each time.
pub(super) async fn haves(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    line.listens();
    let spaces: Vec<_> = eve.directory.spaces().map(|s| s.id).take(8).collect();
    flood(line, end, tally, |n| {
        let whole = |space| {
            let of = |i| Position {
                fork: None,
                log: made_up(n << 16 | i),
                seq: u64::MAX >> 1,
                prefix: HashPrefix([7; 8]),
                body_bytes: u64::MAX >> 1,
            };
            let positions = (0..LOGS_PER_SPACE_MAX as u64).map(of).collect();
            SpacePositions { space, positions, whole: true }
        };
        Message::Have(Have { spaces: spaces.iter().copied().map(whole).collect() })
    })
    .await
}

/// Logs of every node of the directory, from their beginning.
fn everything(eve: &Adversary) -> Message {
    let logs = eve
        .directory
        .spaces()
        .flat_map(|space| eve.directory.nodes().map(move |node| (space.id, node.node)));
    let ranges = logs.take(WANTS_MAX).map(|(space, node)| {
        let opening = Opening { space, node, incarnation: 0, signature: [0; 64] };
        Range { log: opening.log(), from: 1, to: u64::MAX }
    });
    Message::Want(Want { ranges: ranges.collect() })
}

pub(super) async fn wants(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    line.listens();
    let all = everything(eve);
    flood(line, end, tally, |_| all.clone()).await
}

pub(super) async fn wants_unread(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    flood(line, end, tally, |n| {
        let range = |i| Range { log: made_up(n << 8 | i), from: 1, to: 9 };
        Message::Want(Want { ranges: (0..WANTS_MAX as u64).map(range).collect() })
    })
    .await
}

pub(super) async fn digests(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    line.listens();
    let of = |n: u64| Hash::of("eve", &[&n.to_be_bytes()]);
    let spaces: Vec<_> = eve.directory.spaces().map(|s| s.id).collect();
    flood(line, end, tally, |n| {
        let spaces = spaces.iter().map(|space| SpaceDigest { space: *space, digest: of(n) });
        Message::Digests(Digests { spaces: spaces.collect() })
    })
    .await
}

pub(super) async fn prunes(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    line.listens();
    flood(line, end, tally, |n| match n % 2 {
        0 => Message::Prune(Prune { log: made_up(n) }),
        _ => {
            Message::Decline(Decline { log: made_up(n), from: 1, reason: DeclineReason::NOT_HELD })
        }
    })
    .await
}

pub(super) async fn statements(eve: &Adversary, end: Instant, tally: &mut Tally) -> Result<()> {
    let line = eve.greet().await?;
    line.listens();
    let known: Vec<_> = eve
        .directory
        .statements_after(0)
        .iter()
        .take(STATEMENTS_PER_MESSAGE_MAX)
        .cloned()
        .collect();
    flood(line, end, tally, |_| Message::Statements(Statements { statements: known.clone() })).await
}

pub(super) async fn hellos(eve: &Adversary, _: Instant, tally: &mut Tally) -> Result<()> {
    let mut line = eve.greet().await?;
    tally.tries += 1;
    line.hello(&eve.directory, eve.directory.federation()).await?;
    tally.close(line.closed(std::time::Duration::from_secs(2)).await);
    Ok(())
}
