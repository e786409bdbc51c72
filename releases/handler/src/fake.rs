//! A fake node as a value: its observable state can be compared, and every fallible call can be
//! made to fail.

mod conversion;
mod meetings;
mod node;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use reld_plan::{AppName, Behaviours, ModuleName, Vsn};

use crate::node::{
    ChangedChildren, Child, Exited, Foreseen, Image, Lingerer, NodeError, OutsiderKind, Pause,
};
use crate::process::{Pid, Process};

pub(crate) use meetings::{Course, FakeMeetings};
pub(crate) use world::{Proc, World};

/// A fake node: its observable state, the planned faults, and the calls so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fake {
    pub(crate) world: World,
    /// Numbers of the fallible calls that fail, counted from 0.
    pub(crate) failing: BTreeSet<usize>,
    /// Numbers of the fallible calls that panic.
    pub(crate) panicking: BTreeSet<usize>,
    /// The version of the daemon that a restart would execute. `None` stands for 1.0.0.
    pub(crate) successor: Option<Result<Vsn, NodeError>>,
    /// Processes that die before the fallible call of this number.
    pub(crate) deaths: BTreeMap<usize, Pid>,
    /// Whether a message for every process arrives before each fallible call.
    pub(crate) has_traffic: bool,
    /// Processes that never come to rest.
    pub(crate) restless: BTreeSet<Pid>,
    /// Modules with processes that a conversion wrongly skips, to simulate a faulty node.
    pub(crate) skips_conversion: BTreeSet<ModuleName>,
    /// The app with a library that crashes the process of its trial.
    pub(crate) crashes_when_probed: Option<AppName>,
    /// The behaviours in the table of every library.
    pub(crate) behaviours: Behaviours,
    /// Why each library stays in memory after it is replaced.
    pub(crate) stays: Option<String>,
    /// The app with a library that has started a thread.
    pub(crate) starts_threads: Option<AppName>,
    /// The children that the update of a supervisor changes.
    pub(crate) children: Vec<ChangedChildren>,
    /// The children of every supervisor before an upgrade; `None` if they have no ids.
    pub(crate) rows: Option<Vec<Child>>,
    /// The answer to every call of `foresee`.
    pub(crate) foreseen: Foreseen,
    /// The fallible calls so far.
    pub(crate) calls: Vec<&'static str>,
    /// Apps that have ended and take the node down.
    pub(crate) fallen: BTreeSet<AppName>,
    /// The crashes that the node reports.
    pub(crate) crashes: Vec<Exited>,
    pub(crate) spawned: u32,
    sent: u32,
    images: u64,
    exits: Vec<Exited>,
    /// Processes that the last pre-copy tried on the way back.
    tried: BTreeSet<Pid>,
    /// Processes that are held to be stopped.
    held: BTreeSet<Pid>,
    stopped: Vec<ModuleName>,
    doomed: BTreeSet<Pid>,
    /// The apps of type load.
    loaded: BTreeSet<AppName>,
}

impl Fake {
    /// Lowers the gate. Processes that are to be stopped stay held.
    fn let_go(&mut self) -> Pause {
        assert!(!self.world.gate.is_empty(), "the gate is lowered without being raised");
        self.world.gate.clear();
        self.doomed.clear();
        let held = self.world.processes.iter_mut().filter(|(_, process)| process.is_held);
        let processes = held.map(|(pid, process)| {
            process.is_held = self.held.contains(pid);
            process.serve();
        });
        Pause { p50_us: 10, p99_us: 20, max_us: 30, processes: processes.count() }
    }

    /// Starts a process in the current code of a module, or in the staged code if there is no
    /// current code.
    pub(crate) fn spawn(&mut self, module: &str, kind: Option<OutsiderKind>) -> Pid {
        let module: ModuleName = module.parse().unwrap();
        let current = self.world.modules.get(&module).and_then(|slots| slots.current);
        let staged = self.world.staged.as_ref();
        let at_once = staged.is_some_and(|staged| staged.at_once.contains(&module));
        let staged = staged.and_then(|staged| staged.modules.get(&module).copied());
        let image = if at_once { staged.or(current) } else { current.or(staged) }.unwrap();
        self.spawned += 1;
        let slot = self.spawned;
        let pid = Pid { slot, generation: 1 };
        let (app, _) = self.world.images[&image].clone();
        let state = format!("state {slot}");
        let process = Proc {
            module,
            app,
            image,
            state,
            kind,
            is_held: false,
            shadow: None,
            mail: vec![],
            handled: vec![],
        };
        self.world.processes.insert(pid, process);
        pid
    }

    /// Records a fallible call, delivers messages, lets processes die, and returns whether the call
    /// is to fail.
    fn fails(&mut self, call: &'static str) -> bool {
        let number = self.calls.len();
        self.calls.push(call);
        if let Some(pid) = self.deaths.get(&number).copied() {
            self.die(pid, "died");
        }
        if self.has_traffic {
            self.send();
        }
        assert!(!self.panicking.contains(&number), "call {number} is to panic");
        self.failing.contains(&number)
    }

    /// Records a function; `undo_x` removes `x` again.
    fn do_or_undo(&mut self, function: &str, prefix: &str) {
        match function.strip_prefix(prefix) {
            Some(done) => self.world.applied.retain(|applied| applied != done),
            None => self.world.applied.push(function.to_owned()),
        }
    }

    fn die(&mut self, pid: Pid, reason: &str) {
        if self.world.processes.contains_key(&pid) {
            let process = self.process(pid);
            self.world.processes.remove(&pid);
            self.exits.push(Exited { process, reason: reason.to_owned() });
        }
    }

    fn send(&mut self) {
        self.sent += 1;
        for process in self.world.processes.values_mut() {
            process.mail.push(self.sent);
            process.serve();
        }
    }

    pub(crate) fn process(&self, pid: Pid) -> Process {
        let Proc { module, app, .. } = self.world.processes[&pid].clone();
        Process { pid, name: None, module, app }
    }

    fn listed(&self, wanted: impl Fn(&Pid, &Proc) -> bool) -> Vec<Process> {
        let found = self.world.processes.iter().filter(|(pid, process)| wanted(pid, process));
        found.map(|(pid, _)| self.process(*pid)).collect()
    }

    fn lingering(&self, module: &ModuleName, image: Image) -> Vec<Lingerer> {
        let vsn = self.world.images[&image].1.clone();
        let processes = self.listed(|_, process| process.module == *module && process.image == image);
        processes
            .into_iter()
            .map(|process| Lingerer { process, supervisor: None, vsn: vsn.clone() })
            .collect()
    }
}
