//! Prints relups as numbered lists for people, in the same notation as scripts.

use std::fmt;

use crate::instr::{CodeChange, LowLevel, Suspend, Timeout};
use crate::print::inline;
use crate::relup::{Line, Relup, Relups};
use crate::script::{Mark, Order};
use crate::script_print::{Names, Reasoned, Words};

impl fmt::Display for Relups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, direction) in [("up", &self.up), ("down", &self.down)] {
            match direction {
                Ok(relup) => write!(f, "{relup}")?,
                Err(error) => writeln!(f, "{word}: error[{}]: {error}", error.code())?,
            }
        }
        Ok(())
    }
}

/// Prints the relup as a numbered list, each step with its reason.
impl fmt::Display for Relup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} from {} to {}, group by group", self.mode.as_str(), self.from, self.to)?;
        for (number, line) in (1..).zip(&self.lines) {
            writeln!(f, "{number:>3}. {line}")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instruction, reason } = self;
        write!(
            f,
            "{}",
            Reasoned { what: instruction, reason, order: &Order::default(), mark: mark(instruction) }
        )
    }
}

/// Returns how a rollback treats an instruction.
fn mark(instruction: &LowLevel) -> Mark {
    match instruction {
        LowLevel::Apply(call) => call.mark(),
        LowLevel::Start { .. } => Mark::TakenBack,
        LowLevel::Load { purge, .. } if purge.is_brutal() => Mark::Kills,
        LowLevel::RestartNewDaemon | LowLevel::RestartDaemon => Mark::Restarts,
        LowLevel::Stop { .. }
        | LowLevel::Remove { .. }
        | LowLevel::Purge { .. }
        | LowLevel::StopApplication { .. }
        | LowLevel::UnloadApplication { .. } => Mark::Irreversible,
        _ => Mark::Undone,
    }
}

impl fmt::Display for LowLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.word())?;
        match self {
            Self::LoadObjectCode { app, vsn, modules } => write!(f, " {app}-{vsn} {}", Names(modules)),
            Self::Load { module, purge } | Self::Remove { module, purge } => {
                write!(f, " {module}{}", Words(*purge))
            }
            Self::Purge { modules }
            | Self::Resume { modules }
            | Self::Stop { modules }
            | Self::Start { modules } => write!(f, " {}", Names(modules)),
            Self::Suspend { modules } => write!(f, " {}", Names(modules)),
            Self::CodeChange { mode, modules } => write!(f, " {} {}", mode.as_str(), Names(modules)),
            Self::SyncNodes { id, with } => write!(f, " {id} {with}"),
            Self::Apply(call) => write!(f, " {call}"),
            Self::StartApplication { app, start_type } => write!(f, " {app} {start_type}"),
            Self::LoadApplication { app }
            | Self::StopApplication { app }
            | Self::UnloadApplication { app } => write!(f, " {app}"),
            Self::PointOfNoReturn | Self::RestartNewDaemon | Self::RestartDaemon => Ok(()),
        }
    }
}

impl fmt::Display for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.timeout {
            Timeout::Default => write!(f, "{}", self.module),
            Timeout::Infinity => write!(f, "{} (no deadline)", self.module),
            Timeout::Ms(ms) => write!(f, "{} ({ms} ms)", self.module),
        }
    }
}

impl fmt::Display for CodeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (extra {})", self.module, inline(&self.extra))
    }
}
