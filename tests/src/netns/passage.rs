//! The lossy way between the halves: the project's relay, running at the router.

use super::net::{Net, ROUTER};
use anyhow::{Context, Result, anyhow};
use fenbu::relay::{Faults, Relay};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// The relay, and the thread in the router's namespace that it lives on.
#[derive(Debug)]
pub(super) struct Passage {
    relay: Arc<Relay>,
    /// In front of each host, in their order.
    pub(super) ports: Vec<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Opened = (Arc<Relay>, Vec<SocketAddr>);

impl Passage {
    pub(super) fn open(net: &Net, seed: u64) -> Result<Self> {
        let path = net.router_file();
        let namespace = File::open(&path).with_context(|| path.display().to_string())?;
        let hosts: Vec<SocketAddr> = net.hosts.iter().map(super::net::Host::socket).collect();
        let (ready, opened) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let serve = move || match start(&namespace, seed, &hosts) {
            Err(error) => drop(ready.send(Err(error))),
            Ok((runtime, opened)) => {
                drop(ready.send(Ok(opened)));
                // The sender's end says the same as its word.
                let _ = runtime.block_on(stopped);
            }
        };
        let thread = std::thread::Builder::new().name("passage".into()).spawn(serve)?;
        let (relay, ports) = opened.recv().map_err(|_| anyhow!("the relay's thread ended"))??;
        Ok(Self { relay, ports, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn set_loss(&self, permille: u16) {
        self.relay.set_faults(Faults { loss_permille: permille, ..Faults::default() });
    }

    /// Packets passed on, and packets lost on purpose.
    pub(super) fn passed_and_lost(&self) -> (u64, u64) {
        let counters = self.relay.counters();
        (counters.packets_passed, counters.packets_lost)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It says on stderr why it panicked, if it did.
            let _ = thread.join();
        }
    }
}

/// A socket belongs to the namespace of the thread that opens it: all of the relay's are opened here.
fn start(namespace: &File, seed: u64, hosts: &[SocketAddr]) -> Result<(Runtime, Opened)> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .context("entering the router's namespace")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let relay = Relay::start_at(seed, ROUTER);
    let ports = hosts.iter().map(|host| relay.forward(*host)).collect::<std::io::Result<_>>()?;
    drop(_inside);
    Ok((runtime, (Arc::new(relay), ports)))
}
