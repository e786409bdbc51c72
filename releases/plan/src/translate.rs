//! Second part of making a relup: translates scripts of written instructions into one script of
//! low-level instructions.
//!
//! OTP: systools_rc:translate_scripts. The passes and their order are OTP's, because only the first
//! of several mistakes is reported:
//!
//! ```text
//! split        each script at its point of no return; load_object_code moves before it
//! merge        all before parts, all after parts
//! syntax       wrong instructions
//! consistency  what is written by hand must be in pairs
//! apps         add, remove, restart_application become modules, start and stop
//! groups       modules that depend on each other move together, see group.rs
//! locate       one load_object_code per library, before everything
//! restarts     restart_new_daemon first, restart_daemon last
//! ```

use std::collections::{BTreeMap, BTreeSet};

use crate::appup::Written;
use crate::collect::Pair;
use crate::error::PlanError;
use crate::group::{self, Part};
use crate::instr::{HighLevel, Instruction, LowLevel, Mode, PurgeWords};
use crate::name::{AppName, ModuleName};
use crate::reason::{Cause, Reason};
use crate::rel::StartType;
use crate::release::ReleaseApp;
use crate::relup::Line;
use crate::script::MemberChange;
use crate::version::Vsn;

/// The translated script, with data that its instructions do not contain.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) lines: Vec<Line>,
    pub(crate) changes: BTreeMap<ModuleName, MemberChange>,
    pub(crate) cycles: Vec<Vec<ModuleName>>,
}

/// Translates the scripts of a pair of releases.
pub(crate) fn translate(pair: &Pair<'_>, scripts: Vec<Vec<Line<Written>>>) -> Result<Translated, PlanError> {
    let (before, after) = merge(scripts)?;
    let (before, after) = (low_level(syntax(before)?), syntax(after)?);
    consistent(&before, &after)?;
    let parts = parts(pair, after)?;
    let grouped = group::emit(pair, parts)?;
    let before = locate(before, grouped.object_code)?;
    Ok(Translated {
        lines: restarts(pair.mode, before, grouped.lines),
        changes: grouped.changes,
        cycles: grouped.cycles,
    })
}

type Parts<I> = (Vec<Line<I>>, Vec<Line<I>>);

fn merge(scripts: Vec<Vec<Line<Written>>>) -> Result<Parts<Written>, PlanError> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for script in scripts {
        let (b, a) = split(script)?;
        before.extend(b);
        after.extend(a);
    }
    Ok((before, after))
}

fn split(script: Vec<Line<Written>>) -> Result<Parts<Written>, PlanError> {
    let is_word = |line: &Line<Written>, word: &str| line.instruction.word() == Some(word);
    let mut halves = script.split(|line| is_word(line, "point_of_no_return"));
    let (first, second) = (halves.next().unwrap_or_default(), halves.next());
    if halves.next().is_some() {
        return Err(PlanError::TooManyPointOfNoReturn { reason: script[0].reason.clone() });
    }
    let (before, after) = second.map_or((&script[..0], first), |second| (first, second));
    let allowed = |line: &&Line<Written>| is_word(line, "load_object_code") || is_word(line, "apply");
    if let Some(line) = before.iter().find(|line| !allowed(line)) {
        let word = line.instruction.word().unwrap_or("an unknown instruction").to_owned();
        return Err(PlanError::BadOpBeforePointOfNoReturn { reason: line.reason.clone(), word });
    }
    let (code, after): (Vec<_>, Vec<_>) =
        after.iter().cloned().partition(|line| is_word(line, "load_object_code"));
    Ok((before.iter().cloned().chain(code).collect(), after))
}

fn syntax(lines: Vec<Line<Written>>) -> Result<Vec<Line<Instruction>>, PlanError> {
    let checked = |Line { instruction, reason }| match instruction {
        Written::Good(instruction) => Ok(Line { instruction, reason }),
        Written::Wrong(wrong) => Err(PlanError::Instruction(Box::new(wrong.error))),
    };
    lines.into_iter().map(checked).collect()
}

/// Unwraps the low-level instructions of a before part; the split allows no others there.
fn low_level(lines: Vec<Line<Instruction>>) -> Vec<Line> {
    let low = |Line { instruction, reason }| match instruction {
        Instruction::Low(instruction) => Some(Line { instruction, reason }),
        Instruction::High(_) => None,
    };
    lines.into_iter().filter_map(low).collect()
}

/// Checks hand-written instructions: every load has its code, every suspend its resume, every stop
/// its start.
fn consistent(before: &[Line], after: &[Line<Instruction>]) -> Result<(), PlanError> {
    let mut read = BTreeSet::new();
    for line in before {
        if let LowLevel::LoadObjectCode { modules, .. } = &line.instruction {
            read.extend(modules);
        }
    }
    let [mut suspended, mut resumed, mut stopped, mut started] = [(); 4].map(|()| Vec::new());
    for line in after {
        match &line.instruction {
            Instruction::Low(LowLevel::Load { module, .. }) if !read.contains(module) => {
                return Err(PlanError::NoObjectCode { module: module.clone() });
            }
            Instruction::Low(LowLevel::Suspend { modules }) => {
                suspended.extend(modules.iter().map(|suspend| suspend.module.clone()));
            }
            Instruction::Low(LowLevel::Resume { modules }) => resumed.extend(modules.iter().cloned()),
            Instruction::Low(LowLevel::Stop { modules }) => stopped.extend(modules.iter().cloned()),
            Instruction::Low(LowLevel::Start { modules }) => started.extend(modules.iter().cloned()),
            _ => {}
        }
    }
    nothing_left(&suspended, &resumed, |modules| PlanError::SuspendedNotResumed { modules })?;
    nothing_left(&resumed, &suspended, |modules| PlanError::ResumedNotSuspended { modules })?;
    nothing_left(&started, &stopped, |modules| PlanError::StartNotStop { modules })?;
    nothing_left(&stopped, &started, |modules| PlanError::StopNotStart { modules })
}

fn nothing_left(
    names: &[ModuleName],
    less: &[ModuleName],
    error: impl FnOnce(Vec<ModuleName>) -> PlanError,
) -> Result<(), PlanError> {
    let less: BTreeSet<_> = less.iter().collect();
    let left: Vec<_> = names.iter().filter(|name| !less.contains(name)).cloned().collect();
    if left.is_empty() { Ok(()) } else { Err(error(left)) }
}

/// Replaces the instructions about apps, and separates members of groups from other instructions.
fn parts(pair: &Pair<'_>, after: Vec<Line<Instruction>>) -> Result<Vec<Line<Part>>, PlanError> {
    let mut parts = Vec::new();
    for Line { instruction, reason } in after {
        let replaced = match instruction {
            Instruction::Low(low) => vec![Part::Other(low)],
            Instruction::High(HighLevel::AddApplication { app, start_type }) => add(pair, &app, start_type)?,
            Instruction::High(HighLevel::RemoveApplication { app }) => remove(pair, &app)?,
            Instruction::High(HighLevel::RestartApplication { app }) => restart(pair, &app)?,
            Instruction::High(high) => group::member(high).into_iter().map(Part::Member).collect(),
        };
        let line = |part| Line { instruction: part, reason: reason.clone() };
        parts.extend(replaced.into_iter().map(line));
    }
    Ok(parts)
}

fn add(pair: &Pair<'_>, app: &AppName, start_type: StartType) -> Result<Vec<Part>, PlanError> {
    let added = pair.to().app(app).ok_or_else(|| PlanError::NoSuchApplication { app: app.clone() })?;
    Ok(loads(added).chain(start(app, start_type)).collect())
}

fn remove(pair: &Pair<'_>, app: &AppName) -> Result<Vec<Part>, PlanError> {
    if pair.to().app(app).is_some() {
        return Err(PlanError::RemovedApplicationPresent { app: app.clone() });
    }
    let removed = pair.from().app(app).ok_or_else(|| PlanError::NoSuchApplication { app: app.clone() })?;
    let unload = Part::Other(LowLevel::UnloadApplication { app: app.clone() });
    Ok(stop_and_remove(removed).chain([unload]).collect())
}

fn restart(pair: &Pair<'_>, app: &AppName) -> Result<Vec<Part>, PlanError> {
    let missing = || PlanError::NoSuchApplication { app: app.clone() };
    let old = pair.from().app(app).ok_or_else(missing)?;
    let new = pair.to().app(app).ok_or_else(missing)?;
    Ok(stop_and_remove(old).chain(loads(new)).chain(start(app, new.start_type)).collect())
}

fn loads(app: &ReleaseApp) -> impl Iterator<Item = Part> {
    app.modules().iter().map(|module| Part::Member(group::Member::added(module.clone())))
}

fn start(app: &AppName, start_type: StartType) -> Option<Part> {
    let app = app.clone();
    match start_type {
        StartType::None => None,
        StartType::Load => Some(Part::Other(LowLevel::LoadApplication { app })),
        start_type => Some(Part::Other(LowLevel::StartApplication { app, start_type })),
    }
}

fn stop_and_remove(app: &ReleaseApp) -> impl Iterator<Item = Part> {
    let stop = LowLevel::StopApplication { app: app.name().clone() };
    let removes = app
        .modules()
        .iter()
        .map(|module| LowLevel::Remove { module: module.clone(), purge: PurgeWords::default() });
    let purge = LowLevel::Purge { modules: app.modules().to_vec() };
    [stop].into_iter().chain(removes).chain([purge]).map(Part::Other)
}

/// Puts the reads of library code before all other instructions. Each library has one instruction,
/// at the place of its first read.
fn locate(before: Vec<Line>, needed: Vec<Line<group::ObjectCode>>) -> Result<Vec<Line>, PlanError> {
    let (mut code, mut rest) = (Vec::new(), Vec::new());
    for Line { instruction, reason } in before {
        match instruction {
            LowLevel::LoadObjectCode { app, vsn, modules } => code.push(Code { app, vsn, modules, reason }),
            instruction => rest.push(Line { instruction, reason }),
        }
    }
    code.extend(needed.into_iter().map(
        |Line { instruction: group::ObjectCode { app, vsn, module }, reason }| Code {
            app,
            vsn,
            modules: vec![module],
            reason,
        },
    ));
    let mut lines = Vec::new();
    while let Some(first) = code.first() {
        let app = first.app.clone();
        let (same, other): (Vec<_>, Vec<_>) = code.into_iter().partition(|code| code.app == app);
        lines.push(library(same)?);
        code = other;
    }
    lines.extend(rest);
    Ok(lines)
}

/// The modules of a library that a script reads.
#[derive(Debug)]
struct Code {
    app: AppName,
    vsn: Vsn,
    modules: Vec<ModuleName>,
    reason: Reason,
}

/// Merges all reads of an app into one instruction. A module that is read several times keeps its
/// last place; a module that an author wrote twice in one list stays there twice.
fn library(all: Vec<Code>) -> Result<Line, PlanError> {
    let (app, vsn) = (all[0].app.clone(), all[0].vsn.clone());
    if let Some(other) = all.iter().rfind(|code| code.vsn != vsn) {
        return Err(PlanError::ConflictingVersions { app, vsns: [vsn, other.vsn.clone()] });
    }
    let reason = Reason::joined(all.iter().map(|code| &code.reason));
    let mut modules = Vec::new();
    for mut code in all.into_iter().rev() {
        code.modules.retain(|module| !modules.contains(module));
        modules.splice(0..0, code.modules);
    }
    Ok(Line { instruction: LowLevel::LoadObjectCode { app, vsn, modules }, reason })
}

/// Joins the parts around the point of no return and moves restarts to their places.
fn restarts(mode: Mode, before: Vec<Line>, after: Vec<Line>) -> Vec<Line> {
    let (new_daemon, after): (Vec<_>, Vec<_>) =
        after.into_iter().partition(|line| line.instruction == LowLevel::RestartNewDaemon);
    let (daemon, after): (Vec<_>, Vec<_>) =
        after.into_iter().partition(|line| line.instruction == LowLevel::RestartDaemon);
    let (first, last) = match mode {
        Mode::Up => (new_daemon, daemon),
        // Going down, the old daemon starts after all other instructions.
        Mode::Down => (Vec::new(), new_daemon.into_iter().chain(daemon).collect()),
    };
    let once = |lines: Vec<Line>, instruction: LowLevel| {
        let reason = Reason::joined(lines.iter().map(|line| &line.reason));
        (!lines.is_empty()).then_some(Line { instruction, reason })
    };
    let switch = Line { instruction: LowLevel::PointOfNoReturn, reason: Cause::PointOfNoReturn.into() };
    let middle = before.into_iter().chain([switch]).chain(after);
    once(first, LowLevel::RestartNewDaemon)
        .into_iter()
        .chain(middle)
        .chain(once(last, LowLevel::RestartDaemon))
        .collect()
}
