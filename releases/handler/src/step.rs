//! What is done on a node, and what takes it back: all of it data, to be printed and compared.
//!
//! Effect and undo, row by row; a [`Finish`] comes after the point of no return and has none:
//!
//! | effect | undo |
//! |---|---|
//! | load | unload |
//! | stage | unstage |
//! | start_application | stop_application |
//! | precopy | discard, once for all shadow states |
//! | raise | lower |
//! | convert | (precopy's discard) |
//! | compare | |

use std::collections::BTreeMap;
use std::fmt;

use reld_plan::{AppName, Mode, ModuleName, PurgeMethod};

use crate::node::{AppSpec, Conversion, Gate, Image, Library, Slot, StateChange};

/// Something that is done before the point of no return.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Load(Library),
    Stage(Blueprint),
    StartApplication(AppName),
    Raise(Gate),
    Convert(Conversion),
    Compare,
    /// Comes before the raise of the same gate.
    Precopy(Gate, Vec<Conversion>),
}

/// A staging whose images are still to be loaded.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Blueprint {
    pub(crate) modules: BTreeMap<ModuleName, AppName>,
    pub(crate) removals: Vec<ModuleName>,
    pub(crate) apps: Vec<AppSpec>,
}

/// What takes an effect back. All shadow states are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undo {
    Unload(Image),
    Unstage,
    StopApplication(AppName),
    Lower,
    Discard,
}

/// Something that is done after the point of no return; what it can not do is reported.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Finish {
    KillDoomed,
    Lower,
    Sweep,
    StopApplication(AppName),
    Purge { slot: Slot, modules: Vec<ModuleName>, method: PurgeMethod },
}

/// What belongs to a step of the script, counted from 1 as the script prints it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbered<T> {
    pub(crate) step: usize,
    pub(crate) what: T,
}

/// A script in the form in which it is carried out: effects, the switch, finishes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Program {
    pub(crate) effects: Vec<Numbered<Effect>>,
    pub(crate) switch: usize,
    pub(crate) finishes: Vec<Numbered<Finish>>,
    /// How many steps the script has.
    pub(crate) steps: usize,
}

/// The effect's title in a report.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(library) => write!(f, "load_object_code {}-{}", library.app, library.vsn),
            Self::Stage(blueprint) => write!(f, "load {}", names(blueprint.modules.keys())),
            Self::StartApplication(app) => write!(f, "start_application {app}"),
            Self::Raise(gate) => {
                write!(f, "suspend {}", names(gate.members.iter().map(|member| &member.module)))
            }
            Self::Convert(conversion) => {
                write!(f, "code_change {} ({})", conversion.module, conversion.change)
            }
            Self::Compare => f.write_str("compare"),
            Self::Precopy(_, conversions) => {
                write!(f, "precopy {}", names(conversions.iter().map(|conversion| &conversion.module)))
            }
        }
    }
}

impl fmt::Display for StateChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Soft => f.write_str("soft"),
            Self::Advanced { mode: Mode::Up, vsn, .. } => write!(f, "up from {vsn}"),
            Self::Advanced { mode: Mode::Down, vsn, .. } => write!(f, "down to {vsn}"),
            Self::Supervisor => f.write_str("supervisor"),
        }
    }
}

impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unload(image) => write!(f, "unload image {}", image.0),
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
            Self::StopApplication(app) => write!(f, "stop_application {app}"),
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
