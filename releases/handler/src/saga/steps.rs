//! The single steps of a saga, and their undos.

use std::time::Instant;

use reld_plan::{BuiltIn, ModuleName, PurgeMethod};

use super::{Cause, Saga};
use crate::children::unexpected;
use crate::limits::deadline;
use crate::node::NodeError;
use crate::node::{Conversion, Held, Node, Precopied, Raised, Slot, Staged, Switched};
use crate::report::Trial;
use crate::step::{Effect, Finish, Precopy, Undo};

impl<N: Node> Saga<'_, N> {
    /// Does one effect. Its undo is recorded as soon as the effect exists.
    pub(super) fn forward(&mut self, effect: &Effect, undos: &mut Vec<Undo>) -> Result<(), Cause> {
        match effect {
            Effect::Load(library) => {
                let image = self.node.load(library, deadline(self.limits.load), self.interrupt)?;
                self.images.insert(library.app.clone(), image);
                undos.push(Undo::Unload(image));
            }
            Effect::Apply(call) => {
                self.node.apply(call, deadline(self.limits.apply))?;
                undos.extend(call.undo.as_deref().cloned().map(Undo::Apply));
            }
            Effect::RenameChild(call) => {
                self.node.call(call, deadline(self.limits.start))?;
                undos.extend(call.undo().map(Undo::RenameChild));
            }
            Effect::StopApplication(app) => {
                // Even a failed stop ends the app, because its processes are killed. So the undo
                // has to start it again in any case.
                undos.push(Undo::StartApplication(app.clone()));
                self.report.killed.append(&mut self.node.processes_of(app));
                self.node.stop_application(app, deadline(self.limits.stop))?;
            }
            Effect::StartApplication(app) => {
                self.node.start_application(app, deadline(self.limits.start))?;
                undos.push(Undo::StopApplication(app.clone()));
            }
        }
        Ok(())
    }

    pub(super) fn precopy(&mut self, staged: &Staged, precopy: &Precopy) -> Result<(), Cause> {
        let Precopy { gate, passages, untried } = precopy;
        self.report.precopied = self.node.precopy(staged, gate, passages, self.limits.convert)?;
        if let Some(untried) = untried {
            self.untried.clone_from(untried);
            let duration_us = self.report.precopied.trial.as_micros().try_into().unwrap_or(u64::MAX);
            self.report.trial = Some(Trial { duration_us, ..Trial::default() });
        }
        Ok(())
    }

    pub(super) fn raised(&mut self, raised: Raised) {
        self.report.precopied.processes = raised.precopied;
        self.report.converted = raised.precopied;
        if let Some(trial) = &mut self.report.trial {
            trial.tried = raised.tried;
            trial.leave_out(raised.precopied.saturating_sub(raised.tried), &self.untried);
        }
        self.report.left = raised.left;
        self.doomed = raised.doomed;
    }

    pub(super) fn convert(&mut self, held: &Held, conversion: &Conversion) -> Result<(), Cause> {
        let mut converted = self.node.convert(held, conversion, self.limits.convert)?;
        let find = |place: &str| self.node.supervisor(place).ok();
        let unexpected =
            converted.children.iter().find_map(|change| unexpected(change, &self.program.expected, find));
        self.report.converted += converted.processes;
        if let Some(trial) = &mut self.report.trial {
            trial.leave_out(converted.processes, "converted inside the pause");
        }
        self.report.children.append(&mut converted.children);
        unexpected.map_or(Ok(()), |unexpected| Err(Cause::Children(unexpected)))
    }

    /// Fails if a living member at rest has no shadow state, because new code would get its old
    /// state.
    pub(super) fn check_all_converted(&self) -> Result<(), Cause> {
        let unconverted = self.node.comparison().unconverted;
        if unconverted.is_empty() { Ok(()) } else { Err(Cause::Unconverted(unconverted)) }
    }

    /// Removes the results of undone steps from the report.
    pub(super) fn forget(&mut self) {
        self.report.left.clear();
        self.report.children.clear();
        self.report.converted = 0;
        self.report.precopied = Precopied::default();
        self.report.trial = None;
    }

    pub(super) fn undo(&mut self, undo: &Undo) -> Result<(), NodeError> {
        match undo {
            Undo::Unload(image) => self.node.unload(*image)?,
            Undo::Apply(call) => self.node.apply(call, deadline(self.limits.apply))?,
            Undo::RenameChild(call) => self.node.call(call, deadline(self.limits.start))?,
            Undo::StartApplication(app) => {
                self.node.start_application(app, deadline(self.limits.start))?;
                self.report.restarted.append(&mut self.node.processes_of(app));
            }
            Undo::StopApplication(app) => {
                let stopped = self.node.stop_application(app, deadline(self.limits.stop));
                self.node.unload_application(app);
                stopped?;
            }
        }
        Ok(())
    }

    /// Does a step after the switch. Leftovers are listed in the report; a failed start or call is
    /// an error.
    pub(super) fn finish(&mut self, finish: &Finish) -> Result<(), NodeError> {
        match finish {
            Finish::ConfigChange => {
                let mut answers = self.node.config_change(deadline(self.limits.start));
                self.report.warnings.append(&mut answers);
            }
            Finish::StopApplication(app) => {
                let stopped = self.node.stop_application(app, deadline(self.limits.stop));
                self.warn(stopped);
            }
            Finish::UnloadApplication(app) => self.node.unload_application(app),
            Finish::StopChildren(modules) => {
                let stopped = self.node.stop_children(modules, deadline(self.limits.stop));
                self.warn(stopped);
            }
            Finish::StartChildren(modules) => {
                self.node.start_children(modules, deadline(self.limits.start))?;
            }
            Finish::Call(call) if call.ends() => {
                let ended = self.node.call(call, deadline(self.limits.stop));
                self.warn(ended);
            }
            Finish::Call(call) => self.node.call(call, deadline(self.limits.start))?,
            Finish::Apply(call) => self.node.apply(call, deadline(self.limits.apply))?,
            Finish::Purge { slot, modules, method } => self.purge(*slot, modules, *method),
        }
        Ok(())
    }

    /// Starts a child while the members are held. A start that takes too long continues after they
    /// resume.
    pub(super) fn start_child(
        &mut self,
        switched: &Switched,
        call: &BuiltIn,
        held: Instant,
    ) -> Result<(), NodeError> {
        self.node.start_child(switched, call, held, deadline(self.limits.start))?;
        if Instant::now() > held {
            let after_ms = self.limits.births.as_millis();
            self.report.warnings.push(format!(
                "{call} took longer than members are held for it ({after_ms} ms): the child was missing in the meantime"
            ));
        }
        Ok(())
    }

    fn warn(&mut self, result: Result<(), NodeError>) {
        self.report.warnings.extend(result.err().map(|error| error.to_string()));
    }

    pub(super) fn kill_doomed(&mut self) {
        let pids: Vec<_> = self.doomed.iter().map(|process| process.pid).collect();
        if !pids.is_empty() {
            self.node.kill(&pids);
            self.report.killed.append(&mut self.doomed);
        }
    }

    fn purge(&mut self, slot: Slot, modules: &[ModuleName], method: PurgeMethod) {
        let mut purged = self.node.purge(slot, modules, method, deadline(self.limits.sweep));
        self.report.killed.append(&mut purged.killed);
        self.report.lingering.append(&mut purged.lingering);
    }
}
