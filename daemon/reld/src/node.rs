//! The node: carries out the release handler's requests with the runtime and the loader.

mod apps;
mod calls;
mod conversion;
mod foresee;
mod journal;
mod libraries;
mod shared;
mod spec;
mod stops;
mod window;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reld_handler::{
    AppName, AppSpec, Apply, BuiltIn, Child, Coming, Comparison, Conversion, Converted, Exited, Foreseen,
    Gate, Held, Idle, Image, Interrupt, Library, Look, ModuleName, Node, NodeError, OldCode, Outsider,
    Passage, Pause, Pid, Precopied, Process, PurgeMethod, Purged, Raised, ReleaseHandler, Resident, Slot,
    Staged, Staging, Switched, Tried, Vsn,
};
use reld_loader::Loader;
use reld_runtime::{self as runtime, Runtime};
use serde_json::{Map, Value};

use self::apps::{Apps, Environments};
use self::foresee::Forecast;
use self::libraries::{Harmless, Libraries};
pub(crate) use self::shared::Shared;
use self::spec::runtime_spec;
use self::stops::Stops;
use self::window::{Over, Window};
pub(crate) use self::words::chain;
use self::words::runtime_pid;
use crate::ask::Answers;

/// The time limit for killed processes to end.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// The release handler of this daemon.
pub(crate) type Handler = ReleaseHandler<RuntimeNode>;

/// The node of this daemon.
#[derive(Debug)]
pub(crate) struct RuntimeNode {
    runtime: Runtime,
    shared: Arc<Mutex<Shared>>,
    libraries: Libraries,
    /// The folder for temporary files. The next daemon empties it.
    scratch: PathBuf,
    harmless: Arc<Harmless>,
    /// The cached answers of libraries. Throw-away processes run the library code that answers.
    answers: Arc<Mutex<Answers>>,
    /// Whether the client that this handle works for has disconnected. Its throw-away processes are
    /// then killed.
    left: Arc<AtomicBool>,
    window: Option<Window>,
    /// The result of the last finished window.
    over: Over,
    stops: Stops,
    /// The environments of running apps before the first switch of the upgrade.
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

    /// Returns a second handle to this node, for questions only. Setting `left` cancels the
    /// questions.
    pub(crate) fn for_questions(&self, left: Arc<AtomicBool>) -> Self {
        let (runtime, loader) = (self.runtime.clone(), Arc::clone(self.libraries.loader()));
        let node = Self::new(runtime, loader, Arc::clone(&self.shared), self.scratch.clone());
        let (harmless, answers) = (Arc::clone(&self.harmless), Arc::clone(&self.answers));
        Self { harmless, answers, left, ..node }
    }

    fn is_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    fn apps(&self) -> Apps<'_> {
        Apps { runtime: &self.runtime, shared: &self.shared, window: self.window.as_ref() }
    }

    fn forecast(&self) -> Forecast<'_> {
        Forecast { runtime: &self.runtime, answers: &self.answers, left: &self.left }
    }

    /// Loads one app's library by hand. Its modules become current at once.
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

    /// Marks the node as dirty: it no longer runs exactly the code of its release.
    pub(crate) fn changed_by_hand(&mut self) {
        self.shared.lock().dirty = true;
    }

    /// Records a purge by hand, and drops unused libraries.
    pub(crate) fn purged_by_hand(&mut self) {
        self.changed_by_hand();
        self.libraries.drop_unused(&self.runtime);
    }
}

/// Returns the open window. The caller has a token (`Staged`, `Held` or `Switched`), which proves
/// that a window is open.
fn opened(window: &mut Option<Window>) -> &mut Window {
    window.as_mut().expect("a token exists only while a window is open")
}

/// The reason why a library was not loaded by hand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadByHandError {
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Code(#[from] runtime::CodeError),
}

impl Node for RuntimeNode {
    fn old_code(&self) -> Vec<OldCode> {
        journal::old_code(&self.runtime)
    }

    fn outsiders(&self, modules: &[ModuleName]) -> Vec<Outsider> {
        journal::outsiders(&self.runtime, modules)
    }

    fn successor(&self) -> Result<Vsn, NodeError> {
        crate::program::installed().map_err(|error| NodeError::Successor { reason: format!("{error:#}") })
    }

    fn comparison(&self) -> Comparison {
        journal::comparison(&self.runtime, self.window.as_ref(), &self.over)
    }

    fn supervisor(&self, place: &str) -> Result<Pid, String> {
        calls::supervisor_at(&self.runtime, place).map(words::pid)
    }

    fn refuses(&self, library: &Library, call: &Apply) -> Option<String> {
        self.forecast().refuses_call(library, call)
    }

    fn children(&self, supervisor: Pid) -> Option<Vec<Child>> {
        calls::children_of(&self.runtime, runtime_pid(supervisor))
    }

    fn crashes(&self) -> Vec<Exited> {
        journal::crashes(&self.runtime)
    }

    fn residents(&self) -> Vec<Resident> {
        self.libraries.residents()
    }

    fn which_applications(&self) -> BTreeMap<AppName, Option<Pid>> {
        self.apps().running()
    }

    fn fallen(&self) -> Vec<(AppName, String)> {
        self.apps().fallen()
    }

    fn processes_of(&self, app: &AppName) -> Vec<Process> {
        self.apps().processes_of(app)
    }

    fn probe(&self, library: &Library) -> Result<Tried, NodeError> {
        self.harmless.probe(library, &self.scratch, &|| self.is_left())
    }

    fn refuses_spec(&self, app: &AppSpec) -> Option<String> {
        runtime_spec(app).err()
    }

    fn foresee(&self, coming: &[Coming<'_>], look: Look) -> Foreseen {
        self.forecast().foreseen(coming, look)
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
        // The new images are not staged and will not be staged. An image whose modules are already
        // in use stays loaded.
        self.libraries.nothing_awaited();
        self.libraries.drop_unused(&self.runtime);
        Ok(())
    }

    fn stage(&mut self, idle: Idle, staging: &Staging) -> Result<Staged, NodeError> {
        self.window = Some(Window::open(&self.runtime, &mut self.libraries, staging)?);
        if !staging.continues {
            self.environments.clear();
        }
        Ok(idle.stage())
    }

    fn unstage(&mut self, _: Staged) {
        if let Some(window) = self.window.take() {
            window.forget();
        }
    }

    fn start_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError> {
        self.apps().start(app, deadline)
    }

    fn stop_application(&mut self, app: &AppName, deadline: Instant) -> Result<(), NodeError> {
        self.apps().stop(app, deadline)
    }

    fn unload_application(&mut self, app: &AppName) {
        self.apps().forget(app);
    }

    fn apply(&mut self, call: &Apply, deadline: Instant) -> Result<(), NodeError> {
        calls::apply(&self.runtime, call, deadline)
    }

    fn call(&mut self, call: &BuiltIn, deadline: Instant) -> Result<(), NodeError> {
        calls::built_in(self.apps(), call, deadline)
    }

    fn start_child(
        &mut self,
        _: &Switched,
        call: &BuiltIn,
        held: Instant,
        deadline: Instant,
    ) -> Result<(), NodeError> {
        let Self { window, runtime, .. } = self;
        calls::start_child_held(runtime, opened(window), call, held, deadline)
    }

    fn stop_children(&mut self, _modules: &[ModuleName], deadline: Instant) -> Result<(), NodeError> {
        self.stops.stop(&self.runtime, deadline)
    }

    fn start_children(&mut self, modules: &[ModuleName], deadline: Instant) -> Result<(), NodeError> {
        self.stops.start(&self.runtime, modules, deadline)
    }

    fn config_change(&mut self, deadline: Instant) -> Vec<String> {
        let before = std::mem::take(&mut self.environments);
        self.apps().announce(before, deadline)
    }

    fn configure(
        &mut self,
        app: &AppName,
        env: &Map<String, Value>,
        deadline: Instant,
    ) -> Result<(), NodeError> {
        self.apps().configure(app, env, deadline)
    }

    fn raise(
        &mut self,
        staged: Staged,
        gate: &Gate,
        deadline: Instant,
    ) -> Result<(Held, Raised), (Staged, NodeError)> {
        let Self { window, runtime, stops, .. } = self;
        let window = opened(window);
        match window.raise(runtime, gate, deadline) {
            Ok(raised) => {
                stops.hold(runtime, window.stopped(runtime, gate), Instant::now() + KILL_GRACE);
                Ok((staged.hold(), raised))
            }
            Err(error) => Err((staged, error)),
        }
    }

    fn precopy(
        &mut self,
        _: &Staged,
        gate: &Gate,
        passages: &[Passage],
        limit: Duration,
    ) -> Result<Precopied, NodeError> {
        let Self { window, runtime, .. } = self;
        let leaving = gate.leaving.iter().filter_map(|child| calls::leaving(runtime, child)).collect();
        opened(window).precopy(runtime, gate, leaving, passages, limit)
    }

    fn convert(
        &mut self,
        _: &Held,
        conversion: &Conversion,
        limit: Duration,
    ) -> Result<Converted, NodeError> {
        opened(&mut self.window).convert(&self.runtime, conversion, limit)
    }

    fn discard(&mut self, _: &Staged) {
        opened(&mut self.window).discard();
    }

    fn switch(&mut self, held: Held) -> Switched {
        let Self { window, runtime, shared, environments, .. } = self;
        opened(window).switch(runtime, shared, || {
            if environments.is_empty() {
                *environments = apps::environments(runtime);
            }
        });
        held.switch()
    }

    fn lower(&mut self, held: Held) -> (Staged, Pause) {
        let pause = opened(&mut self.window).lower();
        self.stops.let_go(&self.runtime, Instant::now() + KILL_GRACE);
        (held.lower(), pause)
    }

    fn resume(&mut self, _: &Switched) -> Pause {
        opened(&mut self.window).lower()
    }

    fn sweep(&mut self, _: Switched, deadline: Instant) {
        if let Some(window) = self.window.take() {
            self.over = window.sweep(deadline);
        }
    }

    fn kill(&mut self, pids: &[Pid]) {
        let pids: Vec<reld_wire::Pid> = pids.iter().map(|pid| runtime_pid(*pid)).collect();
        self.runtime.kill(&pids, Instant::now() + KILL_GRACE);
    }

    fn purge(
        &mut self,
        slot: Slot,
        modules: &[ModuleName],
        method: PurgeMethod,
        deadline: Instant,
    ) -> Purged {
        let purged = journal::purge(&self.runtime, slot, modules, method, deadline);
        self.libraries.drop_unused(&self.runtime);
        purged
    }
}
