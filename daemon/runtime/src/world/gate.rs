//! The processes of a node, as its gate sees them: implements the traits of `process/gate.rs`.

use crate::process::body::Body;
use crate::process::card::Card;
use crate::process::gate::Processes;
use crate::process::slot::{GateNumber, Rest, Wake};
use crate::words::code::{Behaviour, From};
use crate::words::pid::Pid;
use crate::world::World;

impl Card {
    /// Returns the name of the module if the process has a convertible state. Returns `None` for a
    /// task, because the state of a task is a stack.
    pub(crate) fn stateful_module(&self) -> Option<&str> {
        (self.code.behaviour() != Behaviour::Task).then(|| self.code.name())
    }
}

impl Processes for World {
    fn rest(&self, pid: Pid, gate: GateNumber) -> Rest {
        self.slot(pid).map_or(Rest::Dead, |slot| slot.rest(pid.generation, gate))
    }

    fn is_counted(&self, pid: Pid, gate: GateNumber) -> bool {
        self.slot(pid).is_some_and(|slot| slot.is_counted(pid.generation, gate))
    }

    fn module<R>(&self, pid: Pid, look: impl FnOnce(Option<&str>) -> R) -> Option<R> {
        self.slot(pid)?.card(pid.generation, |card| look(card.stateful_module()))
    }

    fn waits_for(&self, pid: Pid) -> Vec<From> {
        let open_calls = |body: &Body| {
            let open = if body.is_waiting() { body.open() } else { &[] };
            open.iter()
                .filter(|open| open.wait.target() != Pid::NONE)
                .map(|open| From { caller: pid, server: open.wait.target(), reference: open.reference })
                .collect()
        };
        let slot = self.slot(pid);
        slot.and_then(|slot| slot.peek(pid.generation, |body| open_calls(body))).unwrap_or_default()
    }

    fn unpark(&self, pid: Pid) {
        let wake = self.slot(pid).map_or(Wake::Nothing, |slot| slot.unpark(pid.generation));
        self.act_last(pid, wake);
    }

    fn is_given_up(&self) -> bool {
        Self::is_given_up(self)
    }
}
