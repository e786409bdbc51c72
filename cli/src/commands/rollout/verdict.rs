//! The end of a driver, in words.

use reld_fleet::Halt;

use super::member::Member;

/// The words for the outcome of a rollout.
pub(super) const DONE: &str = "done";
pub(super) const HALTING: &str = "halting";
pub(super) const HALTED: &str = "halted";
pub(super) const INTERRUPTED: &str = "interrupted";
pub(super) const NOT_BEGUN: &str = "not_begun";
pub(super) const PAUSED: &str = "paused";
pub(super) const RUNNING: &str = "running";
pub(super) const TAKING_BACK: &str = "taking_back";
pub(super) const TAKEN_BACK: &str = "taken_back";

/// The end of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    Halted(Halt),
    /// A signal has ended the driver.
    Interrupted(&'static str),
}

impl Verdict {
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Done => DONE,
            Self::Halted(_) => HALTED,
            Self::Interrupted(_) => INTERRUPTED,
        }
    }

    /// Returns the reason of an end before the goal.
    pub(super) fn why(&self, members: &[Member]) -> Option<String> {
        match self {
            Self::Done => None,
            Self::Interrupted(signal) => Some(format!("the driver got {signal}")),
            Self::Halted(halt) => {
                let hosts: Vec<_> = members.iter().map(|member| member.host.as_str()).collect();
                Some(halt.in_words(&hosts))
            }
        }
    }
}
