//! Third part of planning: a relup becomes one window for the whole release.
//!
//! What moves, and why:
//! - A library is loaded as a whole, so every replaced library brings all its modules; those that no instruction names are
//!   loaded by implication, unless an appup's `keep` has them.
//! - Loads are staged before anybody is suspended, suspends and resumes are one each, and the switch comes after
//!   everything that can fail.
//! - Conversions and calls keep their order among each other: a call written before an update runs before its conversion.
//! - What ends something (stop, remove, purge, terminate_child, stop of an app) waits until after the switch; so does a
//!   later call about the same supervisor or app.
//! - A purge written before the load of its module is about older code: it becomes the load's pre_purge.
//! - A load in place of a remove replaces the module; restart_application becomes one step.

use std::collections::{BTreeMap, BTreeSet};

use crate::collect::Pair;
use crate::error::PlanError;
use crate::instr::{Apply, CodeChange, LowLevel, Mode, PurgeMethod, PurgeWords, Suspend, Timeout};
use crate::name::{AppName, ModuleName};
use crate::reason::{Cause, Reason};
use crate::rel::StartType;
use crate::release::{Release, ReleaseApp};
use crate::relup::{Line, Relup};
use crate::script::{Action, Member, MemberChange, Script, Step};
use crate::version::Vsn;
use crate::warning::Warning;

/// Returns the one window of a relup.
pub(crate) fn coalesce(pair: &Pair<'_>, relup: &Relup) -> Result<Script, PlanError> {
    let mut window = Window::new(pair, relup);
    window.libraries()?;
    for Line { instruction, reason } in &relup.lines {
        window.put(instruction, reason)?;
    }
    window.implied();
    let mut warnings = relup.warnings.clone();
    warnings.extend(relup.cycles.iter().map(|modules| Warning::DependencyCycle { modules: modules.clone() }));
    warnings.append(&mut window.left_behind());
    Ok(Script {
        from: Some(relup.from.clone()),
        to: relup.to.clone(),
        mode: relup.mode,
        steps: window.steps(),
        warnings,
    })
}

/// The parts of a script, in their order.
struct Window<'a> {
    from: &'a Release,
    to: &'a Release,
    relup: &'a Relup,
    restarted: BTreeSet<&'a AppName>,
    loaded: BTreeSet<&'a ModuleName>,
    removed: BTreeMap<&'a ModuleName, PurgeWords>,

    first: Vec<Step>,
    object_code: Vec<Step>,
    before: Vec<Step>,
    staged: Vec<Step>,
    started: Vec<Step>,
    members: Vec<Member>,
    members_reason: Reason,
    inside: Vec<Step>,
    resumed: Vec<ModuleName>,
    held: Vec<Step>,
    last: Vec<Step>,
    switched: bool,
}

impl<'a> Window<'a> {
    fn new(pair: &Pair<'a>, relup: &'a Relup) -> Self {
        let instructions = || relup.lines.iter().map(|line| &line.instruction);
        let loaded = instructions().filter_map(|instruction| match instruction {
            LowLevel::Load { module, .. } => Some(module),
            _ => None,
        });
        let removed = instructions().filter_map(|instruction| match instruction {
            LowLevel::Remove { module, purge } => Some((module, *purge)),
            _ => None,
        });
        // Only restart_application stops an app that the release gone to still has.
        let restarted = instructions().filter_map(|instruction| match instruction {
            LowLevel::StopApplication { app } => pair.to().app(app).map(|_| app),
            _ => None,
        });
        Self {
            from: pair.from(),
            to: pair.to(),
            relup,
            restarted: restarted.collect(),
            loaded: loaded.collect(),
            removed: removed.collect(),
            first: Vec::new(),
            object_code: Vec::new(),
            before: Vec::new(),
            staged: Vec::new(),
            started: Vec::new(),
            members: Vec::new(),
            members_reason: Reason::default(),
            inside: Vec::new(),
            resumed: Vec::new(),
            held: Vec::new(),
            last: Vec::new(),
            switched: false,
        }
    }

    /// Puts one instruction into the part where it belongs.
    fn put(&mut self, instruction: &'a LowLevel, reason: &Reason) -> Result<(), PlanError> {
        let reason = || reason.clone();
        match instruction {
            LowLevel::LoadObjectCode { .. } => {}
            LowLevel::PointOfNoReturn => self.switched = true,
            LowLevel::Load { module, purge } => self.load(module, *purge, reason())?,
            LowLevel::Suspend { modules } => modules.iter().for_each(|each| self.suspend(each, &reason())),
            LowLevel::Resume { modules } => modules.iter().for_each(|module| self.resume(module)),
            LowLevel::CodeChange { mode, modules } => {
                for change in modules {
                    self.code_change(*mode, change, reason())?;
                }
            }
            LowLevel::Apply(call) => self.apply(call, reason()),
            LowLevel::StartApplication { app, start_type } => self.start(app, *start_type, reason()),
            LowLevel::LoadApplication { app } => self.known(app, reason()),
            LowLevel::StopApplication { app } => self.stop_application(app, reason()),
            LowLevel::UnloadApplication { app } => {
                self.hold(Action::UnloadApplication { app: app.clone() }, reason());
            }
            LowLevel::Stop { modules } => self.stop(modules, reason()),
            LowLevel::Start { modules } => self.hold(Action::Start { modules: modules.clone() }, reason()),
            LowLevel::Remove { module, purge } => self.remove(module, *purge, reason())?,
            LowLevel::Purge { modules } => self.purge(modules, reason()),
            LowLevel::SyncNodes { id, with } => {
                let action = Action::SyncNodes { id: id.clone(), with: with.clone() };
                self.inside.push(Step::new(action, reason()));
            }
            LowLevel::RestartNewDaemon => self.first.push(Step::new(Action::RestartNewDaemon, reason())),
            LowLevel::RestartDaemon => self.last.push(Step::new(Action::RestartDaemon, reason())),
        }
        Ok(())
    }

    /// One load_object_code per library: those that the relup reads, in its order, then the other replaced ones.
    fn libraries(&mut self) -> Result<(), PlanError> {
        let relup = self.relup;
        for Line { instruction, reason } in &relup.lines {
            if let LowLevel::LoadObjectCode { app, vsn, .. } = instruction {
                let library = self.new_library(app, vsn)?;
                self.object_code.push(open(library, reason.clone()));
            }
        }
        for (old, new) in self.replaced() {
            let known =
                |step: &Step| matches!(&step.action, Action::LoadObjectCode { app, .. } if app == new.name());
            if !self.object_code.iter().any(known) && !new.modules().is_empty() {
                self.object_code.push(open(new, replaced(old, new)));
            }
        }
        Ok(())
    }

    /// Returns a library that the release gone to has and the running one has not.
    fn new_library(&self, app: &AppName, vsn: &Vsn) -> Result<&'a ReleaseApp, PlanError> {
        let runs = self.from.app(app).is_some_and(|old| old.version() == vsn);
        let library = self.to.app(app).filter(|new| new.version() == vsn && !runs);
        library.ok_or_else(|| PlanError::BadLibVsn { app: app.clone(), vsn: vsn.clone() })
    }

    /// Returns the libraries that are replaced, old and new, in start order.
    fn replaced(&self) -> Vec<(&'a ReleaseApp, &'a ReleaseApp)> {
        let both = self.to.start_order().filter_map(|new| Some((self.from.app(new.name())?, new)));
        both.filter(|(old, new)| old.version() != new.version()).collect()
    }

    fn load(&mut self, module: &'a ModuleName, purge: PurgeWords, reason: Reason) -> Result<(), PlanError> {
        let owner =
            self.to.owner(module).ok_or_else(|| PlanError::NoSuchModule { module: module.clone() })?;
        self.stage(module, owner, false, purge, reason);
        Ok(())
    }

    fn stage(
        &mut self,
        module: &ModuleName,
        owner: &ReleaseApp,
        implied: bool,
        mut purge: PurgeWords,
        reason: Reason,
    ) {
        if self.purged_before_load(module) {
            purge.pre = Some(PurgeMethod::Brutal);
        }
        let (app, vsn) = (owner.name().clone(), owner.version().clone());
        self.staged
            .push(Step::new(Action::Load { module: module.clone(), app, vsn, implied, purge }, reason));
    }

    /// Loads the modules of replaced libraries that no instruction names and no appup keeps.
    fn implied(&mut self) {
        for (_, new) in self.replaced() {
            for module in new.modules() {
                if self.loaded.contains(module) || self.removed.contains_key(module) || self.keeps(module) {
                    continue;
                }
                let (app, vsn) = (new.name().clone(), new.version().clone());
                let cause = Cause::Implied { module: module.clone(), app, vsn };
                self.stage(module, new, true, PurgeWords::default(), cause.into());
            }
        }
    }

    fn keeps(&self, module: &ModuleName) -> bool {
        self.relup.keep.contains(module) && !self.loaded.contains(module)
    }

    /// Tells which old modules hold their replaced library.
    fn left_behind(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (old, new) in self.replaced() {
            let (app, vsn) = (old.name(), old.version());
            for module in old.modules().iter().filter(|module| !self.removed.contains_key(module)) {
                let (module, app, vsn) = (module.clone(), app.clone(), vsn.clone());
                if self.keeps(&module) {
                    warnings.push(Warning::Kept { module, app, vsn });
                } else if !new.modules().contains(&module) {
                    warnings.push(Warning::NotDeleted { module, app, vsn });
                }
            }
        }
        warnings
    }

    fn suspend(&mut self, suspend: &Suspend, reason: &Reason) {
        let Suspend { module, timeout } = suspend;
        self.member(
            Member { module: module.clone(), timeout: *timeout, change: self.change(module) },
            reason,
        );
    }

    /// Adds a member once; a time-out that somebody wrote replaces the default.
    fn member(&mut self, member: Member, reason: &Reason) {
        self.members_reason.join(reason);
        match self.members.iter_mut().find(|known| known.module == member.module) {
            Some(known) if known.timeout == Timeout::Default => known.timeout = member.timeout,
            Some(_) => {}
            None => self.members.push(member),
        }
    }

    /// Returns what happens to the users of a module; by hand, a code_change is an advanced one.
    fn change(&self, module: &ModuleName) -> MemberChange {
        let by_hand = self.relup.lines.iter().any(|line| {
            matches!(&line.instruction, LowLevel::CodeChange { modules, .. }
                if modules.iter().any(|change| change.module == *module))
        });
        let usual = if by_hand { MemberChange::Advanced } else { MemberChange::Soft };
        self.relup.changes.get(module).copied().unwrap_or(usual)
    }

    fn resume(&mut self, module: &ModuleName) {
        if !self.resumed.contains(module) {
            self.resumed.push(module.clone());
        }
    }

    fn code_change(&mut self, mode: Mode, change: &CodeChange, reason: Reason) -> Result<(), PlanError> {
        let CodeChange { module, extra } = change;
        let missing = || PlanError::NoOldModule { word: "code_change", module: module.clone() };
        let old = self.from.owner(module).ok_or_else(missing)?;
        let new = self.to.owner(module).ok_or_else(|| PlanError::NoSuchModule { module: module.clone() })?;
        let action = Action::CodeChange {
            module: module.clone(),
            app: new.name().clone(),
            from: old.version().clone(),
            to: new.version().clone(),
            mode,
            change: self.change(module),
            extra: extra.clone(),
            inside: self.inside.iter().any(|step| matches!(step.action, Action::Apply(_))),
        };
        self.inside.push(Step::new(action, reason));
        Ok(())
    }

    fn apply(&mut self, call: &Apply, reason: Reason) {
        let held = call.ends_child() || call.ends_application() || self.holds_object_of(call);
        let step = Step::new(Action::Apply(call.clone()), reason);
        match (self.switched, held) {
            (_, true) => self.held.push(step),
            (false, false) => self.before.push(step),
            (true, false) => self.inside.push(step),
        }
    }

    /// Returns whether a call about the same supervisor or app waits for the switch already.
    fn holds_object_of(&self, call: &Apply) -> bool {
        let Some(object) = call.object() else { return false };
        self.held.iter().any(|step| match &step.action {
            Action::Apply(earlier) => earlier.module == call.module && earlier.object() == Some(object),
            _ => false,
        })
    }

    fn start(&mut self, app: &AppName, start_type: StartType, reason: Reason) {
        let app = app.clone();
        if self.restarted.contains(&app) {
            self.inside.push(Step::new(Action::RestartApplication { app, start_type }, reason));
        } else {
            self.started.push(Step::new(Action::StartApplication { app, start_type }, reason));
        }
    }

    fn known(&mut self, app: &AppName, reason: Reason) {
        self.started.push(Step::new(Action::LoadApplication { app: app.clone() }, reason));
    }

    fn stop_application(&mut self, app: &AppName, reason: Reason) {
        let starts_again = self.relup.lines.iter().any(
            |line| matches!(&line.instruction, LowLevel::StartApplication { app: started, .. } if started == app),
        );
        if !starts_again {
            self.hold(Action::StopApplication { app: app.clone() }, reason);
        }
    }

    /// The users of a stopped module rest until they can be stopped: new code must not see their state.
    fn stop(&mut self, modules: &[ModuleName], reason: Reason) {
        for module in modules {
            let (module, timeout) = (module.clone(), Timeout::Default);
            self.member(Member { module, timeout, change: MemberChange::Stop }, &reason);
        }
        self.hold(Action::Stop { modules: modules.to_vec() }, reason);
    }

    fn remove(&mut self, module: &ModuleName, purge: PurgeWords, reason: Reason) -> Result<(), PlanError> {
        if self.loaded.contains(module) {
            return Ok(());
        }
        let missing = || PlanError::NoOldModule { word: "remove", module: module.clone() };
        let owner = self.from.owner(module).ok_or_else(missing)?;
        let (app, vsn) = (owner.name().clone(), owner.version().clone());
        self.hold(Action::Remove { module: module.clone(), app, vsn, purge }, reason);
        Ok(())
    }

    /// Keeps the written purges only: a remove is followed by a purge as its own words say.
    fn purge(&mut self, modules: &[ModuleName], reason: Reason) {
        let by_remove =
            |module: &ModuleName| self.removed.get(module).is_some_and(|words| words.post.is_none());
        let written = |module: &&ModuleName| !by_remove(module) && !self.purged_before_load(module);
        let modules: Vec<_> = modules.iter().filter(written).cloned().collect();
        if !modules.is_empty() {
            self.hold(Action::Purge { modules }, reason);
        }
    }

    fn purged_before_load(&self, module: &ModuleName) -> bool {
        let position =
            |is: &dyn Fn(&LowLevel) -> bool| self.relup.lines.iter().position(|line| is(&line.instruction));
        let purge = position(&|low| matches!(low, LowLevel::Purge { modules } if modules.contains(module)));
        let load = position(&|low| matches!(low, LowLevel::Load { module: loaded, .. } if loaded == module));
        matches!((purge, load), (Some(purge), Some(load)) if purge < load)
            && !self.removed.contains_key(module)
    }

    fn hold(&mut self, action: Action, reason: Reason) {
        self.held.push(Step::new(action, reason));
    }

    fn steps(self) -> Vec<Step> {
        let resume = (!self.resumed.is_empty())
            .then(|| Step::new(Action::Resume { modules: self.resumed }, self.members_reason.clone()));
        let suspend = (!self.members.is_empty())
            .then(|| Step::new(Action::Suspend { modules: self.members }, self.members_reason));
        let switch = Step::new(Action::Switch, Cause::Always.into());
        let until_gate =
            [self.first, self.object_code, self.before, self.staged, self.started].into_iter().flatten();
        let gate = suspend.into_iter().chain(self.inside).chain([switch]).chain(resume);
        until_gate.chain(gate).chain(self.held).chain(self.last).collect()
    }
}

fn open(library: &ReleaseApp, reason: Reason) -> Step {
    let (app, vsn) = (library.name().clone(), library.version().clone());
    Step::new(Action::LoadObjectCode { app, vsn, modules: library.modules().to_vec() }, reason)
}

fn replaced(old: &ReleaseApp, new: &ReleaseApp) -> Reason {
    let (from, to) = (old.version().clone(), new.version().clone());
    Cause::Replaced { app: new.name().clone(), from, to }.into()
}
