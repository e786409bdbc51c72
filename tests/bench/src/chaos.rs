//! Prints the figures of a chaos test of the test kit. Violations fail the program.

use reld_tests::{Chaos, Tally};
use serde_json::{Value, json};

use crate::line;

/// Prints the figures, and returns the violations.
pub(crate) fn run(rounds: u64, seed: u64) -> Vec<String> {
    let chaos = Chaos::play(rounds, seed);
    let count = |bench: &str, parameters: Value, unit, number: u64| {
        let mut parameters = parameters;
        parameters["seed"] = json!(seed);
        line::print(bench, &parameters, unit, vec![number as f64]);
    };
    count("chaos_rounds", json!({}), "rounds", chaos.rounds);
    for (order, tally) in &chaos.orders {
        let Tally { kills, full_disks, killed_starts, done, before, after } = *tally;
        let figures = [
            ("chaos_kills", kills),
            ("chaos_full_disks", full_disks),
            ("chaos_killed_starts", killed_starts),
            ("chaos_done_before", done),
            ("chaos_found_before", before),
            ("chaos_found_after", after),
        ];
        figures
            .into_iter()
            .for_each(|(bench, number)| count(bench, json!({"order": order}), "orders", number));
    }
    for (event, number) in &chaos.steps {
        count("chaos_faults_behind", json!({"event": event}), "orders", *number);
    }
    count("chaos_exceptions", json!({}), "exceptions", chaos.exceptions.len() as u64);
    chaos.exceptions
}
