//! The applications of a node, and the state of each.
//!
//! ```text
//! stopped --start--> starting --init, root runs--> running --stop--> stopping --> stopped
//!    starting --init or root failed--> stopped
//!    running --root or process ended--> stopped (with the reason)
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;

use crate::process::card::Env;
use crate::words::code::Bytes;
use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// The time limit of `prep_stop`. Unlike OTP, there is a limit, because a stop must come to an end.
pub const PREP_STOP: Duration = Duration::from_secs(5);

/// The specification of an application. OTP: the application resource.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppSpec {
    /// The name of the application.
    pub name: String,
    /// The version of the application.
    pub version: String,
    /// The module with the application behaviour; `None` for a library application, which has no
    /// processes.
    pub start: Option<String>,
    /// The effect of the application's end on the node.
    pub start_type: StartType,
    /// The applications that must run before this one starts.
    pub applications: Vec<String>,
    /// The start phases, each with its MessagePack argument. OTP: `start_phases`.
    pub start_phases: Vec<(String, Bytes)>,
    /// The environment: MessagePack values by key.
    pub env: BTreeMap<String, Bytes>,
}

/// The effect of the end of a running application on the node. A requested stop does not count as
/// an end. OTP: start types.
///
/// | type      | normal exit     | any other reason |
/// |-----------|-----------------|------------------|
/// | permanent | the node ends   | the node ends    |
/// | transient | only reported   | the node ends    |
/// | temporary | only reported   | only reported    |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartType {
    /// The end of the application always ends the node.
    Permanent,
    /// The end of the application ends the node, unless the reason is normal.
    Transient,
    /// The end of the application is only reported. OTP: the default of `application:start/1`.
    #[default]
    Temporary,
}

impl StartType {
    /// Returns whether the node ends when the application ends with this reason.
    pub fn takes_node_down(self, exit: &Exit) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient => *exit != Exit::Normal,
            Self::Temporary => false,
        }
    }
}

/// The state of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppStatus {
    /// The application is loaded, but does not run. If it has ended, this holds the reason.
    Stopped(Option<Exit>),
    /// The start of the application is under way.
    Starting,
    /// The application runs.
    Running {
        /// The process of the application module; `None` for a library application.
        process: Option<Pid>,
        /// The root supervisor; `None` for a library application.
        root: Option<Pid>,
    },
    /// The stop of the application is under way.
    Stopping,
}

/// The reason why an application was not started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppError {
    /// No such application is loaded.
    #[error("no application {0} is loaded on this node")]
    Unknown(String),
    /// The application is already running.
    #[error("application {0} runs already")]
    AlreadyStarted(String),
    /// The application is not running.
    #[error("application {0} does not run")]
    NotStarted(String),
    /// Another application that this one needs is not running. OTP: `{not_started, Dep}`.
    #[error("application {app} needs {needs}, which is not started")]
    Needs {
        /// The application.
        app: String,
        /// The application that is needed.
        needs: String,
    },
    /// The start or stop of the application is under way.
    #[error("application {0} is being started or stopped")]
    Busy(String),
    /// The module of the application is not loaded.
    #[error("application {app}: module {module} is not loaded")]
    NoModule {
        /// The application.
        app: String,
        /// Its module.
        module: String,
    },
    /// The start of the application, or of its root supervisor, failed.
    #[error("application {app} did not start: {exit}")]
    Failed {
        /// The application.
        app: String,
        /// The exit reason.
        exit: Exit,
    },
    /// The callback `config_change` refused the change. The application runs on.
    #[error("application {app}: config_change: {reason}")]
    ChangeRefused {
        /// The application.
        app: String,
        /// The reason.
        reason: String,
    },
    /// The callback `config_change` crashed and ended the application.
    #[error("application {app}: config_change: {exit}")]
    ConfigChange {
        /// The application.
        app: String,
        /// The exit reason.
        exit: Exit,
    },
    /// The deadline passed.
    #[error("application {app}: {what} took too long")]
    TimedOut {
        /// The application.
        app: String,
        /// The operation that took too long.
        what: &'static str,
    },
}

/// A function that is called with the name of an application.
type Observer = Box<dyn Fn(&str) + Send + Sync>;

/// All applications of a node.
#[derive(Default)]
pub(crate) struct Applications {
    apps: Mutex<BTreeMap<String, App>>,
    /// The function that is called when an application ends and takes the node down.
    on_node_down: OnceLock<Observer>,
}

struct App {
    spec: AppSpec,
    env: Arc<Env>,
    status: AppStatus,
    /// The number of this start among all starts. Applications are stopped in reverse order of it.
    started: u64,
}

impl Applications {
    /// Loads an application, or replaces the version and environment of a loaded one. OTP:
    /// `application:load/1`.
    pub(crate) fn load(&self, spec: AppSpec) {
        let mut apps = self.apps.lock();
        let values = spec.env.clone().into_iter().collect();
        match apps.get_mut(&spec.name) {
            Some(app) => {
                *app.env.values.write() = values;
                app.spec = spec;
            }
            None => {
                let env = Arc::new(Env { name: spec.name.clone(), values: parking_lot::RwLock::new(values) });
                apps.insert(
                    spec.name.clone(),
                    App { spec, env, status: AppStatus::Stopped(None), started: 0 },
                );
            }
        }
    }

    /// Unloads an application that is not running. OTP: `application:unload/1`.
    pub(crate) fn unload(&self, name: &str) {
        let mut apps = self.apps.lock();
        if apps.get(name).is_some_and(|app| matches!(app.status, AppStatus::Stopped(_))) {
            apps.remove(name);
        }
    }

    /// Returns all applications in start order; those that were never started come first.
    pub(crate) fn list(&self) -> Vec<(AppSpec, AppStatus)> {
        let apps = self.apps.lock();
        let mut apps: Vec<&App> = apps.values().collect();
        apps.sort_by_key(|app| app.started);
        apps.into_iter().map(|app| (app.spec.clone(), app.status.clone())).collect()
    }

    pub(crate) fn spec(&self, name: &str) -> Option<AppSpec> {
        self.apps.lock().get(name).map(|app| app.spec.clone())
    }

    pub(crate) fn status(&self, name: &str) -> Option<AppStatus> {
        self.apps.lock().get(name).map(|app| app.status.clone())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.apps.lock().keys().cloned().collect()
    }

    pub(crate) fn env(&self, name: &str) -> Option<Arc<Env>> {
        self.apps.lock().get(name).map(|app| Arc::clone(&app.env))
    }

    pub(crate) fn process(&self, name: &str) -> Option<Pid> {
        match self.apps.lock().get(name)?.status {
            AppStatus::Running { process, .. } => process,
            AppStatus::Stopped(_) | AppStatus::Starting | AppStatus::Stopping => None,
        }
    }

    /// Returns whether a running application has this process and this root.
    pub(crate) fn runs(&self, process: Pid, root: Pid) -> bool {
        let status = AppStatus::Running { process: Some(process), root: Some(root) };
        self.apps.lock().values().any(|app| app.status == status)
    }

    pub(crate) fn set(&self, name: &str, status: AppStatus) {
        if let Some(app) = self.apps.lock().get_mut(name) {
            app.status = status;
        }
    }

    /// Moves an application from stopped to starting.
    pub(crate) fn begin_start(&self, name: &str) -> Result<(AppSpec, Arc<Env>), AppError> {
        let mut apps = self.apps.lock();
        let app = apps.get(name).ok_or_else(|| AppError::Unknown(name.to_owned()))?;
        match app.status {
            AppStatus::Stopped(_) => {}
            AppStatus::Running { .. } => return Err(AppError::AlreadyStarted(name.to_owned())),
            AppStatus::Starting | AppStatus::Stopping => return Err(AppError::Busy(name.to_owned())),
        }
        let runs = |needs: &String| {
            apps.get(needs).is_some_and(|app| matches!(app.status, AppStatus::Running { .. }))
        };
        if let Some(needs) = app.spec.applications.iter().find(|needs| !runs(needs)) {
            return Err(AppError::Needs { app: name.to_owned(), needs: needs.clone() });
        }
        let begun = (app.spec.clone(), Arc::clone(&app.env));
        let last = apps.values().map(|app| app.started).max().unwrap_or_default();
        if let Some(app) = apps.get_mut(name) {
            app.status = AppStatus::Starting;
            app.started = last + 1;
        }
        Ok(begun)
    }

    /// Moves an application from running to stopping.
    pub(crate) fn begin_stop(&self, name: &str) -> Result<(Option<Pid>, Option<Pid>), AppError> {
        let mut apps = self.apps.lock();
        let app = apps.get_mut(name).ok_or_else(|| AppError::Unknown(name.to_owned()))?;
        match app.status {
            AppStatus::Running { process, root } => {
                app.status = AppStatus::Stopping;
                Ok((process, root))
            }
            AppStatus::Stopped(_) => Err(AppError::NotStarted(name.to_owned())),
            AppStatus::Starting | AppStatus::Stopping => Err(AppError::Busy(name.to_owned())),
        }
    }

    /// Sets the function that is called when an application ends and takes the node down. Only the
    /// first call has an effect.
    pub(crate) fn on_node_down(&self, notify: impl Fn(&str) + Send + Sync + 'static) {
        self.on_node_down.get_or_init(|| Box::new(notify));
    }

    /// Returns the exit reason of an application that has ended, if its end takes the node down and
    /// it was not started again.
    pub(crate) fn took_node_down(&self, name: &str) -> Option<Exit> {
        let apps = self.apps.lock();
        let app = apps.get(name)?;
        let AppStatus::Stopped(Some(exit)) = &app.status else { return None };
        app.spec.start_type.takes_node_down(exit).then(|| exit.clone())
    }

    /// Notes that the process of a running application has ended.
    pub(crate) fn ended(&self, name: &str, ended: Pid, exit: Exit) {
        let mut apps = self.apps.lock();
        let Some(app) = apps.get_mut(name) else { return };
        if !matches!(app.status, AppStatus::Running { process: Some(pid), .. } if pid == ended) {
            return;
        }
        tracing::warn!(name: "application.ended", app = name, reason = %exit, "an application ended");
        let takes_node_down = app.spec.start_type.takes_node_down(&exit);
        app.status = AppStatus::Stopped(Some(exit));
        drop(apps);
        if let Some(notify) = self.on_node_down.get().filter(|_| takes_node_down) {
            notify(name);
        }
    }
}
