//! Counts costs exactly, so that other load on the machine does not change the figures.
//!
//! A figure is the difference between many and few repetitions, divided by their difference in
//! number. Fixed costs, such as the order and its reply, are part of both and cancel out. callgrind
//! counts the instructions of a real node with real libraries ([`callgrind`]). Bytes are resident
//! pages. `counts.toml` holds the expected figures ([`expected`]).

mod callgrind;
mod expected;

use std::env;
use std::process::Command;

use reld_tests::{Run, folder, pid_value, profile, release};
use serde_json::json;

use crate::children::{self, STRATEGIES};
use crate::line;
use crate::upgrade::{self, Servers, order};
use callgrind::Counted;
use expected::{Build, Figures};

/// The numbers of repetitions of a short and of a long run.
const RUNS: [u64; 2] = [2_000, 12_000];

/// Many senders: a single one would compute so long that the node starts another worker.
const SENDERS: u64 = 100;

/// Number of servers for the memory measurement.
const SERVERS: u64 = 1 << 18;

/// With one worker, processes take turns in the same order each time.
const OPTIONS: [&str; 2] = ["--threads", "1"];

/// Keeps the log lines of restarts out of the counts.
const QUIET: (&str, &str) = ("RELD_LOG", "off");

/// Makes the allocator use small pages and return free memory at once. The resident memory is then
/// the used memory.
const MEMORY: [(&str, &str); 3] = [QUIET, ("MIMALLOC_ALLOW_THP", "0"), ("MIMALLOC_PURGE_DELAY", "0")];

/// Prints all figures. With `check` it returns the unexpected ones. With `bless` it writes them as
/// the expected figures.
pub(crate) fn run(check: bool, bless: bool) -> Vec<String> {
    if !callgrind::is_installed() {
        return vec![
            "cannot count instructions: valgrind is not there; `apt-get install valgrind`".to_owned(),
        ];
    }
    let build = Build { compiler: compiler(), profile: profile() };
    let counted = [("instructions", instructions()), ("bytes", bytes())];
    for (unit, figures) in &counted {
        for (of, count) in figures {
            let parameters = json!({"of": of, "compiler": build.compiler, "profile": build.profile});
            line::print("count", &parameters, unit, vec![*count as f64]);
        }
    }
    let figures = counted.into_iter().flat_map(|(_, figures)| figures).collect();
    if bless {
        expected::bless(&build, figures);
        return Vec::new();
    }
    if check { expected::check(&build, &figures) } else { Vec::new() }
}

fn instructions() -> Figures {
    let mut node = Counted::start(&OPTIONS, &[QUIET]);
    let root = pid_value(&node.node().supervisor("driver"));
    let mut figures = Figures::new();
    let mut figure = |name: &str, order_: &dyn Fn(u64) -> serde_json::Value| {
        let counts = RUNS.map(|runs| node.count(|node| drop(order(node, &order_(runs)))));
        figures.insert(name.to_owned(), each(counts));
    };
    figure("call", &|runs| json!({"call": {"payload": "int", "pairs": 1, "calls": runs}}));
    figure("cast", &|runs| json!({"cast": {"payload": "int", "senders": SENDERS, "casts": runs / SENDERS}}));
    for (strategy, shape) in STRATEGIES {
        figure(
            &format!("start_child_{strategy}"),
            &|runs| json!({"spawn": {"root": root, "shape": shape, "servers": runs}}),
        );
    }
    figure(
        "restart",
        &|runs| json!({"restart": {"root": root, "shape": "simple", "siblings": 0, "crash": "exit", "times": runs}}),
    );
    let [up, down] = conversions(&mut node);
    figures.insert("convert_up".to_owned(), up);
    figures.insert("convert_down".to_owned(), down);
    figures
}

/// Counts installs of the next release and of the one before. Returns the cost per server in both
/// directions.
fn conversions(node: &mut Counted) -> [u64; 2] {
    node.node().ok(&["unpack", &release("bench-1.1.0")]);
    let counts = RUNS.map(|n| {
        upgrade::fill(node.node(), Servers { n, state: "small", shape: "simple", groups: 1 });
        let mut round = || {
            [("1.1.0", 2), ("1.0.0", 1)].map(|(release, version)| {
                let count = node.count(|node| drop(node.ok(&["install", release])));
                upgrade::check(node.node(), n, version);
                count
            })
        };
        // The first round also takes memory from the system, which later rounds reuse.
        round();
        round()
    });
    [0, 1].map(|direction| each(counts.map(|count| count[direction])))
}

/// Returns the cost of one repetition.
fn each([few, many]: [u64; 2]) -> u64 {
    (many.saturating_sub(few) as f64 / (RUNS[1] - RUNS[0]) as f64).round() as u64
}

fn bytes() -> Figures {
    let of = |(strategy, shape)| {
        let filled = children::fill_one(&children::start(&OPTIONS, &MEMORY), SERVERS, shape);
        (format!("process_{strategy}"), filled.bytes.round() as u64)
    };
    STRATEGIES.map(of).into()
}

/// Returns the version of rustc that cargo uses here.
fn compiler() -> String {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let version = Run::of(rustc.current_dir(folder("")).arg("--version")).expect(0).stdout;
    version.split(' ').nth(1).expect("rustc names its version").to_owned()
}
