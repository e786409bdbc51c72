//! The applications of the node.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Runtime;
use crate::tree::application;
use crate::words::code::{Bytes, StopCause};
use crate::words::exit::Exit;
use crate::world::applications::{AppError, AppSpec, AppStatus};

impl Runtime {
    /// Makes an application known, or gives it another version and environment.
    pub fn load_application(&self, spec: AppSpec) {
        self.world.apps.load(spec);
    }

    /// Forgets an application that does not run.
    pub fn unload_application(&self, name: &str) {
        self.world.apps.unload(name);
    }

    /// Starts an application. Waits. OTP: `application:start/1`.
    ///
    /// # Errors
    /// See [`AppError`]; nothing of it runs then.
    pub fn start_application(&self, name: &str, deadline: Instant) -> Result<(), AppError> {
        application::start(&self.world, name, deadline)
    }

    /// Starts an application after those that it needs, and returns what was started, in order. Waits. OTP:
    /// `application:ensure_all_started/1`.
    ///
    /// # Errors
    /// See [`AppError`]; what was started before stays so.
    pub fn ensure_all_started(&self, name: &str, deadline: Instant) -> Result<Vec<String>, AppError> {
        application::ensure_all_started(&self.world, name, deadline)
    }

    /// Has `tell` called with the name of an application that ended and takes the node down, see
    /// [`StartType`](crate::StartType). On a thread of the pool: it must not wait. The first caller is the one told.
    pub fn on_node_down(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        self.world.apps.on_node_down(tell);
    }

    /// Returns why an application has ended, if that takes the node down and nobody has started it again.
    pub fn took_node_down(&self, name: &str) -> Option<Exit> {
        self.world.apps.took_node_down(name)
    }

    /// Stops all applications, the one started last first, and returns what went wrong. Waits.
    pub fn stop_all_applications(&self, cause: StopCause, deadline: Instant) -> Vec<AppError> {
        application::stop_all(&self.world, cause, deadline)
    }

    /// Stops an application. Waits. OTP: `application:stop/1`.
    ///
    /// # Errors
    /// See [`AppError`]; on a time-out what is left of it was killed.
    pub fn stop_application(&self, name: &str, cause: StopCause, deadline: Instant) -> Result<(), AppError> {
        application::stop(&self.world, name, cause, deadline)
    }

    /// Tells a running application, if that has a process, what changed in its environment since `before`. Says whether
    /// anything did. Waits. OTP: `config_change/3`.
    ///
    /// # Errors
    /// [`AppError::ConfigChange`] when it crashed, [`AppError::TimedOut`] when it did not answer.
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

    /// Returns what an application is.
    pub fn application(&self, name: &str) -> Option<AppSpec> {
        self.world.apps.spec(name)
    }

    /// Returns the environment of a known application as it is now.
    pub fn environment(&self, name: &str) -> Option<BTreeMap<String, Bytes>> {
        let env = self.world.apps.env(name)?;
        let values = env.values.read();
        Some(values.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}
