//! The question on the terminal about states that the new code does not take.

use std::io::{self, IsTerminal as _};

use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::watch;

use crate::args::Misfits;
use crate::terminal;

/// Decides about states that the new code does not take.
#[derive(Debug)]
pub(super) enum Judge {
    Always(Misfits),
    /// Lines from the terminal.
    Terminal(Receiver<String>),
}

impl Judge {
    /// Returns the judge of an option. Without a terminal nothing is asked, and the old code runs
    /// on.
    pub(super) fn new(state: Misfits) -> Self {
        if state != Misfits::Ask {
            return Self::Always(state);
        }
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Self::Always(Misfits::KeepOld);
        }
        let (sender, lines) = channel(1);
        // The thread ends with the command: a read of the terminal cannot be cancelled.
        std::thread::spawn(move || {
            for line in io::stdin().lines().map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Self::Terminal(lines)
    }

    /// Returns whether the processes start anew. If another round follows, the question is
    /// withdrawn, and the old code runs until then.
    pub(super) async fn restarts(
        &mut self,
        app: &str,
        reasons: &[String],
        mut is_superseded: watch::Receiver<bool>,
    ) -> bool {
        let lines = match self {
            Self::Always(state) => return *state == Misfits::Restart,
            Self::Terminal(lines) => lines,
        };
        // Lines from before the question are no answers.
        while lines.try_recv().is_ok() {}
        let found: String = reasons.iter().map(|reason| format!("  {reason}\n")).collect();
        terminal::err(&format!(
            "{app}: the new code does not fit every process:\n{found}start the processes anew? [y/N] "
        ));
        let answer = tokio::select! {
            line = lines.recv() => line,
            _ = is_superseded.wait_for(|is| *is) => {
                terminal::err("\n");
                None
            }
        };
        answer.is_some_and(|line| matches!(line.trim(), "y" | "yes"))
    }
}
