//! Cuts the instructions of a relup into windows.
//!
//! A window has one gate and one switch. By default, one window covers the whole release. With
//! windows by group, a window covers the instructions that OTP suspends and resumes together: a new
//! window begins at each suspend, except the first, where nothing from earlier instructions is
//! still suspended or stopped. Instructions between a resume and the next suspend belong to the
//! earlier window. The exception is a run of preparing instructions directly before that suspend,
//! which belongs to the later window: `sync_nodes`, calls of app functions, and the built-in calls
//! that rename a child or end a child or an app. A stop and its start, of modules or of an app, are
//! never separated.
//!
//! A library is one image for all modules of an app, but its modules are replaced one by one.
//! Therefore:
//!
//! - Each window opens the libraries of the modules that it loads. The first window also opens the
//!   libraries of apps of which no instruction loads a module.
//! - The modules that no instruction names are loaded by the first window that opens their library.
//!   By not naming them, the author declares them unchanged, and new code of other modules may need
//!   them.
//! - Until the last window that names a module of an app, both images of the app are in use.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::Facts;
use crate::instr::{Apply, LowLevel};
use crate::name::{AppName, ModuleName};
use crate::relup::Line;

/// The scope of one switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Windows {
    /// The whole release: one window, and a failed upgrade changes nothing.
    #[default]
    Release,
    /// One group of modules after the other, as in OTP. Completed windows are undone by a
    /// downgrade.
    Group,
}

/// The instructions of one window, and the apps with libraries that it loads from.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) lines: &'a [Line],
    pub(crate) is_first: bool,
    /// The apps with a module that this window loads by an instruction.
    named: BTreeSet<&'a AppName>,
    /// The apps with a module that an earlier window loads by an instruction.
    before: BTreeSet<&'a AppName>,
    /// The apps with a module that any window loads by an instruction.
    anywhere: BTreeSet<&'a AppName>,
}

impl Part<'_> {
    /// Returns whether the window opens an app's library.
    pub(crate) fn opens(&self, app: &AppName) -> bool {
        self.named.contains(app) || self.is_first && !self.anywhere.contains(app)
    }

    /// Returns whether this window is the first to open an app's library.
    pub(crate) fn opens_first(&self, app: &AppName) -> bool {
        self.opens(app) && !self.before.contains(app)
    }
}

/// Returns the windows of a relup, at least one.
pub(crate) fn parts<'a>(facts: &Facts<'a>, windows: Windows) -> Vec<Part<'a>> {
    let relup = facts.relup;
    let cuts = match windows {
        Windows::Release => vec![&relup.lines[..]],
        Windows::Group => cut(&relup.lines),
    };
    let named: Vec<BTreeSet<&AppName>> = cuts.iter().map(|lines| loaded_apps(facts, lines)).collect();
    let anywhere: BTreeSet<&AppName> = named.iter().flatten().copied().collect();
    let part = |(at, lines)| Part {
        lines,
        is_first: at == 0,
        before: named[..at].iter().flatten().copied().collect(),
        named: named[at].clone(),
        anywhere: anywhere.clone(),
    };
    cuts.into_iter().enumerate().map(part).collect()
}

fn loaded_apps<'a>(facts: &Facts<'a>, lines: &[Line]) -> BTreeSet<&'a AppName> {
    let loaded = lines.iter().filter_map(|line| match &line.instruction {
        LowLevel::Load { module, .. } => facts.new_owner(module).ok(),
        _ => None,
    });
    loaded.map(|owner| owner.name()).collect()
}

/// Cuts the instructions into windows: before each suspend, except the first, where no earlier
/// suspend or stop is still waiting for its resume or start.
fn cut(lines: &[Line]) -> Vec<&[Line]> {
    let completed = completed(lines);
    let (mut windows, mut begin, mut is_first) = (Vec::new(), 0, true);
    // The index after the instruction that completes the last suspend or stop so far.
    let mut held = 0;
    for (at, line) in lines.iter().enumerate() {
        let is_cut = matches!(line.instruction, LowLevel::Suspend { .. }) && held <= at;
        if is_cut && !std::mem::take(&mut is_first) {
            let prepared =
                lines[begin..at].iter().rev().take_while(|line| prepares(&line.instruction)).count();
            windows.push(&lines[begin..at - prepared]);
            begin = at - prepared;
        }
        let ends = begun(&line.instruction).into_iter().filter_map(|begun| completed.get(&begun).copied());
        held = ends.fold(held, usize::max);
    }
    windows.push(&lines[begin..]);
    windows
}

/// A suspension or stop that one instruction begins and a later instruction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Begun<'a> {
    Suspended(&'a ModuleName),
    Stopped(&'a ModuleName),
    StoppedApp(&'a AppName),
}

fn begun(instruction: &LowLevel) -> Vec<Begun<'_>> {
    match instruction {
        LowLevel::Suspend { modules } => {
            modules.iter().map(|suspend| Begun::Suspended(&suspend.module)).collect()
        }
        LowLevel::Stop { modules } => modules.iter().map(Begun::Stopped).collect(),
        LowLevel::StopApplication { app } => vec![Begun::StoppedApp(app)],
        _ => Vec::new(),
    }
}

/// Returns, for each suspension or stop, the index after the last instruction that ends it.
fn completed(lines: &[Line]) -> BTreeMap<Begun<'_>, usize> {
    let mut completed = BTreeMap::new();
    for (at, line) in (1..).zip(lines) {
        match &line.instruction {
            LowLevel::Resume { modules } => {
                completed.extend(modules.iter().map(|module| (Begun::Suspended(module), at)));
            }
            LowLevel::Start { modules } => {
                completed.extend(modules.iter().map(|module| (Begun::Stopped(module), at)));
            }
            LowLevel::StartApplication { app, .. } | LowLevel::LoadApplication { app } => {
                completed.extend([(Begun::StoppedApp(app), at)]);
            }
            _ => {}
        }
    }
    completed
}

/// Returns whether an instruction directly before a suspend belongs to the window of that suspend.
fn prepares(instruction: &LowLevel) -> bool {
    let prepares = |call: &Apply| match call.built_in() {
        Some(Ok(call)) => call.ends() || call.undo().is_some(),
        Some(Err(_)) | None => true,
    };
    match instruction {
        LowLevel::Apply(call) => prepares(call),
        LowLevel::SyncNodes { .. } => true,
        _ => false,
    }
}
