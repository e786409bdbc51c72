//! Raises a gate: members drain, and processes that hold up a draining member are let through.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use super::{Gate, GateHouse, LOOK_EVERY, Member, Need, Processes, Unrest, each_once};
use crate::process::slot::Rest;
use crate::words::code::From;
use crate::words::pid::Pid;
use crate::words::sync::{Ordering, nap};

impl Gate {
    /// Raises the gate over all members and their direct supervisors, and waits until the dirty
    /// ones rest. The others rest already.
    ///
    /// `found` is called for each dirty process. Returns the late members that are to be left in
    /// old code or killed. `Err` holds the late members with [`Unrest::Abort`].
    pub(crate) fn raise(
        &self,
        house: &GateHouse,
        processes: &impl Processes,
        terms: &HashMap<String, Member>,
        mut found: impl FnMut(Rest),
    ) -> Result<Vec<Pid>, Vec<Pid>> {
        let raised = Instant::now();
        house.up.store(true, Ordering::SeqCst);
        // The list is read after the flag is set: a process added later finds the gate up. Each
        // process is looked at once: counted twice, it would come to rest only once.
        for pid in self.dirty() {
            found(self.look_at(processes, pid));
        }
        self.drain(processes, terms, raised)
    }

    /// Checks whether a process rests. If it does not, the gate waits for it.
    fn look_at(&self, processes: &impl Processes, pid: Pid) -> Rest {
        let rest = processes.rest(pid, self.number);
        if rest == Rest::Counted {
            let mut state = self.state.lock();
            state.open += 1;
            state.counted.push(pid);
        }
        rest
    }

    fn drain(
        &self,
        processes: &impl Processes,
        terms: &HashMap<String, Member>,
        raised: Instant,
    ) -> Result<Vec<Pid>, Vec<Pid>> {
        loop {
            {
                let mut state = self.state.lock();
                if state.open <= 0 {
                    state.closed = true;
                    state.needed.clear();
                    return Ok(state.given_up.iter().copied().collect());
                }
            }
            let late = self.late(processes, terms, raised);
            let refused: Vec<Pid> =
                late.iter().filter(|(_, unrest)| *unrest == Unrest::Abort).map(|(pid, _)| *pid).collect();
            if !refused.is_empty() {
                return Err(refused);
            }
            self.give_up(late.into_iter().map(|(pid, _)| pid));
            let counted = self.state.lock().counted.clone();
            self.let_through(processes, counted, Vec::new());
            let state = self.state.lock();
            if state.open > 0 {
                nap(&self.changed, state, LOOK_EVERY);
            }
        }
    }

    /// Returns the counted processes that have used up their time.
    fn late(
        &self,
        processes: &impl Processes,
        terms: &HashMap<String, Member>,
        raised: Instant,
    ) -> Vec<(Pid, Unrest)> {
        let (counted, given_up) = {
            let state = self.state.lock();
            (state.counted.clone(), state.given_up.clone())
        };
        let (waited, is_given_up) = (raised.elapsed(), processes.is_given_up());
        let terms = |module: Option<&str>| {
            let member = module.and_then(|module| terms.get(module)).copied();
            member.unwrap_or_else(|| supervisors_terms(terms))
        };
        counted
            .into_iter()
            .filter(|pid| !given_up.contains(pid))
            .filter_map(|pid| {
                if !processes.is_counted(pid, self.number) {
                    return None;
                }
                let member = processes.module(pid, terms)?;
                (is_given_up || waited >= member.timeout).then_some((pid, member.unrest))
            })
            .collect()
    }

    /// Returns the counted processes that have not come to rest, each once.
    pub(super) fn awaited(&self, processes: &impl Processes) -> Vec<Pid> {
        let counted = {
            let state = self.state.lock();
            let is_awaited = |pid: &&Pid| !state.closed && !state.given_up.contains(pid);
            state.counted.iter().filter(is_awaited).copied().collect()
        };
        let mut awaited = each_once(counted);
        awaited.retain(|pid| processes.is_counted(*pid, self.number));
        awaited
    }

    fn give_up(&self, late: impl Iterator<Item = Pid>) {
        let mut state = self.state.lock();
        for pid in late {
            if state.given_up.insert(pid) {
                state.open -= 1;
            }
        }
    }

    /// Lets a call of the upgrade itself through, and the calls that hold it up. Used after the
    /// switch.
    ///
    /// Must be repeated until the call is answered: a process that is let through may come to wait
    /// for other processes.
    pub(crate) fn serve(&self, processes: &impl Processes, call: From) {
        self.let_through(processes, vec![call.server], vec![Need::Call(call.server, call)]);
    }

    /// Stops letting calls through.
    pub(crate) fn served(&self) {
        self.state.lock().needed.clear();
    }

    /// Follows the open requests of the waiting processes, and lets through the calls and births
    /// that hold them up, as well as `needs`.
    fn let_through(&self, processes: &impl Processes, waiting: Vec<Pid>, mut needs: Vec<Need>) {
        let mut seen: HashSet<Pid> = HashSet::new();
        let mut follow = waiting;
        while let Some(pid) = follow.pop() {
            if seen.insert(pid) {
                for call in processes.waits_for(pid) {
                    needs.extend([Need::Call(call.server, call), Need::Birth(call.server)]);
                    follow.push(call.server);
                }
            }
        }
        self.state.lock().needed.extend(needs.iter().copied());
        for need in needs {
            let (Need::Call(pid, _) | Need::Birth(pid)) = need;
            // If a process cannot meet the need with its next callback, it checks the gate and
            // parks again.
            if self.take_parked(pid) {
                processes.unpark(pid);
            }
        }
    }

    /// Removes a process from the parked list; returns whether it was parked.
    fn take_parked(&self, pid: Pid) -> bool {
        let mut state = self.state.lock();
        let before = state.parked.len();
        state.parked.retain(|parked| *parked != pid);
        before != state.parked.len()
    }
}

/// Returns the terms for supervisors of members, which have none of their own. The gate waits for
/// them as long as for the most patient member. A late supervisor aborts the upgrade if late
/// members of any module would.
fn supervisors_terms(terms: &HashMap<String, Member>) -> Member {
    let abort = terms.values().any(|member| member.unrest == Unrest::Abort);
    Member {
        timeout: terms.values().map(|member| member.timeout).max().unwrap_or_default(),
        unrest: if abort { Unrest::Abort } else { Unrest::Leave },
    }
}
