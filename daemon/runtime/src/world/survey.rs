//! Going over all processes of a node.

use std::sync::Arc;
use std::thread;

use crate::process::card::Card;
use crate::words::code_server::Code;
use crate::words::pid::Pid;
use crate::world::World;

/// How many places are worth a thread to look at them.
const PART_LEAST: u32 = 16 * 1024;

impl World {
    /// Returns the living processes for which `wanted` holds.
    pub(crate) fn find(&self, wanted: impl Fn(Pid, &Card) -> bool + Sync) -> Vec<Pid> {
        let look =
            |found: &mut Vec<Pid>, pid: Pid, card: &Card| found.extend(wanted(pid, card).then_some(pid));
        self.survey(Vec::new, look).concat()
    }

    /// Lets `look` see all living processes, in order of place. Of many, parts are seen at once, each for a result of its
    /// own.
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

    /// Returns who runs this very code.
    pub(crate) fn users(&self, code: &Arc<Code>) -> Vec<Pid> {
        // The table holds it, and the caller; everybody else who does is a process. A counter would be one that all
        // workers write to.
        if Arc::strong_count(code) <= 2 {
            return Vec::new();
        }
        let mut users = self.find(|_, card| Arc::ptr_eq(&card.code, code));
        // Work that it left behind uses the code as well, whether or not the process is still there.
        users.extend(
            self.spare.users(code).into_iter().filter(|pid| !users.contains(pid)).collect::<Vec<_>>(),
        );
        users
    }
}
