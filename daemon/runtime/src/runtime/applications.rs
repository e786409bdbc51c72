//! The applications of the node.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Runtime;
use crate::tree::application;
use crate::words::code::{Bytes, StopCause};
use crate::words::exit::Exit;
use crate::world::applications::{AppError, AppSpec, AppStatus};

impl Runtime {
    /// Adds an application, or replaces its version and environment.
    pub fn load_application(&self, spec: AppSpec) {
        self.world.apps.load(spec);
    }

    /// Removes an application that does not run.
    pub fn unload_application(&self, name: &str) {
        self.world.apps.unload(name);
    }

    /// Starts an application. Waits. OTP: `application:start/1`.
    ///
    /// # Errors
    /// See [`AppError`]; no part of the application runs then.
    pub fn start_application(&self, name: &str, deadline: Instant) -> Result<(), AppError> {
        application::start(&self.world, name, deadline)
    }

    /// Starts an application after its dependencies, and returns the applications that were
    /// started, in order. Waits. OTP: `application:ensure_all_started/1`.
    ///
    /// # Errors
    /// See [`AppError`]; applications started before the error keep running.
    pub fn ensure_all_started(&self, name: &str, deadline: Instant) -> Result<Vec<String>, AppError> {
        application::ensure_all_started(&self.world, name, deadline)
    }

    /// Sets the function that is called with the name of each application that has ended and takes
    /// the node down, see [`StartType`](crate::StartType). The function runs on a thread of the
    /// pool and must not wait. The first call wins.
    pub fn on_node_down(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        self.world.apps.on_node_down(tell);
    }

    /// Returns the exit reason of an application, if its end takes the node down and it has not
    /// been started again.
    pub fn took_node_down(&self, name: &str) -> Option<Exit> {
        self.world.apps.took_node_down(name)
    }

    /// Stops all applications in reverse start order, and returns the errors. Waits.
    pub fn stop_all_applications(&self, cause: StopCause, deadline: Instant) -> Vec<AppError> {
        application::stop_all(&self.world, cause, deadline)
    }

    /// Stops an application. Waits. OTP: `application:stop/1`.
    ///
    /// # Errors
    /// See [`AppError`]; after a time-out the rest of the application was killed.
    pub fn stop_application(&self, name: &str, cause: StopCause, deadline: Instant) -> Result<(), AppError> {
        application::stop(&self.world, name, cause, deadline)
    }

    /// Notifies a running application of the changes in its environment since `before`. Returns
    /// whether there were changes and the application has a process to notify. Waits. OTP:
    /// `config_change/3`.
    ///
    /// # Errors
    /// [`AppError::ChangeRefused`] when the callback refused the changes,
    /// [`AppError::ConfigChange`] when it crashed, [`AppError::TimedOut`] when it did not return in
    /// time.
    pub fn config_change(
        &self,
        name: &str,
        before: &BTreeMap<String, Bytes>,
        deadline: Instant,
    ) -> Result<bool, AppError> {
        application::config_change(&self.world, name, before, deadline)
    }

    /// Returns all applications, in the order in which they were started.
    pub fn applications(&self) -> Vec<(AppSpec, AppStatus)> {
        self.world.apps.list()
    }

    /// Returns the spec of an application.
    pub fn application(&self, name: &str) -> Option<AppSpec> {
        self.world.apps.spec(name)
    }

    /// Returns the current environment of an application.
    pub fn environment(&self, name: &str) -> Option<BTreeMap<String, Bytes>> {
        let env = self.world.apps.env(name)?;
        let values = env.values.read();
        Some(values.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
