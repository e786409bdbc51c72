//! The thread that waits for changes in etcd and wakes the agent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::shared::{Shared, Wake};

/// The time without a change after which the watch begins again. It finds a dead connection.
const SILENCE: Duration = Duration::from_secs(10);

/// The pause after a fault. The agent looks by itself meanwhile, and reports the fault.
const PAUSE: Duration = Duration::from_secs(2);

/// Starts the thread. It ends with the agent.
pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<()> {
    thread::Builder::new().name("reld-fleet-watch".to_owned()).spawn(move || watch(&shared)).map(drop)
}

fn watch(shared: &Shared) {
    loop {
        match follow(shared) {
            Ok(()) => {}
            Err(Ended::Agent) => return,
            Err(Ended::Watch(error)) => {
                tracing::debug!(name: "fleet.watch", %error, "the watch of the fleet has ended");
                thread::sleep(PAUSE);
            }
        }
    }
}

enum Ended {
    Agent,
    Watch(reld_etcd::Error),
}

/// Follows the keys of the fleet until a silence, from the last look of the agent on.
fn follow(shared: &Shared) -> Result<(), Ended> {
    // etcd: 0 is the next revision.
    let from = match shared.revision.load(Ordering::Relaxed) {
        0 => 0,
        seen => seen + 1,
    };
    let mut watch = shared.client.watch(shared.keys.prefix(), from, SILENCE).map_err(Ended::Watch)?;
    while watch.wait().map_err(Ended::Watch)?.is_some() {
        shared.wakes.send(Wake::Etcd).map_err(|_| Ended::Agent)?;
    }
    Ok(())
}
