//! Prints a script as a numbered list for people.

use std::fmt;

use crate::instr::{PurgeWords, Timeout};
use crate::reason::Reason;
use crate::script::{Action, Mark, Member, MemberChange, Order, Script, Step};

/// Prints the script as a numbered list, each step with its reason.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Some(from) => writeln!(f, "{} from {from} to {}", self.mode.as_str(), self.to)?,
            None => writeln!(f, "boot {}", self.to)?,
        }
        let mut window = None;
        for (number, step) in (1..).zip(&self.steps) {
            if step.window != window {
                window = step.window;
                window.map_or(Ok(()), |number| writeln!(f, "window {number}"))?;
            }
            writeln!(f, "{number:>3}. {step}")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, reason, mark, order, .. } = self;
        write!(f, "{}", Reasoned { what: action, reason, order, mark: *mark })
    }
}

/// Prints an action with its origin, the differences from the author's order, and the limits of a
/// rollback.
pub(crate) struct Reasoned<'a, T> {
    pub(crate) what: &'a T,
    pub(crate) reason: &'a Reason,
    pub(crate) order: &'a Order,
    pub(crate) mark: Mark,
}

impl<T: fmt::Display> fmt::Display for Reasoned<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  -- {}{}", self.what, self.reason, self.order)?;
        match self.mark {
            Mark::Undone => Ok(()),
            mark => write!(f, "; {mark}"),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The maximum number of named steps.
        const NAMED: usize = 3;
        f.write_str(if self.child_missing {
            "; its child is missing from the resume until this step"
        } else {
            ""
        })?;
        for (word, steps) in [("before", &self.written_before), ("after", &self.written_behind)] {
            let named = &steps[..steps.len().min(NAMED)];
            if !named.is_empty() {
                write!(f, "; written {word} {}", named.join(", "))?;
            }
            if steps.len() > NAMED {
                write!(f, " and {} more", steps.len() - NAMED)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Undone => "undone by a rollback",
            Self::NoUndo => "NOT UNDONE by a rollback",
            Self::StateLost => "its state is LOST",
            Self::Irreversible => "IRREVERSIBLE",
            Self::Kills => "a brutal purge KILLS processes that run old code after the switch, IRREVERSIBLE",
            Self::TakenBack => "a failure reverts the upgrade",
            Self::Restarts => "the node RESTARTS",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.word())?;
        match self {
            Self::LoadObjectCode { app, vsn, modules } => write!(f, " {app}-{vsn} {}", Names(modules)),
            Self::Load { module, app, vsn, purge, dropped, .. } => {
                write!(f, " {module} of {app}-{vsn}{}{dropped}", Words(*purge))
            }
            Self::StartApplication { app, start_type } | Self::RestartApplication { app, start_type } => {
                write!(f, " {app} {start_type}")
            }
            Self::LoadApplication { app }
            | Self::StopApplication { app }
            | Self::UnloadApplication { app } => {
                write!(f, " {app}")
            }
            Self::Suspend { modules } => write!(f, " {}", Names(modules)),
            Self::CodeChange { module, from, to, mode, change, extra, inside, dropped, .. } => {
                write!(f, " {module} {} {from} to {to}, {change}, extra {extra}{dropped}", mode.as_str())?;
                f.write_str(if *inside { ", inside the pause" } else { "" })
            }
            Self::Apply(call) => write!(f, " {call}"),
            Self::SyncNodes { id, with } => write!(f, " {id} {with}"),
            Self::Resume { modules }
            | Self::Stop { modules }
            | Self::Start { modules }
            | Self::Purge { modules } => write!(f, " {}", Names(modules)),
            Self::Remove { module, app, vsn, purge } => {
                write!(f, " {module} of {app}-{vsn}{}", Words(*purge))
            }
            Self::Switch | Self::RestartNewDaemon | Self::RestartDaemon => Ok(()),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { module, timeout, change } = self;
        write!(f, "{module} ({change}")?;
        match timeout {
            Timeout::Default => f.write_str(")"),
            Timeout::Infinity => f.write_str(", no deadline)"),
            Timeout::Ms(ms) => write!(f, ", {ms} ms)"),
        }
    }
}

impl fmt::Display for MemberChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Soft => "soft",
            Self::Advanced => "advanced",
            Self::Supervisor => "supervisor",
            Self::Stop => "stop",
        })
    }
}

/// Prints a list: `[a b]`.
pub(crate) struct Names<'a, T>(pub(crate) &'a [T]);

impl<T: fmt::Display> fmt::Display for Names<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", names.join(" "))
    }
}

/// Prints the written purge methods.
pub(crate) struct Words(pub(crate) PurgeWords);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PurgeWords { pre, post } = self.0;
        pre.iter().try_for_each(|method| write!(f, ", pre_purge {}", method.as_str()))?;
        post.iter().try_for_each(|method| write!(f, ", post_purge {}", method.as_str()))
    }
}
