//! Kills, restarts, suspends and upgrades at random for some seconds. `reld-bench churn` runs the
//! same for ten minutes.

use std::time::Duration;

use reld_tests::churn;

/// Some seconds are too short for a real slope. This limit allows for a node that is still warming
/// up.
const SLOPE_KB: f64 = 4_096.0;

#[test]
fn no_reply_is_lost_or_doubled_while_everything_is_killed_restarted_suspended_and_upgraded() {
    let churned = churn(Duration::from_secs(5));
    assert_eq!(churned.faults(SLOPE_KB), [""; 0], "{churned:#?}");
}
