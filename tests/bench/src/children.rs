//! Measures idle servers below one supervisor: starts, memory and restarts.
//!
//! A restart is the time from the order to end until the new child has answered its first call. The
//! node writes no log.

use std::thread::sleep;
use std::time::Duration;

use reld_tests::{Node, pid_value, release};
use serde_json::{Value, json};

use crate::line::{percentile, print};
use crate::upgrade::order;

/// Supervisor strategies, with the driver's names for them.
pub(crate) const STRATEGIES: [(&str, &str); 2] = [("simple_one_for_one", "simple"), ("one_for_one", "one")];

/// Number of restarts of the child.
const RESTARTS: u64 = 2_000;

/// Number of servers started before the clock runs.
const WARM_UP: u64 = 1_000;

/// Measurements of one filled node.
pub(crate) struct Filled {
    per_second: f64,
    pub(crate) bytes: f64,
}

/// Starts `n` servers, in a fresh node for each repetition.
pub(crate) fn fill(reps: usize, n: u64) {
    for (strategy, shape) in STRATEGIES {
        let filled: Vec<Filled> = (0..reps).map(|_| fill_one(&start(&[], &[]), n, shape)).collect();
        let parameters = json!({"strategy": strategy, "n": n, "mode": "idle"});
        print("spawn_rate", &parameters, "procs/s", filled.iter().map(|filled| filled.per_second).collect());
        print("idle_rss", &parameters, "bytes/proc", filled.iter().map(|filled| filled.bytes).collect());
    }
}

/// Starts `n` servers in a node, after a warm-up.
pub(crate) fn fill_one((node, root): &(Node, Value), n: u64, shape: &str) -> Filled {
    let spawn = |servers| {
        let order_ = json!({"spawn": {"root": root, "shape": shape, "servers": servers}});
        order(node, &order_).as_f64().expect("the driver answers nanoseconds")
    };
    spawn(WARM_UP);
    let before = node.resident_kb();
    let took = spawn(n);
    // Gives the allocator time to return freed memory.
    sleep(Duration::from_millis(500));
    let bytes = (node.resident_kb() - before) * 1024.0 / n as f64;
    Filled { per_second: n as f64 * 1e9 / took, bytes }
}

/// Measures restarts of one server with `siblings` siblings.
pub(crate) fn restart(siblings: u64) {
    for (strategy, shape) in STRATEGIES {
        for crash in ["kill", "exit", "panic"] {
            let (node, root) = start(&[], &[("RELD_LOG", "off")]);
            let order_ = json!({"root": root, "shape": shape, "siblings": siblings, "crash": crash, "times": RESTARTS});
            let mut samples = times(&order(&node, &json!({"restart": order_})), 1e3);
            samples.sort_by(f64::total_cmp);
            let parameters = json!({"strategy": strategy, "siblings": siblings, "crash": crash});
            print("restart_latency_p99", &parameters, "us", vec![percentile(&samples, 99)]);
            print("restart_latency", &parameters, "us", samples);
        }
    }
}

/// Measures lists of the children of a supervisor with `n` children.
pub(crate) fn which(reps: usize, n: u64) {
    for (strategy, shape) in STRATEGIES {
        let (node, root) = start(&[], &[]);
        let order_ = json!({"which": {"root": root, "shape": shape, "servers": n, "times": reps}});
        let parameters = json!({"strategy": strategy, "n": n});
        print("which_children", &parameters, "ms", times(&order(&node, &order_), 1e6));
    }
}

/// Starts a node and returns it with the pid of the driver's root supervisor.
pub(crate) fn start(options: &[&str], environment: &[(&str, &str)]) -> (Node, Value) {
    let node = Node::start_under(&[], options, environment);
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    let root = pid_value(&node.supervisor("driver"));
    (node, root)
}

fn times(nanoseconds: &Value, per: f64) -> Vec<f64> {
    let times = nanoseconds.as_array().expect("the driver answers a time for each");
    times.iter().map(|time| time.as_f64().expect("a time is a number") / per).collect()
}
