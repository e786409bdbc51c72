//! Visiting all processes of a node.

use std::sync::Arc;
use std::thread;

use crate::process::card::Card;
use crate::words::code_server::Code;
use crate::words::pid::Pid;
use crate::world::World;

/// The minimum number of slots per thread: a smaller part is not worth a thread of its own.
const PART_LEAST: u32 = 16 * 1024;

impl World {
    /// Returns the live processes for which `wanted` returns true.
    pub(crate) fn find(&self, wanted: impl Fn(Pid, &Card) -> bool + Sync) -> Vec<Pid> {
        let look =
            |found: &mut Vec<Pid>, pid: Pid, card: &Card| found.extend(wanted(pid, card).then_some(pid));
        self.survey(Vec::new, look).concat()
    }

    /// Calls `look` for all live processes, in slot order. Large tables are split into parts that
    /// are visited in parallel. Returns one result for each part.
    pub(crate) fn survey<S: Send>(
        &self,
        begin: impl Fn() -> S + Sync,
        look: impl Fn(&mut S, Pid, &Card) + Sync,
    ) -> Vec<S> {
        let places = self.table.len();
        let part = places.div_ceil(self.scheduler.width() as u32).max(PART_LEAST);
        let see = |from: u32| {
            let mut seen = begin();
            for number in from..places.min(from.saturating_add(part)) {
                self.table.slot(number).and_then(|slot| {
                    slot.card_any(|generation, card| look(&mut seen, Pid { slot: number, generation }, card))
                });
            }
            seen
        };
        thread::scope(|scope| {
            let others: Vec<_> = (part..places)
                .step_by(part as usize)
                .map(|from| (from, thread::Builder::new().spawn_scoped(scope, move || see(from))))
                .collect();
            let mut seen = vec![see(0)];
            seen.extend(others.into_iter().map(|(from, other)| match other {
                Ok(other) => other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => see(from),
            }));
            seen
        })
    }

    /// Returns the processes that run exactly this code.
    pub(crate) fn users(&self, code: &Arc<Code>) -> Vec<Pid> {
        // The code table and the caller hold one reference each; all others belong to processes.
        // There is no separate counter, because all workers would write to it.
        if Arc::strong_count(code) <= 2 {
            return Vec::new();
        }
        let mut users = self.find(|_, card| Arc::ptr_eq(&card.code, code));
        // Blocking work that a process has begun uses the code too, even after the process has
        // ended.
        users.extend(
            self.spare.users(code).into_iter().filter(|pid| !users.contains(pid)).collect::<Vec<_>>(),
        );
        users
    }
}
