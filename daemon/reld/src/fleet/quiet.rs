//! The time for which a rollout stands still, as far as the node has seen it.

use std::time::{Duration, Instant};

/// The state of the rollout, and the time since which the node sees it.
#[derive(Debug)]
pub(super) struct Quiet {
    revision: u64,
    since: Instant,
    looked: Instant,
}

impl Quiet {
    pub(super) const fn new(now: Instant) -> Self {
        Self { revision: 0, since: now, looked: now }
    }

    /// Notes a look at a revision of the state. The time begins anew with another revision, and
    /// after a `gap` without looks: the node cannot know what has passed in it.
    pub(super) fn see(&mut self, revision: u64, now: Instant, gap: Duration) {
        if revision != self.revision || now.saturating_duration_since(self.looked) > gap {
            (self.revision, self.since) = (revision, now);
        }
        self.looked = now;
    }

    /// Returns the time from the first look at the state to the last one.
    pub(super) fn time(&self) -> Duration {
        self.looked.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_looks_does_not_count() {
        let begun = Instant::now();
        let mut quiet = Quiet::new(begun);
        let mut see = |revision, second| {
            quiet.see(revision, begun + Duration::from_secs(second), Duration::from_secs(9));
            quiet.time().as_secs()
        };
        assert_eq!([see(7, 1), see(7, 4), see(7, 13)], [0, 3, 12]);
        assert_eq!([see(8, 16), see(8, 19)], [0, 3]);
        assert_eq!([see(8, 29), see(8, 32)], [0, 3], "etcd was away");
    }
}
