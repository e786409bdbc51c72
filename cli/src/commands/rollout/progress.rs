//! The progress of a rollout on stderr: a line for each change, and on a terminal a last line with
//! the present state of all nodes.

use std::io::{self, IsTerminal as _};

use reld_fleet::{State, Wait};

use super::member::Member;
use super::sight::Direction;
use crate::terminal;

#[derive(Debug)]
pub(super) struct Progress {
    direction: Direction,
    is_terminal: bool,
    /// The last reason for a wait.
    waits: String,
}

impl Progress {
    pub(super) fn new(direction: Direction) -> Self {
        Self { direction, is_terminal: io::stderr().is_terminal(), waits: String::new() }
    }

    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    /// Shows the present state of a node. The steps of a busy node are shown only on a terminal.
    pub(super) fn show(&mut self, members: &[Member], node: usize) {
        let member = &members[node];
        let Some(sight) = &member.sight else { return };
        let word = word(self.direction, sight.state);
        let why = sight.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        if sight.state != State::Busy || sight.why.is_none() || self.is_terminal {
            self.line(&format!("{}: {word}{why}\n", member.host));
        }
        self.summary(members);
    }

    /// Shows the reason for a wait, once.
    pub(super) fn wait(&mut self, members: &[Member], wait: &Wait) {
        let text = match wait {
            Wait::Upgrades(_) => String::new(),
            Wait::Unavailable(nodes) => format!("waits for {}\n", named(self.direction, members, nodes)),
            Wait::Pause(_) => "pauses before the next wave\n".to_owned(),
            Wait::Halting(_, nodes) => format!("halts after {}\n", named(self.direction, members, nodes)),
        };
        self.reason(members, text);
    }

    /// Shows a reason for a wait, in words, once.
    pub(super) fn reason(&mut self, members: &[Member], text: String) {
        if text != self.waits {
            self.line(&text);
            self.summary(members);
            self.waits = text;
        }
    }

    pub(super) fn end(&self) {
        if self.is_terminal {
            terminal::replace_line("");
        }
    }

    fn line(&self, text: &str) {
        self.end();
        terminal::err(text);
    }

    fn summary(&self, members: &[Member]) {
        if !self.is_terminal {
            return;
        }
        let all =
            [State::Committed, State::Busy, State::Waiting, State::Missing, State::Failed, State::Skipped];
        let count = |state: State| {
            let number =
                members.iter().filter(|member| member.sight.as_ref().is_some_and(|s| s.state == state));
            (number.count(), word(self.direction, state))
        };
        let counts = all.map(count).into_iter().filter(|(number, _)| *number > 0);
        let counts: Vec<_> = counts.map(|(number, word)| format!("{number} {word}")).collect();
        terminal::replace_line(&counts.join(", "));
    }
}

/// Names nodes with their states.
fn named(direction: Direction, members: &[Member], nodes: &[usize]) -> String {
    let name = |node: &usize| {
        let Member { host, sight, since, .. } = &members[*node];
        let Some(sight) = sight else { return host.clone() };
        let why = sight.why.as_ref().map(|why| format!(", {why}")).unwrap_or_default();
        let since = since.as_ref().map(|since| format!(" since {since}")).unwrap_or_default();
        format!("{host}: {}{since}{why}", word(direction, sight.state))
    };
    nodes.iter().map(name).collect::<Vec<_>>().join("; ")
}

/// Returns the word for a state.
pub(super) const fn word(direction: Direction, state: State) -> &'static str {
    match (direction, state) {
        (_, State::Waiting) => "waiting",
        (Direction::Forward, State::Busy) => "upgrading",
        (Direction::Back, State::Busy) => "going back",
        (Direction::Forward, State::Committed) => "committed",
        (Direction::Back, State::Committed) => "back",
        (_, State::Failed) => "failed",
        (_, State::Missing) => "unreachable",
        (_, State::Skipped) => "skipped",
    }
}
