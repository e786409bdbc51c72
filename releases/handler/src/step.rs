//! Programs as data that can be printed and compared: the operations on a node, and their undos.
//!
//! Each effect has an undo. A [`Finish`] comes after the point of no return and has no undo:
//!
//! | effect | undo |
//! |---|---|
//! | load | unload |
//! | apply | the `undo` of its instruction, if any |
//! | rename_child | rename_child back |
//! | stop_application, to be restarted | start_application: the old version, without its states |
//! | stage | unstage |
//! | start_application | stop_application |
//! | precopy | discard, once for all shadow states |
//! | raise | lower |
//! | convert | (precopy's discard) |
//! | compare | |
//!
//! After a node has joined a meeting with others, each failed step refuses the switch for all.

use std::collections::BTreeMap;
use std::fmt;

use reld_plan::{AppName, Apply, BuiltIn, Mode, ModuleName, PurgeMethod};

use crate::meeting::Meeting;
use crate::node::{AppSpec, Conversion, Gate, Image, Library, Passage, Slot, StateChange};

/// An operation before the point of no return, in any phase.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Load(Library),
    Apply(Apply),
    RenameChild(BuiltIn),
    /// The stop of an app that is started again in its new version.
    StopApplication(AppName),
    StartApplication(AppName),
}

/// An operation inside the pause.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Inside {
    Effect(Effect),
    Convert(Conversion),
}

/// The gate, and the conversions that may run before it is raised.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Precopy {
    pub(crate) gate: Gate,
    pub(crate) passages: Vec<Passage>,
    /// The reason why some states are not converted back in the trial; `None` if no failure may
    /// need the way back.
    pub(crate) untried: Option<String>,
}

/// The plan of a staging, before its images are loaded.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Blueprint {
    pub(crate) modules: BTreeMap<ModuleName, AppName>,
    pub(crate) removals: Vec<ModuleName>,
    pub(crate) apps: Vec<AppSpec>,
    pub(crate) at_once: Vec<ModuleName>,
    pub(crate) continues: bool,
}

/// The undo of an effect.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Undo {
    Unload(Image),
    Apply(Apply),
    RenameChild(BuiltIn),
    StartApplication(AppName),
    StopApplication(AppName),
}

/// An operation after the point of no return. Leftovers are reported; after a failed start or call
/// the handler downgrades.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Finish {
    ConfigChange,
    StopApplication(AppName),
    UnloadApplication(AppName),
    StopChildren(Vec<ModuleName>),
    StartChildren(Vec<ModuleName>),
    Call(BuiltIn),
    /// The undo of the instruction is not used after the switch, where a downgrade is the way back.
    Apply(Apply),
    Purge {
        slot: Slot,
        modules: Vec<ModuleName>,
        method: PurgeMethod,
    },
}

/// An item with its step of the script, counted from 1 as the script prints it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Numbered<T> {
    pub(crate) step: usize,
    pub(crate) what: T,
}

/// The program of one window, by phases. Each phase has its own token of the node.
///
/// ```text
/// before | stage | staged | precopy, join, raise | held | compare, decide, SWITCH, kill, births,
///     resume, sweep | finishes
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Program {
    pub(crate) before: Vec<Numbered<Effect>>,
    pub(crate) stage: Numbered<Blueprint>,
    pub(crate) staged: Vec<Numbered<Effect>>,
    /// `None` if the window has no members.
    pub(crate) gate: Option<Numbered<Precopy>>,
    /// The meeting with other nodes. It is joined before the gate is raised, and decided before the
    /// switch.
    pub(crate) meeting: Option<Numbered<Meeting>>,
    pub(crate) held: Vec<Numbered<Inside>>,
    /// The step number of the switch.
    pub(crate) switch: usize,
    /// Children that start before the members resume.
    pub(crate) births: Vec<Numbered<BuiltIn>>,
    /// The step number of the resume; that of the last birth or of the switch, if the script has
    /// no such step.
    pub(crate) resume: usize,
    pub(crate) finishes: Vec<Numbered<Finish>>,
    /// The calls about children in this window and later ones. Supervisor updates may change only
    /// these children.
    pub(crate) expected: Vec<BuiltIn>,
    /// The number of steps of the script.
    pub(crate) steps: usize,
}

/// The title of the effect in reports.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(library) => write!(f, "load_object_code {}-{}", library.app, library.vsn),
            Self::Apply(call) => write!(f, "apply {call}"),
            Self::RenameChild(call) => write!(f, "apply {call}"),
            Self::StopApplication(app) => write!(f, "stop_application {app}"),
            Self::StartApplication(app) => write!(f, "start_application {app}"),
        }
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Effect(effect) => effect.fmt(f),
            Self::Convert(Conversion { module, change }) => write!(f, "code_change {module} ({change})"),
        }
    }
}

impl fmt::Display for Blueprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load {}", names(self.modules.keys()))
    }
}

impl fmt::Display for Precopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modules = self.passages.iter().map(|passage| &passage.conversion.module);
        let back = if self.passages.iter().any(|passage| passage.back.is_some()) { ", and back" } else { "" };
        write!(f, "precopy {}{back}", names(modules))
    }
}

impl fmt::Display for Meeting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sync_nodes {}", self.id)
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "suspend {}", names(self.members.iter().map(|member| &member.module)))
    }
}

impl fmt::Display for StateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Soft(dropped) => write!(f, "soft{dropped}"),
            Self::Advanced { mode: Mode::Up, vsn, .. } => write!(f, "up from {vsn}"),
            Self::Advanced { mode: Mode::Down, vsn, dropped, .. } => write!(f, "down to {vsn}{dropped}"),
            Self::Supervisor => f.write_str("supervisor"),
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unload(image) => write!(f, "unload image {}", image.0),
            Self::Apply(call) => write!(f, "apply {call}"),
            Self::RenameChild(call) => write!(f, "apply {call}"),
            Self::StartApplication(app) => write!(f, "start_application {app}"),
            Self::StopApplication(app) => write!(f, "stop_application {app}"),
        }
    }
}

impl fmt::Display for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigChange => f.write_str("config_change"),
            Self::StopApplication(app) => write!(f, "stop_application {app}"),
            Self::UnloadApplication(app) => write!(f, "unload_application {app}"),
            Self::StopChildren(modules) => write!(f, "stop {}", names(modules)),
            Self::StartChildren(modules) => write!(f, "start {}", names(modules)),
            Self::Call(call) => write!(f, "apply {call}"),
            Self::Apply(call) => write!(f, "apply {call}"),
            Self::Purge { slot: Slot::Old, modules, method } => {
                write!(f, "{}_purge {}", method.as_str(), names(modules))
            }
            Self::Purge { slot: Slot::Condemned, modules, .. } => write!(f, "pre_purge {}", names(modules)),
        }
    }
}

fn names<'a>(modules: impl IntoIterator<Item = &'a ModuleName>) -> String {
    let names: Vec<&str> = modules.into_iter().map(ModuleName::as_str).collect();
    format!("[{}]", names.join(" "))
}
