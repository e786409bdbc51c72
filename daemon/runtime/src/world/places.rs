//! Finding a process: the one place that knows how a pid, a name or a place in a tree leads to a
//! process.
//!
//! | text                  | process                                                           |
//! |-----------------------|-------------------------------------------------------------------|
//! | `<4.1>`, `4.1`        | the process with this pid                                         |
//! | `till`                | the process that is registered as `till`, else the root           |
//! |                       | supervisor of the app `till`                                      |
//! | `shop/tills/3`        | the child 3 of the child `tills` of the root supervisor of the    |
//! |                       | app `shop`, or, if no such app runs, of the supervisor that is    |
//! |                       | registered as `shop`                                              |
//!
//! Where only a supervisor is wanted, a registered process that is none is passed over, because a
//! server may have the name of its app. `reld_wire::path` has the form of a path.

use std::sync::Arc;

use parking_lot::RwLock;
use reld_wire::path::split;
use serde_json::Value;

use crate::process::card::Card;
use crate::process::rows::{Child, Row, Rows};
use crate::process::slot::Slot;
use crate::words::code::Behaviour;
use crate::words::nearest::nearest;
use crate::words::path::{self, Meanings};
use crate::words::pid::{Pid, from_either};
use crate::words::term;
use crate::world::World;
use crate::world::applications::AppStatus;

/// The maximum number of children that an error lists.
const LISTED_MAX: usize = 8;
/// The maximum number of names or children among which the nearest is searched.
const SEARCHED_MAX: usize = 10_000;

/// No process is at this place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot find {place}: {reason}")]
pub struct NotFound {
    /// The pid, name or place.
    pub place: String,
    /// The reason. It names the existing parts that are nearest.
    pub reason: String,
}

/// The part of a place that leads to no process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing<'a> {
    /// The process has ended, or never existed.
    Pid,
    /// Neither a registered name nor an app.
    Start(&'a str),
    /// An app that has no root supervisor at the moment.
    Rootless(&'a str),
    /// A process without children: the path to it.
    Childless(&'a str),
    /// A process that has ended during the search: the path to it.
    Ended(&'a str),
    /// A simple_one_for_one: the path to it.
    Anonymous(&'a str),
    /// A supervisor, and a part that is no id of its children.
    Child { of: &'a str, supervisor: Pid, part: &'a str },
    /// A child without a process.
    NotRunning { of: &'a str, part: &'a str, is_restarting: bool },
    /// Two children, one with the part as text and one with the part as JSON.
    Ambiguous { of: &'a str, part: &'a str, text: Child, json: Child },
    /// A process that is no supervisor.
    Worker(Pid),
}

/// Finds a process.
pub(crate) fn find<'a>(world: &World, place: &'a str) -> Result<Pid, Missing<'a>> {
    match from_either(place) {
        Some(pid) if world.is_alive(pid) => Ok(pid),
        Some(_) => Err(Missing::Pid),
        None => world.registry.whereis(place).map_or_else(|| walk(world, place), Ok),
    }
}

/// Finds a supervisor.
pub(crate) fn find_supervisor<'a>(world: &World, place: &'a str) -> Result<Pid, Missing<'a>> {
    let found = find(world, place)?;
    if is_supervisor(world, found) {
        return Ok(found);
    }
    match walk(world, place) {
        Ok(root) if is_supervisor(world, root) => Ok(root),
        _ => Err(Missing::Worker(found)),
    }
}

fn is_supervisor(world: &World, pid: Pid) -> bool {
    let behaviour = |slot: &Slot<_>| slot.card(pid.generation, |card: &Arc<Card>| card.code.behaviour());
    world.slot(pid).and_then(behaviour) == Some(Behaviour::Supervisor)
}

fn walk<'a>(world: &World, place: &'a str) -> Result<Pid, Missing<'a>> {
    let (first, parts) = split(place);
    let mut pid = start(world, first)?;
    for (before, part) in parts {
        pid = step(world, pid, before, part)?;
    }
    Ok(pid)
}

fn start<'a>(world: &World, first: &'a str) -> Result<Pid, Missing<'a>> {
    let status = world.apps.status(first);
    if let Some(AppStatus::Running { root: Some(root), .. }) = status {
        return Ok(root);
    }
    let missing = if status.is_some() { Missing::Rootless(first) } else { Missing::Start(first) };
    world.registry.whereis(first).ok_or(missing)
}

fn step<'a>(world: &World, supervisor: Pid, of: &'a str, part: &'a str) -> Result<Pid, Missing<'a>> {
    let rows = rows(world, supervisor).ok_or(Missing::Ended(of))?.ok_or(Missing::Childless(of))?;
    let rows = rows.read();
    if rows.is_anonymous() {
        return Err(Missing::Anonymous(of));
    }
    let child = match children(&rows, part) {
        (Some(text), Some(json)) => return Err(Missing::Ambiguous { of, part, text, json }),
        (child, None) | (None, child) => child.ok_or(Missing::Child { of, supervisor, part })?,
    };
    let is_restarting = child == Child::Restarting;
    child.pid().ok_or(Missing::NotRunning { of, part, is_restarting })
}

/// Returns the rows of a supervisor: `None` for a process that has ended, `Some(None)` for one that
/// is no supervisor.
fn rows(world: &World, pid: Pid) -> Option<Option<Arc<RwLock<Rows>>>> {
    world.slot(pid)?.card(pid.generation, |card| card.rows.clone())
}

/// Finds the child with a part as the text of its id, and the child with it as the JSON of its id.
fn children(rows: &Rows, part: &str) -> (Option<Child>, Option<Child>) {
    let by_id = |id: &[u8]| rows.by_id(id).map(|(_, row)| row.child);
    let Meanings { text, json } = path::meanings(part);
    let json = json.and_then(|json| {
        let is_it = |row: &&Row| path::json(row.id()).as_ref() == Some(&json);
        // An id with members has no order, so its bytes are not known.
        let is_compound = json.is_array() || json.is_object();
        let any = || rows.iter().find(is_it).map(|row| row.child);
        if is_compound { any() } else { by_id(&term::encode(&json)) }
    });
    (by_id(&text), json)
}

impl Missing<'_> {
    /// Returns the error for people. Only this searches for the nearest names.
    pub(crate) fn explain(&self, world: &World, place: &str) -> NotFound {
        NotFound { place: place.to_owned(), reason: self.reason(world) }
    }

    fn reason(&self, world: &World) -> String {
        match self {
            Self::Pid => "no process has this pid; it has ended, or never existed".to_owned(),
            Self::Start(name) => {
                let known = world.registry.all_names(SEARCHED_MAX).into_iter().chain(world.apps.names());
                let hint = nearest(name, known).map(|near| format!("; the nearest is {near}"));
                let hint = hint.unwrap_or_default();
                format!("no process is registered as {name}, and no app is called {name}{hint}")
            }
            Self::Rootless(app) => match world.apps.status(app) {
                Some(AppStatus::Running { .. }) => format!("the app {app} has no processes"),
                _ => format!("the app {app} does not run; `relctl app start {app}` starts it"),
            },
            Self::Childless(path) => format!("{path} is no supervisor, and has no children"),
            Self::Ended(path) => format!("{path} has ended"),
            Self::Anonymous(path) => {
                format!("the children of {path}, a simple_one_for_one, have no ids; use a pid")
            }
            Self::Child { of, supervisor, part } => {
                format!("{of} has no child {part}; {}", siblings(world, *supervisor, part))
            }
            Self::NotRunning { of, part, is_restarting: true } => {
                format!("the child {part} of {of} is being restarted")
            }
            Self::NotRunning { of, part, is_restarting: false } => {
                format!("the child {part} of {of} does not run")
            }
            Self::Ambiguous { of, part, text, json } => {
                let process = |child: &Child| child.pid().map(|pid| format!(" ({pid})")).unwrap_or_default();
                let (quoted, text, json) = (Value::from(*part), process(text), process(json));
                format!("{of} has two such children, {quoted}{text} and {part}{json}; use quotes, or a pid")
            }
            Self::Worker(pid) => format!("{pid} is no supervisor"),
        }
    }
}

/// Lists the children of a supervisor, and the nearest to a part that is none of them.
fn siblings(world: &World, supervisor: Pid, part: &str) -> String {
    let ids: Vec<String> = match rows(world, supervisor) {
        Some(Some(rows)) => rows.read().iter().take(SEARCHED_MAX).map(|row| path::part(row.id())).collect(),
        _ => Vec::new(),
    };
    if ids.is_empty() {
        return "it has no children".to_owned();
    }
    let listed = ids[..ids.len().min(LISTED_MAX)].join(", ");
    let more = match ids.len().saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let near = nearest(part, ids).map(|near| format!("; the nearest is {near}")).unwrap_or_default();
    format!("its children are {listed}{more}{near}")
}
