//! A relup: the low-level instructions between two releases, in OTP's form, group by group.

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

/// An instruction and its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<I = LowLevel> {
    /// The instruction.
    pub instruction: I,
    /// The origin.
    pub reason: Reason,
}

/// Options of a relup.
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
    /// The source release.
    pub from: Vsn,
    /// The target release.
    pub to: Vsn,
    /// The direction. Up: the appups of the target release were read. Down: the appups of the
    /// source release were read.
    pub mode: Mode,
    /// The instructions.
    pub lines: Vec<Line>,
    /// OTP's warnings.
    pub warnings: Vec<Warning>,
    /// How an update changes the states of each module. The instructions do not contain this.
    pub(crate) changes: BTreeMap<ModuleName, MemberChange>,
    /// Modules that the appups keep on their old library.
    pub(crate) keep: Vec<ModuleName>,
    /// Modules that depend on each other.
    pub(crate) cycles: Vec<Vec<ModuleName>>,
}

/// Translates the appups of `top` for an upgrade from `base` to `top`, or for a downgrade from
/// `top` to `base`.
///
/// OTP: systools:make_relup for one base release and one direction.
///
/// # Errors
/// OTP's errors, under OTP's names ([`PlanError::code`]). If there are several mistakes, the
/// reported one is the one that OTP would report.
pub fn make_relup(
    top: &Release,
    base: &Release,
    mode: Mode,
    options: RelupOptions,
) -> Result<Relup, PlanError> {
    let pair = Pair { top, base, mode };
    translated(&pair, collect(&pair, options)?)
}

/// Returns the hand-written script for a pair of releases, after the same checks as a generated
/// one.
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
/// Serialises as `{"up": R, "down": R}` in OTP's form: R is `{"script": [...], "warnings": [...]}`
/// or `{"error": {"class", "message", "args"}}`. Prints as two numbered lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Relups {
    /// From `base` to `top`.
    pub up: Result<Relup, PlanError>,
    /// From `top` to `base`.
    pub down: Result<Relup, PlanError>,
}

/// Translates the appups of `top` in both directions. A release that could not be read is the error
/// of both directions; as in OTP, the error of `top` comes first.
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
