//! Prints the figures of a soak test of the test kit. Violations fail the program.

use reld_tests::Soak;
use serde_json::json;

use crate::line;

/// Permitted growth of the daemon's memory with each round: the statics of two libraries, such as
/// the buffer of a stdout, and the history grow.
const SLOPE_KB: f64 = 8.0;

/// Prints the figures, and returns the violations.
pub(crate) fn run(rounds: u64, servers: u64) -> Vec<String> {
    let soak = Soak::run(rounds, servers);
    let parameters = json!({"rounds": soak.rounds.len(), "servers": servers});
    let print = |bench, unit, samples| line::print(bench, &parameters, unit, samples);
    print("soak_round", "ms", soak.rounds.iter().map(|round| round.took_ms).collect());
    print("soak_mapped_images", "libraries", soak.rounds.iter().map(|round| round.mapped as f64).collect());
    print("soak_resident", "kB", soak.rounds.iter().map(|round| round.resident_kb).collect());
    print("soak_resident_slope", "kB/round", vec![soak.slope_kb()]);
    print("soak_answered_calls", "calls", vec![soak.answered as f64]);
    print("soak_lost_calls", "calls", vec![soak.lost as f64]);
    print("soak_changed_pids", "processes", vec![soak.changed_pids as f64]);
    soak.faults(SLOPE_KB)
}
