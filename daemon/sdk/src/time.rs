//! Converts durations to the units of the boundary.

use std::time::Duration;

/// The time-out of a call that waits for ever. OTP: `infinity`.
pub const INFINITY: Duration = Duration::MAX;

/// Converts to milliseconds, rounded up, so that no timer fires early. [`INFINITY`] becomes the
/// boundary's value for it.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    let part = u64::from(time.subsec_nanos().div_ceil(1_000_000));
    let whole = time.as_secs().checked_mul(1000);
    whole.and_then(|whole| whole.checked_add(part)).unwrap_or(reld_abi::INFINITY)
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
