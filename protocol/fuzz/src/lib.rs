//! What each fuzz target does with its bytes. A panic, a hang, or memory beyond the bound is a finding;
//! so is a broken promise of the module that is attacked.

mod codecs;
mod gate;
mod seeds;
mod session;
mod world;

pub use codecs::{frame, message, run, statement};
pub use gate::gate;
pub use seeds::all as seeds;
pub use session::session;

/// The gate catches what Automerge panics at, and goes on without the change. libFuzzer would count that
/// as a crash, since its hook ends the process at any panic; without the hook, one that nobody catches
/// still does.
fn let_panics_be_caught() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}
