//! Views of the node: processes, trees, ports, tables, figures.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::Runtime;
use crate::io::ets::TableInfo;
use crate::io::port::{PortInfo, Sockets};
use crate::look::census::{self, Census};
use crate::look::details::{self, ProcessDetails};
use crate::look::inspect::{self, Node, ProcessInfo};
use crate::pool::blocking::Blocking;
use crate::pool::stuck::Stuck;
use crate::process::shown;
use crate::tree::request::Listed;
use crate::tree::supervisor::Supervised;
use crate::upgrade::convert;
use crate::words::code::Bytes;
use crate::words::figures::Figures;
use crate::words::pid::Pid;
use crate::world::places::{self, NotFound};

impl Runtime {
    /// Samples the running processes for this long. Returns the share of the time that each process
    /// ran; 1 is one thread all the time. Waits.
    pub fn sample(&self, time: Duration) -> HashMap<Pid, f64> {
        census::sample(&self.world, time)
    }

    /// Returns the process with this name.
    pub fn whereis(&self, name: &str) -> Option<Pid> {
        self.world.registry.whereis(name)
    }

    /// Finds a process by pid, registered name, or path in the tree of an application.
    ///
    /// # Errors
    /// The missing part, and the nearest existing ones.
    pub fn find(&self, place: &str) -> Result<Pid, NotFound> {
        places::find(&self.world, place).map_err(|missing| missing.explain(&self.world, place))
    }

    /// Works like [`Runtime::find`] for a supervisor. A server that has the name of its application
    /// is passed over.
    ///
    /// # Errors
    /// Those of [`Runtime::find`], and a process that is no supervisor.
    pub fn find_supervisor(&self, place: &str) -> Result<Pid, NotFound> {
        places::find_supervisor(&self.world, place).map_err(|missing| missing.explain(&self.world, place))
    }

    /// Returns one process.
    pub fn process(&self, pid: Pid) -> Option<ProcessInfo> {
        inspect::process(&self.world, pid)
    }

    /// Returns the name of a process, or its pid if it has none.
    pub fn called(&self, pid: Pid) -> String {
        let name = self.process(pid).and_then(|info| info.names.into_iter().next());
        name.unwrap_or_else(|| pid.to_string())
    }

    /// Returns one process in full.
    pub fn details(&self, pid: Pid) -> Option<ProcessDetails> {
        details::of(&self.world, pid)
    }

    /// Returns one process in full, with the data in its messages that its module hides redacted.
    /// If the module does not answer in time, all message bodies are redacted.
    pub fn shown(&self, pid: Pid, timeout: Duration) -> Option<ProcessDetails> {
        let details = details::of(&self.world, pid)?;
        let code = self.world.slot(pid)?.card(pid.generation, |card| Arc::clone(&card.code))?;
        if !code.module.hides() {
            return Some(details);
        }
        let (tell, told) = mpsc::channel();
        let all = details.clone();
        self.world.scheduler.job(Box::new(move || {
            let look = |kind, body| shown::shown(&*code.module, kind, body);
            // The caller may have given up.
            let _ = tell.send(details::shown(&look, all));
        }));
        let hide = |_| details::shown(&|_, _| shown::hidden(), details);
        Some(told.recv_timeout(timeout).unwrap_or_else(hide))
    }

    /// Returns all processes.
    pub fn processes(&self) -> Vec<ProcessInfo> {
        inspect::processes(&self.world)
    }

    /// Counts processes and their resources. Visits each process only once, so it is cheap enough
    /// to call often on a node with a million processes.
    pub fn census(&self) -> Census {
        census::count(&self.world)
    }

    /// Returns the processes of these modules that no upgrade of a tree reaches: tasks, and
    /// behaviour processes without a supervisor. If there are none, the search is fast, independent
    /// of the number of processes.
    pub fn outsiders(&self, modules: &[&str]) -> Vec<ProcessInfo> {
        inspect::outsiders(&self.world, modules)
    }

    /// Returns the tree below a process.
    pub fn tree(&self, root: Pid) -> Option<Node> {
        inspect::tree(&self.world, root)
    }

    /// Returns a supervisor's children, latest started first; `None` for other processes.
    pub fn which_children(&self, supervisor: Pid) -> Option<Vec<Listed>> {
        inspect::which_children(&self.world, supervisor)
    }

    /// Returns the state of a process at rest without sending it a message. Returns `None` if the
    /// process runs or has no state, or if its code does not export the state in time.
    pub fn resting_state(&self, pid: Pid, timeout: Duration) -> Option<Bytes> {
        let (tell, told) = mpsc::channel();
        let world = Arc::clone(&self.world);
        self.world.scheduler.job(Box::new(move || {
            // The caller may have given up.
            let _ = tell.send(convert::resting_state(&world, pid));
        }));
        told.recv_timeout(timeout).ok().flatten()
    }

    /// Returns the supervisors of these modules as a code change would find them. The second list
    /// has the pids of supervisors that run at this moment and cannot be read.
    pub fn supervised(&self, modules: &[&str]) -> (Vec<Supervised>, Vec<Pid>) {
        inspect::supervised(&self.world, modules)
    }

    /// Returns the stack of a process that has computed for long, innermost function first; the
    /// stack of any other process is empty. Takes a moment, because files are read.
    pub fn frames(&self, pid: Pid) -> Vec<String> {
        self.world.frames(pid)
    }

    /// Returns the app code that has computed without a break for longer than this, oldest first.
    /// This is the code of callbacks, and of conversions that were given up. The pool has replaced
    /// the threads that run it; they end when the code returns.
    pub fn stuck(&self, longer: Duration) -> Vec<Stuck> {
        let mut stuck = self.world.stuck();
        stuck.retain(|stuck| stuck.since.elapsed() >= longer);
        stuck.sort_by_key(|stuck| stuck.since);
        stuck
    }

    /// Returns the counters of the node since its start.
    pub fn figures(&self) -> Figures {
        self.world.figures()
    }

    /// Supplies the sockets behind the ports. Call it before the first application starts; without
    /// sockets no port can be opened.
    pub fn supply_sockets(&self, sockets: impl Sockets + 'static) {
        self.world.ports.supply(Box::new(sockets));
    }

    /// Returns all open ports in the order of their numbers.
    pub fn ports(&self) -> Vec<PortInfo> {
        self.world.ports.list()
    }

    /// Returns all shared tables in the order of their numbers.
    pub fn tables(&self) -> Vec<TableInfo> {
        self.world.tables.list()
    }

    /// Returns the targets of the pending app timers, one pid for each timer.
    pub fn timers(&self) -> Vec<Pid> {
        details::timers(&self.world)
    }

    /// Returns the blocking work on spare threads, oldest first.
    pub fn blocking(&self) -> Vec<Blocking> {
        self.world.spare.list()
    }
}
