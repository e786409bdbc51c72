//! A soak: the same two releases up and down, again and again, while their servers ask one another.
//!
//! The libraries do all that binds code to threads (`tests/fixtures/lib/habits.rs`). What must stay as it was is
//! counted after each round: the libraries mapped, the memory resident, the processes, the answers that never came.

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use reld_tests::{Node, release};
use serde_json::{Value, json};

use crate::{line, memory};

/// The slope is taken after this part of the rounds, when everything has been allocated once.
const WARM_UP: usize = 4;

/// What was seen after one round.
struct Seen {
    took_ms: f64,
    mapped: f64,
    resident_kb: f64,
}

pub(crate) fn run(rounds: u64, servers: u64) {
    let node = Node::start();
    node.ok(&["upgrade", &release("habits-1.0.0")]);
    fill(&node, servers);
    node.ok(&["unpack", &release("habits-2.0.0")]);
    let before = pids(&node);
    let seen: Vec<Seen> = (0..rounds.max(2)).map(|_| round(&node)).collect();
    let changed = before.symmetric_difference(&pids(&node)).count();
    let (answered, lost) = counted(&node, servers);
    let parameters = json!({"rounds": seen.len(), "servers": servers});
    let print = |bench, unit, samples| line::print(bench, &parameters, unit, samples);
    print("soak_round", "ms", seen.iter().map(|seen| seen.took_ms).collect());
    print("soak_mapped_images", "libraries", seen.iter().map(|seen| seen.mapped).collect());
    print("soak_resident", "kB", seen.iter().map(|seen| seen.resident_kb).collect());
    let warm: Vec<f64> = seen[seen.len() / WARM_UP..].iter().map(|seen| seen.resident_kb).collect();
    print("soak_resident_slope", "kB/round", vec![slope(&warm)]);
    print("soak_answered_calls", "calls", vec![answered]);
    print("soak_lost_calls", "calls", vec![lost]);
    print("soak_changed_pids", "processes", vec![changed as f64]);
}

/// Starts servers until there are so many. Four are there; even ones ask the odd ones after them.
fn fill(node: &Node, servers: u64) {
    let supervisor = node.tree("habits")["pid"].as_str().expect("habits has a root").to_owned();
    let numbers = (4..servers).filter(|n| n % 2 == 1).chain((4..servers).filter(|n| n % 2 == 0));
    for number in numbers {
        let spec = json!({"id": number, "module": "habit", "args": number}).to_string();
        node.ok(&["child", "start", &supervisor, &spec]);
    }
}

fn round(node: &Node) -> Seen {
    let began = Instant::now();
    node.ok(&["upgrade", "2.0.0"]);
    node.ok(&["downgrade"]);
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    Seen { took_ms, mapped: mapped(node) as f64, resident_kb: memory::resident(node) / 1e3 }
}

fn pids(node: &Node) -> BTreeSet<String> {
    let processes = node.json(&["ps"])["processes"].as_array().cloned().unwrap_or_default();
    processes.iter().filter_map(|process| process["pid"].as_str().map(str::to_owned)).collect()
}

/// Returns how many answers the servers got and how many never came.
fn counted(node: &Node, servers: u64) -> (f64, f64) {
    let count = |number: u64| {
        let place = format!("habit_{number}");
        let count = node.json(&["call", &place, "\"count\"", "--timeout", "60000"])["reply"].clone();
        let of = |field: &Value| field.as_f64().expect("a server counts");
        (of(&count["answered"]), of(&count["lost"]))
    };
    (0..servers).step_by(2).map(count).fold((0.0, 0.0), |sum, of| (sum.0 + of.0, sum.1 + of.1))
}

/// Returns how many libraries of apps the kernel has mapped into the daemon.
fn mapped(node: &Node) -> usize {
    let maps = fs::read_to_string(format!("/proc/{}/maps", node.id())).expect("the daemon lives");
    let paths = maps.lines().filter_map(|line| line.split_once('/').map(|(_, path)| path));
    paths.filter(|path| path.contains(".loaded.so")).collect::<BTreeSet<_>>().len()
}

/// Returns the slope of the line that is nearest to all samples, by least squares.
fn slope(samples: &[f64]) -> f64 {
    let count = samples.len() as f64;
    let (mean_x, mean_y) = ((count - 1.0) / 2.0, samples.iter().sum::<f64>() / count);
    let both = |(x, y): (usize, &f64)| ((x as f64 - mean_x) * (y - mean_y), (x as f64 - mean_x).powi(2));
    let (above, below) = samples.iter().enumerate().map(both).fold((0.0, 0.0), |s, t| (s.0 + t.0, s.1 + t.1));
    if below == 0.0 { 0.0 } else { above / below }
}

#[cfg(test)]
mod tests {
    use super::slope;

    #[test]
    fn a_slope_is_that_of_the_nearest_line() {
        assert_eq!(slope(&[1.0, 3.0, 5.0, 7.0]), 2.0);
        assert_eq!(slope(&[5.0, 5.0, 5.0]), 0.0);
        assert_eq!(slope(&[5.0]), 0.0);
    }
}
