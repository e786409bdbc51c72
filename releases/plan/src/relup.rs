//! A relup: the low-level instructions that lead from one release to another, in OTP's form, group by group.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use crate::collect::{Collected, Pair, collect, written};
use crate::error::PlanError;
use crate::instr::{Apply, LowLevel, Mode, PurgeMethod, PurgeWords, Suspend, SyncWith, Timeout};
use crate::instr_print;
use crate::name::ModuleName;
use crate::reason::Reason;
use crate::rel::StartType;
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
/// Prints as a numbered list.
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

/// Returns both directions between two releases as `{"up": R, "down": R}`, in OTP's form.
///
/// R is `{"script": [...], "warnings": [...]}` or `{"error": {"class", "message", "args"}}`. A release that could not be
/// read is the error of both directions, `top`'s before `base`'s, as in OTP.
pub fn group_json(top: Result<&Release, &PlanError>, base: Result<&Release, &PlanError>) -> Value {
    let direction = |mode| match (top, base) {
        (Ok(top), Ok(base)) => match make_relup(top, base, mode, RelupOptions::default()) {
            Ok(relup) => relup.to_json(),
            Err(error) => json!({ "error": error }),
        },
        (Err(error), _) | (_, Err(error)) => json!({ "error": error }),
    };
    json!({ "up": direction(Mode::Up), "down": direction(Mode::Down) })
}

impl Relup {
    /// Returns the instructions and warnings as `{"script": [...], "warnings": [...]}`.
    pub fn to_json(&self) -> Value {
        let script: Vec<_> = self.lines.iter().map(|line| low(&line.instruction)).collect();
        json!({ "script": script, "warnings": self.warnings })
    }
}

impl fmt::Display for Relup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} from {} to {}", self.mode.as_str(), self.from, self.to)?;
        for (number, Line { instruction, reason }) in (1..).zip(&self.lines) {
            writeln!(f, "{number:>3}. {}  -- {reason}", instr_print::low_level(instruction))?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

fn low(instruction: &LowLevel) -> Value {
    let op = instruction.word();
    match instruction {
        LowLevel::LoadObjectCode { app, vsn, modules } => {
            json!({ "op": op, "app": app, "vsn": vsn, "modules": modules })
        }
        LowLevel::Load { module, purge } | LowLevel::Remove { module, purge } => {
            let PurgeWords { pre, post } = purge;
            json!({ "op": op, "module": module, "pre_purge": or_brutal(*pre), "post_purge": or_brutal(*post) })
        }
        LowLevel::Purge { modules }
        | LowLevel::Resume { modules }
        | LowLevel::Stop { modules }
        | LowLevel::Start { modules } => json!({ "op": op, "modules": modules }),
        LowLevel::Suspend { modules } => {
            json!({ "op": op, "modules": modules.iter().map(suspend).collect::<Vec<_>>() })
        }
        LowLevel::CodeChange { mode, modules } => {
            let pairs: Vec<_> =
                modules.iter().map(|each| json!({ "module": each.module, "extra": each.extra })).collect();
            json!({ "op": op, "mode": mode, "modules": pairs })
        }
        LowLevel::SyncNodes { id, with: SyncWith::Nodes(nodes) } => {
            json!({ "op": op, "id": id, "nodes": nodes })
        }
        LowLevel::SyncNodes { id, with: SyncWith::From(call) } => {
            let Apply { module, function, args, .. } = call;
            json!({ "op": op, "id": id, "module": module, "function": function, "args": args })
        }
        LowLevel::Apply(call) => apply(call),
        LowLevel::StartApplication { app, start_type } => json!({ "op": op, "app": app, "type": start_type }),
        LowLevel::LoadApplication { app }
        | LowLevel::StopApplication { app }
        | LowLevel::UnloadApplication { app } => json!({ "op": op, "app": app }),
        LowLevel::PointOfNoReturn | LowLevel::RestartNewDaemon | LowLevel::RestartDaemon => {
            json!({ "op": op })
        }
    }
}

/// OTP's default, where no purge word is written.
fn or_brutal(method: Option<PurgeMethod>) -> PurgeMethod {
    method.unwrap_or(PurgeMethod::Brutal)
}

fn suspend(suspend: &Suspend) -> Value {
    match suspend.timeout {
        Timeout::Default => json!({ "module": suspend.module }),
        timeout => json!({ "module": suspend.module, "timeout_ms": timeout }),
    }
}

/// A written call of `application` has the same form as a generated one: in OTP they are the same term.
fn apply(call: &Apply) -> Value {
    let Apply { module, function, args, .. } = call;
    let start_type = |word: &Value| StartType::WORDS.iter().any(|(name, _)| word == name);
    match (module.as_str(), function.as_str(), args.as_slice()) {
        ("application", "start", [app, word]) if start_type(word) => {
            json!({ "op": "start_application", "app": app, "type": word })
        }
        ("application", "load" | "stop" | "unload", [app]) => {
            json!({ "op": format!("{function}_application"), "app": app })
        }
        _ => json!({ "op": "apply", "module": module, "function": function, "args": args }),
    }
}
