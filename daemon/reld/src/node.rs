//! The node: where the houses meet. Translates the release handler's words into the runtime's and the loader's.

mod apps;
mod calls;
mod conversion;
mod foresee;
mod journal;
mod libraries;
mod stops;
mod window;
mod words;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reld_handler::{
    AppName, AppSpec, Apply, BuiltIn, Child, Coming, Comparison, Conversion, Converted, Exited, Foreseen,
    Gate, Image, Interrupt, Library, Look, ModuleName, Node, NodeError, OldCode, Outsider, Passage, Pause,
    Pid, Precopied, Process, PurgeMethod, Purged, Raised, Resident, Slot, Staging, Tried, Vsn,
};
use reld_loader::Loader;
use reld_runtime::{self as runtime, Runtime};

use self::apps::{Environments, runtime_spec};
use self::journal::Over;
use self::libraries::{Harmless, Libraries};
use self::stops::Stops;
use self::window::Window;
use self::words::runtime_pid;
use crate::ask::Answers;

/// How long killed processes are waited for.
const KILL_GRACE: Duration = Duration::from_secs(1);

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

/// The node of this daemon.
#[derive(Debug)]
pub(crate) struct RuntimeNode {
    runtime: Runtime,
    shared: Arc<Mutex<Shared>>,
    libraries: Libraries,
    /// The folder for files that are gone with the daemon.
    scratch: PathBuf,
    harmless: Arc<Harmless>,
    /// What libraries have answered in another process.
    answers: Arc<Mutex<Answers>>,
    /// Whether whoever asks this node has left: what runs in another process for it is ended.
    left: Arc<AtomicBool>,
    window: Option<Window>,
    /// The last window that is over.
    over: Over,
    stops: Stops,
    /// The environments of running apps as they were before the first switch of the upgrade.
    environments: Environments,
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
            shared,
            libraries: Libraries::new(loader),
            answers: Arc::new(Mutex::new(Answers::new(scratch.clone()))),
            left: Arc::default(),
            scratch,
            harmless: Arc::default(),
            window: None,
            over: Over::default(),
            stops: Stops::default(),
            environments: Vec::new(),
        }
    }

    /// Returns this node for questions only, which `left` ends.
    pub(crate) fn for_questions(&self, left: Arc<AtomicBool>) -> Self {
        let (runtime, loader) = (self.runtime.clone(), Arc::clone(self.libraries.loader()));
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
        let image = self.libraries.load(library, deadline, &Interrupt::default())?;
        let modules = self.libraries.modules(image).to_vec();
        let names: Vec<String> = modules.iter().map(|module| module.name().to_owned()).collect();
        let loaded = self.runtime.load(modules, deadline);
        self.libraries.nothing_awaited();
        if let Err(error) = loaded {
            self.libraries.drop_unused(&self.runtime);
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
        self.libraries.drop_unused(&self.runtime);
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
        self.code_that_is_old()
    }

    fn outsiders(&self, modules: &[ModuleName]) -> Vec<Outsider> {
        self.outside(modules)
    }

    fn successor(&self) -> Result<Vsn, NodeError> {
        crate::daemon::installed().map_err(|error| NodeError::Successor { reason: format!("{error:#}") })
    }

    fn comparison(&self) -> Comparison {
        self.compared()
    }

    fn supervisor(&self, place: &str) -> Option<Pid> {
        self.supervisor_at(place).ok().map(words::pid)
    }

    fn refuses(&self, library: &Library, call: &Apply) -> Option<String> {
        self.refuses_call(library, call)
    }

    fn children(&self, supervisor: Pid) -> Option<Vec<Child>> {
        self.children_of(runtime_pid(supervisor))
    }

    fn crashes(&self) -> Vec<Exited> {
        self.crashed()
    }

    fn residents(&self) -> Vec<Resident> {
        self.libraries.residents()
    }

    fn which_applications(&self) -> BTreeMap<AppName, Option<Pid>> {
        self.running()
    }

    fn fallen(&self) -> Vec<(AppName, String)> {
        self.fallen_apps()
    }

    fn processes_of(&self, app: &AppName) -> Vec<Process> {
        self.processes_of_app(app)
    }

    fn probe(&self, library: &Library) -> Result<Tried, NodeError> {
        self.harmless.probe(library, &self.scratch, &|| self.is_left())
    }

    fn refuses_spec(&self, app: &AppSpec) -> Option<String> {
        runtime_spec(app).err()
    }

    fn foresee(&self, coming: &[Coming<'_>], look: Look) -> Foreseen {
        self.foreseen(coming, look)
    }

    fn threads(&self, app: &AppName, vsn: &Vsn) -> usize {
        self.libraries.threads(app, vsn)
    }

    fn load(
        &mut self,
        library: &Library,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Image, NodeError> {
        self.libraries.load(library, deadline, interrupt)
    }

    fn unload(&mut self, _image: Image) -> Result<(), NodeError> {
        // All that was loaded is; an image that was there before is in some slot and stays.
        self.libraries.nothing_awaited();
        self.libraries.drop_unused(&self.runtime);
        Ok(())
    }

    fn stage(&mut self, staging: &Staging) -> Result<(), NodeError> {
        self.open_window(staging)
    }

    fn unstage(&mut self) {
        self.forget_window();
    }

    fn start_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError> {
        self.start_app(app, deadline)
    }

    fn stop_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError> {
        self.stop_app(app, deadline)
    }

    fn unload_application(&mut self, app: &AppName) {
        self.forget_app(app);
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
        let before = std::mem::take(&mut self.environments);
        self.tell_changes(before, deadline)
    }

    fn raise(&mut self, gate: &Gate, deadline: Instant) -> Result<Raised, NodeError> {
        let Some(window) = &mut self.window else { return Ok(Raised::default()) };
        let raised = window.raise(&self.runtime, gate, deadline)?;
        self.hold_stopped(gate);
        Ok(raised)
    }

    fn precopy(
        &mut self,
        gate: &Gate,
        passages: &[Passage],
        limit: Duration,
    ) -> Result<Precopied, NodeError> {
        let leaving = gate.leaving.iter().filter_map(|child| self.leaving(child)).collect();
        let Some(window) = &mut self.window else { return Ok(Precopied::default()) };
        window.precopy(&self.runtime, gate, leaving, passages, limit)
    }

    fn convert(&mut self, conversion: &Conversion, limit: Duration) -> Result<Converted, NodeError> {
        let Some(window) = &self.window else { return Ok(Converted::default()) };
        window.convert(&self.runtime, conversion, limit)
    }

    fn discard(&mut self) {
        if let Some(window) = &mut self.window {
            window.discard();
        }
    }

    fn switch(&mut self) {
        self.switch_window();
    }

    fn lower(&mut self) -> Pause {
        self.lower_gate()
    }

    fn sweep(&mut self, deadline: Instant) {
        self.sweep_window(deadline);
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
        let purged = self.purge_each(slot, modules, method, deadline);
        self.libraries.drop_unused(&self.runtime);
        purged
    }
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
