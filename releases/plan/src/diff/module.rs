//! Finds the change that a module needs between two versions, in one direction.

use serde_json::Value;

use super::carried::{Carried, carried};
use super::schema::{Difference, Differences, Kind, Unread, Verdict, compare};
use crate::instr::Mode;
use crate::name::ModuleName;
use crate::schemas::{ChildSpec, Interface, ModuleSchema, SupervisorSpec};

/// The change needed for the processes of a module that both versions have.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Need {
    /// No change: the target version reads the written state, or no process changes its code.
    Nothing,
    /// The state changed, but the target version reads it without a conversion.
    Soft(Vec<String>),
    /// The state has fields that the target version does not read, and no other difference. Code
    /// must leave these fields out.
    LeaveOut(Vec<String>),
    /// Code must convert the state.
    Code(Vec<String>),
    /// The child specs or flags changed.
    Specs(Vec<ChildChange>),
    /// A person must compare the versions, for this reason.
    ByHand(String),
}

/// A child spec that is new, removed or changed in a supervisor's update.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChildChange {
    pub(super) id: Value,
    pub(super) kind: ChildChangeKind,
    /// The callback module of the child.
    pub(super) module: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ChildChangeKind {
    Added,
    Removed,
    /// The child is gone, and a new child with this id has the same module and start argument.
    Renamed(Value),
    /// The changed parts of the spec.
    Changed(Vec<&'static str>),
}

/// Returns the change that a module needs.
pub(super) fn need(left: &ModuleSchema, to: &ModuleSchema, mode: Mode) -> Need {
    if left.behaviour != to.behaviour {
        let (was, is) = (&left.behaviour, &to.behaviour);
        return Need::ByHand(format!("its behaviour was {was}, is {is}; restart the app to change it"));
    }
    match to.behaviour.as_str() {
        // The state of an event manager belongs to the SDK, and its handlers are separate modules.
        "gen_event" if left.interface.is_none() && to.interface.is_none() => Need::Nothing,
        "gen_server" | "gen_statem" | "gen_event" | "event_handler" | "application" => state(left, to, mode),
        "supervisor" => specs(left.interface.as_ref(), to.interface.as_ref()),
        // A task stays on its version until it ends.
        "task" => Need::Nothing,
        other => Need::ByHand(format!("its behaviour {other:?} is unknown")),
    }
}

fn state(left: &ModuleSchema, to: &ModuleSchema, mode: Mode) -> Need {
    let Some(Carried { differences, .. }) = carried(left, to, mode) else {
        return Need::ByHand("a version does not describe its state".to_owned());
    };
    let texts = differences.texts().map(str::to_owned).collect();
    match differences.verdict() {
        Verdict::Same => Need::Nothing,
        Verdict::Additive => Need::Soft(texts),
        Verdict::NeedsCode if differences.0.iter().all(is_left_out) => Need::LeaveOut(texts),
        Verdict::NeedsCode => Need::Code(texts),
    }
}

fn is_left_out(difference: &Difference) -> bool {
    difference.verdict < Verdict::NeedsCode || matches!(difference.kind, Kind::Gone(_) | Kind::GoneBelow)
}

fn specs(left: Option<&Interface>, to: Option<&Interface>) -> Need {
    let spec = |interface: Option<&Interface>| interface.and_then(|interface| interface.supervisor.clone());
    match (spec(left), spec(to)) {
        (Some(left), Some(to)) if left == to => Need::Nothing,
        (Some(left), Some(to)) => Need::Specs(children(&left, &to)),
        _ => Need::ByHand("a version does not describe its children".to_owned()),
    }
}

/// Returns the changed children in the order of the target version, after the removed ones.
fn children(left: &SupervisorSpec, to: &SupervisorSpec) -> Vec<ChildChange> {
    let absent =
        |from: &SupervisorSpec, child: &ChildSpec| !from.children.iter().any(|other| other.id == child.id);
    let mut new: Vec<_> = to.children.iter().filter(|child| absent(left, child)).collect();
    let mut changes = Vec::new();
    for child in left.children.iter().filter(|child| absent(to, child)) {
        let twin = new.iter().position(|new| is_twin(child, new)).map(|at| new.remove(at));
        let kind = twin.map_or(ChildChangeKind::Removed, |twin| ChildChangeKind::Renamed(twin.id.clone()));
        changes.push(ChildChange::new(child, kind));
    }
    for child in &to.children {
        match left.children.iter().find(|other| other.id == child.id) {
            None if new.contains(&child) => changes.push(ChildChange::new(child, ChildChangeKind::Added)),
            Some(other) if other != child => {
                changes.push(ChildChange::new(child, ChildChangeKind::Changed(parts(other, child))));
            }
            _ => {}
        }
    }
    changes
}

impl ChildChange {
    fn new(child: &ChildSpec, kind: ChildChangeKind) -> Self {
        Self { id: child.id.clone(), kind, module: child.module.clone() }
    }
}

fn is_twin(one: &ChildSpec, other: &ChildSpec) -> bool {
    one.module == other.module && one.args == other.args
}

fn parts(one: &ChildSpec, other: &ChildSpec) -> Vec<&'static str> {
    let parts = [
        ("module", one.module != other.module),
        ("args", one.args != other.args),
        ("restart", one.restart != other.restart),
        ("significant", one.significant != other.significant),
        ("shutdown", one.shutdown != other.shutdown),
        ("type", one.kind != other.kind),
    ];
    parts.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
}

/// Returns whether a supervisor is `simple_one_for_one`: its children have no ids.
pub(super) fn is_simple(schema: &ModuleSchema) -> bool {
    let spec = schema.interface.as_ref().and_then(|interface| interface.supervisor.as_ref());
    spec.is_some_and(|spec| spec.strategy == "simple_one_for_one")
}

/// Returns the modules of a supervisor's children.
pub(super) fn child_modules(schema: &ModuleSchema) -> impl Iterator<Item = ModuleName> {
    let spec = schema.interface.as_ref().and_then(|interface| interface.supervisor.as_ref());
    let children = spec.map_or(&[][..], |spec| spec.children.as_slice());
    children.iter().filter_map(|child| child.module.parse().ok())
}

/// A type of a module's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InterfaceType {
    Args,
    Call,
    Cast,
    Info,
    /// A reply. Unlike the other types, the module writes it and its callers read it.
    Reply,
}

impl InterfaceType {
    pub(super) const MESSAGES: [Self; 3] = [Self::Call, Self::Cast, Self::Info];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Args => "start argument",
            Self::Call => "call",
            Self::Cast => "cast",
            Self::Info => "message",
            Self::Reply => "reply",
        }
    }

    /// Returns why the reader of this type cannot read the written values, as far as both versions
    /// describe the type. The source version writes the messages, including those still in a
    /// mailbox, and the target version reads them. The target version writes the replies, and
    /// callers built with the source version read them.
    pub(super) fn not_read(self, left: &ModuleSchema, to: &ModuleSchema) -> Vec<String> {
        let (writer, reader) = if self == Self::Reply { (to, left) } else { (left, to) };
        let (Some(written), Some(read)) = (self.form(writer, Form::Written), self.form(reader, Form::Read))
        else {
            return Vec::new();
        };
        let Differences(found) = compare(written, read, Unread::Skipped);
        found.into_iter().filter(|one| one.verdict == Verdict::NeedsCode).map(|one| one.text).collect()
    }

    fn form(self, schema: &ModuleSchema, form: Form) -> Option<&Value> {
        let interface = schema.interface.as_ref()?;
        let (name, own) = match self {
            Self::Args => ("args", &interface.args),
            Self::Call => ("call", &interface.call),
            Self::Cast => ("cast", &interface.cast),
            Self::Info => ("info", &interface.info),
            Self::Reply => ("reply", &interface.reply),
        };
        let is_own = (form == Form::Written) == (self == Self::Reply);
        interface.other.get(name).filter(|_| !is_own).or(own.as_ref())
    }
}

/// The two forms of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Written,
    Read,
}
