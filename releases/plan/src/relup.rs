//! A relup: the low-level instructions that lead from one release to another, in OTP's form, group by group.

use std::collections::BTreeMap;

use crate::collect::{Collected, Pair, collect, written};
use crate::error::PlanError;
use crate::instr::{LowLevel, Mode};
use crate::name::ModuleName;
use crate::reason::Reason;
use crate::release::Release;
use crate::relup_file::RelupEntry;
use crate::script::MemberChange;
use crate::translate;
use crate::version::Vsn;
use crate::warning::Warning;

/// An instruction and who wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<I = LowLevel> {
    /// The instruction.
    pub instruction: I,
    /// Who wants it.
    pub reason: Reason,
}

/// What the one who plans may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelupOptions {
    /// OTP: `restart_emulator`. Ends the script with a restart of the daemon.
    pub restart_daemon: bool,
}

/// The translation of all appups for one pair of releases and one direction.
///
/// Serialises as `{"script", "warnings"}`, a contract; prints as a numbered list.
#[derive(Debug, Clone, PartialEq)]
pub struct Relup {
    /// The release that is left.
    pub from: Vsn,
    /// The release gone to.
    pub to: Vsn,
    /// Up: the appups of the release gone to were read. Down: those of the release that is left.
    pub mode: Mode,
    /// The instructions.
    pub lines: Vec<Line>,
    /// OTP's warnings.
    pub warnings: Vec<Warning>,
    /// What an update does with each module; the instructions alone do not tell.
    pub(crate) changes: BTreeMap<ModuleName, MemberChange>,
    /// Modules that the appups keep on their old library.
    pub(crate) keep: Vec<ModuleName>,
    /// Modules that depend on each other.
    pub(crate) cycles: Vec<Vec<ModuleName>>,
}

/// Translates the appups of `top` for an upgrade from `base` to it, or for a downgrade from it to `base`.
///
/// OTP: systools:make_relup for one base release and one direction.
///
/// # Errors
/// OTP's, under OTP's names ([`PlanError::class`]); of several the one that OTP would report.
pub fn make_relup(
    top: &Release,
    base: &Release,
    mode: Mode,
    options: RelupOptions,
) -> Result<Relup, PlanError> {
    let pair = Pair { top, base, mode };
    translated(&pair, collect(&pair, options)?)
}

/// Returns the script that somebody wrote for a pair of releases, held to the same rules as what appups make.
pub(crate) fn written_relup(pair: &Pair<'_>, entry: &RelupEntry) -> Result<Relup, PlanError> {
    translated(pair, written(pair, entry))
}

fn translated(pair: &Pair<'_>, collected: Collected) -> Result<Relup, PlanError> {
    let translated = translate::translate(pair, collected.scripts)?;
    Ok(Relup {
        from: pair.from().version().clone(),
        to: pair.to().version().clone(),
        mode: pair.mode,
        lines: translated.lines,
        warnings: collected.warnings,
        changes: translated.changes,
        keep: collected.keep,
        cycles: translated.cycles,
    })
}

/// The relups of both directions between two releases.
///
/// Serialises as `{"up": R, "down": R}` in OTP's form: R is `{"script": [...], "warnings": [...]}` or
/// `{"error": {"class", "message", "args"}}`. Prints as two numbered lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Relups {
    /// From `base` to `top`.
    pub up: Result<Relup, PlanError>,
    /// From `top` to `base`.
    pub down: Result<Relup, PlanError>,
}

/// Translates the appups of `top` in both directions. A release that could not be read is the error of both, `top`'s
/// before `base`'s, as in OTP.
pub fn make_relups(
    top: Result<&Release, &PlanError>,
    base: Result<&Release, &PlanError>,
    options: RelupOptions,
) -> Relups {
    let direction = |mode| match (top, base) {
        (Ok(top), Ok(base)) => make_relup(top, base, mode, options),
        (Err(error), _) | (_, Err(error)) => Err(error.clone()),
    };
    Relups { up: direction(Mode::Up), down: direction(Mode::Down) }
}
