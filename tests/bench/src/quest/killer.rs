//! Kills players and the managers of their events one after the other while the release changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quest_bot::Crowd;
use reld_api::response::Replied;
use reld_tests::{Node, field};
use serde_json::{Value, json};

/// Least time between two kills of a player. Two failures within its supervisor's period exceed the
/// restart intensity.
const PEACE: Duration = Duration::from_secs(10);

/// The times of all kills, and the number of attempts.
#[derive(Debug, Default)]
pub(crate) struct Killer {
    killed: Vec<Instant>,
    tried: usize,
}

impl Killer {
    /// Returns how many processes were killed.
    pub(crate) fn kills(&self) -> u64 {
        self.killed.len() as u64
    }

    /// Kills processes until `done` returns.
    pub(crate) fn at_work<T>(
        &mut self,
        node: &Node,
        crowd: &Crowd,
        sessions: usize,
        done: impl FnOnce() -> T,
    ) -> T {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) && !self.is_in_peace(sessions) {
                    self.kill(node, crowd, sessions);
                }
            });
            let end = End(&over);
            let done = done();
            drop(end);
            done
        })
    }

    /// Returns whether the next victim was killed less than `PEACE` ago. All others were killed in
    /// between.
    fn is_in_peace(&self, sessions: usize) -> bool {
        let last = self.killed.len().checked_sub(sessions).map(|at| self.killed[at]);
        last.is_some_and(|last| last.elapsed() < PEACE)
    }

    /// Kills the next player, or its event manager. A missing player is no fault: its session has
    /// just left it.
    fn kill(&mut self, node: &Node, crowd: &Crowd, sessions: usize) {
        let victim = self.tried % sessions;
        self.tried += 1;
        let Some(player) = crowd.name(victim) else { return };
        let name = if self.tried.is_multiple_of(2) { player } else { format!("{player}/events") };
        let asked = node.run(&["--json", "call", "regis", &json!({ "whereis": name }).to_string()]);
        if asked.code != 0 {
            return;
        }
        let Some(pid) = field::<Option<Value>>(&asked.read::<Replied>().reply, "pid") else { return };
        let (slot, generation): (u64, u64) = (field(&pid, "slot"), field(&pid, "generation"));
        if node.run(&["kill", &format!("<{slot}.{generation}>")]).code == 0 {
            self.killed.push(Instant::now());
        }
    }
}

/// Ends the kills, also when the upgrade panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
