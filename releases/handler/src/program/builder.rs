//! Builds the program of one window from its steps.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use reld_plan::{
    Action, AppName, Apply, BuiltIn, Dropped, Member as Suspended, MemberChange, ModuleName, PurgeMethod,
    PurgeWords, Script, Step, SyncWith, Timeout,
};
use serde_json::Value;

use crate::action::{built_in_call, conversion, post, pre_purges};
use crate::material::Material;
use crate::meeting::{self, Meeting};
use crate::node::{Conversion, Gate, LeavingChild, Member, Passage, Slot, StateChange, Unrest};
use crate::options::InstallOptions;
use crate::step::{Blueprint, Effect, Finish, Inside, Numbered, Precopy, Program};

/// The bound in place of OTP's `infinity`. Every wait of the handler is bounded.
const INFINITY: Duration = Duration::from_secs(24 * 60 * 60);

/// Builds the program in one pass over a window of a script.
pub(super) struct Builder<'a> {
    script: &'a Script,
    /// The steps of the window.
    steps: &'a [Step],
    window: Range<usize>,
    material: &'a Material,
    options: InstallOptions,
    program: Program,
    /// The number of the current step, counted from 1 as the script prints it.
    step: usize,
    is_staged: bool,
    /// Whether the members are still held after the switch, because only starts of children have
    /// followed it.
    is_held: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        script: &'a Script,
        window: Range<usize>,
        material: &'a Material,
        options: InstallOptions,
    ) -> Self {
        // Renamings are left out: renamed children have their new ids before their supervisor is
        // updated.
        let expected = script.steps[window.start..].iter().filter_map(built_in_call);
        let expected = expected.filter(|call| call.undo().is_none());
        let (expected, steps) = (expected.collect(), script.steps.len());
        let program = Program { expected, steps, ..Program::default() };
        let steps = &script.steps[window.clone()];
        Self { script, steps, window, material, options, program, step: 0, is_staged: false, is_held: false }
    }

    pub(super) fn program(mut self) -> Program {
        for (number, step) in (self.window.start + 1..).zip(self.steps) {
            self.step = number;
            self.put(&step.action);
        }
        self.finish()
    }

    const fn is_switched(&self) -> bool {
        self.program.switch > 0
    }

    /// Returns whether this is the last window of the script.
    fn is_last(&self) -> bool {
        self.window.end == self.script.steps.len()
    }

    fn put(&mut self, action: &Action) {
        self.is_held &= matches!(action, Action::Apply(call) if call.starts_child());
        match action {
            Action::LoadObjectCode { app, .. } => self.load(app),
            Action::Apply(call) => self.apply(call),
            Action::RestartApplication { app, .. } => self.before(Effect::StopApplication(app.clone())),
            Action::Load { .. } => self.stage(),
            Action::StartApplication { app, .. } | Action::LoadApplication { app } => self.start(app),
            Action::Suspend { modules } => self.raise(modules),
            Action::CodeChange { .. } => {
                conversion(action).into_iter().for_each(|conversion| self.convert(conversion));
            }
            Action::Switch => self.switch(),
            Action::StopApplication { app } => self.after(Finish::StopApplication(app.clone())),
            Action::UnloadApplication { app } => self.after(Finish::UnloadApplication(app.clone())),
            Action::Stop { modules } => self.after(Finish::StopChildren(modules.clone())),
            Action::Start { modules } => self.after(Finish::StartChildren(modules.clone())),
            Action::Remove { module, purge, .. } => self.purge(Slot::Old, vec![module.clone()], post(*purge)),
            Action::Purge { modules } => self.purge(Slot::Old, modules.clone(), PurgeMethod::Brutal),
            Action::Resume { .. } => self.program.resume = self.step,
            Action::SyncNodes { id, with } => self.meet(id, with),
            // A script with a restart is not carried out live.
            Action::RestartNewDaemon | Action::RestartDaemon => {}
        }
    }

    fn apply(&mut self, call: &Apply) {
        match call.built_in() {
            None if self.is_switched() => self.after(Finish::Apply(call.clone())),
            None => self.before(Effect::Apply(call.clone())),
            Some(Ok(rename @ BuiltIn::RenameChild { .. })) => self.before(Effect::RenameChild(rename)),
            Some(Ok(call)) if self.is_held => {
                self.program.births.push(self.numbered(call));
                self.program.resume = self.step;
            }
            Some(Ok(call)) => self.after(Finish::Call(call)),
            // `Script::check` rejects such a call.
            Some(Err(_)) => {}
        }
    }

    fn finish(mut self) -> Program {
        for method in [PurgeMethod::Soft, PurgeMethod::Brutal] {
            let modules = self.replaced(|words| post(words) == method);
            self.purge(Slot::Old, modules, method);
        }
        // The finishes of the switch follow the resume.
        let Program { finishes, resume, .. } = &mut self.program;
        finishes.iter_mut().for_each(|finish| finish.step = finish.step.max(*resume));
        self.program
    }

    fn load(&mut self, app: &AppName) {
        if let Some(library) = self.material.libraries.get(app) {
            self.before(Effect::Load(library.clone()));
        }
    }

    /// Stages everything at the first step that needs staged code, and starts the apps that are
    /// restarted.
    fn stage(&mut self) {
        if std::mem::replace(&mut self.is_staged, true) {
            return;
        }
        let modules = self.loads().map(|(module, app, _)| (module.clone(), app.clone())).collect();
        let restarted: Vec<&AppName> = self.restarted().collect();
        let libraries = restarted.iter().filter_map(|app| self.material.libraries.get(*app));
        let at_once = libraries.flat_map(|library| library.modules.clone()).collect();
        let apps = self.material.apps.clone();
        let continues = self.material.continues || self.window.start > 0;
        let removals = self.removals();
        self.program.stage = self.numbered(Blueprint { modules, removals, apps, at_once, continues });
        for app in restarted {
            self.before(Effect::StartApplication(app.clone()));
        }
    }

    fn start(&mut self, app: &AppName) {
        self.stage();
        self.before(Effect::StartApplication(app.clone()));
    }

    /// Raises the gate over modules that are suspended by name, and over other replaced modules.
    fn raise(&mut self, suspended: &[Suspended]) {
        self.stage();
        let named: BTreeSet<&ModuleName> = suspended.iter().map(|member| &member.module).collect();
        let moving = self.replaced(|_| true).into_iter().filter(|module| !named.contains(module));
        let moving =
            moving.map(|module| Member { module, timeout: None, unrest: Unrest::Leave, stop: false });
        let members: Vec<Member> =
            suspended.iter().map(|member| by_name(member, self.options)).chain(moving).collect();
        if members.is_empty() {
            return;
        }
        let gate = Gate { members, orphans: self.options.orphans, leaving: self.leaving() };
        let soft = self.soft_conversions();
        let early = soft.iter().cloned().chain(self.early_conversions()).collect();
        self.program.gate = Some(self.numbered(self.precopy(gate, early)));
        soft.into_iter().for_each(|conversion| self.convert(conversion));
    }

    /// Returns the pre-copy with these conversions. Each has its change for the way back if the way
    /// back is tried.
    fn precopy(&self, gate: Gate, conversions: Vec<Conversion>) -> Precopy {
        let (mut passages, mut untried) = (Vec::new(), BTreeSet::new());
        for conversion in conversions {
            let change = self.material.back.as_ref().map(|back| back.change(&conversion.module)).transpose();
            let back = change.unwrap_or_else(|why| {
                untried.insert(why);
                None
            });
            passages.push(Passage { conversion, back });
        }
        let untried = || untried.into_iter().collect::<Vec<_>>().join("; ");
        Precopy { gate, passages, untried: self.material.back.as_ref().map(|_| untried()) }
    }

    /// Returns the conversions of replaced modules that have no code_change.
    fn soft_conversions(&self) -> Vec<Conversion> {
        let others = self.steps.iter().flat_map(|step| match &step.action {
            Action::CodeChange { module, .. } => vec![module],
            Action::Suspend { modules } => {
                modules.iter().filter(|member| is_stopped(member)).map(|member| &member.module).collect()
            }
            _ => Vec::new(),
        });
        let others: BTreeSet<&ModuleName> = others.collect();
        let loads = self.steps.iter().filter_map(|step| match &step.action {
            Action::Load { module, dropped, .. } if self.material.replaceable.contains(module) => {
                Some((module, dropped))
            }
            _ => None,
        });
        let conversion = |(module, dropped): (&ModuleName, &Dropped)| Conversion {
            module: module.clone(),
            change: StateChange::Soft(dropped.clone()),
        };
        loads.filter(|(module, _)| !others.contains(module)).map(conversion).collect()
    }

    /// Returns the children that the window deletes.
    fn leaving(&self) -> Vec<LeavingChild> {
        let deleted = self.steps.iter().filter_map(built_in_call).filter_map(|call| match call {
            BuiltIn::DeleteChild { supervisor, id } => Some(LeavingChild { supervisor, id }),
            _ => None,
        });
        deleted.collect()
    }

    /// Returns the following conversions that may run before the pause: those before the next
    /// apply, because an apply may prepare the conversions after it.
    fn early_conversions(&self) -> Vec<Conversion> {
        let behind = self.steps.iter().skip(self.step - self.window.start).map(|step| &step.action);
        behind.take_while(|action| !matches!(action, Action::Apply(_))).filter_map(conversion).collect()
    }

    fn switch(&mut self) {
        self.stage();
        if self.program.gate.is_none() {
            self.raise(&[]);
        }
        (self.program.switch, self.program.resume) = (self.step, self.step);
        self.is_held = self.program.gate.is_some();
        if self.script.from.is_some() && self.is_last() {
            self.after(Finish::ConfigChange);
        }
        for method in [PurgeMethod::Soft, PurgeMethod::Brutal] {
            let modules = self.condemned(method);
            self.purge(Slot::Condemned, modules, method);
        }
    }

    fn purge(&mut self, slot: Slot, modules: Vec<ModuleName>, method: PurgeMethod) {
        if !modules.is_empty() {
            self.after(Finish::Purge { slot, modules, method });
        }
    }

    fn meet(&mut self, id: &Value, with: &SyncWith) {
        // A way back meets no other node, because the others may be well.
        let seat = self.material.seat.as_ref().filter(|_| !self.options.goes_back);
        let met = seat.zip(meeting::nodes(with, seat).ok());
        self.program.meeting = met.map(|(seat, nodes)| {
            let (identity, mode) = (seat.identity.clone(), self.script.mode);
            self.numbered(Meeting { id: id.clone(), nodes, identity, mode })
        });
    }

    fn numbered<T>(&self, what: T) -> Numbered<T> {
        Numbered { step: self.step, what }
    }

    /// Adds an effect to the current phase.
    fn before(&mut self, effect: Effect) {
        let step = self.step;
        match (self.is_staged, &self.program.gate) {
            (false, _) => self.program.before.push(Numbered { step, what: effect }),
            (true, None) => self.program.staged.push(Numbered { step, what: effect }),
            (true, Some(_)) => self.program.held.push(Numbered { step, what: Inside::Effect(effect) }),
        }
    }

    fn convert(&mut self, conversion: Conversion) {
        self.program.held.push(self.numbered(Inside::Convert(conversion)));
    }

    fn after(&mut self, what: Finish) {
        self.program.finishes.push(self.numbered(what));
    }

    fn loads(&self) -> impl Iterator<Item = (&'a ModuleName, &'a AppName, PurgeWords)> + use<'a> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Load { module, app, purge, .. } => Some((module, app, *purge)),
            _ => None,
        })
    }

    fn restarted(&self) -> impl Iterator<Item = &'a AppName> + use<'a> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::RestartApplication { app, .. } => Some(app),
            _ => None,
        })
    }

    /// Returns the loaded modules that replace code of the old release.
    fn replaced(&self, wanted: impl Fn(PurgeWords) -> bool) -> Vec<ModuleName> {
        self.loads()
            .filter(|(module, _, words)| self.material.replaceable.contains(*module) && wanted(*words))
            .map(|(module, _, _)| module.clone())
            .collect()
    }

    fn removals(&self) -> Vec<ModuleName> {
        let removed = |action: &Action| match action {
            Action::Remove { module, .. } => Some(module.clone()),
            _ => None,
        };
        self.steps.iter().filter_map(|step| removed(&step.action)).collect()
    }

    fn condemned(&self, wanted: PurgeMethod) -> Vec<ModuleName> {
        pre_purges(self.steps)
            .filter(|(module, _, method)| self.material.replaceable.contains(*module) && *method == wanted)
            .map(|(module, _, _)| module.clone())
            .collect()
    }
}

fn by_name(suspended: &Suspended, options: InstallOptions) -> Member {
    let written = match suspended.timeout {
        Timeout::Default => None,
        Timeout::Infinity => Some(INFINITY),
        Timeout::Ms(ms) => Some(Duration::from_millis(ms)),
    };
    Member {
        module: suspended.module.clone(),
        timeout: options.rest.or(written),
        unrest: options.unrest,
        stop: is_stopped(suspended),
    }
}

fn is_stopped(suspended: &Suspended) -> bool {
    suspended.change == MemberChange::Stop
}
