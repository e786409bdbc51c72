//! Durations in the units of the boundary.

use std::time::Duration;

/// Waits for ever, in any function with a time-out. OTP: `infinity`.
pub const INFINITY: Duration = Duration::MAX;

/// Rounds up to milliseconds, so that nothing fires early; [`INFINITY`] becomes the boundary's
/// value for it.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(reld_abi::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(time: Duration, expected: u64) {
        assert_eq!(milliseconds(time), expected);
    }

    #[test]
    fn times_are_rounded_up_and_the_longest_means_for_ever() {
        check(Duration::ZERO, 0);
        check(Duration::from_nanos(1), 1);
        check(Duration::from_millis(20), 20);
        check(INFINITY, reld_abi::INFINITY);
    }
}
