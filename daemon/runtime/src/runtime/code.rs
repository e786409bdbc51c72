//! The code of the node: loading, purging and upgrading.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

use super::{ABANDON_AFTER, Runtime};
use crate::process::body::Signal;
use crate::upgrade::Upgrade;
use crate::upgrade::sweep::sweep;
use crate::words::code::Module;
use crate::words::code_server::{CodeError, Place, Version};
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::journal::Crash;
use crate::world::run;

/// The result of a purge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purge {
    /// The processes that were killed.
    pub killed: Vec<Pid>,
    /// The processes that still run the code; the code stays as long as there are any.
    pub lingering: Vec<Pid>,
}

impl Runtime {
    /// Returns all versions of all modules.
    pub fn code(&self) -> Vec<Version> {
        self.world.code.list()
    }

    /// Makes modules current without an upgrade: all of them or, on an error, none. Idle processes
    /// of these modules move on to the new code at once; the call waits for them.
    ///
    /// # Errors
    /// [`CodeError::NotPurged`] when one of the modules already has old code.
    pub fn load(&self, modules: Vec<Arc<dyn Module>>, deadline: Instant) -> Result<(), CodeError> {
        self.world.code.load(modules)?;
        sweep(&self.world, deadline);
        Ok(())
    }

    /// Returns the processes that run a module's current, old or condemned code.
    pub fn users(&self, module: &str, place: Place) -> Vec<Pid> {
        self.world.code.at(module, place).iter().flat_map(|code| self.world.users(code)).collect()
    }

    /// Drops old or condemned code of a module if no process runs it. OTP: `code:soft_purge/1`.
    ///
    /// # Errors
    /// [`CodeError::NotLoaded`] if this node does not have the module.
    pub fn soft_purge(&self, module: &str, place: Place) -> Result<Purge, CodeError> {
        self.known(module)?;
        let lingering = self.users(module, place);
        if lingering.is_empty() {
            for code in self.world.code.at(module, place) {
                let (app, version) = (code.module.app(), code.module.version());
                tracing::info!(name: "code.purged", module, version, app, "a version of a module was purged");
            }
            self.world.code.forget(module, place);
        }
        Ok(Purge { killed: Vec::new(), lingering })
    }

    /// Drops old or condemned code of a module, after killing the processes that run it. Waits
    /// until they have ended or the deadline passes. OTP: `code:purge/1`.
    ///
    /// A process that goes on computing is ended without its callback, see [`kill`](Self::kill);
    /// the library stays in use until the callback returns. A process that cannot be taken out of
    /// the code is returned as lingering.
    ///
    /// # Errors
    /// [`CodeError::NotLoaded`] if this node does not have the module.
    pub fn purge(&self, module: &str, place: Place, deadline: Instant) -> Result<Purge, CodeError> {
        self.known(module)?;
        let users = self.users(module, place);
        self.kill(&users, deadline);
        let after = self.soft_purge(module, place)?;
        let killed = users.into_iter().filter(|pid| !after.lingering.contains(pid)).collect();
        Ok(Purge { killed, lingering: after.lingering })
    }

    fn known(&self, module: &str) -> Result<(), CodeError> {
        if self.world.code.is_known(module) { Ok(()) } else { Err(CodeError::NotLoaded(module.to_owned())) }
    }

    /// Kills processes, and waits until they have ended or the deadline passes.
    ///
    /// Threads are never killed. A process that still computes after a second is ended all the
    /// same: its links and monitors are notified, its supervisor may restart it, and the result of
    /// its callback is dropped. [`stuck`](Self::stuck) lists the callback until it returns.
    pub fn kill(&self, pids: &[Pid], deadline: Instant) {
        self.kill_until(pids, deadline.min(Instant::now() + ABANDON_AFTER));
        let mut left = pids.to_vec();
        left.retain(|pid| self.world.is_alive(*pid) && !run::end::abandon(&self.world, *pid));
        if !left.is_empty() {
            self.kill_until(&left, deadline);
        }
    }

    fn kill_until(&self, pids: &[Pid], deadline: Instant) {
        let (done, gone) = mpsc::channel();
        for pid in pids {
            let done = done.clone();
            self.on_exit(*pid, move |_| done.send(()).unwrap_or(()));
            self.world.signal(*pid, Signal::End(Exit::Killed));
        }
        for _ in pids {
            if gone.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_err() {
                return;
            }
        }
    }

    /// Stages an upgrade: `new` and `removed` take effect at its switch. Modules of `new` that
    /// `at_once` names are used before the switch already, by processes that start. A node has at
    /// most one upgrade at a time.
    pub fn stage(&self, new: Vec<Arc<dyn Module>>, removed: &[String], at_once: &[String]) -> Upgrade {
        Upgrade::stage(&self.world, new, removed, at_once)
    }

    /// Returns the first crashes since [`forget_crashes`](Self::forget_crashes). A child that its
    /// supervisor ends by `brutal_kill` counts too: its end cannot be distinguished from other
    /// kills.
    pub fn crashes(&self) -> Vec<Crash> {
        self.world.crashes.read()
    }

    /// Starts counting crashes anew.
    pub fn forget_crashes(&self) {
        self.world.crashes.clear();
    }

    /// Returns the version in a module's current slot.
    pub fn current_version(&self, module: &str) -> Option<String> {
        self.world.code.current(module).map(|code| code.module.version().to_owned())
    }

    /// Returns the version in a module's old slot.
    pub fn old_version(&self, module: &str) -> Option<String> {
        self.world.code.old(module).map(|code| code.module.version().to_owned())
    }
}
