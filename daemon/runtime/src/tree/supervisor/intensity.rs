//! Limits how often a supervisor restarts children. OTP: restart intensity.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The times of the latest restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intensity {
    times: VecDeque<Instant>,
}

impl Intensity {
    /// Records a restart. Returns whether there were at most `max` restarts in `period`.
    pub(super) fn allows(&mut self, now: Instant, max: u32, period: Duration) -> bool {
        while self.times.front().is_some_and(|time| now.duration_since(*time) > period) {
            self.times.pop_front();
        }
        self.times.push_back(now);
        self.times.len() <= max as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_restarts_than_the_intensity_in_one_period_are_too_many() {
        let (start, period) = (Instant::now(), Duration::from_secs(5));
        let mut intensity = Intensity::default();
        let mut at = |seconds: u64| intensity.allows(start + Duration::from_secs(seconds), 2, period);
        assert_eq!([at(0), at(1), at(2)], [true, true, false]);
        // The restarts at 0 and 1 s are outside of the period by now.
        assert!(at(7));
    }

    #[test]
    fn with_intensity_0_the_first_failure_is_too_much() {
        assert!(!Intensity::default().allows(Instant::now(), 0, Duration::from_secs(5)));
    }
}
