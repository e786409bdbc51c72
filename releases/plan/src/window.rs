//! The window under construction: the parts of a script, each in its own order.

use std::collections::{BTreeMap, BTreeSet};

use crate::dropped::Dropped;
use crate::error::PlanError;
use crate::facts::Facts;
use crate::instr::{Apply, CodeChange, LowLevel, Mode, PurgeMethod, PurgeWords, Suspend, Timeout};
use crate::name::ModuleName;
use crate::reason::{Cause, Reason};
use crate::release::ReleaseApp;
use crate::script::{Action, Member, MemberChange, Step};
use crate::windows::Part;

/// The parts of a script, in the order in which they are carried out.
#[derive(Debug, Default)]
pub(crate) struct Window {
    first: Vec<Step>,
    object_code: Vec<Step>,
    before: Vec<Step>,
    restarted: Vec<Step>,
    staged: Vec<Step>,
    started: Vec<Step>,
    members: Vec<Member>,
    /// Where in `members` each module is.
    places: BTreeMap<ModuleName, usize>,
    inside: Vec<Step>,
    /// A function is called inside.
    calls_inside: bool,
    resumed: Vec<ModuleName>,
    held: Vec<Step>,
    last: Vec<Step>,
    /// Who wants the members suspended and resumed.
    reason: Reason,
    /// The point of no return of the relup has passed.
    passed: bool,
}

impl Window {
    /// Returns an empty window. The point of no return of a relup is in its first.
    pub(crate) fn new(is_first: bool) -> Self {
        Self { passed: !is_first, ..Self::default() }
    }

    /// One load_object_code per library: those that the relup reads, in its order, then the other replaced ones.
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

    /// Puts one instruction into the part where it belongs.
    pub(crate) fn put(
        &mut self,
        facts: &Facts<'_>,
        low: &LowLevel,
        reason: &Reason,
    ) -> Result<(), PlanError> {
        match low {
            LowLevel::LoadObjectCode { .. } => {}
            LowLevel::PointOfNoReturn => self.passed = true,
            LowLevel::Load { module, purge } => self.load(facts, module, *purge, reason)?,
            LowLevel::Suspend { modules } => self.suspend(facts, modules, reason),
            LowLevel::Resume { modules } => {
                self.resumed
                    .extend(modules.iter().filter(|module| facts.old_owner(module).is_some()).cloned());
            }
            LowLevel::CodeChange { mode, modules } => {
                for change in modules {
                    self.code_change(facts, *mode, change, reason)?;
                }
            }
            LowLevel::Apply(call) => self.apply(call, reason),
            LowLevel::StartApplication { app, start_type } => {
                let (app, start_type) = (app.clone(), *start_type);
                if facts.is_restarted(&app) {
                    self.restarted.push(step(Action::RestartApplication { app, start_type }, reason));
                } else if facts.is_included(&app) {
                    self.started.push(step(Action::LoadApplication { app }, reason));
                } else {
                    self.started.push(step(Action::StartApplication { app, start_type }, reason));
                }
            }
            LowLevel::LoadApplication { app } => {
                self.started.push(step(Action::LoadApplication { app: app.clone() }, reason));
            }
            LowLevel::StopApplication { app } if facts.is_restarted(app) => {}
            LowLevel::StopApplication { app } => {
                self.hold(Action::StopApplication { app: app.clone() }, reason);
            }
            LowLevel::UnloadApplication { app } => {
                self.hold(Action::UnloadApplication { app: app.clone() }, reason);
            }
            LowLevel::Stop { modules } => self.stop(modules, reason),
            LowLevel::Start { modules } => self.hold(Action::Start { modules: modules.clone() }, reason),
            LowLevel::Remove { module, purge } => self.remove(facts, module, *purge, reason),
            LowLevel::Purge { modules } => self.purge(facts, modules, reason),
            LowLevel::SyncNodes { id, with } => {
                self.inside.push(step(Action::SyncNodes { id: id.clone(), with: with.clone() }, reason));
            }
            LowLevel::RestartNewDaemon => self.first.push(step(Action::RestartNewDaemon, reason)),
            LowLevel::RestartDaemon => self.last.push(step(Action::RestartDaemon, reason)),
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
            self.staged.push(load(module, owner, false, purge, reason.clone()));
        }
        Ok(())
    }

    /// Nobody uses a module that the release left does not have.
    fn suspend(&mut self, facts: &Facts<'_>, modules: &[Suspend], reason: &Reason) {
        let used = modules.iter().filter(|suspend| facts.old_owner(&suspend.module).is_some());
        let member = |Suspend { module, timeout }: &Suspend| Member {
            module: module.clone(),
            timeout: *timeout,
            change: facts.change(module),
        };
        self.members(used.map(member), reason);
    }

    /// Adds each member once; a time-out that somebody wrote replaces the default.
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
        self.inside.push(step(action, reason));
        Ok(())
    }

    /// What the built-in modules start or end waits for the switch; a child is renamed before its supervisor is updated.
    fn apply(&mut self, call: &Apply, reason: &Reason) {
        let part = match (call.built_in().is_some(), self.passed) {
            _ if call.renames_child() => &mut self.before,
            (true, _) => &mut self.held,
            (false, false) => &mut self.before,
            (false, true) => {
                self.calls_inside = true;
                &mut self.inside
            }
        };
        part.push(step(Action::Apply(call.clone()), reason));
    }

    /// The users of a stopped module rest until they can be stopped: new code must not see their state.
    fn stop(&mut self, modules: &[ModuleName], reason: &Reason) {
        let (timeout, change) = (Timeout::Default, MemberChange::Stop);
        self.members(modules.iter().map(|module| Member { module: module.clone(), timeout, change }), reason);
        self.hold(Action::Stop { modules: modules.to_vec() }, reason);
    }

    /// Removes what is not replaced. OTP: that a module is not loaded is no error.
    fn remove(&mut self, facts: &Facts<'_>, module: &ModuleName, purge: PurgeWords, reason: &Reason) {
        if let Some(owner) = facts.old_owner(module).filter(|_| !facts.is_loaded(module)) {
            let (app, vsn) = (owner.name().clone(), owner.version().clone());
            self.hold(Action::Remove { module: module.clone(), app, vsn, purge }, reason);
        }
    }

    /// Keeps the written purges only: a remove is followed by a purge as its own words say.
    fn purge(&mut self, facts: &Facts<'_>, modules: &[ModuleName], reason: &Reason) {
        let written =
            |module: &&ModuleName| !facts.is_part_of_remove(module) && !facts.is_purged_before_load(module);
        let modules: Vec<_> = modules.iter().filter(written).cloned().collect();
        if !modules.is_empty() {
            self.hold(Action::Purge { modules }, reason);
        }
    }

    fn hold(&mut self, action: Action, reason: &Reason) {
        self.held.push(step(action, reason));
    }

    /// Returns the steps of all parts.
    pub(crate) fn steps(self) -> Vec<Step> {
        let Self {
            first,
            object_code,
            before,
            restarted,
            staged,
            started,
            members,
            inside,
            mut resumed,
            held,
            last,
            ..
        } = self;
        let suspend = (!members.is_empty()).then(|| step(Action::Suspend { modules: members }, &self.reason));
        let mut known = BTreeSet::new();
        resumed.retain(|module| known.insert(module.clone()));
        let resume = (!resumed.is_empty()).then(|| step(Action::Resume { modules: resumed }, &self.reason));
        let switch = Step::new(Action::Switch, Cause::PointOfNoReturn.into());
        let prepared = [first, object_code, before, restarted, staged, started].into_iter().flatten();
        let paused = suspend.into_iter().chain(inside).chain([switch]).chain(resume);
        prepared.chain(paused).chain(held).chain(last).collect()
    }
}

fn step(action: Action, reason: &Reason) -> Step {
    Step::new(action, reason.clone())
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
