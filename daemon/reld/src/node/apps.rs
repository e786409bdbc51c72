//! Starts and stops of apps, and changes of their environment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reld_handler::{AppName, AppSpec, NodeError, Pid, Process};
use reld_runtime::{self as runtime, AppStatus, Runtime};
use reld_wire::application::StopCause;
use serde_json::{Map, Value};

use super::shared::Shared;
use super::spec::runtime_spec;
use super::window::Window;
use super::words::{app, pid, process, vsn};

/// The time that an app has to return to its previous environment after it took too long. The
/// notice stays in its mailbox.
const RETURN: Duration = Duration::from_millis(100);

/// A snapshot of the environments of the running apps.
pub(super) type Environments = Vec<(String, BTreeMap<String, runtime::Bytes>)>;

/// The apps of the node, and those of the open window.
#[derive(Clone, Copy)]
pub(super) struct Apps<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) shared: &'a Mutex<Shared>,
    pub(super) window: Option<&'a Window>,
}

impl Apps<'_> {
    pub(super) fn running(self) -> BTreeMap<AppName, Option<Pid>> {
        let running = |(spec, status): (runtime::AppSpec, AppStatus)| match status {
            AppStatus::Running { process, .. } => Some((app(&spec.name), process.map(pid))),
            _ => None,
        };
        self.runtime.applications().into_iter().filter_map(running).collect()
    }

    pub(super) fn fallen(self) -> Vec<(AppName, String)> {
        let fallen = |(spec, _): (runtime::AppSpec, AppStatus)| {
            Some((app(&spec.name), self.runtime.took_node_down(&spec.name)?.to_string()))
        };
        self.runtime.applications().into_iter().filter_map(fallen).collect()
    }

    pub(super) fn processes_of(self, app: &AppName) -> Vec<Process> {
        let processes = self.runtime.processes().into_iter();
        processes.filter(|info| info.app == app.as_str()).map(|info| process(&info)).collect()
    }

    /// Returns the spec for starting an app. A staged spec takes precedence.
    pub(super) fn spec(self, app: &AppName) -> Option<AppSpec> {
        let staged = self.window.and_then(|window| window.app(app));
        staged.cloned().or_else(|| self.shared.lock().apps.get(app).cloned())
    }

    pub(super) fn start(self, app: &AppName, deadline: Instant) -> Result<(), NodeError> {
        let spec = self.spec(app);
        let refuse = |reason: String| NodeError::StartApplication {
            app: app.clone(),
            vsn: spec.as_ref().map_or_else(|| vsn("0.0.0"), |spec| spec.vsn.clone()),
            reason,
        };
        let Some(spec) = &spec else {
            return Err(refuse("neither the running nor the staged release has it".to_owned()));
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

    pub(super) fn stop(self, app: &AppName, deadline: Instant) -> Result<(), NodeError> {
        match self.runtime.stop_application(app.as_str(), StopCause::Upgrade, deadline) {
            // The app has ended by itself, or had nothing to start.
            Ok(()) | Err(runtime::AppError::NotStarted(_) | runtime::AppError::Unknown(_)) => Ok(()),
            Err(_) => Err(NodeError::StopApplication { app: app.clone(), left: self.processes_of(app) }),
        }
    }

    pub(super) fn forget(self, app: &AppName) {
        self.runtime.unload_application(app.as_str());
        // While a window is open, this undoes the addition of a staged app. An entry in `apps` is
        // then of the version before the switch.
        if self.window.is_none() {
            self.shared.lock().apps.remove(app);
        }
    }

    /// Notifies the apps of changes to their environment. Returns the errors of the apps.
    pub(super) fn announce(self, before: Environments, deadline: Instant) -> Vec<String> {
        let answers =
            before.into_iter().map(|(app, before)| self.runtime.config_change(&app, &before, deadline));
        answers.filter_map(|answer| answer.err().map(|error| error.to_string())).collect()
    }

    /// Replaces the environment of an app and notifies it. On an error, the app has its previous
    /// environment again.
    pub(super) fn configure(
        self,
        app: &AppName,
        env: &Map<String, Value>,
        deadline: Instant,
    ) -> Result<(), NodeError> {
        let refuse = |reason: String| NodeError::Configure { app: app.clone(), reason };
        let Some(spec) = self.shared.lock().apps.get(app).cloned() else { return Ok(()) };
        let spec = AppSpec { env: env.clone(), ..spec };
        if let Some(before) = self.runtime.application(app.as_str()) {
            let values = runtime_spec(&spec).map_err(refuse)?.env;
            let after = runtime::AppSpec { env: values, ..before.clone() };
            self.runtime.load_application(after.clone());
            if let Err(error) = self.runtime.config_change(app.as_str(), &before.env, deadline) {
                self.runtime.load_application(before);
                if matches!(error, runtime::AppError::TimedOut { .. }) {
                    // The callback may act on the new values when it goes on.
                    let _ = self.runtime.config_change(app.as_str(), &after.env, Instant::now() + RETURN);
                }
                return Err(refuse(error.to_string()));
            }
        }
        self.shared.lock().apps.insert(app.clone(), spec);
        Ok(())
    }
}

/// Returns the environments of the running apps.
pub(super) fn environments(runtime: &Runtime) -> Environments {
    let apps = runtime.applications().into_iter();
    let running = apps.filter(|(_, status)| matches!(status, AppStatus::Running { .. }));
    running.map(|(spec, _)| (spec.name, spec.env)).collect()
}
