//! What is done on a node, and what takes it back: all of it data, to be printed and compared.
//!
//! Effect and undo, row by row; a [`Finish`] comes after the point of no return and has none:
//!
//! | effect | undo |
//! |---|---|
//! | load | unload |
//! | apply | the apply that its instruction names, if any |
//! | rename_child | rename_child back |
//! | stop_application, to be restarted | start_application: the old version, without its state |
//! | stage | unstage |
//! | start_application | stop_application |
//! | precopy | discard, once for all shadow states |
//! | raise | lower |
//! | convert | (precopy's discard) |
//! | compare | |

use std::collections::BTreeMap;
use std::fmt;

use reld_plan::{AppName, Apply, BuiltIn, Mode, ModuleName, PurgeMethod};

use crate::node::{AppSpec, Conversion, Gate, Image, Library, Passage, Slot, StateChange};

/// Something that is done before the point of no return.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Load(Library),
    Apply(Apply),
    RenameChild(BuiltIn),
    /// Of an app that is started again in its new version.
    StopApplication(AppName),
    Stage(Blueprint),
    StartApplication(AppName),
    Raise(Gate),
    Convert(Conversion),
    Compare,
    /// Comes before the raise of the same gate.
    Precopy(Precopy),
}

/// The conversions that need not wait until their processes rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Precopy {
    pub(crate) gate: Gate,
    pub(crate) passages: Vec<Passage>,
    /// Where something may need the way back: which states are not tried, and why.
    pub(crate) untried: Option<String>,
}

/// A staging whose images are still to be loaded.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Blueprint {
    pub(crate) modules: BTreeMap<ModuleName, AppName>,
    pub(crate) removals: Vec<ModuleName>,
    pub(crate) apps: Vec<AppSpec>,
    pub(crate) at_once: Vec<ModuleName>,
    pub(crate) continues: bool,
}

/// What takes an effect back. All shadow states are one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Undo {
    Unload(Image),
    Apply(Apply),
    RenameChild(BuiltIn),
    StartApplication(AppName),
    Unstage,
    StopApplication(AppName),
    Lower,
    Discard,
}

/// Something that is done after the point of no return. What it can not do is reported; where something does not start,
/// the handler goes back by a downgrade.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Finish {
    KillDoomed,
    Lower,
    Sweep,
    ConfigChange,
    StopApplication(AppName),
    UnloadApplication(AppName),
    StopChildren(Vec<ModuleName>),
    StartChildren(Vec<ModuleName>),
    Call(BuiltIn),
    Purge { slot: Slot, modules: Vec<ModuleName>, method: PurgeMethod },
}

/// What belongs to a step of the script, counted from 1 as the script prints it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbered<T> {
    pub(crate) step: usize,
    pub(crate) what: T,
}

/// One window of a script in the form in which it is carried out: effects, the switch, finishes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Program {
    pub(crate) effects: Vec<Numbered<Effect>>,
    pub(crate) switch: usize,
    pub(crate) finishes: Vec<Numbered<Finish>>,
    /// Supervisors' updates may change these children and no others: those of calls in this window and the ones after it.
    pub(crate) expected: Vec<BuiltIn>,
    /// How many steps the script has.
    pub(crate) steps: usize,
}

impl Program {
    /// Returns the modules that become current at its switch.
    pub(crate) fn modules(&self) -> Vec<ModuleName> {
        let staged = |effect: &Numbered<Effect>| match &effect.what {
            Effect::Stage(blueprint) => Some(blueprint.modules.keys().cloned().collect()),
            _ => None,
        };
        self.effects.iter().find_map(staged).unwrap_or_default()
    }
}

/// The effect's title in a report.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(library) => write!(f, "load_object_code {}-{}", library.app, library.vsn),
            Self::Stage(blueprint) => write!(f, "load {}", names(blueprint.modules.keys())),
            Self::Apply(call) => write!(f, "apply {call}"),
            Self::RenameChild(call) => write!(f, "apply {call}"),
            Self::StopApplication(app) => write!(f, "stop_application {app}"),
            Self::StartApplication(app) => write!(f, "start_application {app}"),
            Self::Raise(gate) => {
                write!(f, "suspend {}", names(gate.members.iter().map(|member| &member.module)))
            }
            Self::Convert(conversion) => {
                write!(f, "code_change {} ({})", conversion.module, conversion.change)
            }
            Self::Compare => f.write_str("compare"),
            Self::Precopy(Precopy { passages, .. }) => {
                let modules = passages.iter().map(|passage| &passage.conversion.module);
                let back =
                    if passages.iter().any(|passage| passage.back.is_some()) { ", and back" } else { "" };
                write!(f, "precopy {}{back}", names(modules))
            }
        }
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
            Self::Unstage => f.write_str("unstage"),
            Self::StopApplication(app) => write!(f, "stop_application {app}"),
            Self::Lower => f.write_str("resume"),
            Self::Discard => f.write_str("discard shadow states"),
        }
    }
}

impl fmt::Display for Finish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillDoomed => f.write_str("kill"),
            Self::Lower => f.write_str("resume"),
            Self::Sweep => f.write_str("sweep"),
            Self::ConfigChange => f.write_str("config_change"),
            Self::StopApplication(app) => write!(f, "stop_application {app}"),
            Self::UnloadApplication(app) => write!(f, "unload_application {app}"),
            Self::StopChildren(modules) => write!(f, "stop {}", names(modules)),
            Self::StartChildren(modules) => write!(f, "start {}", names(modules)),
            Self::Call(call) => write!(f, "apply {call}"),
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
