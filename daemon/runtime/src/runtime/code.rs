//! The code of the node: loading, purging, upgrading it.

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

/// What a purge came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purge {
    /// Who was ended.
    pub killed: Vec<Pid>,
    /// Who still runs the code; the code stays while there is somebody.
    pub lingering: Vec<Pid>,
}

impl Runtime {
    /// Returns all versions of all modules.
    pub fn code(&self) -> Vec<Version> {
        self.world.code.list()
    }

    /// Makes modules current by hand, all or none; idle processes of them move at once. Waits for those.
    ///
    /// # Errors
    /// [`CodeError::NotPurged`] when one of them has old code already.
    pub fn load(&self, modules: Vec<Arc<dyn Module>>, deadline: Instant) -> Result<(), CodeError> {
        self.world.code.load(modules)?;
        sweep(&self.world, deadline);
        Ok(())
    }

    /// Returns who runs the code in that place of a module.
    pub fn users(&self, module: &str, place: Place) -> Vec<Pid> {
        self.world.code.at(module, place).iter().flat_map(|code| self.world.users(code)).collect()
    }

    /// Drops old or condemned code of a module if nobody runs it. OTP: `code:soft_purge/1`.
    ///
    /// # Errors
    /// [`CodeError::NotLoaded`] for a module that this node does not have.
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

    /// Drops old or condemned code of a module and ends who runs it. Waits for those until the deadline. OTP:
    /// `code:purge/1`.
    ///
    /// A process whose callback computes on is ended without it, see [`kill`](Self::kill); its image stays in use until
    /// the callback returns. One that cannot be taken out of its code is named as lingering.
    ///
    /// # Errors
    /// [`CodeError::NotLoaded`] for a module that this node does not have.
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

    /// Kills processes and waits for their ends, until the deadline.
    ///
    /// No thread is ever killed. One whose callback computes on after a second is ended all the same: who is bound to it is
    /// told, its supervisor may start it again, and what the callback comes to is thrown away. [`stuck`](Self::stuck)
    /// lists the callback until it returns.
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

    /// Stages an upgrade: `new` and `removed` take effect at its switch; of `new`, processes that are started take the
    /// modules `at_once` before it. One at a time.
    pub fn stage(&self, new: Vec<Arc<dyn Module>>, removed: &[String], at_once: &[String]) -> Upgrade {
        Upgrade::stage(&self.world, new, removed, at_once)
    }

    /// Returns the first crashes since [`forget_crashes`](Self::forget_crashes). A child that its supervisor ends by
    /// `brutal_kill` counts as well: its end cannot be told from another kill.
    pub fn crashes(&self) -> Vec<Crash> {
        self.world.crashes.read()
    }

    /// Begins to count crashes anew.
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
