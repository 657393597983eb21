//! The faults, one after the other; loss between the halves goes on all the while.

use super::net::{Half, ROUTER};
use super::{AGREE_MAX, Plan, Report, World};
use anyhow::{Result, ensure};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Packets lost between the halves, of 1,000.
const LOSS_PERMILLE: u16 = 300;
/// The least that IPv6 lets a link carry, and what tunnels leave.
const NARROW_BYTES: u16 = 1280;
/// Stretches of time between the faults' changes.
const STRETCHES: u32 = 4;
/// A flapping link is down, and then up, for this long at most.
const FLAP_MS_MAX: u64 = 3000;
/// Between two looks at flapping links.
const FLAP_STEP: Duration = Duration::from_millis(50);
/// A host that moved is heard by a neighbour by then, while the faults go on.
const FOUND_MAX: Duration = Duration::from_secs(60);

/// Lets everything happen, then waits for all to agree.
pub(super) fn befall(world: &mut World, plan: &Plan) -> Result<Report> {
    let stretch = plan.time / STRETCHES;
    halves(world, stretch)?;
    let packets_too_large = narrow(world, stretch)?;
    one_way(world, stretch)?;
    let link_failures = flap(world, stretch)?;
    moved(world)?;
    let (_, packets_lost) = world.passage.passed_and_lost();
    ensure!(packets_lost > 0, "the relay lost nothing");
    world.passage.set_loss(0);
    world.net.route_between_halves(true)?;
    world.write("After all")?;
    world.say("the faults stop; links stay narrow, moved hosts where they are");
    let agreed_after = world.until("all agree", AGREE_MAX, World::is_whole)?;
    world.say("all agree");
    let (hosts, records) = (world.nodes.len(), world.written.len());
    Ok(Report { hosts, records, packets_lost, packets_too_large, link_failures, agreed_after })
}

/// The router stops: between the halves there is the relay alone.
fn halves(world: &mut World, stretch: Duration) -> Result<()> {
    let (passed, _) = world.passage.passed_and_lost();
    world.passage.set_loss(LOSS_PERMILLE);
    world.net.route_between_halves(false)?;
    world.say("between the halves only the relay is left, which loses 30 % of the packets");
    world.write("In halves")?;
    std::thread::sleep(stretch);
    let passed = world.passage.passed_and_lost().0 - passed;
    world.say(&format!("the relay passed {passed} packets"));
    Ok(())
}

/// Links become narrower than the packets in use, and nobody is told.
fn narrow(world: &mut World, stretch: Duration) -> Result<u64> {
    let before = world.net.dropped()?;
    world.net.narrow(NARROW_BYTES)?;
    world.say("links take 1280 bytes from now on, larger packets vanish");
    world.write("Through narrow links")?;
    std::thread::sleep(stretch);
    let dropped = world.net.dropped()? - before;
    ensure!(dropped > 0, "no packet was too large: the links were no narrower than before");
    world.say(&format!("{dropped} packets vanished"));
    Ok(dropped)
}

/// One host is not heard at all, one half is not heard by the other, and some are not heard by one.
fn one_way(world: &mut World, stretch: Duration) -> Result<()> {
    let hosts = world.net.hosts.len();
    // Not head office's, which has work to do for the others.
    let silent = 1 + draw(world, hosts - 1);
    let mut muted: Vec<(usize, Ipv4Addr)> = Vec::new();
    let others = world.net.hosts.iter().enumerate().filter(|(number, _)| *number != silent);
    muted.extend(others.map(|(_, host)| (silent, host.address)));
    muted.push((silent, ROUTER));
    let west = |half: Half| half == Half::West;
    let westerners = (0..hosts).filter(|n| *n != silent && west(world.net.hosts[*n].half));
    muted.extend(westerners.map(|number| (number, ROUTER)));
    for _ in 0..hosts / 2 {
        let (from, to) = (draw(world, hosts), draw(world, hosts));
        let way = (from, world.net.hosts[to].address);
        if from != to && !muted.contains(&way) {
            muted.push(way);
        }
    }
    for (from, to) in &muted {
        world.net.mute(*from, *to)?;
    }
    world.say(&format!(
        "{} ways are closed in one direction: {} is heard by nobody, the west not by the east",
        muted.len(),
        world.nodes[silent].name
    ));
    world.write("In one direction")?;
    let unheard = world.write_at(silent, "Unheard")?;
    std::thread::sleep(stretch);
    let heard = (0..hosts).find(|number| *number != silent && world.has(*number, &unheard));
    ensure!(heard.is_none(), "the silent host was heard: its ways were not closed");
    for (from, to) in &muted {
        world.net.unmute(*from, *to)?;
    }
    world.say("all ways are open in both directions");
    Ok(())
}

/// A link that fails and comes back.
#[derive(Debug, Clone, Copy)]
enum Flap {
    /// The cable is pulled: the host's own interface is up and leads nowhere.
    Cable,
    /// The interface goes down, and its routes with it.
    Interface,
}

/// Every second host's link, and at least two, fail and come back over and over.
fn flap(world: &mut World, stretch: Duration) -> Result<u64> {
    let hosts = world.net.hosts.len();
    let first = draw(world, hosts);
    let mut flapping: Vec<(usize, Option<Flap>, Instant)> =
        (0..hosts / 2).map(|n| ((first + 2 * n) % hosts, None, Instant::now())).collect();
    world.say(&format!("{} links flap", flapping.len()));
    world.write("While links flap")?;
    let (end, mut failures) = (Instant::now() + stretch, 0);
    while Instant::now() < end {
        for (number, down, turn) in &mut flapping {
            if Instant::now() < *turn {
                continue;
            }
            *down = match *down {
                Some(flap) => {
                    set(world, *number, flap, true)?;
                    None
                }
                None => {
                    let flap = [Flap::Cable, Flap::Interface][draw(world, 2)];
                    set(world, *number, flap, false)?;
                    failures += 1;
                    Some(flap)
                }
            };
            *turn = Instant::now() + Duration::from_millis(world.random.below(FLAP_MS_MAX));
        }
        std::thread::sleep(FLAP_STEP);
    }
    for (number, down, _) in flapping {
        down.map_or(Ok(()), |flap| set(world, number, flap, true))?;
    }
    world.say(&format!("links failed {failures} times and are up"));
    Ok(failures)
}

fn set(world: &World, number: usize, flap: Flap, is_up: bool) -> Result<()> {
    match flap {
        Flap::Cable => world.net.set_cable(number, is_up),
        Flap::Interface => world.net.set_interface(number, is_up),
    }
}

/// A host of each half gets another address. What others were told to dial leads nowhere now: it must
/// find them.
fn moved(world: &mut World) -> Result<()> {
    let hosts = world.net.hosts.len();
    let west = hosts.div_ceil(2);
    let (first, second) = (draw(world, west), west + draw(world, hosts - west));
    for (number, half) in [(first, 0..west), (second, west..hosts)] {
        let old = world.net.hosts[number].address;
        world.net.move_host(number)?;
        let (name, new) = (world.nodes[number].name.clone(), world.net.hosts[number].address);
        world.say(&format!("{name} moves from {old} to {new}"));
        let id = world.write_at(number, "After the move")?;
        // INVARIANT: each half has two hosts.
        let neighbour = half.clone().find(|n| *n != number).expect("a neighbour");
        let took = world.until("a host that moved is heard", FOUND_MAX, |world| {
            ensure!(world.has(neighbour, &id), "{name} is not heard by its neighbour");
            Ok(())
        })?;
        world.say(&format!("its neighbour heard it {:.1} s later", took.as_secs_f64()));
    }
    world.write("While two are elsewhere")
}

fn draw(world: &mut World, end: usize) -> usize {
    // INVARIANT: both fit, `end` is a number of hosts.
    usize::try_from(world.random.below(end as u64)).expect("less than `end`")
}
