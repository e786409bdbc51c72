//! First part of making a relup: collects the instructions, with their origins, in order.
//!
//! OTP: systools_relup. The apps that the release adds come first, then the matching appup entry of
//! every changed app in the newer release's start order, and last the apps that the release drops.
//! The order is the same in both directions.

use crate::appup::{Appup, Entry, Written};
use crate::error::PlanError;
use crate::instr::{HighLevel, Instruction, LowLevel, Mode};
use crate::name::ModuleName;
use crate::reason::{Cause, Reason};
use crate::release::{AppupFile, Release, ReleaseApp};
use crate::relup::{Line, RelupOptions};
use crate::relup_file::RelupEntry;
use crate::version::Vsn;
use crate::warning::Warning;

/// The two releases of a relup. The appups come from `top`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) top: &'a Release,
    pub(crate) base: &'a Release,
    pub(crate) mode: Mode,
}

/// The input of the translation.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) scripts: Vec<Vec<Line<Written>>>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) keep: Vec<ModuleName>,
}

impl<'a> Pair<'a> {
    /// Returns the source release.
    pub(crate) const fn from(&self) -> &'a Release {
        match self.mode {
            Mode::Up => self.base,
            Mode::Down => self.top,
        }
    }

    /// Returns the target release.
    pub(crate) const fn to(&self) -> &'a Release {
        match self.mode {
            Mode::Up => self.top,
            Mode::Down => self.base,
        }
    }

    /// Returns the apps that are in both releases with different versions, as (top, base), in the
    /// start order of `top`.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (&'a ReleaseApp, &'a ReleaseApp)> {
        let base = self.base;
        let both = self.top.start_order().filter_map(move |top| Some((top, base.app(top.name())?)));
        both.filter(|(top, base)| top.version() != base.version())
    }

    fn daemon_changes(&self) -> bool {
        self.top.rel().daemon != self.base.rel().daemon
    }

    fn daemon_warning(&self) -> Warning {
        let (from, to) = (self.from().rel().daemon.clone(), self.to().rel().daemon.clone());
        Warning::DaemonChanged { from, to }
    }

    /// Returns the apps that only the target release has, in the order of its release file.
    fn added(&self) -> impl Iterator<Item = &'a ReleaseApp> {
        only_in(self.to(), self.from())
    }

    /// Returns the apps that only the source release has, in the order of its release file.
    fn removed(&self) -> impl Iterator<Item = &'a ReleaseApp> {
        only_in(self.from(), self.to())
    }
}

fn only_in<'a>(one: &'a Release, other: &'a Release) -> impl Iterator<Item = &'a ReleaseApp> {
    one.apps().iter().filter(|app| other.app(app.name()).is_none())
}

/// Collects the hand-written script for a pair of releases, in place of the appups.
pub(crate) fn written(pair: &Pair<'_>, entry: &RelupEntry) -> Collected {
    let mut collected = Collected { keep: entry.keep.clone(), ..Collected::default() };
    let is_restart = |instruction: &&LowLevel| **instruction == LowLevel::RestartNewDaemon;
    if pair.daemon_changes() {
        collected.push(Cause::DaemonChanged, Instruction::Low(LowLevel::RestartNewDaemon));
        collected.warnings.push(pair.daemon_warning());
    } else if entry.instructions.iter().any(|instruction| is_restart(&instruction)) {
        collected.push(Cause::Relup, Instruction::Low(LowLevel::RestartNewDaemon));
    }
    let line = |instruction: &LowLevel| Line {
        instruction: Instruction::Low(instruction.clone()).into(),
        reason: Cause::Relup.into(),
    };
    let instructions = entry.instructions.iter().filter(|instruction| !is_restart(instruction));
    collected.scripts.push(instructions.map(line).collect());
    collected
}

/// Collects the scripts of a pair of releases.
pub(crate) fn collect(pair: &Pair<'_>, options: RelupOptions) -> Result<Collected, PlanError> {
    let mut collected = Collected::default();
    if pair.daemon_changes() {
        collected.push(Cause::DaemonChanged, Instruction::Low(LowLevel::RestartNewDaemon));
    }
    for app in pair.added() {
        let add = HighLevel::AddApplication { app: app.name().clone(), start_type: app.start_type };
        collected.push(Cause::AddedApplication(app.name().clone()), Instruction::High(add));
    }
    for (top, base) in pair.changed() {
        collected.changed(pair.mode, top, base)?;
    }
    for app in pair.removed() {
        let remove = HighLevel::RemoveApplication { app: app.name().clone() };
        collected.push(Cause::RemovedApplication(app.name().clone()), Instruction::High(remove));
    }
    if options.restart_daemon {
        collected.push(Cause::RestartAsked, Instruction::Low(LowLevel::RestartDaemon));
    }
    if pair.daemon_changes() {
        collected.warnings.push(pair.daemon_warning());
    }
    // As in OTP, the latest warning comes first.
    collected.warnings.reverse();
    Ok(collected)
}

impl Collected {
    fn push(&mut self, cause: Cause, instruction: Instruction) {
        self.scripts.push(vec![Line { instruction: instruction.into(), reason: cause.into() }]);
    }

    fn changed(&mut self, mode: Mode, top: &ReleaseApp, base: &ReleaseApp) -> Result<(), PlanError> {
        let appup = appup(mode, top, base)?;
        if appup.version != *top.version() {
            let (app, version, appup) = (top.name().clone(), top.version().clone(), appup.version.clone());
            self.warnings.push(Warning::BadVsn { app, version, appup });
        }
        let entry = entry(appup, mode, top, base)?;
        let reason = Reason::from(Cause::Appup(top.name().clone()));
        let line = |written: &Written| Line { instruction: written.clone(), reason: reason.clone() };
        self.scripts.push(entry.instructions.iter().map(line).collect());
        self.keep.extend(entry.keep.iter().cloned());
        Ok(())
    }
}

/// Returns the appup of a changed app, which is stored with its newer version.
fn appup<'a>(mode: Mode, top: &'a ReleaseApp, base: &ReleaseApp) -> Result<&'a Appup, PlanError> {
    let app = top.name();
    match &top.docs.appup {
        AppupFile::Found(appup) if appup.app == *app => Ok(appup),
        AppupFile::Found(appup) => {
            Err(PlanError::ForeignAppup { app: app.clone(), named: appup.app.clone() })
        }
        AppupFile::Broken(at) => Err(PlanError::BrokenAppup { app: app.clone(), at: Box::new(at.clone()) }),
        AppupFile::Missing => {
            let (from, to) = directed(mode, top, base);
            Err(PlanError::NoAppup { app: app.clone(), from, to, mode })
        }
    }
}

fn entry<'a>(
    appup: &'a Appup,
    mode: Mode,
    top: &ReleaseApp,
    base: &ReleaseApp,
) -> Result<&'a Entry, PlanError> {
    appup.entry(mode, base.version()).ok_or_else(|| {
        let (from, to) = directed(mode, top, base);
        PlanError::NoRelup { app: top.name().clone(), from, to, mode }
    })
}

fn directed(mode: Mode, top: &ReleaseApp, base: &ReleaseApp) -> (Vsn, Vsn) {
    match mode {
        Mode::Up => (base.version().clone(), top.version().clone()),
        Mode::Down => (top.version().clone(), base.version().clone()),
    }
}
