//! The window of an upgrade under way: the staged code, and the gate that holds its members.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reld_handler::{
    AppName, AppSpec, Conversion, Converted, Gate, Image, ModuleName, NodeError, OrphanPolicy, Passage,
    Pause, Precopied, Process, Raised, Staging, Unrest,
};
use reld_runtime::{self as runtime, Module, Place, Runtime, Upgrade};

use super::conversion::{converted, how, passage, refusal};
use super::libraries::Libraries;
use super::shared::Shared;
use super::spec::runtime_spec;
use super::words::{find, find_all, left, micros, millis};

/// A window. It is open until the sweep after its switch, or until its staged code is dropped.
#[derive(Debug)]
pub(super) struct Window {
    staging: Staging,
    /// The runtime's specs of the staged apps. They are made before the gate is raised, so that
    /// their errors appear early.
    specs: Vec<runtime::AppSpec>,
    upgrade: Upgrade,
    /// Orphans that will be killed after the switch. The gate holds them until then.
    doomed: Vec<reld_wire::Pid>,
}

/// The result of a finished window: its modules, and the starts and ends of their processes.
#[derive(Debug, Default)]
pub(super) struct Over {
    pub(super) modules: Vec<String>,
    pub(super) journal: runtime::Entries,
}

impl Window {
    /// Stages the code of a window. If this fails, nothing is staged.
    pub(super) fn open(
        runtime: &Runtime,
        libraries: &mut Libraries,
        staging: &Staging,
    ) -> Result<Self, NodeError> {
        let refused = |spec: &AppSpec, reason| NodeError::StartApplication {
            app: spec.name.clone(),
            vsn: spec.vsn.clone(),
            reason,
        };
        let spec = |spec| runtime_spec(spec).map_err(|reason| refused(spec, reason));
        let specs = staging.apps.iter().map(spec).collect::<Result<_, _>>()?;
        let module = |(name, image): (&ModuleName, &Image)| staged(runtime, name, libraries.modules(*image));
        let modules = staging.modules.iter().map(module).collect::<Result<_, _>>()?;
        libraries.nothing_awaited();
        let removals: Vec<String> = staging.removals.iter().map(ToString::to_string).collect();
        let at_once: Vec<String> = staging.at_once.iter().map(ToString::to_string).collect();
        let upgrade = runtime.stage(modules, &removals, &at_once);
        Ok(Self { staging: staging.clone(), specs, upgrade, doomed: Vec::new() })
    }

    /// Drops the staged code.
    pub(super) fn forget(self) {
        self.upgrade.finish();
    }

    /// Makes the staged code current, and updates [`Shared`]. `before` saves the old environments
    /// of the apps.
    pub(super) fn switch(&mut self, runtime: &Runtime, shared: &Mutex<Shared>, before: impl FnOnce()) {
        if !self.staging.continues {
            runtime.forget_crashes();
        }
        self.upgrade.switch();
        before();
        self.specs.drain(..).for_each(|spec| runtime.load_application(spec));
        let mut shared = shared.lock();
        let now = Instant::now();
        let replaced = self.staging.modules.keys().chain(&self.staging.removals);
        shared.old_since.extend(replaced.map(|module| (module.to_string(), now)));
        shared.apps.extend(self.staging.apps.iter().map(|spec| (spec.name.clone(), spec.clone())));
    }

    /// Ends the window after its switch. Returns the starts and ends of its processes.
    pub(super) fn sweep(self, deadline: Instant) -> Over {
        self.upgrade.sweep(deadline);
        Over { modules: self.modules(), journal: self.upgrade.finish() }
    }

    /// Returns the spec of a staged app.
    pub(super) fn app(&self, app: &AppName) -> Option<&AppSpec> {
        self.staging.apps.iter().find(|spec| spec.name == *app)
    }

    /// Returns the names of the staged modules.
    pub(super) fn modules(&self) -> Vec<String> {
        self.staging.modules.keys().map(ToString::to_string).collect()
    }

    pub(super) fn journal(&self) -> runtime::Entries {
        self.upgrade.journal()
    }

    pub(super) fn unconverted(&self) -> Vec<reld_wire::Pid> {
        let modules: Vec<&str> = self.staging.modules.keys().map(ModuleName::as_str).collect();
        self.upgrade.unconverted(&modules)
    }

    /// Excludes the processes of modules that are to be stopped from the conversions, and returns
    /// these processes.
    pub(super) fn stopped(&mut self, runtime: &Runtime, gate: &Gate) -> Vec<reld_wire::Pid> {
        let stops =
            |module: &str| gate.members.iter().any(|member| member.stop && member.module.as_str() == module);
        if !gate.members.iter().any(|member| member.stop) {
            return Vec::new();
        }
        let is_stopped = |pid: &reld_wire::Pid| runtime.process(*pid).is_some_and(|info| stops(&info.module));
        let pids: Vec<reld_wire::Pid> = self.upgrade.members().filter(is_stopped).collect();
        self.upgrade.give_up(&pids);
        pids
    }

    pub(super) fn precopy(
        &mut self,
        runtime: &Runtime,
        gate: &Gate,
        leaving: Vec<(reld_wire::Pid, runtime::Bytes)>,
        passages: &[Passage],
        limit: Duration,
    ) -> Result<Precopied, NodeError> {
        let named = passages.iter().map(|p| Ok((p.conversion.module.to_string(), passage(p)?)));
        let passages = named.collect::<Result<HashMap<_, _>, NodeError>>()?;
        let modules = gate.members.iter().map(|member| member.module.as_str());
        self.upgrade.enlist(modules, is_member(runtime, gate.orphans));
        self.upgrade.expect_deleted(leaving);
        self.doomed.clear();
        if gate.orphans == OrphanPolicy::Kill {
            self.doomed.extend(self.upgrade.members().filter(|pid| is_orphan(runtime, *pid)));
            self.upgrade.give_up(&self.doomed);
        }
        match self.upgrade.precopy(&passages, limit) {
            Ok(runtime::Precopied { processes, rounds, trial }) => Ok(Precopied { processes, rounds, trial }),
            Err(error) => {
                let module = error.pid().and_then(|pid| find(runtime, pid)).map(|process| process.module);
                let module = module.unwrap_or_else(|| gate.members[0].module.clone());
                Err(refusal(runtime, error, &module, limit))
            }
        }
    }

    pub(super) fn raise(
        &mut self,
        runtime: &Runtime,
        gate: &Gate,
        deadline: Instant,
    ) -> Result<Raised, NodeError> {
        let began = Instant::now();
        let rest = left(deadline);
        let members = gate.members.iter().map(|member| (member.module.to_string(), terms(member, rest)));
        self.upgrade.raise(members.collect(), is_member(runtime, gate.orphans)).map_err(|late| {
            NodeError::NotAtRest { processes: find_all(runtime, &late), after_ms: millis(began.elapsed()) }
        })?;
        let mut unrested = self.upgrade.excluded().to_vec();
        unrested.retain(|pid| !self.doomed.contains(pid));
        if gate.orphans == OrphanPolicy::Kill {
            let newborn = self.upgrade.newborn().iter().copied();
            let doomed: Vec<_> = newborn.filter(|pid| is_orphan(runtime, *pid)).collect();
            self.upgrade.give_up(&doomed);
            self.doomed.extend(doomed);
        }
        let at_rest = self.upgrade.count().saturating_sub(self.upgrade.excluded().len());
        let (precopied, tried) = (self.upgrade.precopied(), self.upgrade.tried());
        let doomed_orphans = std::mem::take(&mut self.doomed);
        let (killed, stay): (Vec<Process>, Vec<Process>) = find_all(runtime, &unrested)
            .into_iter()
            .partition(|process| unrest(gate, process) == Unrest::Kill);
        let doomed = find_all(runtime, &doomed_orphans).into_iter().chain(killed).collect();
        Ok(Raised { at_rest, precopied, tried, left: stay, doomed })
    }

    pub(super) fn convert(
        &self,
        runtime: &Runtime,
        conversion: &Conversion,
        limit: Duration,
    ) -> Result<Converted, NodeError> {
        let Conversion { module, change } = conversion;
        let done = self.upgrade.convert(module.as_str(), how(module, change)?, limit);
        done.map(|done| converted(runtime, done)).map_err(|error| refusal(runtime, error, module, limit))
    }

    /// Makes a supervisor start a child before the members resume.
    pub(super) fn start_child(
        &mut self,
        runtime: &Runtime,
        (supervisor, request): (reld_wire::Pid, runtime::Bytes),
        held: Instant,
        deadline: Instant,
    ) -> runtime::Answer {
        runtime.start_child_of(&mut self.upgrade, supervisor, request, held, deadline)
    }

    pub(super) fn discard(&mut self) {
        self.upgrade.discard();
    }

    pub(super) fn lower(&mut self) -> Pause {
        let pause = self.upgrade.lower();
        Pause {
            p50_us: micros(pause.p50),
            p99_us: micros(pause.p99),
            max_us: micros(pause.max),
            processes: pause.processes,
        }
    }
}

/// Finds the module in its library and checks that it can be staged.
fn staged(
    runtime: &Runtime,
    name: &ModuleName,
    library: &[Arc<dyn Module>],
) -> Result<Arc<dyn Module>, NodeError> {
    let module = library.iter().find(|module| module.name() == name.as_str()).cloned();
    let module = module.ok_or_else(|| NodeError::Stage {
        module: name.clone(),
        reason: "no loaded library has it".to_owned(),
    })?;
    same_behaviour(runtime, name, module)
}

/// Refuses a new version of a module whose behaviour differs from the current version's, if
/// processes use the current version: a process cannot change its behaviour.
fn same_behaviour(
    runtime: &Runtime,
    name: &ModuleName,
    new: Arc<dyn Module>,
) -> Result<Arc<dyn Module>, NodeError> {
    let current = runtime.code().into_iter().find(|v| v.module == name.as_str() && v.place == Place::Current);
    match current {
        Some(current)
            if current.behaviour != new.behaviour()
                && !runtime.users(name.as_str(), Place::Current).is_empty() =>
        {
            Err(NodeError::Stage {
                module: name.clone(),
                reason: format!(
                    "it is a {:?} in version {} and a {:?} in version {}; stop its processes first",
                    current.behaviour,
                    current.version,
                    new.behaviour(),
                    new.version()
                ),
            })
        }
        _ => Ok(new),
    }
}

fn terms(member: &reld_handler::Member, rest: Duration) -> runtime::Member {
    runtime::Member {
        timeout: member.timeout.unwrap_or(rest),
        unrest: match member.unrest {
            Unrest::Abort => runtime::Unrest::Abort,
            Unrest::Kill => runtime::Unrest::Kill,
            Unrest::Leave => runtime::Unrest::Leave,
        },
    }
}

/// Returns the test whether a process with this parent is a member. Application processes have no
/// parent, but are not orphans.
fn is_member(
    runtime: &Runtime,
    orphans: OrphanPolicy,
) -> impl Fn(reld_wire::Pid, Option<reld_wire::Pid>) -> bool {
    move |pid, parent| {
        parent.is_some()
            || matches!(orphans, OrphanPolicy::Include | OrphanPolicy::Kill)
            || runtime.process(pid).is_some_and(|info| !info.is_orphan())
    }
}

fn unrest(gate: &Gate, process: &Process) -> Unrest {
    gate.members.iter().find(|member| member.module == process.module).map(|m| m.unrest).unwrap_or_default()
}

fn is_orphan(runtime: &Runtime, pid: reld_wire::Pid) -> bool {
    runtime.process(pid).is_some_and(|info| info.is_orphan())
}
