//! Conversions from types of the runtime to types of the handler.

use std::time::{Duration, Instant};

use reld_handler::{AppName, Lingerer, ModuleName, Pid, Process, Vsn};
use reld_runtime::{Place, ProcessInfo, Runtime};

/// Finds a live process.
pub(super) fn find(runtime: &Runtime, pid: reld_wire::Pid) -> Option<Process> {
    runtime.process(pid).map(|info| process(&info))
}

/// Finds the processes that are still alive.
pub(super) fn find_all(runtime: &Runtime, pids: &[reld_wire::Pid]) -> Vec<Process> {
    pids.iter().filter_map(|pid| find(runtime, *pid)).collect()
}

/// Finds the processes that are still alive, as lingerers.
pub(super) fn lingerers(runtime: &Runtime, pids: &[reld_wire::Pid]) -> Vec<Lingerer> {
    let infos = pids.iter().filter_map(|pid| runtime.process(*pid));
    let lingerer = |info: ProcessInfo| Lingerer {
        process: process(&info),
        supervisor: info.parent.map(|parent| runtime.called(parent)),
        vsn: vsn(&info.version),
    };
    infos.map(lingerer).collect()
}

/// Returns the app of a module. The staged code takes precedence over the current code.
pub(super) fn app_of(runtime: &Runtime, module: &str) -> AppName {
    let mut versions: Vec<_> = runtime.code().into_iter().filter(|v| v.module == module).collect();
    let staged = versions.iter().position(|v| v.place == Place::Staged);
    let current = versions.iter().position(|v| v.place == Place::Current);
    let version = staged.or(current).map(|at| versions.swap_remove(at));
    version.map_or_else(|| app(module), |v| app(&v.app))
}

pub(super) fn process(info: &ProcessInfo) -> Process {
    Process {
        pid: pid(info.pid),
        name: info.names.first().cloned(),
        module: module(&info.module),
        app: app(&info.app),
    }
}

pub(super) fn pid(pid: reld_wire::Pid) -> Pid {
    Pid { slot: pid.slot, generation: pid.generation }
}

pub(super) fn runtime_pid(pid: Pid) -> reld_wire::Pid {
    reld_wire::Pid { slot: pid.slot, generation: pid.generation }
}

// Names in the runtime's tables are valid. They come from documents, or from libraries that were
// compared with documents.

pub(super) fn module(name: &str) -> ModuleName {
    name.parse().expect("a loaded module's name was checked when it was loaded")
}

pub(super) fn app(name: &str) -> AppName {
    name.parse().expect("a loaded app's name was checked when it was loaded")
}

pub(super) fn vsn(version: &str) -> Vsn {
    version.parse().expect("a loaded app's version was checked when it was loaded")
}

pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Returns an error and its causes as one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
