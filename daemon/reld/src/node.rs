//! The node: where the houses meet. Translates the release handler's words into the runtime's and the loader's.

mod calls;
mod foresee;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reld_api::term;
use reld_handler::{
    AppName, AppSpec, Apply, BuiltIn, ChangedChildren, Child, Coming, Comparison, Conversion, Converted,
    Dropped, Exited, Foreseen, Gate, Image, Interrupt, Library, Lingerer, Look, Mode, ModuleName, Node,
    NodeError, OldCode, OrphanPolicy, Outsider, OutsiderKind, Passage, Pause, Pid, Precopied, Process,
    PurgeMethod, Purged, Raised, Resident, Slot, Staging, StateChange, Tried, Unrest, Vsn,
};
use reld_loader::{Digest, Loader, OpenRequest};
use reld_runtime::{
    self as runtime, AppStatus, Behaviour, ConvertError, Module, Place, ProcessInfo, Runtime, StopCause,
    Upgrade,
};

use self::calls::StoppedChild;
use crate::ask::Answers;
use crate::config::other_modules;
use crate::probe;

/// What the API may look at beside the runtime; shared with the thread that carries upgrades out.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The apps of the release that runs.
    pub(crate) apps: BTreeMap<AppName, AppSpec>,
    /// When a module's code became old.
    pub(crate) old_since: HashMap<String, Instant>,
    /// Whether code was changed by hand since the boot.
    pub(crate) dirty: bool,
}

/// The libraries that were loaded in another process without harm, by digest and modules, and what was found of each.
type Harmless = HashMap<(String, Vec<ModuleName>), Tried>;

/// The node of this daemon.
#[derive(Debug)]
pub(crate) struct RuntimeNode {
    runtime: Runtime,
    loader: Arc<Loader>,
    shared: Arc<Mutex<Shared>>,
    /// The folder for files that are gone with the daemon.
    scratch: PathBuf,
    images: BTreeMap<Image, Mapped>,
    harmless: Arc<Mutex<Harmless>>,
    /// What libraries have answered in another process.
    answers: Arc<Mutex<Answers>>,
    /// Whether whoever asks this node has left: what runs in another process for it is ended.
    left: Arc<AtomicBool>,
    next_image: u64,
    staging: Staging,
    /// The staged apps in the runtime's words, made before the gate is up.
    specs: Vec<runtime::AppSpec>,
    upgrade: Option<Upgrade>,
    /// What became of the processes of these modules during the last upgrade that is over.
    over: (Vec<String>, runtime::Entries),
    /// Whether the switch of that upgrade is behind it.
    is_switched: bool,
    /// Suspended over the switch, to be stopped by their supervisors after it.
    held: Vec<runtime::Pid>,
    /// Stopped so, to be started again.
    stopped: Vec<StoppedChild>,
    /// The environments of running apps as they were before the first switch of the upgrade.
    environments: Vec<(String, BTreeMap<String, runtime::Bytes>)>,
    /// Orphans that are held to be killed.
    doomed: Vec<runtime::Pid>,
}

/// A library that was opened. It is taken again as long as a module of it is in some slot.
#[derive(Debug)]
struct Mapped {
    library: reld_loader::Library,
    sha256: String,
    /// Whether it was loaded for something that has not staged it yet.
    is_awaited: bool,
}

impl RuntimeNode {
    pub(crate) fn new(
        runtime: Runtime,
        loader: Arc<Loader>,
        shared: Arc<Mutex<Shared>>,
        scratch: PathBuf,
    ) -> Self {
        Self {
            runtime,
            loader,
            shared,
            answers: Arc::new(Mutex::new(Answers::new(scratch.clone()))),
            left: Arc::default(),
            scratch,
            images: BTreeMap::new(),
            harmless: Arc::default(),
            next_image: 1,
            staging: Staging::default(),
            specs: Vec::new(),
            upgrade: None,
            over: Default::default(),
            is_switched: false,
            held: Vec::new(),
            stopped: Vec::new(),
            environments: Vec::new(),
            doomed: Vec::new(),
        }
    }

    /// Returns this node for questions only, which `left` ends.
    pub(crate) fn for_questions(&self, left: Arc<AtomicBool>) -> Self {
        let (runtime, loader) = (self.runtime.clone(), Arc::clone(&self.loader));
        let node = Self::new(runtime, loader, Arc::clone(&self.shared), self.scratch.clone());
        let (harmless, answers) = (Arc::clone(&self.harmless), Arc::clone(&self.answers));
        Self { harmless, answers, left, ..node }
    }

    fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Loads one app's library by hand: its modules become current at once.
    pub(crate) fn load_by_hand(
        &mut self,
        library: &Library,
        deadline: Instant,
    ) -> Result<(), LoadByHandError> {
        self.probe(library)?;
        let image = self.load(library, deadline, &Interrupt::default())?;
        let modules = self.images[&image].library.modules().to_vec();
        let names: Vec<String> = modules.iter().map(|module| module.name().to_owned()).collect();
        let loaded = self.runtime.load(modules, deadline);
        self.nothing_awaited();
        if let Err(error) = loaded {
            self.drop_unused();
            return Err(error.into());
        }
        let mut shared = self.shared.lock();
        shared.dirty = true;
        shared.old_since.extend(names.into_iter().map(|name| (name, Instant::now())));
        Ok(())
    }

    /// Notes that the node does not run what its release says.
    pub(crate) fn changed_by_hand(&mut self) {
        self.shared.lock().dirty = true;
    }

    /// Notes that the code server was changed by hand.
    pub(crate) fn purged_by_hand(&mut self) {
        self.changed_by_hand();
        self.drop_unused();
    }

    fn process(&self, pid: runtime::Pid) -> Option<Process> {
        self.runtime.process(pid).map(|info| process(&info))
    }

    fn processes(&self, pids: &[runtime::Pid]) -> Vec<Process> {
        pids.iter().filter_map(|pid| self.process(*pid)).collect()
    }

    fn lingerers(&self, pids: &[runtime::Pid]) -> Vec<Lingerer> {
        let infos = pids.iter().filter_map(|pid| self.runtime.process(*pid));
        let lingerer = |info: ProcessInfo| Lingerer {
            process: process(&info),
            supervisor: info.parent.map(|parent| self.runtime.called(parent)),
            vsn: vsn(&info.version),
        };
        infos.map(lingerer).collect()
    }

    fn staged_modules(&self) -> Result<Vec<Arc<dyn Module>>, NodeError> {
        self.staging.modules.iter().map(|(name, image)| self.staged_module(name, *image)).collect()
    }

    fn staged_module(&self, name: &ModuleName, image: Image) -> Result<Arc<dyn Module>, NodeError> {
        let library = self.images.get(&image).map(|mapped| &mapped.library);
        let found = library.and_then(|library| library.modules().iter().find(|m| m.name() == name.as_str()));
        let module = found.cloned().ok_or_else(|| NodeError::Stage {
            module: name.clone(),
            reason: "no loaded library has it".to_owned(),
        })?;
        self.same_behaviour(name, module)
    }

    /// A process cannot become one of another kind.
    fn same_behaviour(&self, name: &ModuleName, new: Arc<dyn Module>) -> Result<Arc<dyn Module>, NodeError> {
        let current =
            self.runtime.code().into_iter().find(|v| v.module == name.as_str() && v.place == Place::Current);
        match current {
            Some(current)
                if current.behaviour != new.behaviour()
                    && !self.runtime.users(name.as_str(), Place::Current).is_empty() =>
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

    /// Returns the spec under which an app is to be started.
    fn spec(&self, app: &AppName) -> Option<AppSpec> {
        let staged = self.staging.apps.iter().find(|spec| spec.name == *app);
        staged.cloned().or_else(|| self.shared.lock().apps.get(app).cloned())
    }

    fn open(
        &self,
        library: &Library,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<reld_loader::Library, NodeError> {
        let refuse =
            |reason: String| NodeError::Load { app: library.app.clone(), vsn: library.vsn.clone(), reason };
        let request = OpenRequest {
            source: library.file.clone(),
            sha256: Some(
                digest(&library.sha256).ok_or_else(|| refuse("its digest is no sha256".to_owned()))?,
            ),
            app: library.app.to_string(),
            version: library.vsn.to_string(),
        };
        let given_up = || interrupt.wish().map(|wish| wish.to_string());
        let opened = self.loader.open_unless(request, left(deadline), given_up);
        let opened = opened.map_err(|error| refuse(chain(&error)))?;
        let has: Vec<&str> = opened.modules().iter().map(|module| module.name()).collect();
        let listed: Vec<&str> = library.modules.iter().map(ModuleName::as_str).collect();
        other_modules(&listed, &has).map_or(Ok(opened), |differs| Err(refuse(differs)))
    }

    /// Notes that whatever was loaded is in its slots, or never will be.
    fn nothing_awaited(&mut self) {
        self.images.values_mut().for_each(|mapped| mapped.is_awaited = false);
    }

    /// Lets go of the images that are in no slot, and waits for the loader to unmap them. A worker that has just ended a
    /// process holds its code for a moment more, which is waited for.
    fn drop_unused(&mut self) {
        let deadline = Instant::now() + PASSING;
        loop {
            self.images.retain(|_, mapped| mapped.is_awaited || !is_unused(&mapped.library));
            if Instant::now() >= deadline || !self.images.values().any(|mapped| self.is_passing(mapped)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.loader.settle();
    }

    /// Returns whether an image is in no slot any more and still held by somebody.
    fn is_passing(&self, mapped: &Mapped) -> bool {
        let library = &mapped.library;
        let is_of = |code: &runtime::Version| code.app == library.app() && code.version == library.version();
        !mapped.is_awaited && !self.runtime.code().iter().any(is_of)
    }

    fn app_of(&self, module: &str) -> (AppName, Vsn) {
        let mut versions: Vec<_> = self.runtime.code().into_iter().filter(|v| v.module == module).collect();
        let staged = versions.iter().position(|v| v.place == Place::Staged);
        let current = versions.iter().position(|v| v.place == Place::Current);
        let version = staged.or(current).map(|at| versions.swap_remove(at));
        version.map_or_else(|| (app(module), vsn("0.0.0")), |v| (app(&v.app), vsn(&v.version)))
    }

    fn change_code_error(&self, error: ConvertError, module: &ModuleName, limit: Duration) -> NodeError {
        let (app, _) = self.app_of(module.as_str());
        let unknown = |pid: runtime::Pid| Process {
            pid: self::pid(pid),
            name: None,
            module: module.clone(),
            app: app.clone(),
        };
        let who = |pid: runtime::Pid| Box::new(self.process(pid).unwrap_or_else(|| unknown(pid)));
        match error {
            ConvertError::Refused { pid, version, exit } => {
                NodeError::ChangeCode { process: who(pid), vsn: vsn(&version), reason: exit.to_string() }
            }
            ConvertError::TimedOut { pid, version } => NodeError::ChangeCodeTimedOut {
                process: who(pid),
                vsn: vsn(&version),
                after_ms: millis(limit),
            },
            ConvertError::NoWayBack { from, to, cause } => {
                let Some(pid) = cause.pid() else { return self.change_code_error(*cause, module, limit) };
                let reason = no_way_back(&cause, limit);
                NodeError::NoWayBack { process: who(pid), from: vsn(&from), to: vsn(&to), reason }
            }
            ConvertError::GivenUp => NodeError::GivenUp,
            ConvertError::Starved => NodeError::Starved { module: module.clone(), after_ms: millis(limit) },
        }
    }
}

/// Says which version answered what when a state was carried back.
fn no_way_back(cause: &ConvertError, limit: Duration) -> String {
    match cause {
        ConvertError::Refused { version, exit, .. } => format!("{version} answered: {exit}"),
        ConvertError::TimedOut { version, .. } => {
            format!("{version} did not return within {} ms", millis(limit))
        }
        ConvertError::NoWayBack { .. } | ConvertError::Starved | ConvertError::GivenUp => cause.to_string(),
    }
}

/// Why a library was not loaded by hand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadByHandError {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Code(#[from] runtime::CodeError),
}

impl Node for RuntimeNode {
    fn old_code(&self) -> Vec<OldCode> {
        let old = self.runtime.code().into_iter().filter(|version| version.place == Place::Old);
        old.map(|version| OldCode {
            lingering: self.lingerers(&self.runtime.users(&version.module, Place::Old)),
            module: module(&version.module),
            vsn: vsn(&version.version),
        })
        .collect()
    }

    fn outsiders(&self, modules: &[ModuleName]) -> Vec<Outsider> {
        let modules: Vec<&str> = modules.iter().map(ModuleName::as_str).collect();
        let kind = |info: &ProcessInfo| match info.behaviour {
            Behaviour::Task => OutsiderKind::Task,
            _ => OutsiderKind::Orphan,
        };
        let outsiders = self.runtime.outsiders(&modules).into_iter();
        outsiders.map(|info| Outsider { process: process(&info), kind: kind(&info) }).collect()
    }

    fn successor(&self) -> Result<Vsn, NodeError> {
        crate::daemon::installed().map_err(|error| NodeError::Successor { reason: format!("{error:#}") })
    }

    fn comparison(&self) -> Comparison {
        let staged: Vec<&str> = match &self.upgrade {
            Some(_) => self.staging.modules.keys().map(ModuleName::as_str).collect(),
            None => self.over.0.iter().map(String::as_str).collect(),
        };
        let journal = self.upgrade.as_ref().map_or_else(|| self.over.1.clone(), Upgrade::journal);
        let unconverted = self.upgrade.as_ref().map(|upgrade| upgrade.unconverted(&staged));
        let timed_out = self.processes(&journal.timed_out);
        let concerned = journal.died.into_iter().filter(|death| staged.contains(&death.module.as_str()));
        let exits = concerned.map(|death| Exited {
            process: Process {
                pid: pid(death.pid),
                name: death.name,
                app: self.app_of(&death.module).0,
                module: module(&death.module),
            },
            reason: death.exit.to_string(),
        });
        let started = self.processes(&journal.started).into_iter();
        Comparison {
            exits: exits.collect(),
            starts: started.filter(|process| staged.contains(&process.module.as_str())).collect(),
            unconverted: self.processes(&unconverted.unwrap_or_default()),
            timeouts: timed_out.iter().filter(|process| staged.contains(&process.module.as_str())).count(),
        }
    }

    fn supervisor(&self, place: &str) -> Option<Pid> {
        self.supervisor_at(place).ok().map(pid)
    }

    fn refuses(&self, library: &Library, call: &Apply) -> Option<String> {
        self.refuses_call(library, call)
    }

    fn children(&self, supervisor: Pid) -> Option<Vec<Child>> {
        self.children_of(runtime_pid(supervisor))
    }

    fn crashes(&self) -> Vec<Exited> {
        let crash = |crash: runtime::Crash| Exited {
            process: Process {
                pid: pid(crash.pid),
                name: crash.name,
                module: module(&crash.module),
                app: app(&crash.app),
            },
            reason: crash.exit.to_string(),
        };
        self.runtime.crashes().into_iter().map(crash).collect()
    }

    fn residents(&self) -> Vec<Resident> {
        let purged = self.loader.residents().into_iter().filter(|resident| resident.condemned.is_some());
        let resident = |resident: reld_loader::Resident| Resident {
            app: app(&resident.app),
            vsn: vsn(&resident.version),
            reason: resident.reason,
        };
        purged.map(resident).collect()
    }

    fn which_applications(&self) -> BTreeMap<AppName, Option<Pid>> {
        let running = |(spec, status): (runtime::AppSpec, AppStatus)| match status {
            AppStatus::Running { process, .. } => Some((app(&spec.name), process.map(pid))),
            _ => None,
        };
        self.runtime.applications().into_iter().filter_map(running).collect()
    }

    fn fallen(&self) -> Vec<(AppName, String)> {
        let fallen = |(spec, _): (runtime::AppSpec, AppStatus)| {
            Some((app(&spec.name), self.runtime.took_node_down(&spec.name)?.to_string()))
        };
        self.runtime.applications().into_iter().filter_map(fallen).collect()
    }

    fn processes_of(&self, app: &AppName) -> Vec<Process> {
        let processes = self.runtime.processes().into_iter();
        processes.filter(|info| info.app == app.as_str()).map(|info| process(&info)).collect()
    }

    fn probe(&self, library: &Library) -> Result<Tried, NodeError> {
        let known = (library.sha256.clone(), library.modules.clone());
        if let Some(tried) = self.harmless.lock().get(&known) {
            return Ok(tried.clone());
        }
        let refuse =
            |reason: String| NodeError::Load { app: library.app.clone(), vsn: library.vsn.clone(), reason };
        let behaviours = probe::library(library, &self.scratch, &|| self.is_left()).map_err(refuse)?;
        let bytes = fs::read(&library.file).map_err(|error| refuse(error.to_string()))?;
        let stays = reld_loader::stays_mapped(&bytes).map_err(|refusal| refuse(refusal.to_string()))?;
        let tried = Tried { behaviours, stays };
        self.harmless.lock().insert(known, tried.clone());
        Ok(tried)
    }

    fn refuses_spec(&self, app: &AppSpec) -> Option<String> {
        runtime_spec(app).err()
    }

    fn foresee(&self, coming: &[Coming<'_>], look: Look) -> Foreseen {
        self.foreseen(coming, look)
    }

    fn threads(&self, app: &AppName, vsn: &Vsn) -> usize {
        let version = vsn.to_string();
        let libraries = self.loader.residents().into_iter().filter(|library| library.condemned.is_none());
        libraries
            .filter(|library| library.app == app.as_str() && library.version == version)
            .map(|library| library.threads)
            .sum()
    }

    fn load(
        &mut self,
        library: &Library,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Image, NodeError> {
        let same = |mapped: &Mapped| {
            mapped.sha256 == library.sha256
                && mapped.library.app() == library.app.as_str()
                && mapped.library.version() == library.vsn.to_string()
        };
        if let Some((image, mapped)) = self.images.iter_mut().find(|(_, mapped)| same(mapped)) {
            mapped.is_awaited = true;
            return Ok(*image);
        }
        let opened = self.open(library, deadline, interrupt)?;
        let image = Image(self.next_image);
        self.next_image += 1;
        self.images
            .insert(image, Mapped { library: opened, sha256: library.sha256.clone(), is_awaited: true });
        Ok(image)
    }

    fn unload(&mut self, _image: Image) -> Result<(), NodeError> {
        // All that was loaded is; an image that was there before is in some slot and stays.
        self.nothing_awaited();
        self.drop_unused();
        Ok(())
    }

    fn stage(&mut self, staging: &Staging) -> Result<(), NodeError> {
        let refused = |spec: &AppSpec, reason| NodeError::StartApplication {
            app: spec.name.clone(),
            vsn: spec.vsn.clone(),
            reason,
        };
        let spec = |spec| runtime_spec(spec).map_err(|reason| refused(spec, reason));
        self.specs = staging.apps.iter().map(spec).collect::<Result<_, _>>()?;
        self.staging = staging.clone();
        let modules = match self.staged_modules() {
            Ok(modules) => modules,
            Err(error) => {
                self.staging = Staging::default();
                return Err(error);
            }
        };
        self.nothing_awaited();
        if !staging.continues {
            self.environments.clear();
        }
        let removals: Vec<String> = staging.removals.iter().map(ToString::to_string).collect();
        let at_once: Vec<String> = staging.at_once.iter().map(ToString::to_string).collect();
        self.upgrade = Some(self.runtime.stage(modules, &removals, &at_once));
        self.is_switched = false;
        Ok(())
    }

    fn unstage(&mut self) {
        self.staging = Staging::default();
        if let Some(upgrade) = self.upgrade.take() {
            upgrade.finish();
        }
    }

    fn start_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError> {
        let spec = self.spec(app);
        let refuse = |reason: String| NodeError::StartApplication {
            app: app.clone(),
            vsn: spec.as_ref().map_or_else(|| vsn("0.0.0"), |spec| spec.vsn.clone()),
            reason,
        };
        let Some(spec) = &spec else {
            return Err(refuse("no release that runs or is staged has it".to_owned()));
        };
        self.runtime.load_application(runtime_spec(spec).map_err(refuse)?);
        if !spec.start_type.starts() {
            return Ok(());
        }
        self.runtime.start_application(app.as_str(), deadline).map_err(|error| {
            self.runtime.unload_application(app.as_str());
            refuse(error.to_string())
        })
    }

    fn stop_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError> {
        match self.runtime.stop_application(app.as_str(), StopCause::Upgrade, deadline) {
            // One that ended by itself before, or never had anything to start, is stopped.
            Ok(()) | Err(runtime::AppError::NotStarted(_) | runtime::AppError::Unknown(_)) => Ok(()),
            Err(_) => Err(NodeError::StopApplication { app: app.clone(), left: self.processes_of(app) }),
        }
    }

    fn unload_application(&mut self, app: &AppName) {
        self.runtime.unload_application(app.as_str());
        // Before the switch it is what the upgrade was to bring.
        if self.upgrade.is_none() {
            self.shared.lock().apps.remove(app);
        }
    }

    fn apply(&mut self, call: &Apply, deadline: Instant) -> Result<(), NodeError> {
        self.apply_function(call, deadline)
    }

    fn call(&mut self, call: &BuiltIn, deadline: Instant) -> Result<(), NodeError> {
        self.call_built_in(call, deadline)
    }

    fn stop_children(&mut self, _modules: &[ModuleName], deadline: Instant) -> Result<(), NodeError> {
        self.stop_held(deadline)
    }

    fn start_children(&mut self, modules: &[ModuleName], deadline: Instant) -> Result<(), NodeError> {
        self.start_stopped(modules, deadline)
    }

    fn config_change(&mut self, deadline: Instant) -> Vec<String> {
        let told = std::mem::take(&mut self.environments).into_iter();
        let told = told.map(|(app, before)| self.runtime.config_change(&app, &before, deadline));
        told.filter_map(|answer| answer.err().map(|error| error.to_string())).collect()
    }

    fn raise(&mut self, gate: &Gate, deadline: Instant) -> Result<Raised, NodeError> {
        let Some(upgrade) = &mut self.upgrade else { return Ok(Raised::default()) };
        let began = Instant::now();
        let rest = left(deadline);
        let members: HashMap<String, runtime::Member> = gate
            .members
            .iter()
            .map(|member| (member.module.to_string(), member_terms(member, rest)))
            .collect();
        if let Err(late) = upgrade.raise(members, is_member(&self.runtime, gate.orphans)) {
            return Err(NodeError::NotAtRest {
                processes: self.processes(&late),
                after_ms: millis(began.elapsed()),
            });
        }
        let mut unrested = upgrade.left().to_vec();
        unrested.retain(|pid| !self.doomed.contains(pid));
        if gate.orphans == OrphanPolicy::Kill {
            let newborn = upgrade.newborn().iter().copied();
            let doomed: Vec<_> = newborn.filter(|pid| is_orphan_pid(&self.runtime, *pid)).collect();
            upgrade.give_up(&doomed);
            self.doomed.extend(doomed);
        }
        let at_rest = upgrade.count().saturating_sub(upgrade.left().len());
        let (precopied, tried) = (upgrade.precopied(), upgrade.tried());
        let doomed_orphans = std::mem::take(&mut self.doomed);
        let (killed, stay): (Vec<Process>, Vec<Process>) =
            self.processes(&unrested).into_iter().partition(|process| unrest(gate, process) == Unrest::Kill);
        let doomed = self.processes(&doomed_orphans).into_iter().chain(killed).collect();
        self.hold_stopped(gate);
        Ok(Raised { at_rest, precopied, tried, left: stay, doomed })
    }

    fn precopy(
        &mut self,
        gate: &Gate,
        passages: &[Passage],
        limit: Duration,
    ) -> Result<Precopied, NodeError> {
        let named = passages.iter().map(|p| Ok((p.conversion.module.to_string(), passage(p)?)));
        let passages = named.collect::<Result<HashMap<_, _>, NodeError>>()?;
        let leaving = gate.leaving.iter().filter_map(|child| self.leaving(child)).collect();
        let Some(upgrade) = &mut self.upgrade else { return Ok(Precopied::default()) };
        let modules = gate.members.iter().map(|member| member.module.as_str());
        upgrade.enlist(modules, is_member(&self.runtime, gate.orphans));
        upgrade.leave(leaving);
        self.doomed.clear();
        if gate.orphans == OrphanPolicy::Kill {
            self.doomed.extend(upgrade.members().filter(|pid| is_orphan_pid(&self.runtime, *pid)));
            upgrade.give_up(&self.doomed);
        }
        match upgrade.precopy(&passages, limit) {
            Ok(runtime::Precopied { processes, rounds, trial }) => Ok(Precopied { processes, rounds, trial }),
            Err(error) => {
                let module = error.pid().and_then(|pid| self.process(pid)).map(|process| process.module);
                let module = module.unwrap_or_else(|| gate.members[0].module.clone());
                Err(self.change_code_error(error, &module, limit))
            }
        }
    }

    fn convert(&mut self, conversion: &Conversion, limit: Duration) -> Result<Converted, NodeError> {
        let Some(upgrade) = &self.upgrade else { return Ok(Converted::default()) };
        let how = how(&conversion.module, &conversion.change)?;
        match upgrade.convert(conversion.module.as_str(), how, limit) {
            Ok(converted) => Ok(Converted {
                processes: converted.processes,
                children: converted
                    .children
                    .into_iter()
                    .filter_map(|(pid, c)| self.changed(pid, &c))
                    .collect(),
            }),
            Err(error) => Err(self.change_code_error(error, &conversion.module, limit)),
        }
    }

    fn discard(&mut self) {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.discard();
        }
    }

    fn switch(&mut self) {
        if !self.staging.continues {
            self.runtime.forget_crashes();
        }
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.switch();
        }
        self.is_switched = true;
        if self.environments.is_empty() {
            self.environments = self.running_environments();
        }
        let mut shared = self.shared.lock();
        let now = Instant::now();
        let replaced = self.staging.modules.keys().chain(&self.staging.removals);
        shared.old_since.extend(replaced.map(|module| (module.to_string(), now)));
        for spec in self.specs.drain(..) {
            self.runtime.load_application(spec);
        }
        shared.apps.extend(self.staging.apps.iter().map(|spec| (spec.name.clone(), spec.clone())));
    }

    fn lower(&mut self) -> Pause {
        let pause = self.upgrade.as_mut().map(Upgrade::lower).unwrap_or_default();
        if !self.is_switched {
            self.let_go(Instant::now() + KILL_GRACE);
        }
        Pause {
            p50_us: micros(pause.p50),
            p99_us: micros(pause.p99),
            max_us: micros(pause.max),
            processes: pause.processes,
        }
    }

    fn sweep(&mut self, deadline: Instant) {
        let staging = std::mem::take(&mut self.staging);
        if let Some(upgrade) = self.upgrade.take() {
            upgrade.sweep(deadline);
            self.over = (staging.modules.keys().map(ToString::to_string).collect(), upgrade.finish());
        }
    }

    fn kill(&mut self, pids: &[Pid]) {
        let pids: Vec<runtime::Pid> = pids.iter().map(|pid| runtime_pid(*pid)).collect();
        self.runtime.kill(&pids, Instant::now() + KILL_GRACE);
    }

    fn purge(
        &mut self,
        slot: Slot,
        modules: &[ModuleName],
        method: PurgeMethod,
        deadline: Instant,
    ) -> Purged {
        let place = match slot {
            Slot::Old => Place::Old,
            Slot::Condemned => Place::Condemned,
        };
        let mut purged = Purged::default();
        for name in modules {
            let before = self.runtime.users(name.as_str(), place);
            let who = self.processes(&before);
            let result = match method {
                PurgeMethod::Soft => self.runtime.soft_purge(name.as_str(), place),
                PurgeMethod::Brutal => self.runtime.purge(name.as_str(), place, deadline),
            };
            // A module that the node does not have is purged.
            let result = result.unwrap_or_default();
            let killed: Vec<Pid> = result.killed.iter().map(|killed| pid(*killed)).collect();
            purged.killed.extend(who.into_iter().filter(|process| killed.contains(&process.pid)));
            if result.lingering.is_empty() {
                purged.modules.push(name.clone());
            }
            purged.lingering.extend(self.lingerers(&result.lingering));
        }
        self.drop_unused();
        purged
    }
}

/// How long is waited for who holds code for a moment only. Who holds it longer keeps it mapped until a later purge.
const PASSING: Duration = Duration::from_millis(20);

/// How long killed processes are waited for.
const KILL_GRACE: Duration = Duration::from_secs(1);

impl RuntimeNode {
    /// Keeps the users of modules that are to be stopped as they are until then.
    fn hold_stopped(&mut self, gate: &Gate) {
        let stops =
            |module: &str| gate.members.iter().any(|member| member.stop && member.module.as_str() == module);
        let Some(upgrade) = self.upgrade.as_mut().filter(|_| gate.members.iter().any(|member| member.stop))
        else {
            return;
        };
        let is_stopped =
            |pid: &runtime::Pid| self.runtime.process(*pid).is_some_and(|info| stops(&info.module));
        let pids: Vec<runtime::Pid> = upgrade.members().filter(is_stopped).collect();
        upgrade.give_up(&pids);
        self.hold(pids, Instant::now() + KILL_GRACE);
    }

    fn running_environments(&self) -> Vec<(String, BTreeMap<String, runtime::Bytes>)> {
        let apps = self.runtime.applications().into_iter();
        let running = apps.filter(|(_, status)| matches!(status, AppStatus::Running { .. }));
        running.map(|(spec, _)| (spec.name, spec.env)).collect()
    }

    fn changed(&self, pid: runtime::Pid, change: &runtime::Change) -> Option<ChangedChildren> {
        if change.vanished.is_empty() && change.added.is_empty() {
            return None;
        }
        let ids = |ids: &[Vec<u8>]| ids.iter().map(|id| term::to_json(id).unwrap_or_default()).collect();
        Some(ChangedChildren {
            supervisor: self.process(pid)?,
            vanished: ids(&change.vanished),
            added: ids(&change.added),
        })
    }
}

fn passage(passage: &Passage) -> Result<runtime::Passage, NodeError> {
    let Passage { conversion: Conversion { module, change }, back } = passage;
    let back = back.as_ref().map(|back| how(module, back)).transpose()?;
    Ok(runtime::Passage { how: how(module, change)?, back })
}

fn how(module: &ModuleName, change: &StateChange) -> Result<runtime::Conversion, NodeError> {
    let bytes = |extra| {
        let refuse = |error: term::TermError| NodeError::Stage {
            module: module.clone(),
            reason: format!("the data of its instruction cannot be handed over: {error}"),
        };
        term::to_msgpack(extra).map_err(refuse)
    };
    Ok(match change {
        StateChange::Soft(dropped) => runtime::Conversion::Soft { cut: cut(dropped) },
        StateChange::Supervisor => runtime::Conversion::Supervisor,
        StateChange::Advanced { mode: Mode::Up, vsn, extra, .. } => {
            runtime::Conversion::Up { from: vsn.to_string(), extra: bytes(extra)? }
        }
        StateChange::Advanced { mode: Mode::Down, vsn, extra, dropped } => {
            runtime::Conversion::Down { to: vsn.to_string(), extra: bytes(extra)?, cut: cut(dropped) }
        }
    })
}

fn cut(Dropped(places): &Dropped) -> runtime::Cut {
    runtime::Cut::new(places)
}

fn member_terms(member: &reld_handler::Member, rest: Duration) -> runtime::Member {
    runtime::Member {
        timeout: member.timeout.unwrap_or(rest),
        unrest: match member.unrest {
            Unrest::Abort => runtime::Unrest::Abort,
            Unrest::Kill => runtime::Unrest::Kill,
            Unrest::Leave => runtime::Unrest::Leave,
        },
    }
}

/// Says of a process and its parent whether it is a member. Processes of applications have no parent and are no orphans.
fn is_member(
    runtime: &Runtime,
    orphans: OrphanPolicy,
) -> impl Fn(runtime::Pid, Option<runtime::Pid>) -> bool {
    move |pid, parent| {
        parent.is_some()
            || matches!(orphans, OrphanPolicy::Include | OrphanPolicy::Kill)
            || runtime.process(pid).is_some_and(|info| !info.is_orphan())
    }
}

fn unrest(gate: &Gate, process: &Process) -> Unrest {
    gate.members.iter().find(|member| member.module == process.module).map(|m| m.unrest).unwrap_or_default()
}

/// Says an app in the runtime's words.
///
/// # Errors
/// A key of its environment that cannot be handed over.
fn runtime_spec(spec: &AppSpec) -> Result<runtime::AppSpec, String> {
    let refuse = |key: &str, error: term::TermError| format!("{key} cannot be handed over: {error}");
    let value = |(key, value): (&String, _)| match term::to_msgpack(value) {
        Ok(bytes) => Ok((key.clone(), bytes)),
        Err(error) => Err(refuse(&format!("env.{key}"), error)),
    };
    let phase = |phase: &reld_handler::StartPhase| match term::to_msgpack(&phase.arg) {
        Ok(arg) => Ok((phase.name.clone(), arg)),
        Err(error) => Err(refuse(&format!("the argument of start phase {}", phase.name), error)),
    };
    Ok(runtime::AppSpec {
        name: spec.name.to_string(),
        version: spec.vsn.to_string(),
        start: spec.start.as_ref().map(ToString::to_string),
        start_type: start_type(spec),
        applications: spec.applications.iter().map(ToString::to_string).collect(),
        start_phases: spec.start_phases.iter().map(phase).collect::<Result<_, _>>()?,
        env: spec.env.iter().map(value).collect::<Result<_, _>>()?,
    })
}

/// What the end of an app means for the node. One that a boot does not start may be started by hand.
fn start_type(spec: &AppSpec) -> runtime::StartType {
    use reld_handler::StartType::{Load, None, Permanent, Temporary, Transient};
    match spec.start_type {
        Permanent => runtime::StartType::Permanent,
        Transient => runtime::StartType::Transient,
        Temporary | Load | None => runtime::StartType::Temporary,
    }
}

fn is_orphan_pid(runtime: &Runtime, pid: runtime::Pid) -> bool {
    runtime.process(pid).is_some_and(|info| info.is_orphan())
}

/// Returns whether no module of a library is in any slot. Here each is held once more, by the library's own list.
fn is_unused(library: &reld_loader::Library) -> bool {
    library.modules().iter().all(|module| Arc::strong_count(module) == 1)
}

fn process(info: &ProcessInfo) -> Process {
    Process {
        pid: pid(info.pid),
        name: info.names.first().cloned(),
        module: module(&info.module),
        app: app(&info.app),
    }
}

fn pid(pid: runtime::Pid) -> Pid {
    Pid { slot: pid.slot, generation: pid.generation }
}

fn runtime_pid(pid: Pid) -> runtime::Pid {
    runtime::Pid { slot: pid.slot, generation: pid.generation }
}

// Names in the tables come from documents and from libraries whose names were compared with documents.

fn module(name: &str) -> ModuleName {
    name.parse().expect("a loaded module's name was checked when it was loaded")
}

fn app(name: &str) -> AppName {
    name.parse().expect("a loaded app's name was checked when it was loaded")
}

fn vsn(version: &str) -> Vsn {
    version.parse().expect("a loaded app's version was checked when it was loaded")
}

fn digest(hex: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    (hex.len() == 64).then_some(digest)
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
