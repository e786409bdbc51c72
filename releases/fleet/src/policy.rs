//! The policy of a rollout, as far as it decides about the next upgrades.

use std::ops::Range;
use std::time::Duration;

use reld_plan::{Rollout, Share};

/// The rules for the next upgrades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The nodes that are upgraded before all others.
    pub canary: Share,
    /// The nodes that are upgraded at the end of each wave. The last one is all nodes.
    pub waves: Vec<Share>,
    /// The greatest number of nodes that may be unavailable.
    pub max_unavailable: usize,
    /// The time between two waves.
    pub pause_between: Duration,
    /// The number of nodes that may fail.
    pub max_failures: usize,
    /// The longest time in which no upgrade begins or ends.
    pub deadline: Duration,
}

impl From<&Rollout> for Policy {
    fn from(rollout: &Rollout) -> Self {
        Self {
            canary: rollout.canary,
            waves: rollout.waves.clone(),
            max_unavailable: rollout.max_unavailable,
            pause_between: rollout.pause_between,
            max_failures: rollout.max_failures,
            deadline: rollout.deadline,
        }
    }
}

/// The number of digits of the identity in the name of a rollout.
const DIGITS: usize = 8;

/// Returns the name of a rollout, from the name, the version and the identity of its release. Two
/// rollouts of the same content have the same name.
#[must_use]
pub fn rollout_name(release: &str, version: &str, identity: &str) -> String {
    let digits: String = identity.chars().take(DIGITS).collect();
    format!("{release}-{version}-{digits}")
}

impl Policy {
    /// Returns the policy of the way back: the same budget and deadline, without canaries, waves
    /// and pauses. A node that cannot go back does not keep the others from it, as long as the
    /// budget allows another one.
    #[must_use]
    pub fn back(&self) -> Self {
        Self {
            canary: Share::Nodes(0),
            waves: vec![Share::ALL],
            pause_between: Duration::ZERO,
            max_failures: self.max_unavailable - 1,
            ..*self
        }
    }

    /// Returns the number of canaries among this number of nodes.
    pub(crate) fn canaries(&self, all: usize) -> usize {
        self.canary.of(all)
    }

    /// Returns the nodes of each wave, the canaries first. No wave is empty, and every node is in
    /// one.
    pub(crate) fn waves(&self, all: usize) -> Vec<Range<usize>> {
        let ends = self.waves.iter().map(|wave| wave.of(all)).chain([all]);
        let mut waves = Vec::new();
        let mut begin = 0;
        for end in [self.canaries(all)].into_iter().chain(ends) {
            if end > begin {
                waves.push(begin..end);
                begin = end;
            }
        }
        waves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(canary: Share, waves: &[Share], all: usize, expected: &[Range<usize>]) {
        let rollout = Rollout::parse("rollout.toml", "release = 'a.tar.gz'").unwrap();
        let policy = Policy { canary, waves: waves.to_vec(), ..Policy::from(&rollout) };
        assert_eq!(policy.waves(all), expected);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a fleet of one wave")]
    fn waves_follow_the_canaries_and_leave_no_node_out() {
        let percent = Share::Percent;
        check(Share::Nodes(1), &[percent(25), Share::ALL], 8, &[0..1, 1..2, 2..8]);
        check(Share::Nodes(1), &[percent(25), Share::ALL], 3, &[0..1, 1..3]);
        check(Share::Nodes(0), &[Share::ALL], 3, &[0..3]);
        check(Share::Nodes(3), &[Share::Nodes(2), percent(10), Share::ALL], 5, &[0..3, 3..5]);
        check(Share::Nodes(9), &[Share::ALL], 3, &[0..3]);
        check(Share::Nodes(1), &[Share::ALL], 0, &[]);
    }
}
