//! Views of processes and trees, read from the daemon's own tables. No message is sent to a
//! process.

use std::time::Instant;

use crate::process::body::{Body, During, Process, Wait};
use crate::process::card::Card;
use crate::process::rows::Child;
use crate::process::slot::{Glance, Hold};
use crate::tree::request::{Listed, listed};
use crate::tree::supervisor::{Supervised, Supervisor};
use crate::words::code::{Behaviour, Bytes};
use crate::words::pid::Pid;
use crate::world::World;

/// Whether a process rests, runs, waits or is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No callback runs.
    Idle,
    /// A callback runs, or is about to.
    Running,
    /// A callback is parked at an await.
    Waiting,
    /// An operator has suspended the process.
    Suspended,
}

/// A process, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// The pid.
    pub pid: Pid,
    /// The registered names.
    pub names: Vec<String>,
    /// The application that the process belongs to.
    pub app: String,
    /// The module.
    pub module: String,
    /// The version of the code that the process runs.
    pub version: String,
    /// Whether that version is no longer current.
    pub is_old: bool,
    /// The behaviour of the module.
    pub behaviour: Behaviour,
    /// Whether the process rests, runs, waits or is suspended.
    pub status: Status,
    /// The number of waiting messages. While a callback runs, messages that were already taken from
    /// the mailbox are not counted.
    pub queued: usize,
    /// The bound of the mailbox, if it has one, and the number of messages refused because of it.
    pub bound: Option<(usize, u64)>,
    /// The callback in progress. `None` if the process rests, or if the callback has only just
    /// begun.
    pub callback: Option<CallbackInfo>,
    /// The supervisor, or the process of the application; `None` outside of every tree.
    pub parent: Option<Pid>,
    /// The links. `None` while a callback runs, when only the process itself can read them.
    pub ties: Option<TiesInfo>,
}

impl ProcessInfo {
    /// Returns whether this is a behaviour process outside of every tree.
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

/// A callback that is parked or has computed for long, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackInfo {
    /// The event that the callback handles. `None` while the callback computes, when only the
    /// process itself knows the event, and for a task, which has only one callback.
    pub about: Option<String>,
    /// The time at which the callback was parked, or began to compute.
    pub since: Instant,
    /// The events that the callback waits for; empty while it computes.
    pub waits_for: Vec<Wait>,
}

impl CallbackInfo {
    /// Returns the callback of a process, if it is parked.
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

/// The links of a process, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TiesInfo {
    /// The processes that this one is linked to.
    pub links: Vec<Pid>,
    /// Whether the process traps exits.
    pub traps_exits: bool,
}

/// One child in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The id, a MessagePack value; nil for the root and for children of a simple_one_for_one.
    pub id: Option<Bytes>,
    /// The state of the child in the supervisor's rows.
    pub child: Child,
    /// The module that the child was started from.
    pub module: String,
    /// Whether the child is a supervisor.
    pub is_supervisor: bool,
    /// The process of the child, if it runs.
    pub process: Option<ProcessInfo>,
    /// The children of a supervisor, in start order.
    pub children: Vec<Self>,
}

/// Returns one process.
pub(crate) fn process(world: &World, pid: Pid) -> Option<ProcessInfo> {
    let slot = world.slot(pid)?;
    let (glance, inside) = slot.glance(pid.generation, |body, _| {
        let links = body.ties.as_ref().map(|ties| ties.links.clone()).unwrap_or_default();
        let ties = TiesInfo { links, traps_exits: body.trap_exit };
        (ties, body.inbox.len(), CallbackInfo::parked(body))
    })?;
    let (ties, inbox, callback) = match inside {
        Some((ties, inbox, callback)) => (Some(ties), inbox, callback),
        None => (None, 0, computing(world, pid)),
    };
    let Card { code, app, parent, .. } = &*glance.card;
    Some(ProcessInfo {
        pid,
        names: world.registry.names(pid),
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

/// Returns the callback of a process, if it has computed for long.
fn computing(world: &World, pid: Pid) -> Option<CallbackInfo> {
    let since = world.scheduler.computes_since(pid.slot)?;
    Some(CallbackInfo { about: None, since, waits_for: Vec::new() })
}

/// Returns all processes, in slot order.
pub(crate) fn processes(world: &World) -> Vec<ProcessInfo> {
    world.find(|_, _| true).into_iter().filter_map(|pid| process(world, pid)).collect()
}

/// Returns the processes of these modules that no upgrade of a tree reaches: tasks and orphans.
pub(crate) fn outsiders(world: &World, modules: &[&str]) -> Vec<ProcessInfo> {
    let is_outsider = |card: &Card| card.code.behaviour() == Behaviour::Task || card.is_orphan();
    let found = world.find(|_, card| is_outsider(card) && modules.contains(&card.code.name()));
    found.into_iter().filter_map(|pid| process(world, pid)).collect()
}

/// Returns the supervisors of these modules. The second list has the pids of supervisors that run
/// at this moment and cannot be read.
pub(crate) fn supervised(world: &World, modules: &[&str]) -> (Vec<Supervised>, Vec<Pid>) {
    let is_its =
        |card: &Card| card.code.behaviour() == Behaviour::Supervisor && modules.contains(&card.code.name());
    let (mut found, mut busy) = (Vec::new(), Vec::new());
    for pid in world.find(|_, card| is_its(card)) {
        let look = |body: &Body| Supervisor::of(body.instance()?).map(Supervisor::supervised);
        match world.slot(pid).and_then(|slot| slot.peek(pid.generation, |body| look(body))) {
            Some(Some(supervised)) => found.push(supervised),
            _ => busy.push(pid),
        }
    }
    (found, busy)
}

/// Returns the tree below a process.
pub(crate) fn tree(world: &World, root: Pid) -> Option<Node> {
    let process = process(world, root)?;
    Some(Node {
        id: None,
        child: Child::Running(root),
        module: process.module.clone(),
        is_supervisor: process.behaviour == Behaviour::Supervisor,
        children: children(world, root, Some(&process)),
        process: Some(process),
    })
}

fn children(world: &World, parent: Pid, process: Option<&ProcessInfo>) -> Vec<Node> {
    match process {
        Some(process) if process.behaviour == Behaviour::GenEvent => handlers(world, process),
        _ => rows(world, parent),
    }
}

/// Returns the handlers of an event manager. No table lists them, but they are linked to the
/// manager.
fn handlers(world: &World, manager: &ProcessInfo) -> Vec<Node> {
    let linked = match &manager.ties {
        Some(ties) => ties.links.clone(),
        None => world.find(|_, card| card.parent == manager.pid),
    };
    let below = linked.into_iter().filter_map(|pid| process(world, pid));
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

fn rows(world: &World, supervisor: Pid) -> Vec<Node> {
    let rows =
        world.slot(supervisor).and_then(|slot| slot.card(supervisor.generation, |card| card.rows.clone()));
    // The rows are copied, because the code below locks other slots.
    let Some(rows) = rows.flatten().map(|rows| rows.read().clone()) else { return Vec::new() };
    rows.iter()
        .map(|row| {
            let pid = row.child.pid();
            let process = pid.and_then(|pid| process(world, pid));
            Node {
                id: rows.id(row).map(<[u8]>::to_vec),
                child: row.child,
                module: row.terms.module.clone(),
                is_supervisor: row.terms.child_type == crate::words::child_spec::ChildType::Supervisor,
                children: pid.map(|pid| children(world, pid, process.as_ref())).unwrap_or_default(),
                process,
            }
        })
        .collect()
}

/// Returns the children of a supervisor that are still in init.
pub(crate) fn starting_children(world: &World, supervisor: Pid) -> Vec<Pid> {
    let rows =
        world.slot(supervisor).and_then(|slot| slot.card(supervisor.generation, |card| card.rows.clone()));
    let starting = |child: Child| match child {
        Child::Starting(pid) => Some(pid),
        _ => None,
    };
    let rows = rows.flatten();
    rows.map(|rows| rows.read().iter().filter_map(|row| starting(row.child)).collect()).unwrap_or_default()
}

/// Returns the children of a supervisor, latest started first; `None` for other processes.
pub(crate) fn which_children(world: &World, supervisor: Pid) -> Option<Vec<Listed>> {
    let rows = world.slot(supervisor)?.card(supervisor.generation, |card| card.rows.clone())??;
    let rows = rows.read();
    Some(rows.iter().rev().map(|row| listed(&rows, row)).collect())
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
