//! Soak test: upgrades and downgrades the same two releases again and again while their servers
//! call one another.
//!
//! The libraries use every feature that binds code to threads (`tests/fixtures/lib/habits.rs`).
//! After each round the mapped libraries and the resident memory must be as before. In the end the
//! processes must be the same, and no answer may be missing. A process has 1,024 keys for
//! thread-locals. If libraries leak their keys, a soak of more rounds than that ends early, with an
//! abort of the daemon.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::json;

use crate::{Node, field, release};

/// The first `1 / WARM_UP` of the rounds is left out of the slope: every allocation happens there
/// for the first time.
const WARM_UP: usize = 4;

/// Measurements after one round, which is an upgrade and a downgrade.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Duration of the round.
    pub took_ms: f64,
    /// Number of app libraries that are mapped into the daemon.
    pub mapped: usize,
    /// Resident memory of the daemon.
    pub resident_kb: f64,
}

/// Result of a soak test.
#[derive(Debug)]
pub struct Soak {
    /// One entry per round.
    pub rounds: Vec<Round>,
    /// Answers that servers received from each other.
    pub answered: u64,
    /// Answers that never came.
    pub lost: u64,
    /// Processes that existed only before or only after the soak.
    pub changed_pids: usize,
}

impl Soak {
    /// Runs `rounds` rounds, at least two, with `servers` servers, at least four, on a node of its
    /// own.
    pub fn run(rounds: u64, servers: u64) -> Self {
        let node = Node::start();
        node.ok(&["upgrade", &release("habits-1.0.0")]);
        fill(&node, servers);
        node.ok(&["unpack", &release("habits-2.0.0")]);
        let before = pids(&node);
        let rounds = (0..rounds.max(2)).map(|_| round(&node)).collect();
        let changed_pids = before.symmetric_difference(&pids(&node)).count();
        let (answered, lost) = counted(&node, servers);
        Self { rounds, answered, lost, changed_pids }
    }

    /// Returns how much the daemon's memory grew with each round.
    pub fn slope_kb(&self) -> f64 {
        let warm = &self.rounds[self.rounds.len() / WARM_UP..];
        slope(&warm.iter().map(|round| round.resident_kb).collect::<Vec<_>>())
    }

    /// Lists the violations. `slope_kb` is the permitted growth of the memory with each round.
    pub fn faults(&self, slope_kb: f64) -> Vec<String> {
        let crowded = self.rounds.iter().position(|round| round.mapped != 1);
        let crowded =
            crowded.map(|at| format!("{} libraries were mapped after round {at}", self.rounds[at].mapped));
        let grown = (self.slope_kb() > slope_kb)
            .then(|| format!("memory grew by {:.1} kB with each round", self.slope_kb()));
        let lost = (self.lost > 0).then(|| format!("{} answers never came", self.lost));
        let idle = (self.answered == 0).then(|| "no server got an answer".to_owned());
        let changed = (self.changed_pids > 0).then(|| format!("{} processes differ", self.changed_pids));
        [crowded, grown, lost, idle, changed].into_iter().flatten().collect()
    }
}

/// Starts servers until there are `servers` of them. Four exist already. Each server with an even
/// number calls the next odd one.
fn fill(node: &Node, servers: u64) {
    let supervisor = node.supervisor("habits");
    let numbers = (4..servers).filter(|n| n % 2 == 1).chain((4..servers).filter(|n| n % 2 == 0));
    for number in numbers {
        node.start_child(&supervisor, json!({"id": number, "module": "habit", "args": number}));
    }
}

fn round(node: &Node) -> Round {
    let began = Instant::now();
    node.ok(&["upgrade", "2.0.0"]);
    node.ok(&["downgrade"]);
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    Round { took_ms, mapped: node.mapped().len(), resident_kb: node.resident_kb() }
}

fn pids(node: &Node) -> BTreeSet<String> {
    node.ps().into_iter().map(|process| process.pid).collect()
}

/// Returns the number of answers that the servers received, and of those that never came.
fn counted(node: &Node, servers: u64) -> (u64, u64) {
    let count = |number: u64| {
        let place = format!("habit_{number}");
        let count = node.call_within(60_000, &place, "count");
        let [answered, lost] = ["answered", "lost"].map(|key| field::<u64>(&count, key));
        (answered, lost)
    };
    (0..servers).step_by(2).map(count).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
}

/// Returns the median of the slopes between all pairs of samples (the Theil-Sen estimator).
///
/// A leak raises every sample above the one before. A heap that grows by one arena raises one
/// sample, or all samples from one on. That hardly moves the median, but distorts a least-squares
/// fit.
pub(crate) fn slope(samples: &[f64]) -> f64 {
    let later = |from: usize| (from + 1..samples.len()).map(move |to| (from, to));
    let pairs = (0..samples.len()).flat_map(later);
    let mut slopes: Vec<f64> =
        pairs.map(|(from, to)| (samples[to] - samples[from]) / (to - from) as f64).collect();
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_that_of_most_samples() {
        assert_eq!(slope(&[1.0, 3.0, 5.0, 7.0]), 2.0);
        assert_eq!(slope(&[5.0, 5.0, 5.0]), 0.0);
        assert_eq!(slope(&[5.0]), 0.0);
        assert_eq!(slope(&[5.0, 5.0, 5.0, 5.0, 900.0]), 0.0, "one sample is no slope");
        assert_eq!(slope(&[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 900.0, 900.0]), 0.0, "nor is one step");
    }

    #[test]
    fn each_difference_is_named() {
        let round = |mapped, resident_kb| Round { took_ms: 1.0, mapped, resident_kb };
        let flat = vec![round(1, 5.0); 8];
        let good = Soak { rounds: flat.clone(), answered: 1, lost: 0, changed_pids: 0 };
        assert_eq!(good.faults(1.0), [""; 0]);
        let mut rounds: Vec<_> = (0..8).map(|n| round(1, f64::from(n) * 2.0)).collect();
        rounds[3].mapped = 2;
        let bad = Soak { rounds, answered: 0, lost: 4, changed_pids: 2 };
        assert_eq!(
            bad.faults(1.0),
            [
                "2 libraries were mapped after round 3",
                "memory grew by 2.0 kB with each round",
                "4 answers never came",
                "no server got an answer",
                "2 processes differ",
            ]
        );
    }
}
