//! A churn (see the kit): its figures, and the end of the program where something is not as it has to be.

use std::time::Duration;

use reld_tests::churn;
use serde_json::json;

use crate::line;

/// How much the daemon's memory may grow with each upgrade: what a library leaves in its statics, and what the history keeps.
const SLOPE_KB: f64 = 8.0;

/// Prints what was seen, and returns what is not as it has to be.
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
