//! The pause of an upgrade.

use std::time::Duration;

/// How long members were held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pause {
    /// Median.
    pub p50: Duration,
    /// 99th percentile.
    pub p99: Duration,
    /// Longest.
    pub max: Duration,
    /// How many were held: members and their supervisors.
    pub processes: usize,
}

impl Pause {
    /// `held` is of those that came to rest later; `clean` others rested all the time from the raise on.
    pub(super) fn of(mut held: Vec<Duration>, clean: usize, whole: Duration) -> Self {
        held.sort_unstable();
        let processes = held.len() + clean;
        let Some(last) = processes.checked_sub(1) else { return Self::default() };
        let at = |per_cent: usize| held.get(last * per_cent / 100).copied().unwrap_or(whole);
        Self { p50: at(50), p99: at(99), max: at(100), processes }
    }
}
