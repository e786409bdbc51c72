//! Measures an upgrade and a downgrade of N servers that convert their states, while probes ping
//! some of them.
//!
//! `upgrade_install_total` is the work of the node, including the check, since OTP's
//! `install_release` is also measured inside its node. `upgrade_install_command` is the whole run
//! of the command `relctl install`. A ping counts if it was sent before the command ended and its
//! answer came after the command started.

use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reld_tests::{Node, pid_value, release};
use serde_json::{Value, json};

use crate::{Trial, Windows, line};

/// A ping without an answer in this time, OTP's default for a call, is a failed call.
const CALL_TIMEOUT_MS: f64 = 5_000.0;

const MS: f64 = 1e6;

/// Measurements of one install.
struct Seen {
    command: f64,
    install: f64,
    pause: f64,
    latencies: Vec<f64>,
}

/// The servers of an upgrade.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Servers<'a> {
    pub(crate) n: u64,
    pub(crate) state: &'a str,
    pub(crate) shape: &'a str,
    /// Number of modules of the servers. Each module is updated by an instruction of its own.
    pub(crate) groups: usize,
}

pub(crate) fn run(reps: usize, servers: Servers<'_>, windows: Windows, probes: usize, trials: &[Trial]) {
    let Servers { n, state, shape, groups } = servers;
    let node = Node::start();
    node.ok(&["upgrade", &release("bench-1.0.0")]);
    fill(&node, servers);
    node.ok(&["unpack", &release("bench-1.1.0")]);
    let mut seen: Vec<_> = trials.iter().map(|trial| (*trial, Vec::new(), Vec::new())).collect();
    for _ in 0..reps {
        // Alternates the trials, so that other load on the machine affects all of them alike.
        for (trial, up, down) in &mut seen {
            up.push(install(&node, n, "1.1.0", 2, windows, probes, *trial));
            down.push(install(&node, n, "1.0.0", 1, windows, probes, *trial));
        }
    }
    for (trial, up, down) in seen {
        for (dir, seen) in [("up", up), ("down", down)] {
            let windows = if windows == Windows::Group { "group" } else { "release" };
            let parameters = json!({
                "dir": dir, "n": n, "state": state, "shape": shape, "windows": windows, "groups": groups,
                "probes": probes,
                "trial": trial == Trial::Yes,
            });
            report(&parameters, &seen);
        }
    }
}

pub(crate) fn fill(node: &Node, servers: Servers<'_>) {
    let Servers { n, state, shape, groups } = servers;
    let root = pid_value(&node.supervisor("pool"));
    let order_ = json!({
        "fill": {"supervisor": root, "servers": n, "state": state, "shape": shape, "groups": groups}
    });
    assert_eq!(order(node, &order_), json!(n));
}

/// Sends an order to the driver, and returns the reply.
pub(crate) fn order(node: &Node, order: &Value) -> Value {
    node.call_within(600_000, "driver", order)
}

fn install(
    node: &Node,
    n: u64,
    release: &str,
    version: u64,
    windows: Windows,
    probes: usize,
    trial: Trial,
) -> Seen {
    order(node, &json!({"watch": {"probes": probes}}));
    sleep(Duration::from_millis(100));
    let start = now();
    let options: &[&str] = if windows == Windows::Group { &["--group-windows"] } else { &[] };
    let command: &[&str] = match trial {
        Trial::No => &["install", release],
        // The probe runs after the install, so its time is not included.
        Trial::Yes => &["upgrade", release, "--probe", "true"],
    };
    let report = node.report(&[command, options].concat());
    let end = now();
    sleep(Duration::from_millis(50));
    let pings = order(node, &json!("unwatch"));
    check(node, n, version);
    let latencies =
        pings.as_array().into_iter().flatten().filter_map(|ping| latency(ping, start, end)).collect();
    let (install, pause) = (report.took_us as f64 / 1e3, report.pauses.max_us as f64 / 1e3);
    Seen { command: (end - start) / MS, install, pause, latencies }
}

/// Checks that all servers run a version and have the matching state.
pub(crate) fn check(node: &Node, n: u64, version: u64) {
    let checked = order(node, &json!({"check": {"version": version}}));
    assert_eq!(checked, json!(n), "servers of version {version} with the right state");
}

/// Returns the latency of a ping in milliseconds if the ping belongs to the time from `start` to
/// `end`.
fn latency(ping: &Value, start: f64, end: f64) -> Option<f64> {
    let sent = ping[0].as_f64().expect("a ping has a time");
    let took = ping[1].as_f64().unwrap_or(f64::INFINITY);
    (sent + took >= start && sent <= end).then_some(took / MS)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_nanos() as f64
}

fn report(parameters: &Value, seen: &[Seen]) {
    let of = |figure: &dyn Fn(&Seen) -> f64| seen.iter().map(figure).collect();
    let probe = |per_cent: usize| {
        let at = move |seen: &Seen| {
            let mut sorted = seen.latencies.clone();
            sorted.sort_by(f64::total_cmp);
            line::percentile(&sorted, per_cent)
        };
        seen.iter().map(at).collect::<Vec<_>>()
    };
    let failed = |seen: &Seen| seen.latencies.iter().filter(|took| **took > CALL_TIMEOUT_MS).count() as f64;
    line::print("upgrade_install_total", parameters, "ms", of(&|seen| seen.install));
    line::print("upgrade_install_command", parameters, "ms", of(&|seen| seen.command));
    line::print("upgrade_suspend_to_resume", parameters, "ms", of(&|seen| seen.pause));
    if parameters["probes"] == 0 {
        return;
    }
    line::print("upgrade_probe_max", parameters, "ms", probe(100));
    line::print("upgrade_probe_p99", parameters, "ms", probe(99));
    line::print("upgrade_probe_p50", parameters, "ms", probe(50));
    line::print("upgrade_failed_calls", parameters, "calls over 5 s or dead", of(&failed));
}
