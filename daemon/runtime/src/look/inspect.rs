//! Looking at a node: processes and trees, read from the daemon's own tables. Nobody is asked.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use crate::pool::scheduler::Computing;
use crate::process::body::{Body, Card, During, Process, Wait};
use crate::process::rows::Child;
use crate::process::slot::{Glance, Hold};
use crate::tree::request::Listed;
use crate::tree::supervisor::{Supervised, Supervisor};
use crate::upgrade::convert::Stuck;
use crate::words::code::{Behaviour, Bytes};
use crate::words::code_server::Code;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::World;

/// How many places are worth a thread to look at them.
const PART_LEAST: u32 = 16 * 1024;

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing.
    Idle,
    /// A callback runs, or is about to.
    Running,
    /// A callback is parked at an await.
    Waiting,
    /// Suspended by hand.
    Suspended,
}

/// A process, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its pid.
    pub pid: Pid,
    /// Its registered names.
    pub names: Vec<String>,
    /// The application that it belongs to.
    pub app: String,
    /// Its module.
    pub module: String,
    /// The version of the code that it runs.
    pub version: String,
    /// Whether that code is no longer current.
    pub is_old: bool,
    /// What kind of process it is.
    pub behaviour: Behaviour,
    /// What it is doing.
    pub status: Status,
    /// How many messages wait; without those that it has taken in, while a callback runs.
    pub queued: usize,
    /// How many may wait, for one that asked for a bound, and how many found it reached.
    pub bound: Option<(usize, u64)>,
    /// The callback under way; `None` for one that rests, and for one that has begun just now.
    pub callback: Option<CallbackInfo>,
    /// Its supervisor, or the process of its application.
    pub parent: Option<Pid>,
    /// What only the process itself knows; `None` while a callback runs.
    pub ties: Option<TiesInfo>,
}

impl ProcessInfo {
    /// Says whether it is a behaviour process outside every tree.
    pub fn is_orphan(&self) -> bool {
        is_orphan(self.parent, self.behaviour)
    }
}

impl Card {
    fn is_orphan(&self) -> bool {
        is_orphan((self.parent != Pid::NONE).then_some(self.parent), self.code.behaviour())
    }
}

fn is_orphan(parent: Option<Pid>, behaviour: Behaviour) -> bool {
    parent.is_none() && !matches!(behaviour, Behaviour::Application | Behaviour::Task)
}

/// A callback that is parked, or computes for long, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackInfo {
    /// What it is about; `None` while it computes, when only the process itself knows, and for a task, which has but one.
    pub about: Option<String>,
    /// Since when it is parked, or computes.
    pub since: Instant,
    /// What it waits for; nothing while it computes.
    pub waits_for: Vec<Wait>,
}

impl CallbackInfo {
    /// Reads a parked callback.
    fn parked(body: &Body) -> Option<Self> {
        let under_way = body.under_way.as_ref().filter(|_| body.is_waiting())?;
        let is_task = body.card.code.behaviour() == Behaviour::Task;
        let about = match (&under_way.mail, &body.during) {
            (Some(mail), _) => Some(mail.to_string()),
            (None, During::Init(_)) => (!is_task).then(|| "init".to_owned()),
            (None, During::Terminate(exit)) => Some(format!("terminate: {exit}")),
            (None, During::PrepStop(_)) => Some("prep_stop".to_owned()),
            (None, During::Call(_) | During::Notice(_) | During::Message) => Some("continue".to_owned()),
        };
        let mut waits_for: Vec<_> = body.open().iter().map(|open| open.wait).collect();
        if is_task && waits_for.is_empty() {
            waits_for.push(Wait::Message);
        }
        Some(Self { about, since: under_way.since, waits_for })
    }
}

/// How a process is tied to others, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TiesInfo {
    /// The processes that it is linked to.
    pub links: Vec<Pid>,
    /// Whether it traps exits.
    pub traps_exits: bool,
}

/// One child in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id, a MessagePack value; nil for the root and for children of a simple_one_for_one.
    pub id: Option<Bytes>,
    /// Where it stands.
    pub child: Child,
    /// The module it was started from.
    pub module: String,
    /// Whether it is a supervisor.
    pub is_supervisor: bool,
    /// Its process.
    pub process: Option<ProcessInfo>,
    /// Its children, in start order.
    pub children: Vec<Self>,
}

impl World {
    /// Returns one process.
    pub(crate) fn process(&self, pid: Pid) -> Option<ProcessInfo> {
        let slot = self.slot(pid)?;
        let (glance, inside) = slot.glance(pid.generation, |body, _| {
            let links = body.ties.as_ref().map(|ties| ties.links.clone()).unwrap_or_default();
            let ties = TiesInfo { links, traps_exits: body.trap_exit };
            (ties, body.inbox.len(), CallbackInfo::parked(body))
        })?;
        let (ties, inbox, callback) = match inside {
            Some((ties, inbox, callback)) => (Some(ties), inbox, callback),
            None => (None, 0, self.computing(pid)),
        };
        let Card { code, app, parent, .. } = &*glance.card;
        Some(ProcessInfo {
            pid,
            names: self.registry.names(pid),
            app: app.name.clone(),
            module: code.name().to_owned(),
            version: code.module.version().to_owned(),
            is_old: code.is_stale(),
            behaviour: code.behaviour(),
            status: status(&glance),
            queued: glance.queued + inbox,
            bound: glance.bound.map(|bound| (bound.max, bound.refused)),
            callback,
            parent: (*parent != Pid::NONE).then_some(*parent),
            ties,
        })
    }

    /// Returns the callback of a process that computes for long.
    fn computing(&self, pid: Pid) -> Option<CallbackInfo> {
        let since = self.scheduler.computes_since(pid.slot)?;
        Some(CallbackInfo { about: None, since, waits_for: Vec::new() })
    }

    /// Returns all processes, in order of place.
    pub(crate) fn processes(&self) -> Vec<ProcessInfo> {
        self.find(|_, _| true).into_iter().filter_map(|pid| self.process(pid)).collect()
    }

    /// Returns the processes of these modules that no upgrade of a tree reaches: tasks and orphans.
    pub(crate) fn outsiders(&self, modules: &[&str]) -> Vec<ProcessInfo> {
        let is_outsider = |card: &Card| card.code.behaviour() == Behaviour::Task || card.is_orphan();
        let found = self.find(|_, card| is_outsider(card) && modules.contains(&card.code.name()));
        found.into_iter().filter_map(|pid| self.process(pid)).collect()
    }

    /// Returns the living processes for which `wanted` holds.
    pub(crate) fn find(&self, wanted: impl Fn(Pid, &Card) -> bool + Sync) -> Vec<Pid> {
        let look =
            |found: &mut Vec<Pid>, pid: Pid, card: &Card| found.extend(wanted(pid, card).then_some(pid));
        self.survey(Vec::new, look).concat()
    }

    /// Returns the supervisors of these modules; one that runs at this moment is not among them.
    pub(crate) fn supervised(&self, modules: &[&str]) -> (Vec<Supervised>, Vec<Pid>) {
        let is_its = |card: &Card| {
            card.code.behaviour() == Behaviour::Supervisor && modules.contains(&card.code.name())
        };
        let (mut found, mut busy) = (Vec::new(), Vec::new());
        for pid in self.find(|_, card| is_its(card)) {
            let look = |body: &Body| body.instance()?.supervisor().map(Supervisor::supervised);
            match self.slot(pid).and_then(|slot| slot.peek(pid.generation, |body| look(body))) {
                Some(Some(supervised)) => found.push(supervised),
                _ => busy.push(pid),
            }
        }
        (found, busy)
    }

    /// Lets `look` see all living processes, in order of place. Of many, parts are seen at once, each for a result of its
    /// own.
    pub(crate) fn survey<S: Send>(
        &self,
        begin: impl Fn() -> S + Sync,
        look: impl Fn(&mut S, Pid, &Card) + Sync,
    ) -> Vec<S> {
        let places = self.table.len();
        let part = places.div_ceil(self.scheduler.width() as u32).max(PART_LEAST);
        let see = |from: u32| {
            let mut seen = begin();
            for number in from..places.min(from.saturating_add(part)) {
                self.table.slot(number).and_then(|slot| {
                    slot.card_any(|generation, card| look(&mut seen, Pid { slot: number, generation }, card))
                });
            }
            seen
        };
        thread::scope(|scope| {
            let others: Vec<_> = (part..places)
                .step_by(part as usize)
                .map(|from| (from, thread::Builder::new().spawn_scoped(scope, move || see(from))))
                .collect();
            let mut seen = vec![see(0)];
            seen.extend(others.into_iter().map(|(from, other)| match other {
                Ok(other) => other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => see(from),
            }));
            seen
        })
    }

    /// Returns all app code that computes without a break for longer than the pool waits.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        let callbacks = self.scheduler.stuck().into_iter().filter_map(|computing| {
            let slot = computing.at;
            self.table
                .slot(slot)?
                .card_any(|generation, card| stuck(Pid { slot, generation }, card, computing))
        });
        callbacks.chain(self.stuck.lock().iter().cloned()).collect()
    }

    /// Ends a process whose callback does not return, for everybody but the thread inside it; says whether it was so.
    /// What the callback comes to is thrown away.
    pub(crate) fn abandon(self: &Arc<Self>, pid: Pid) -> bool {
        // Held until it is listed, since the callback may return right now.
        let mut given_up = self.stuck.lock();
        let lives = || self.process(pid).is_some();
        let Some((body, computing)) = self.scheduler.take_stuck(pid.slot, lives) else { return false };
        let stuck = Stuck { is_detached: true, ..stuck(body.pid, &body.card, computing) };
        let Stuck { app, module, version, since, .. } = &stuck;
        let seconds = since.elapsed().as_secs();
        tracing::error!(
            name: "process.detached", pid = %stuck.pid, app, module, version, seconds,
            "a callback does not return; its process has ended without it"
        );
        given_up.push(stuck);
        drop(given_up);
        crate::world::run::abandon(self, body, &Exit::Killed);
        true
    }

    /// Takes note that the callback of an abandoned process has returned.
    pub(crate) fn returned(&self, pid: Pid) {
        self.stuck.lock().retain(|stuck| stuck.pid != pid);
        tracing::warn!(name: "process.returned", %pid, "a callback has returned after its process was given up");
    }

    /// Returns where a process computes that does so for long, the innermost function first.
    pub(crate) fn frames(&self, pid: Pid) -> Vec<String> {
        if self.process(pid).is_some() { self.scheduler.look_at(pid.slot) } else { Vec::new() }
    }

    /// Says that a callback computes for long, and where.
    pub(crate) fn report_slow(&self, slot: u32, since: Instant, frames: &[String]) {
        let Some(place) = self.table.slot(slot) else { return };
        let computing = Computing { at: slot, since, frames: Vec::new() };
        let slow = place.card_any(|generation, card| stuck(Pid { slot, generation }, card, computing));
        if let Some(Stuck { pid, app, module, version, .. }) = slow {
            let seconds = since.elapsed().as_secs();
            let frames = frames.join(" < ");
            tracing::warn!(
                name: "process.stuck", %pid, app, module, version, seconds, frames,
                "a callback has not returned; another thread works in its place"
            );
        }
    }

    /// Returns who runs this very code.
    pub(crate) fn users(&self, code: &Arc<Code>) -> Vec<Pid> {
        // The table holds it, and the caller; everybody else who does is a process. A counter would be one that all
        // workers write to.
        if Arc::strong_count(code) <= 2 {
            return Vec::new();
        }
        let mut users = self.find(|_, card| Arc::ptr_eq(&card.code, code));
        // Work that it left behind uses the code as well, whether or not the process is still there.
        users.extend(
            self.spare.users(code).into_iter().filter(|pid| !users.contains(pid)).collect::<Vec<_>>(),
        );
        users
    }

    /// Returns the tree below a process.
    pub(crate) fn tree(&self, root: Pid) -> Option<Node> {
        let process = self.process(root)?;
        Some(Node {
            id: None,
            child: Child::Running(root),
            module: process.module.clone(),
            is_supervisor: process.behaviour == Behaviour::Supervisor,
            children: self.children(root, Some(&process)),
            process: Some(process),
        })
    }

    fn children(&self, parent: Pid, process: Option<&ProcessInfo>) -> Vec<Node> {
        match process {
            Some(process) if process.behaviour == Behaviour::GenEvent => self.handlers(process),
            _ => self.rows(parent),
        }
    }

    /// Returns the handlers of an event manager; no table names them, but they are linked to it.
    fn handlers(&self, manager: &ProcessInfo) -> Vec<Node> {
        let linked = match &manager.ties {
            Some(ties) => ties.links.clone(),
            None => self.find(|_, card| card.parent == manager.pid),
        };
        let below = linked.into_iter().filter_map(|pid| self.process(pid));
        below
            .filter(|info| info.parent == Some(manager.pid))
            .map(|info| Node {
                id: None,
                child: Child::Running(info.pid),
                module: info.module.clone(),
                is_supervisor: false,
                children: Vec::new(),
                process: Some(info),
            })
            .collect()
    }

    fn rows(&self, supervisor: Pid) -> Vec<Node> {
        let rows =
            self.slot(supervisor).and_then(|slot| slot.card(supervisor.generation, |card| card.rows.clone()));
        // Copied out first: below, other places are locked.
        let Some(rows) = rows.flatten().map(|rows| rows.read().clone()) else { return Vec::new() };
        rows.iter()
            .map(|row| {
                let pid = row.child.pid();
                let process = pid.and_then(|pid| self.process(pid));
                Node {
                    id: rows.id(row).map(<[u8]>::to_vec),
                    child: row.child,
                    module: row.spec.module.clone(),
                    is_supervisor: row.spec.kind == crate::words::child_spec::ChildType::Supervisor,
                    children: pid.map(|pid| self.children(pid, process.as_ref())).unwrap_or_default(),
                    process,
                }
            })
            .collect()
    }

    /// Returns the children of a supervisor, latest started first. `None` for other processes.
    /// Returns the children of a supervisor whose init it waits for.
    pub(crate) fn starting_children(&self, supervisor: Pid) -> Vec<Pid> {
        let rows =
            self.slot(supervisor).and_then(|slot| slot.card(supervisor.generation, |card| card.rows.clone()));
        let starting = |child: Child| match child {
            Child::Starting(pid) => Some(pid),
            _ => None,
        };
        let rows = rows.flatten();
        rows.map(|rows| rows.read().iter().filter_map(|row| starting(row.child)).collect())
            .unwrap_or_default()
    }

    pub(crate) fn which_children(&self, supervisor: Pid) -> Option<Vec<Listed>> {
        let rows = self.slot(supervisor)?.card(supervisor.generation, |card| card.rows.clone())??;
        let rows = rows.read();
        Some(rows.iter().rev().map(|row| Listed::of(&rows, row)).collect())
    }
}

fn stuck(pid: Pid, card: &Card, computing: Computing) -> Stuck {
    let module = &card.code.module;
    let Computing { since, frames, .. } = computing;
    Stuck {
        pid,
        module: module.name().to_owned(),
        version: module.version().to_owned(),
        app: module.app().to_owned(),
        since,
        is_detached: false,
        frames,
    }
}

fn status(glance: &Glance<Process>) -> Status {
    if glance.hold.has(Hold::SUSPENDED) {
        Status::Suspended
    } else if glance.hold.has(Hold::WAITING) {
        Status::Waiting
    } else if glance.taken || glance.scheduled {
        Status::Running
    } else {
        Status::Idle
    }
}
