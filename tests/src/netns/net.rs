//! Hosts as network namespaces: each has one link, which ends at one of two bridges of a router.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the router itself is reached, from both halves.
pub(super) const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// Every daemon's port, on every address of its host.
const PORT: u16 = 4433;
/// The last part of the first host's address in each half, and of the one it may move to.
const HOST_FIRST: usize = 10;
const MOVED_FIRST: usize = 110;
/// Places where `ip` lies that a person's PATH may lack.
const SYSTEM_PATHS: &str = ":/usr/sbin:/sbin";

/// Ends what runs in the namespaces and removes them and the folder, once its stdin is closed: also
/// where this program was killed. Its arguments: `ip`, the folder, the namespaces.
const GUARDIAN: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
ip=$1
folder=$2
shift 2
for name; do
    for pid in $("$ip" netns pids "$name" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
    "$ip" netns delete "$name" 2>/dev/null
done
rm -rf -- "$folder"
"#;

/// Which bridge a host's link ends at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    West,
    East,
}

impl Half {
    fn bridge(self) -> &'static str {
        match self {
            Self::West => "west",
            Self::East => "east",
        }
    }

    fn address(self, last: usize) -> Ipv4Addr {
        let half = match self {
            Self::West => 1,
            Self::East => 2,
        };
        // INVARIANT: hosts are few, see `super::HOSTS`.
        Ipv4Addr::new(10, 77, half, u8::try_from(last).expect("a byte"))
    }

    fn gateway(self) -> Ipv4Addr {
        self.address(1)
    }
}

/// One namespace with a link.
#[derive(Debug)]
pub(super) struct Host {
    namespace: String,
    pub(super) half: Half,
    /// Its place in its half.
    place: usize,
    pub(super) address: Ipv4Addr,
}

impl Host {
    pub(super) fn socket(&self) -> SocketAddr {
        (self.address, PORT).into()
    }
}

/// The namespaces. Dropping it ends what runs in them and removes them.
#[derive(Debug)]
pub(super) struct Net {
    ip: PathBuf,
    router: String,
    pub(super) hosts: Vec<Host>,
    guardian: Child,
}

impl Net {
    /// Why namespaces cannot be made here, and what to do about it.
    pub(super) fn lacking() -> Option<String> {
        let Some(ip) = program("ip") else {
            return Some("`ip` is missing: install iproute2".to_owned());
        };
        let name = format!("fenbu-{}-try", std::process::id());
        let tried = call(&ip, &["netns", "add", &name]).and_then(|()| {
            call(&ip, &["-n", &name, "link", "add", "west", "type", "bridge"])?;
            call(&ip, &["-n", &name, "link", "add", "near", "type", "veth", "peer", "name", "far"])
        });
        // Without the namespace this says that there is none.
        let _ = call(&ip, &["netns", "delete", &name]);
        let why = tried.err()?;
        Some(format!(
            "network namespaces with bridges and veth links cannot be made here; run it as root, \
             with CAP_SYS_ADMIN and CAP_NET_ADMIN, on Linux with these modules ({why:#})"
        ))
    }

    /// A router and `hosts` hosts, the first half of them west. All reach all. `folder` goes with it.
    pub(super) fn make(hosts: usize, folder: &Path) -> Result<Self> {
        let ip = program("ip").context("`ip` is missing: install iproute2")?;
        let prefix = format!("fenbu-{}", std::process::id());
        let router = format!("{prefix}-router");
        let hosts: Vec<Host> = (0..hosts).map(|i| planned(&prefix, i, hosts.div_ceil(2))).collect();
        let names = std::iter::once(&router).chain(hosts.iter().map(|host| &host.namespace));
        let guardian = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .arg(&ip)
            .arg(folder)
            .args(names)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A Ctrl-C is not for it.
            .process_group(0)
            .spawn()
            .context("sh cannot be started")?;
        let net = Self { ip, router, hosts, guardian };
        net.lay_router()?;
        (0..net.hosts.len()).try_for_each(|host| net.lay_host(host))?;
        Ok(net)
    }

    fn lay_router(&self) -> Result<()> {
        self.ip(&format!("netns add {}", self.router))?;
        self.at_router("link set lo up")?;
        self.at_router(&format!("addr add {ROUTER}/32 dev lo"))?;
        for half in [Half::West, Half::East] {
            let bridge = half.bridge();
            self.at_router(&format!("link add {bridge} type bridge"))?;
            self.at_router(&format!("addr add {}/24 dev {bridge}", half.gateway()))?;
            self.at_router(&format!("link set {bridge} up"))?;
        }
        self.route_between_halves(true)
    }

    fn lay_host(&self, number: usize) -> Result<()> {
        let Host { namespace, half, .. } = &self.hosts[number];
        self.ip(&format!("netns add {namespace}"))?;
        let cable = cable(number);
        let router = &self.router;
        self.ip(&format!(
            "link add {cable} netns {router} type veth peer name eth0 netns {namespace}"
        ))?;
        self.at_router(&format!("link set {cable} master {} up", half.bridge()))?;
        self.at_host(number, "link set lo up")?;
        // Packets cross one by one: a batch would slip through a link that is too narrow for it.
        self.at_host(number, "link set eth0 gso_max_segs 1")?;
        self.give_address(number)
    }

    fn give_address(&self, number: usize) -> Result<()> {
        let Host { half, address, .. } = &self.hosts[number];
        self.at_host(number, &format!("addr add {address}/24 dev eth0"))?;
        self.switch_on(number)?;
        self.at_host(number, &format!("route replace default via {}", half.gateway()))
    }

    fn switch_on(&self, number: usize) -> Result<()> {
        self.at_host(number, "link set eth0 up")
    }

    /// What runs a program on a host.
    pub(super) fn inside(&self, number: usize) -> Vec<String> {
        let ip = self.ip.display().to_string();
        vec![ip, "netns".into(), "exec".into(), self.hosts[number].namespace.clone()]
    }

    /// The file that stands for the router's namespace.
    pub(super) fn router_file(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.router)
    }

    /// Whether the router takes packets from one half to the other. What it does not take vanishes.
    pub(super) fn route_between_halves(&self, is_on: bool) -> Result<()> {
        let script = format!("echo {} > /proc/sys/net/ipv4/ip_forward", u8::from(is_on));
        call(&self.ip, &["netns", "exec", &self.router, "sh", "-c", &script])
    }

    /// From now on a host sends nothing to an address, but hears from it.
    pub(super) fn mute(&self, number: usize, to: Ipv4Addr) -> Result<()> {
        self.at_host(number, &format!("route replace blackhole {to}/32"))
    }

    pub(super) fn unmute(&self, number: usize, to: Ipv4Addr) -> Result<()> {
        self.at_host(number, &format!("route del blackhole {to}/32"))
    }

    /// Pulls the cable at the router, or puts it back.
    pub(super) fn set_cable(&self, number: usize, is_in: bool) -> Result<()> {
        let state = if is_in { "up" } else { "down" };
        self.at_router(&format!("link set {} {state}", cable(number)))
    }

    /// Switches the host's own interface off, which takes its routes, or on with its default route.
    pub(super) fn set_interface(&self, number: usize, is_on: bool) -> Result<()> {
        if !is_on {
            return self.at_host(number, "link set eth0 down");
        }
        self.switch_on(number)?;
        let gateway = self.hosts[number].half.gateway();
        self.at_host(number, &format!("route replace default via {gateway}"))
    }

    /// Takes a host's address and gives it another.
    pub(super) fn move_host(&mut self, number: usize) -> Result<()> {
        self.at_host(number, &format!("addr del {}/24 dev eth0", self.hosts[number].address))?;
        let host = &mut self.hosts[number];
        host.address = host.half.address(MOVED_FIRST + host.place);
        self.give_address(number)
    }

    /// From now on larger packets vanish between a host and the bridge, and nobody says so. `bytes`
    /// count from the IP header on.
    pub(super) fn narrow(&self, bytes: u16) -> Result<()> {
        (0..self.hosts.len())
            .try_for_each(|n| self.at_router(&format!("link set {} mtu {bytes}", cable(n))))
    }

    /// Packets that hosts sent and their links did not take, since the beginning.
    pub(super) fn dropped(&self) -> Result<u64> {
        self.hosts.iter().map(|host| self.dropped_by(host)).sum()
    }

    fn dropped_by(&self, host: &Host) -> Result<u64> {
        let mut command = Command::new(&self.ip);
        command.args(["-n", &host.namespace, "-s", "-j", "link", "show", "dev", "eth0"]);
        let output = command.output()?;
        let answer: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))?;
        let dropped = answer[0]["stats64"]["tx"]["dropped"].as_u64();
        dropped.with_context(|| format!("no count of dropped packets: {answer}"))
    }

    fn at_host(&self, number: usize, line: &str) -> Result<()> {
        self.ip(&format!("-n {} {line}", self.hosts[number].namespace))
    }

    fn at_router(&self, line: &str) -> Result<()> {
        self.ip(&format!("-n {} {line}", self.router))
    }

    fn ip(&self, line: &str) -> Result<()> {
        call(&self.ip, &line.split(' ').collect::<Vec<_>>())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        drop(self.guardian.stdin.take());
        // It has nothing to say; what it could not remove is gone already.
        let _ = self.guardian.wait();
    }
}

fn planned(prefix: &str, number: usize, west: usize) -> Host {
    let (half, place) =
        if number < west { (Half::West, number) } else { (Half::East, number - west) };
    let address = half.address(HOST_FIRST + place);
    Host { namespace: format!("{prefix}-{number}"), half, place, address }
}

/// The router's end of a host's link.
fn cable(number: usize) -> String {
    format!("host{number}")
}

fn program(name: &str) -> Option<PathBuf> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(SYSTEM_PATHS);
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn call(ip: &Path, args: &[&str]) -> Result<()> {
    let output = Command::new(ip).args(args).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{} cannot be started", ip.display()))?;
    if !output.status.success() {
        bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
