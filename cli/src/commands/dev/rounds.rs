//! Changes become rounds: a round begins when the folders have been quiet for a moment, and never
//! while another one runs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The time without a change after which a round begins. An editor that saves several files, or
/// one file in several steps, causes one round.
pub(super) const QUIET: Duration = Duration::from_millis(50);

/// The place of a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// In the folder of this app.
    App(PathBuf),
    /// Outside the folders of apps, such as a library that several apps use. Each app may change.
    Shared,
    /// In the `release.toml` or the `config.toml` beside it.
    Release,
}

pub(super) type Changes = BTreeSet<Change>;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing has changed since the last round.
    Waiting,
    /// Changes came, and the quiet time has not passed since the last one.
    Gathering(Changes),
    /// A round runs; the changes are for the next one.
    Running(Changes),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Changed(Changes),
    /// The quiet time has passed.
    Quiet,
    /// The round has ended.
    Done,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    /// Start the quiet time, from its beginning if it runs already.
    Wait,
    Run(Changes),
}

impl State {
    /// Returns whether another round follows the running one.
    pub(super) fn has_more(&self) -> bool {
        matches!(self, Self::Running(more) if !more.is_empty())
    }

    /// Returns the next state, and the action that leads there.
    ///
    /// | state | changed | quiet | done |
    /// |---|---|---|---|
    /// | waiting | gathering; wait | | |
    /// | gathering | gathering more; wait | running; run | |
    /// | running | running; more for the next round | | waiting |
    /// | running, with more | the same | | gathering more; wait |
    ///
    /// Other events change nothing.
    pub(super) fn next(self, event: Event) -> (Self, Action) {
        match (self, event) {
            (Self::Waiting, Event::Changed(new)) => (Self::Gathering(new), Action::Wait),
            (Self::Gathering(mut changes), Event::Changed(mut new)) => {
                changes.append(&mut new);
                (Self::Gathering(changes), Action::Wait)
            }
            (Self::Gathering(changes), Event::Quiet) => (Self::Running(Changes::new()), Action::Run(changes)),
            (Self::Running(mut more), Event::Changed(mut new)) => {
                more.append(&mut new);
                (Self::Running(more), Action::Nothing)
            }
            (Self::Running(more), Event::Done) if more.is_empty() => (Self::Waiting, Action::Nothing),
            (Self::Running(more), Event::Done) => (Self::Gathering(more), Action::Wait),
            (state, Event::Quiet | Event::Done) => (state, Action::Nothing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(apps: &[&str]) -> Changes {
        apps.iter().map(|app| Change::App(app.into())).collect()
    }

    #[test]
    fn every_row_of_the_table() {
        let changed = |app| Event::Changed(changes(&[app]));
        let gathering = |apps: &[&str]| State::Gathering(changes(apps));
        let running = |apps: &[&str]| State::Running(changes(apps));
        let run = |apps: &[&str]| Action::Run(changes(apps));
        for (state, event, expected) in [
            (State::Waiting, changed("a"), (gathering(&["a"]), Action::Wait)),
            (State::Waiting, Event::Quiet, (State::Waiting, Action::Nothing)),
            (State::Waiting, Event::Done, (State::Waiting, Action::Nothing)),
            (gathering(&["a"]), changed("b"), (gathering(&["a", "b"]), Action::Wait)),
            (gathering(&["a"]), Event::Quiet, (running(&[]), run(&["a"]))),
            (gathering(&["a"]), Event::Done, (gathering(&["a"]), Action::Nothing)),
            (running(&["a"]), changed("b"), (running(&["a", "b"]), Action::Nothing)),
            (running(&["a"]), Event::Quiet, (running(&["a"]), Action::Nothing)),
            (running(&[]), Event::Done, (State::Waiting, Action::Nothing)),
            (running(&["a"]), Event::Done, (gathering(&["a"]), Action::Wait)),
        ] {
            assert_eq!(state.next(event), expected);
        }
    }
}
