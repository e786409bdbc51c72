//! The state conversions of a fake node, and their errors.

use reld_plan::ModuleName;

use super::Fake;
use super::world::Proc;
use crate::node::{Conversion, Image, NodeError};
use crate::process::Pid;

impl Fake {
    pub(super) fn of(&self, module: &ModuleName, wanted: impl Fn(&Proc) -> bool) -> Vec<Pid> {
        // A process of a restarted app already runs the staged code.
        let staged = self.world.staged.as_ref().and_then(|staged| staged.modules.get(module));
        let mut pids: Vec<Pid> = self.world.processes.keys().copied().collect();
        pids.retain(|pid| {
            let process = &self.world.processes[pid];
            process.module == *module && Some(&process.image) != staged && wanted(process)
        });
        pids
    }

    /// Makes shadow states for these processes, and returns their number.
    pub(super) fn shadow(&mut self, conversion: &Conversion, pids: &[Pid]) -> usize {
        let image = self.world.staged.as_ref().unwrap().modules[&conversion.module];
        if self.skips_conversion.contains(&conversion.module) {
            return 0;
        }
        for pid in pids {
            let process = self.world.processes.get_mut(pid).unwrap();
            process.shadow = Some((image, format!("{}, {}", process.state, conversion.change)));
        }
        pids.len()
    }

    pub(super) fn change_code_error(&self, pid: Pid, module: &ModuleName) -> NodeError {
        let process = Box::new(self.process(pid));
        let image = self.world.staged.as_ref().unwrap().modules[module];
        let vsn = self.world.images[&image].1.clone();
        if pid.slot.is_multiple_of(2) {
            NodeError::ChangeCode { process, vsn, reason: "unknown state".to_owned() }
        } else {
            NodeError::ChangeCodeTimedOut { process, vsn, after_ms: 5000 }
        }
    }

    /// Returns the error for a state without a way back: that of the last tried process.
    pub(super) fn no_way_back(&self) -> NodeError {
        let process = self.process(*self.tried.last().unwrap());
        let version = |image: Image| self.world.images[&image].1.clone();
        let from = version(self.world.staged.as_ref().unwrap().modules[&process.module]);
        let to = version(self.world.processes[&process.pid].image);
        let reason = format!("{to} answered: unknown field `extra`");
        NodeError::NoWayBack { process: Box::new(process), from, to, reason }
    }

    pub(super) fn nothing_to_convert(&self, module: Option<&ModuleName>) -> NodeError {
        let module = module.cloned().unwrap_or_else(|| "none".parse().unwrap());
        NodeError::Stage { module, reason: "nothing to convert".to_owned() }
    }
}
