//! The pause of an upgrade.

use std::time::Duration;

/// How long the members of an upgrade were held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pause {
    /// Median.
    pub p50: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// Longest.
    pub max: Duration,
    /// The number of held processes: members and their supervisors.
    pub processes: usize,
}

impl Pause {
    /// Computes the pause from the times for which processes were held. `held` has one time for
    /// each process that came to rest after the gate was raised; the `clean` other processes were
    /// held for `whole`.
    pub(super) fn of(mut held: Vec<Duration>, clean: usize, whole: Duration) -> Self {
        held.sort_unstable();
        let processes = held.len() + clean;
        let Some(last) = processes.checked_sub(1) else { return Self::default() };
        let at = |per_cent: usize| held.get(last * per_cent / 100).copied().unwrap_or(whole);
        Self { p50: at(50), p99: at(99), max: at(100), processes }
    }
}
