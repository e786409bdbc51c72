//! The connection of the node to etcd, as people see it.

use std::time::Duration;

use super::membership::Membership;

/// The pause after a fault, doubled with each fault in a row.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause after a passing fault. It is shorter than the lease of a presence.
const PASSING_MAX: Duration = Duration::from_secs(5);

/// The longest pause after a lasting fault, which a person has to mend.
const LASTING_MAX: Duration = Duration::from_secs(30);

/// The connection of the node to etcd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// No request has been answered yet.
    #[default]
    Begins,
    Connected,
    Lost {
        fault: String,
        /// The number of faults in a row.
        times: u32,
    },
}

impl Link {
    pub(super) const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected)
    }

    /// Returns the state in one sentence.
    pub(super) fn text(&self, membership: &Membership) -> String {
        let Membership { fleet, node, .. } = membership;
        match self {
            Self::Begins => format!("{fleet} as {node}: connects to etcd"),
            Self::Connected => format!("{fleet} as {node}: connected to etcd"),
            Self::Lost { fault, .. } => format!("{fleet} as {node}: {fault}"),
        }
    }

    /// Returns the link after one more fault, and the pause before the next attempt.
    pub(super) fn lost(&self, fault: String, is_passing: bool) -> (Self, Duration) {
        let times = if let Self::Lost { times, .. } = self { times + 1 } else { 1 };
        let longest = if is_passing { PASSING_MAX } else { LASTING_MAX };
        let pause = PAUSE.saturating_mul(1 << (times - 1).min(16)).min(longest);
        (Self::Lost { fault, times }, pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_each_fault_in_a_row_up_to_a_bound() {
        let pauses = |is_passing: bool| {
            let mut link = Link::Connected;
            let mut lost = || {
                let (next, pause) = link.lost("gone".to_owned(), is_passing);
                link = next;
                pause.as_millis()
            };
            [(); 8].map(|()| lost())
        };
        assert_eq!(pauses(true), [500, 1000, 2000, 4000, 5000, 5000, 5000, 5000]);
        assert_eq!(pauses(false), [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        let (link, pause) =
            Link::Lost { fault: String::new(), times: u32::MAX - 1 }.lost(String::new(), true);
        assert_eq!((link.is_connected(), pause), (false, PASSING_MAX));
    }
}
