//! Listing and reporting callbacks and conversions that do not return.

use std::time::Instant;

use crate::pool::scheduler::Computing;
use crate::pool::stuck::Stuck;
use crate::words::pid::Pid;
use crate::world::World;

impl World {
    /// Returns all app code that runs for longer than the pool waits, and the callbacks and
    /// conversions that were given up.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        let callbacks = self.scheduler.stuck().into_iter().filter_map(|computing| {
            let slot = computing.at;
            self.table
                .slot(slot)?
                .card_any(|generation, card| Stuck::of(Pid { slot, generation }, card, computing))
        });
        callbacks.chain(self.stuck.lock().iter().cloned()).collect()
    }

    /// Notes that the callback of an abandoned process has returned.
    pub(crate) fn returned(&self, pid: Pid) {
        self.stuck.lock().retain(|stuck| stuck.pid != pid);
        tracing::warn!(name: "process.returned", %pid, "a callback has returned after its process was ended");
    }

    /// Returns the stack of a process that computes for long, innermost function first.
    pub(crate) fn frames(&self, pid: Pid) -> Vec<String> {
        if self.is_alive(pid) { self.scheduler.look_at(pid.slot) } else { Vec::new() }
    }

    /// Logs that a callback computes for long, with its stack.
    pub(crate) fn report_slow(&self, slot: u32, since: Instant, frames: &[String]) {
        let Some(place) = self.table.slot(slot) else { return };
        let computing = Computing { at: slot, since, frames: Vec::new() };
        let slow = place.card_any(|generation, card| Stuck::of(Pid { slot, generation }, card, computing));
        if let Some(Stuck { pid, app, module, version, .. }) = slow {
            let seconds = since.elapsed().as_secs();
            let frames = frames.join(" < ");
            tracing::warn!(
                name: "process.stuck", %pid, app, module, version, seconds, frames,
                "a callback has not returned; another thread works in its place"
            );
        }
    }
}
