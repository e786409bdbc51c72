//! A node with test modules, and helpers for tests.

pub(crate) mod double;
pub(crate) mod latch;
pub(crate) mod words;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use reld_runtime::{
    Behaviour, ChildSpec, Member, Module, RequestKind, Runtime, SupervisorSpec, TimerRef, Unrest, Upgrade,
    term,
};
use reld_wire::Pid;
use reld_wire::spec::{AutoShutdown, ChildType, Restart, Shutdown, Strategy};
use reld_wire::supervisor::{Reply, Request};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;

use self::double::{Change, Double};
use self::words::{Do, Said};

/// The limit for waits that are short unless something is broken.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn soon() -> Instant {
    Instant::now() + SOON
}

/// A node, and the notes of its processes.
pub(crate) struct Kit {
    pub(crate) node: Runtime,
    sender: Sender<String>,
    notes: Receiver<String>,
    heard: RefCell<Vec<String>>,
}

impl Kit {
    /// Starts a node with version 1 of the modules `counter`, `sup`, `app` and `task`.
    pub(crate) fn new() -> Self {
        let (sender, notes) = channel();
        let kit = Self { node: Runtime::new(2), sender, notes, heard: RefCell::default() };
        let modules = ["counter", "sup", "app", "task"].map(|name| kit.module(name, 1));
        kit.node.load(modules.to_vec(), soon()).expect("an empty node has room");
        kit
    }

    pub(crate) fn double(&self, name: &str, version: u32) -> Double {
        let behaviour = match name {
            "sup" => Behaviour::Supervisor,
            "app" => Behaviour::Application,
            "task" => Behaviour::Task,
            _ => Behaviour::GenServer,
        };
        let (name, notes) = (name.to_owned(), self.sender.clone());
        Double { name, version, behaviour, change: Change::Works, respec: |spec| spec, notes }
    }

    pub(crate) fn module(&self, name: &str, version: u32) -> Arc<dyn Module> {
        Arc::new(self.double(name, version))
    }

    // --- processes
    // -------------------------------------------------------------------------------------------------

    /// Starts a counter with these commands in its init.
    #[track_caller]
    pub(crate) fn counter(&self, init: &[Do]) -> Pid {
        self.spawn("counter", init)
    }

    #[track_caller]
    pub(crate) fn spawn(&self, module: &str, init: &[Do]) -> Pid {
        let started = self.node.spawn(module, term::encode(&init), SOON);
        started.expect("init works").expect("init does not ignore")
    }

    /// Calls a process and waits for its answer.
    pub(crate) fn ask(&self, pid: Pid, what: Do) -> Said {
        Said::of(self.node.call(RequestKind::Call, pid, term::encode(&what), Some(SOON)))
    }

    pub(crate) fn cast(&self, pid: Pid, what: Do) {
        self.node.cast(pid, term::encode(&what));
    }

    pub(crate) fn info(&self, pid: Pid, what: Do) {
        self.node.send(pid, term::encode(&what));
    }

    /// Casts `Block` and waits until the process is in that callback.
    #[track_caller]
    pub(crate) fn block(&self, pid: Pid) -> u64 {
        let latch = latch::new();
        self.cast(pid, Do::Block(latch));
        self.expect("blocked");
        latch
    }

    /// Returns the pending timers that will send to a process.
    pub(crate) fn timers(&self, pid: Pid) -> Vec<(TimerRef, Vec<u8>)> {
        self.node.details(pid).expect("it lives").timers
    }

    /// Waits for the end of a process.
    #[track_caller]
    pub(crate) fn gone(&self, pid: Pid) {
        self.until(|| self.node.process(pid).is_none());
    }

    // --- waiting
    // ---------------------------------------------------------------------------------------------------

    /// Waits for the next note that no `expect` has taken.
    #[track_caller]
    pub(crate) fn note(&self) -> String {
        if self.heard.borrow().is_empty() {
            return self.notes.recv_timeout(SOON).expect("a note comes soon");
        }
        self.heard.borrow_mut().remove(0)
    }

    /// Waits for this note; others are kept for later.
    #[track_caller]
    pub(crate) fn expect(&self, wanted: &str) {
        let mut heard = self.heard.borrow_mut();
        if let Some(at) = heard.iter().position(|note| note == wanted) {
            heard.remove(at);
            return;
        }
        loop {
            let Ok(note) = self.notes.recv_timeout(SOON) else {
                panic!("{wanted:?} never came, but {heard:?}")
            };
            if note == wanted {
                return;
            }
            heard.push(note);
        }
    }

    /// Returns all notes so far.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.heard.borrow_mut().drain(..).chain(self.notes.try_iter()).collect()
    }

    /// Waits until a condition holds.
    #[track_caller]
    pub(crate) fn until(&self, holds: impl Fn() -> bool) {
        let deadline = soon();
        while !holds() {
            assert!(Instant::now() < deadline, "it does not come to hold");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    // --- supervisors
    // -----------------------------------------------------------------------------------------------

    #[track_caller]
    pub(crate) fn supervisor(&self, spec: &SupervisorSpec) -> Pid {
        self.node
            .spawn("sup", term::encode(spec), SOON)
            .expect("its children start")
            .expect("it does not ignore")
    }

    /// Sends a request to a supervisor.
    pub(crate) fn request<T: DeserializeOwned>(&self, supervisor: Pid, request: &Request) -> Reply<T> {
        let answer = self.node.call(RequestKind::Supervisor, supervisor, term::encode(request), Some(SOON));
        match answer {
            reld_runtime::Answer::Reply(reply) => term::decode(&reply).expect("the reply is of that kind"),
            other => panic!("{request:?}: {other:?}"),
        }
    }

    /// Returns the pid of a supervisor's child.
    pub(crate) fn child(&self, supervisor: Pid, id: &str) -> Option<Pid> {
        let rows = self.node.which_children(supervisor)?;
        rows.iter().find(|row| row.id == name(id))?.pid
    }

    // --- upgrades
    // --------------------------------------------------------------------------------------------------

    /// Stages versions of modules.
    pub(crate) fn stage(&self, new: Vec<Double>) -> Upgrade {
        let new = new.into_iter().map(|module| Arc::new(module) as Arc<dyn Module>).collect();
        self.node.stage(new, &[], &[])
    }
}

/// All processes of these modules are members, with the same terms.
pub(crate) fn members(modules: &[&str], timeout: Duration, unrest: Unrest) -> HashMap<String, Member> {
    modules.iter().map(|name| ((*name).to_owned(), Member { timeout, unrest })).collect()
}

/// A child id.
pub(crate) fn name(id: &str) -> ByteBuf {
    ByteBuf::from(term::encode(&id))
}

/// A permanent counter with these commands in its init.
pub(crate) fn child(id: &str, init: &[Do]) -> ChildSpec {
    ChildSpec {
        id: name(id),
        module: "counter".to_owned(),
        args: ByteBuf::from(term::encode(&init)),
        restart: Restart::Permanent,
        significant: false,
        shutdown: Shutdown::Ms(5000),
        child_type: ChildType::Worker,
    }
}

/// A one_for_one supervisor that allows three restarts in a minute.
pub(crate) fn one_for_one(children: Vec<ChildSpec>) -> SupervisorSpec {
    SupervisorSpec {
        name: None,
        strategy: Strategy::OneForOne,
        intensity: 3,
        period_ms: 60_000,
        auto_shutdown: AutoShutdown::Never,
        children,
    }
}
