//! A node of a rollout, and the knowledge of the driver about it.

use std::time::{Duration, Instant};

use reld_fleet::State;

use super::journal::now;
use super::node::Look;
use super::sight::{self, Direction, Sight};
use super::ssh::{Lost, Ssh};
use super::target::Target;

/// The time between two looks at a busy or missing node.
const AGAIN: Duration = Duration::from_secs(1);

/// The release of a rollout, and the way to the nodes.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) target: Target,
    pub(super) ssh: Ssh,
}

/// A node and the knowledge about it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) host: String,
    /// The last sight; `None` before the first answer, or the first silence.
    pub(super) sight: Option<Sight>,
    /// The time of the last change of its state, if the node or this driver knows it.
    pub(super) since: Option<String>,
    /// The time at which this rollout began on the node, if it has.
    pub(super) begun: Option<String>,
    /// The release that it ran before the rollout.
    pub(super) origin: Option<String>,
    /// The number of its last history entry before this driver.
    past: Option<u64>,
    pub(super) hand: Hand,
    /// Whether it was looked at since the last wait.
    pub(super) is_confirmed: bool,
    pub(super) looked: Option<Instant>,
    /// Whether this driver has ordered it to begin, and whether it has seen an end since.
    pub(super) has_begun: bool,
    pub(super) has_ended: bool,
}

/// The task of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    Free,
    Looking,
    Moving,
}

impl Member {
    pub(super) fn new(host: String) -> Self {
        Self {
            host,
            sight: None,
            since: None,
            begun: None,
            origin: None,
            past: None,
            hand: Hand::Free,
            is_confirmed: false,
            looked: None,
            has_begun: false,
            has_ended: false,
        }
    }

    pub(super) fn skipped(host: String) -> Self {
        Self { sight: Some(Sight::skipped()), ..Self::new(host) }
    }

    /// Returns a member for a look after the end of all drivers: every failure counts.
    pub(super) fn with_all_failures(host: String) -> Self {
        Self { past: Some(0), ..Self::new(host) }
    }

    /// Returns the member without its sight, for a drive in another direction.
    pub(super) fn anew(self) -> Self {
        if self.state() == State::Skipped { Self::skipped(self.host) } else { Self::new(self.host) }
    }

    pub(super) fn state(&self) -> State {
        self.sight.as_ref().map_or(State::Missing, |sight| sight.state)
    }

    /// Returns whether the node is to be looked at now.
    pub(super) fn is_due(&self, confirms: bool) -> bool {
        let is_stale = self.looked.is_none_or(|looked| looked.elapsed() >= AGAIN);
        match self.state() {
            _ if self.hand != Hand::Free => false,
            _ if self.sight.is_none() => true,
            State::Busy | State::Missing => is_stale,
            State::Waiting | State::Committed => confirms && !self.is_confirmed,
            State::Failed | State::Skipped => false,
        }
    }

    /// Takes in the answers of the node.
    pub(super) fn see(&mut self, target: &Target, direction: Direction, look: Result<Box<Look>, Lost>) {
        self.looked = Some(Instant::now());
        self.is_confirmed = true;
        match look {
            Err(Lost(why)) => self.show(Sight::silent(why, self.sight.as_ref())),
            Ok(look) => {
                let past = *self.past.get_or_insert_with(|| sight::past(&look));
                self.begun = sight::begun(&look).map(str::to_owned);
                self.origin = sight::origin(&look).map(str::to_owned);
                let sight = sight::judge(direction, target, &look, past);
                let since = sight::since(&look, sight.state).map(str::to_owned);
                self.show_since(sight, since);
            }
        }
    }

    pub(super) fn show(&mut self, sight: Sight) {
        self.show_since(sight, None);
    }

    /// A change that the driver sees happens now, unless the node knows better. The first sight of
    /// a node at rest is no change.
    fn show_since(&mut self, sight: Sight, since: Option<String>) {
        let before = self.sight.as_ref().map(|sight| sight.state);
        if before != Some(sight.state) {
            let is_change = before.is_some() || matches!(sight.state, State::Busy | State::Missing);
            self.since = since.or_else(|| is_change.then(now));
        }
        self.sight = Some(sight);
    }
}
