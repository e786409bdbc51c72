//! Which instructions of a relup are carried out as one window.
//!
//! A window is what one gate is raised for and what becomes current at one switch. By default that is the whole release.
//! By group it is what OTP suspends and resumes together: the instructions are cut before each suspend at which nobody is
//! held. What stands between a resume and the next suspend belongs to the window before, but for what comes right
//! before that suspend and prepares it: calls of functions, and of built-in modules that end or rename a child.
//! A stop and its start, of modules or of an app, are never cut apart.
//!
//! A library is one image for all modules of an app, but its modules move one by one. So:
//!
//! - Each window opens the libraries that it loads modules of; one that no instruction loads from is opened by the first.
//! - The modules that no instruction names move with the first window that opens their library. The author has said
//!   that nothing about them changes, and what is new in the others may need them.
//! - Until the last window that names a module of an app, both of the app's images are in use.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::Facts;
use crate::instr::{Apply, LowLevel};
use crate::name::{AppName, ModuleName};
use crate::relup::Line;

/// What of a release moves at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Windows {
    /// Everything: one window, and an upgrade that fails has done nothing.
    #[default]
    Release,
    /// One group of modules after the other, as in OTP. What a window has done is taken back by a downgrade.
    Group,
}

/// The instructions of one window, and what is to be known about its libraries.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    pub(crate) lines: &'a [Line],
    pub(crate) is_first: bool,
    /// The apps that an instruction of this window loads a module of.
    named: BTreeSet<&'a AppName>,
    /// The apps that one of a window before it does.
    before: BTreeSet<&'a AppName>,
    /// The apps that one of any window does.
    anywhere: BTreeSet<&'a AppName>,
}

impl Part<'_> {
    /// Returns whether the window opens an app's library.
    pub(crate) fn opens(&self, app: &AppName) -> bool {
        self.named.contains(app) || self.is_first && !self.anywhere.contains(app)
    }

    /// Returns whether no window before it opens an app's library, and it does.
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

/// Cuts the instructions before each suspend at which nobody is held, but for the first.
fn cut(lines: &[Line]) -> Vec<&[Line]> {
    let completed = completed(lines);
    let (mut windows, mut begin, mut is_first) = (Vec::new(), 0, true);
    // Up to where something is held that was begun before.
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

/// Something that one instruction begins and a later one completes.
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

/// Returns behind which instruction each thing is completed for the last time.
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

/// Returns whether an instruction prepares what comes after it, rather than completes what came before.
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
