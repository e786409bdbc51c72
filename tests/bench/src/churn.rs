//! Prints the figures of a churn test of the test kit. Violations fail the program.

use std::time::Duration;

use reld_tests::churn;
use serde_json::json;

use crate::line;

/// Permitted growth of the daemon's memory with each upgrade: the statics of libraries and the
/// history grow.
const SLOPE_KB: f64 = 8.0;

/// Prints the figures, and returns the violations.
pub(crate) fn run(minutes: u64) -> Vec<String> {
    let churned = churn(Duration::from_secs(60 * minutes));
    let parameters = json!({"minutes": minutes});
    let print = |bench, unit, samples| line::print(bench, &parameters, unit, samples);
    let count = |bench, unit, number: u64| print(bench, unit, vec![number as f64]);
    count("churn_upgrades", "upgrades", churned.upgrades);
    count("churn_kills", "processes", churned.kills);
    count("churn_restarts", "processes", churned.restarts);
    count("churn_suspends", "processes", churned.suspends);
    count("churn_answered_calls", "calls", churned.answered);
    count("churn_calls_of_ended_servers", "calls", churned.ended);
    count("churn_lost_replies", "calls", churned.lost);
    count("churn_crossed_replies", "calls", churned.crossed);
    count("churn_doubled_calls", "calls", churned.doubled);
    count("churn_missed_calls", "calls", churned.missed);
    print("churn_resident", "kB", churned.resident_kb.clone());
    print("churn_resident_slope", "kB/upgrade", vec![churned.slope_kb()]);
    churned.faults(SLOPE_KB)
}
