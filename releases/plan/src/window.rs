//! A window under construction: the parts of a script, each in its own order.
//!
//! A call of an app's function that is written after the point of no return has this place:
//!
//! | a line before the call waits for the switch | a line after it is a conversion that it may prepare | place |
//! |---|---|---|
//! | no | | inside the pause |
//! | yes | yes | inside the pause |
//! | yes | no | after that line, after the switch |
//!
//! A child starts before the members are resumed, so that resumed members find it running. It
//! starts later if a line before its start waits until after the resume: a process that this line
//! terminates may hold the child's name, or the child may need an earlier call.
//!
//! A conversion never overtakes the call before it: it could silently read data that the call has
//! not prepared yet. A call may overtake the start of a child. If the call needs that child, it
//! fails, and the failure is rolled back.

use std::collections::{BTreeMap, BTreeSet};

use crate::dropped::Dropped;
use crate::error::PlanError;
use crate::facts::Facts;
use crate::instr::{Apply, CodeChange, LowLevel, Mode, PurgeMethod, PurgeWords, Suspend, Timeout};
use crate::name::ModuleName;
use crate::order;
use crate::reason::{Cause, Reason};
use crate::release::ReleaseApp;
use crate::relup::Line;
use crate::script::{Action, Mark, Member, MemberChange, Step};
use crate::warning::Warning;
use crate::windows::Part;

/// The parts of a script, in the order of execution.
#[derive(Debug, Default)]
pub(crate) struct Window {
    first: Vec<Step>,
    object_code: Vec<Step>,
    before: Vec<Step>,
    restarted: Vec<Step>,
    staged: Vec<Step>,
    started: Vec<Step>,
    members: Vec<Member>,
    /// The index in `members` of each module.
    places: BTreeMap<ModuleName, usize>,
    inside: Vec<Step>,
    /// Meetings with other nodes, as the last steps before the switch.
    meetings: Vec<Step>,
    /// Whether a call runs inside the pause.
    calls_inside: bool,
    /// The resumed modules, each with the number of the line that resumes it.
    resumed: Vec<(ModuleName, usize)>,
    /// Starts of children before the resume.
    child_starts: Vec<Step>,
    after_resume: Vec<Step>,
    last: Vec<Step>,
    warnings: Vec<Warning>,
    /// The number of the current line.
    line: usize,
    /// The origin of the suspend and resume steps.
    reason: Reason,
    /// Whether the relup's point of no return has passed.
    is_past_no_return: bool,
}

impl Window {
    /// Returns an empty window. The point of no return of a relup is in its first window.
    pub(crate) fn new(is_first: bool) -> Self {
        Self { is_past_no_return: !is_first, ..Self::default() }
    }

    /// Adds one load_object_code per library: first those that the relup reads, in its order, then
    /// the other replaced libraries.
    pub(crate) fn open_libraries(&mut self, facts: &Facts<'_>, part: &Part<'_>) -> Result<(), PlanError> {
        for line in &facts.relup.lines {
            if let LowLevel::LoadObjectCode { app, vsn, .. } = &line.instruction
                && part.opens(app)
                && !facts.keeps_code(app)
            {
                self.object_code.push(open(facts.new_library(app, vsn)?, line.reason.clone()));
            }
        }
        for (old, new) in facts.replaced().filter(|(_, new)| part.opens(new.name())) {
            let opens =
                |step: &Step| matches!(&step.action, Action::LoadObjectCode { app, .. } if app == new.name());
            if !self.object_code.iter().any(opens) && !new.modules().is_empty() {
                self.object_code.push(open(new, replaced(old, new)));
            }
        }
        Ok(())
    }

    /// Loads the modules of replaced libraries that no instruction names and no appup keeps.
    pub(crate) fn load_implied(&mut self, facts: &Facts<'_>, part: &Part<'_>) {
        for (_, new) in facts.replaced().filter(|(_, new)| part.opens_first(new.name())) {
            for module in new.modules().iter().filter(|module| facts.is_implied(module)) {
                let (app, vsn) = (new.name().clone(), new.version().clone());
                let cause = Cause::Implied { module: module.clone(), app, vsn };
                self.staged.push(load(module, new, true, PurgeWords::default(), cause.into()));
            }
        }
    }

    /// Puts the first of these lines into its part.
    pub(crate) fn put(&mut self, facts: &Facts<'_>, lines: &[Line]) -> Result<(), PlanError> {
        let Some((Line { instruction, reason }, behind)) = lines.split_first() else { return Ok(()) };
        self.line += 1;
        match instruction {
            LowLevel::LoadObjectCode { .. } => {}
            LowLevel::PointOfNoReturn => self.is_past_no_return = true,
            LowLevel::Load { module, purge } => self.load(facts, module, *purge, reason)?,
            LowLevel::Suspend { modules } => self.suspend(facts, modules, reason),
            LowLevel::Resume { modules } => {
                let used = modules.iter().filter(|module| facts.old_owner(module).is_some());
                self.resumed.extend(used.map(|module| (module.clone(), self.line)));
            }
            LowLevel::CodeChange { mode, modules } => {
                for change in modules {
                    self.code_change(facts, *mode, change, reason)?;
                }
            }
            LowLevel::Apply(call) => self.apply(facts, call, reason, behind),
            LowLevel::StartApplication { app, start_type } => {
                let (app, start_type) = (app.clone(), *start_type);
                if facts.is_restarted(&app) {
                    self.restarted.push(self.step(Action::RestartApplication { app, start_type }, reason));
                } else if facts.is_included(&app) {
                    self.started.push(self.step(Action::LoadApplication { app }, reason));
                } else {
                    self.started.push(self.step(Action::StartApplication { app, start_type }, reason));
                }
            }
            LowLevel::LoadApplication { app } => {
                self.started.push(self.step(Action::LoadApplication { app: app.clone() }, reason));
            }
            LowLevel::StopApplication { app } if facts.is_restarted(app) => {}
            LowLevel::StopApplication { app } => {
                self.defer(Action::StopApplication { app: app.clone() }, reason);
            }
            LowLevel::UnloadApplication { app } => {
                self.defer(Action::UnloadApplication { app: app.clone() }, reason);
            }
            LowLevel::Stop { modules } => self.stop(modules, reason),
            LowLevel::Start { modules } => self.defer(Action::Start { modules: modules.clone() }, reason),
            LowLevel::Remove { module, purge } => self.remove(facts, module, *purge, reason),
            LowLevel::Purge { modules } => self.purge(facts, modules, reason),
            LowLevel::SyncNodes { id, with } => {
                let sync = Action::SyncNodes { id: id.clone(), with: with.clone() };
                self.meetings.push(self.step(sync, reason));
            }
            LowLevel::RestartNewDaemon => self.first.push(self.step(Action::RestartNewDaemon, reason)),
            LowLevel::RestartDaemon => self.last.push(self.step(Action::RestartDaemon, reason)),
        }
        Ok(())
    }

    fn load(
        &mut self,
        facts: &Facts<'_>,
        module: &ModuleName,
        mut purge: PurgeWords,
        reason: &Reason,
    ) -> Result<(), PlanError> {
        if facts.is_purged_before_load(module) {
            purge.pre = Some(PurgeMethod::Brutal);
        }
        let owner = facts.new_owner(module)?;
        if !facts.keeps_code(owner.name()) {
            let load = load(module, owner, false, purge, reason.clone());
            self.staged.push(Step { line: Some(self.line), ..load });
        }
        Ok(())
    }

    /// Suspends the users of modules, except modules that the source release does not have: no
    /// process uses them.
    fn suspend(&mut self, facts: &Facts<'_>, modules: &[Suspend], reason: &Reason) {
        let used = modules.iter().filter(|suspend| facts.old_owner(&suspend.module).is_some());
        let member = |Suspend { module, timeout }: &Suspend| Member {
            module: module.clone(),
            timeout: *timeout,
            change: facts.change(module),
        };
        self.members(used.map(member), reason);
    }

    /// Adds each member once. An explicit time-out replaces the default.
    fn members(&mut self, members: impl Iterator<Item = Member>, reason: &Reason) {
        let mut members = members.peekable();
        if members.peek().is_some() {
            self.reason.join(reason);
        }
        for member in members {
            match self.places.get(&member.module).map(|at| &mut self.members[*at]) {
                Some(known) if known.timeout == Timeout::Default => known.timeout = member.timeout,
                Some(_) => {}
                None => {
                    self.places.insert(member.module.clone(), self.members.len());
                    self.members.push(member);
                }
            }
        }
    }

    fn code_change(
        &mut self,
        facts: &Facts<'_>,
        mode: Mode,
        change: &CodeChange,
        reason: &Reason,
    ) -> Result<(), PlanError> {
        let CodeChange { module, extra } = change;
        let new = facts.new_owner(module)?;
        let Some(old) = facts.old_owner(module) else { return Ok(()) };
        let action = Action::CodeChange {
            module: module.clone(),
            app: new.name().clone(),
            from: old.version().clone(),
            to: new.version().clone(),
            mode,
            change: facts.change(module),
            extra: extra.clone(),
            inside: self.calls_inside,
            dropped: Dropped::default(),
        };
        self.inside.push(self.step(action, reason));
        Ok(())
    }

    /// Places a call. Starts and terminations by built-in modules wait for the switch, and a child
    /// is renamed before its supervisor is updated.
    fn apply(&mut self, facts: &Facts<'_>, call: &Apply, reason: &Reason, behind: &[Line]) {
        let mut step = self.step(Action::Apply(call.clone()), reason);
        let part = match (call.built_in().is_some(), self.is_past_no_return) {
            _ if call.renames_child() => &mut self.before,
            (true, _) if call.starts_child() && self.after_resume.is_empty() => &mut self.child_starts,
            (true, _) => {
                step.order.child_missing = call.starts_child();
                &mut self.after_resume
            }
            (false, false) => &mut self.before,
            (false, true) if self.waits(facts, call, reason, behind) => {
                step.mark = Mark::TakenBack;
                &mut self.after_resume
            }
            (false, true) => {
                self.calls_inside = true;
                &mut self.inside
            }
        };
        part.push(step);
    }

    /// Returns whether a call of an app's function waits for the switch, after a step that is
    /// written before it.
    fn waits(&mut self, facts: &Facts<'_>, call: &Apply, reason: &Reason, behind: &[Line]) -> bool {
        let Some(prepared) = facts.prepared(call, reason, behind) else {
            return !(self.child_starts.is_empty() && self.after_resume.is_empty());
        };
        // Warns only about starts written by the same author, because the call may need them. The
        // step of the call lists all steps that it overtakes.
        let needed = |step: &&Step| step.mark == Mark::TakenBack && step.reason.shares_cause(reason);
        if let Some(start) = self.child_starts.iter().chain(&self.after_resume).rev().find(needed) {
            let (call, start) = (call.to_string(), start.action.to_string());
            self.warnings.push(Warning::CallBeforeStart { call, start, module: prepared.clone() });
        }
        false
    }

    /// Suspends the users of stopped modules until they are stopped, because new code must not see
    /// their states.
    fn stop(&mut self, modules: &[ModuleName], reason: &Reason) {
        let (timeout, change) = (Timeout::Default, MemberChange::Stop);
        self.members(modules.iter().map(|module| Member { module: module.clone(), timeout, change }), reason);
        self.defer(Action::Stop { modules: modules.to_vec() }, reason);
    }

    /// Removes a module that is not replaced. OTP: it is no error if the module is not loaded.
    fn remove(&mut self, facts: &Facts<'_>, module: &ModuleName, purge: PurgeWords, reason: &Reason) {
        if let Some(owner) = facts.old_owner(module).filter(|_| !facts.is_loaded(module)) {
            let (app, vsn) = (owner.name().clone(), owner.version().clone());
            self.defer(Action::Remove { module: module.clone(), app, vsn, purge }, reason);
        }
    }

    /// Adds a purge, unless it belongs to a remove or is the pre_purge of a load: both have their
    /// own purge methods.
    fn purge(&mut self, facts: &Facts<'_>, modules: &[ModuleName], reason: &Reason) {
        let written =
            |module: &&ModuleName| !facts.is_part_of_remove(module) && !facts.is_purged_before_load(module);
        let modules: Vec<_> = modules.iter().filter(written).cloned().collect();
        if !modules.is_empty() {
            self.defer(Action::Purge { modules }, reason);
        }
    }

    fn defer(&mut self, action: Action, reason: &Reason) {
        self.after_resume.push(self.step(action, reason));
    }

    fn step(&self, action: Action, reason: &Reason) -> Step {
        Step { line: Some(self.line), ..Step::new(action, reason.clone()) }
    }

    /// Returns the steps of all parts, and the warnings.
    pub(crate) fn done(self) -> (Vec<Step>, Vec<Warning>) {
        let Self {
            first,
            object_code,
            before,
            restarted,
            staged,
            started,
            members,
            inside,
            meetings,
            resumed,
            child_starts,
            after_resume,
            last,
            reason,
            warnings,
            ..
        } = self;
        let step = |action| Step::new(action, reason.clone());
        let suspend = (!members.is_empty()).then(|| step(Action::Suspend { modules: members }));
        let mut known = BTreeSet::new();
        let modules: Vec<_> = resumed.iter().map(|(module, _)| module.clone()).collect();
        let modules: Vec<_> = modules.into_iter().filter(|module| known.insert(module.clone())).collect();
        let resume = (!modules.is_empty()).then(|| step(Action::Resume { modules }));
        let switch = Step::new(Action::Switch, Cause::PointOfNoReturn.into());
        let prepared = [first, object_code, before, restarted, staged, started].into_iter().flatten();
        let paused = suspend
            .into_iter()
            .chain(inside)
            .chain(meetings)
            .chain([switch])
            .chain(child_starts)
            .chain(resume);
        let mut steps: Vec<Step> = prepared.chain(paused).chain(after_resume).chain(last).collect();
        order::note(&mut steps, &resumed);
        (steps, warnings)
    }
}

fn load(module: &ModuleName, owner: &ReleaseApp, implied: bool, purge: PurgeWords, reason: Reason) -> Step {
    let (app, vsn) = (owner.name().clone(), owner.version().clone());
    let (module, dropped) = (module.clone(), Dropped::default());
    Step::new(Action::Load { module, app, vsn, implied, purge, dropped }, reason)
}

fn open(library: &ReleaseApp, reason: Reason) -> Step {
    let (app, vsn) = (library.name().clone(), library.version().clone());
    Step::new(Action::LoadObjectCode { app, vsn, modules: library.modules().to_vec() }, reason)
}

fn replaced(old: &ReleaseApp, new: &ReleaseApp) -> Reason {
    let (from, to) = (old.version().clone(), new.version().clone());
    Cause::Replaced { app: new.name().clone(), from, to }.into()
}
