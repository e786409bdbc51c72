//! The members of an upgrade: the processes of the modules that it changes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::process::card::Card;
use crate::process::gate::{Gate, supervisors_of};
use crate::words::code_server::Code;
use crate::words::pid::Pid;
use crate::world::World;

/// The members of an upgrade, by module.
#[derive(Default, Clone)]
pub(super) struct Members(pub(super) HashMap<String, Vec<Pid>>);

impl Members {
    /// Adds a process of a module. A process without a convertible state is passed with `None`, and
    /// is not added.
    pub(super) fn add(&mut self, module: Option<&str>, pid: Pid) {
        let Some(module) = module else { return };
        match self.0.get_mut(module) {
            Some(pids) => pids.push(pid),
            None => drop(self.0.insert(module.to_owned(), vec![pid])),
        }
    }

    pub(super) fn of(&self, module: &str) -> &[Pid] {
        self.0.get(module).map_or(&[], Vec::as_slice)
    }

    pub(super) fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Pid> + Clone {
        self.0.values().flatten().copied()
    }
}

/// The processes of one round of pre-copy.
#[derive(Default)]
pub(super) struct Todo {
    /// The processes to convert.
    pub(super) members: Members,
    /// The processes that are only held: supervisors of members, and members that were given up.
    pub(super) held: Vec<Pid>,
}

/// The code found while searching for members. Thousands of processes share one `Arc<Code>`, so the
/// module is looked up only once for each.
struct Codes<'a> {
    gate: &'a Gate,
    /// Code that is to become current. Processes that run it already, such as those of a restarted
    /// app, are not members.
    staged: &'a [Arc<Code>],
    met: Vec<Met>,
    last: usize,
}

struct Met {
    code: Arc<Code>,
    is_member: bool,
    /// The processes of this code and their parents; empty if the processes are not members.
    found: Vec<(Pid, Pid)>,
}

impl Codes<'_> {
    fn note(&mut self, pid: Pid, card: &Card) {
        let is_its = |met: &Met| Arc::ptr_eq(&met.code, &card.code);
        if !self.met.get(self.last).is_some_and(is_its) {
            self.last = self.met.iter().position(is_its).unwrap_or_else(|| {
                let is_new = self.staged.iter().any(|staged| Arc::ptr_eq(staged, &card.code));
                let is_member = !is_new && self.gate.is_member(card.stateful_module());
                self.met.push(Met { code: Arc::clone(&card.code), is_member, found: Vec::new() });
                self.met.len() - 1
            });
        }
        let met = &mut self.met[self.last];
        if met.is_member {
            met.found.push((pid, card.parent));
        }
    }
}

/// Returns the members and their direct supervisors. No process is locked while `include` is
/// called, so it may inspect processes.
pub(super) fn find(
    world: &World,
    gate: &Gate,
    include: impl Fn(Pid, Option<Pid>) -> bool,
) -> (Members, Vec<Pid>) {
    let staged = world.code.all_staged();
    let begin = || Codes { gate, staged: &staged, met: Vec::new(), last: 0 };
    let (mut members, mut parents) = (Members::default(), Vec::new());
    for Met { code, mut found, .. } in
        world.survey(begin, Codes::note).into_iter().flat_map(|codes| codes.met)
    {
        found.retain(|(pid, parent)| include(*pid, (*parent != Pid::NONE).then_some(*parent)));
        if !found.is_empty() {
            members.0.entry(code.name().to_owned()).or_default().extend(found.iter().map(|(pid, _)| *pid));
            parents.extend(found.into_iter().map(|(_, parent)| parent));
        }
    }
    let supervisors = supervisors_of(parents.into_iter(), members.iter());
    (members, supervisors)
}
