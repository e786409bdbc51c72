//! Expands groups: modules that depend on each other change together.
//!
//! OTP: systools_rc, translation of dependent instructions. The instructions of a group are placed
//! where its first member is written, regardless of instructions between the members. In the table,
//! *order* means that each module comes before the modules that it needs:
//!
//! | | up | down |
//! |---|---|---|
//! | 1 | suspend updates in order | the same |
//! | 2 | | code_change down of dynamic updates in order |
//! | 3 | load and remove in reverse order | load and remove in order |
//! | 4 | code_change up of all updates in order | code_change down of static updates in order |
//! | 5 | resume in reverse order | the same |

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::collect::Pair;
use crate::error::PlanError;
use crate::graph::Graph;
use crate::instr::{Change, CodeChange, HighLevel, LowLevel, ModType, Mode, PurgeWords, Suspend, Timeout};
use crate::name::{AppName, ModuleName};
use crate::reason::Reason;
use crate::relup::Line;
use crate::script::MemberChange;
use crate::version::Vsn;

/// An instruction after all high-level instructions about apps were replaced.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    Member(Member),
    Other(LowLevel),
}

/// An instruction that can be part of a group: update, load_module, add_module or delete_module.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    module: ModuleName,
    deps: Vec<ModuleName>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Update { change: MemberChange, extra: Value, mod_type: ModType, timeout: Timeout, purge: PurgeWords },
    Load { purge: PurgeWords },
    Delete,
}

/// The code of one module that a group needs.
#[derive(Debug, Clone)]
pub(crate) struct ObjectCode {
    pub(crate) app: AppName,
    pub(crate) vsn: Vsn,
    pub(crate) module: ModuleName,
}

/// The script with its groups expanded.
#[derive(Debug, Default)]
pub(crate) struct Grouped {
    pub(crate) lines: Vec<Line>,
    pub(crate) object_code: Vec<Line<ObjectCode>>,
    pub(crate) changes: BTreeMap<ModuleName, MemberChange>,
    pub(crate) cycles: Vec<Vec<ModuleName>>,
}

/// Converts an instruction into a member of a group, if it can be one.
pub(crate) fn member(instruction: HighLevel) -> Option<Member> {
    match instruction {
        HighLevel::Update { module, change, mod_type, timeout, purge, deps } => {
            let (change, extra, usual) = match change {
                Change::Soft => (MemberChange::Soft, json!([]), ModType::Dynamic),
                Change::Advanced(extra) => (MemberChange::Advanced, extra, ModType::Dynamic),
                Change::Supervisor => (MemberChange::Supervisor, json!([]), ModType::Static),
            };
            let mod_type = mod_type.unwrap_or(usual);
            Some(Member { module, deps, kind: Kind::Update { change, extra, mod_type, timeout, purge } })
        }
        HighLevel::LoadModule { module, purge, deps } => {
            Some(Member { module, deps, kind: Kind::Load { purge } })
        }
        HighLevel::AddModule { module, deps } => Some(Member { deps, ..Member::added(module) }),
        HighLevel::DeleteModule { module, deps } => Some(Member { module, deps, kind: Kind::Delete }),
        HighLevel::AddApplication { .. }
        | HighLevel::RemoveApplication { .. }
        | HighLevel::RestartApplication { .. } => None,
    }
}

impl Member {
    /// Returns the member for `add_module`, which is a `load_module` without dependencies and purge
    /// methods.
    pub(crate) fn added(module: ModuleName) -> Self {
        Self { module, deps: Vec::new(), kind: Kind::Load { purge: PurgeWords::default() } }
    }

    fn code_lines(&self) -> Vec<LowLevel> {
        let module = self.module.clone();
        match &self.kind {
            Kind::Update { purge, .. } | Kind::Load { purge } => {
                vec![LowLevel::Load { module, purge: *purge }]
            }
            Kind::Delete => vec![
                LowLevel::Remove { module: module.clone(), purge: PurgeWords::default() },
                LowLevel::Purge { modules: vec![module] },
            ],
        }
    }

    fn suspend(&self) -> Option<Suspend> {
        let Kind::Update { timeout, .. } = &self.kind else { return None };
        Some(Suspend { module: self.module.clone(), timeout: *timeout })
    }

    /// Returns the conversion of an update with one of these types; `None` for a soft update.
    fn code_change(&self, mod_types: &[ModType]) -> Option<CodeChange> {
        match &self.kind {
            Kind::Update { change, extra, mod_type, .. }
                if *change != MemberChange::Soft && mod_types.contains(mod_type) =>
            {
                Some(CodeChange { module: self.module.clone(), extra: extra.clone() })
            }
            _ => None,
        }
    }
}

/// Expands the groups, each at the place of its first member.
pub(crate) fn emit(pair: &Pair<'_>, parts: Vec<Line<Part>>) -> Result<Grouped, PlanError> {
    let members: Vec<_> = parts.iter().filter_map(|line| Some((as_member(line)?, &line.reason))).collect();
    let graph = graph(&members)?;
    let groups = graph.groups();
    let mut ordered: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for node in graph.order() {
        ordered.entry(groups[node]).or_default().push(members[node]);
    }
    let mut grouped = Grouped { cycles: cycles(&graph, &members), ..Grouped::default() };
    let mut position = 0;
    for Line { instruction, reason } in &parts {
        match instruction {
            Part::Other(low) => grouped.push(low.clone(), reason.clone()),
            Part::Member(_) => {
                if let Some(of_group) = ordered.remove(&position) {
                    grouped.group(pair, &of_group)?;
                }
                position += 1;
            }
        }
    }
    Ok(grouped)
}

fn as_member(line: &Line<Part>) -> Option<&Member> {
    match &line.instruction {
        Part::Member(member) => Some(member),
        Part::Other(_) => None,
    }
}

fn graph(members: &[(&Member, &Reason)]) -> Result<Graph, PlanError> {
    let mut positions = BTreeMap::new();
    for (position, (member, _)) in members.iter().enumerate() {
        if positions.insert(&member.module, position).is_some() {
            return Err(PlanError::MuldefModule { module: member.module.clone() });
        }
    }
    let edge = |module: &ModuleName, dependency: &ModuleName| {
        positions
            .get(dependency)
            .copied()
            .ok_or_else(|| PlanError::UndefModule { module: module.clone(), dependency: dependency.clone() })
    };
    let edges = |(member, _): &(&Member, &Reason)| {
        member
            .deps
            .iter()
            .map(|dependency| edge(&member.module, dependency))
            .collect::<Result<BTreeSet<_>, _>>()
    };
    Ok(Graph::new(members.iter().map(edges).collect::<Result<_, _>>()?))
}

fn cycles(graph: &Graph, members: &[(&Member, &Reason)]) -> Vec<Vec<ModuleName>> {
    let names = |cycle: Vec<usize>| cycle.into_iter().map(|node| members[node].0.module.clone()).collect();
    graph.cycles().into_iter().map(names).collect()
}

impl Grouped {
    fn push(&mut self, instruction: LowLevel, reason: Reason) {
        self.lines.push(Line { instruction, reason });
    }

    /// Expands one group; its members come in order.
    fn group(&mut self, pair: &Pair<'_>, members: &[(&Member, &Reason)]) -> Result<(), PlanError> {
        for (member, reason) in members {
            self.note(pair, member, reason)?;
        }
        let updates: Vec<_> =
            members.iter().filter(|(member, _)| member.suspend().is_some()).copied().collect();
        let reason = Reason::joined(updates.iter().map(|(_, reason)| *reason));
        let modules: Vec<_> = updates.iter().filter_map(|(member, _)| member.suspend()).collect();
        let resumed = modules.iter().rev().map(|suspend| suspend.module.clone()).collect();
        if !updates.is_empty() {
            self.push(LowLevel::Suspend { modules }, reason.clone());
        }
        match pair.mode {
            Mode::Up => {
                self.code(members.iter().rev());
                self.code_change(Mode::Up, &updates, &[ModType::Dynamic, ModType::Static]);
            }
            Mode::Down => {
                self.code_change(Mode::Down, &updates, &[ModType::Dynamic]);
                self.code(members.iter());
                self.code_change(Mode::Down, &updates, &[ModType::Static]);
            }
        }
        if !updates.is_empty() {
            self.push(LowLevel::Resume { modules: resumed }, reason);
        }
        Ok(())
    }

    /// Records the code that a member needs, and how it changes states. The low-level instructions
    /// do not contain this data.
    fn note(&mut self, pair: &Pair<'_>, member: &Member, reason: &Reason) -> Result<(), PlanError> {
        let module = member.module.clone();
        if let Kind::Update { change, .. } = &member.kind {
            self.changes.insert(module.clone(), *change);
        }
        if matches!(member.kind, Kind::Delete) {
            return Ok(());
        }
        let owner =
            pair.to().owner(&module).ok_or_else(|| PlanError::NoSuchModule { module: module.clone() })?;
        let code = ObjectCode { app: owner.name().clone(), vsn: owner.version().clone(), module };
        self.object_code.push(Line { instruction: code, reason: reason.clone() });
        Ok(())
    }

    fn code<'a>(&mut self, members: impl Iterator<Item = &'a (&'a Member, &'a Reason)>) {
        for (member, reason) in members {
            member.code_lines().into_iter().for_each(|line| self.push(line, (*reason).clone()));
        }
    }

    fn code_change(&mut self, mode: Mode, updates: &[(&Member, &Reason)], mod_types: &[ModType]) {
        let changed = |(member, reason): &(&Member, &Reason)| {
            member.code_change(mod_types).map(|change| (change, (*reason).clone()))
        };
        let (modules, reasons): (Vec<_>, Vec<_>) = updates.iter().filter_map(changed).unzip();
        if !modules.is_empty() {
            self.push(LowLevel::CodeChange { mode, modules }, Reason::joined(&reasons));
        }
    }
}
