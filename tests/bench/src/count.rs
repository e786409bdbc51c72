//! What things cost, counted: figures that a busy machine does not change.
//!
//! A figure is the difference between many of something and few, divided by how many more they are.
//! What comes once, such as the order and its reply, is in both and drops out. Instructions are
//! callgrind's, of a real node with real libraries ([`callgrind`]). Bytes are pages that are
//! resident. `counts.toml` holds what is expected ([`expected`]).

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

/// How many of something are few, and many.
const RUNS: [u64; 2] = [2_000, 12_000];

/// One sender would compute so long that the node starts another worker beside it.
const SENDERS: u64 = 100;

/// The servers whose bytes are counted.
const SERVERS: u64 = 1 << 18;

/// Processes take turns in the same order each time when one worker runs them.
const OPTIONS: [&str; 2] = ["--threads", "1"];

/// A restart would be written to the log.
const QUIET: (&str, &str) = ("RELD_LOG", "off");

/// The allocator asks for small pages, and returns at once what is free: then what is resident is
/// what is used.
const MEMORY: [(&str, &str); 3] = [QUIET, ("MIMALLOC_ALLOW_THP", "0"), ("MIMALLOC_PURGE_DELAY", "0")];

/// Prints all figures. Returns those that are not as expected, if that is to be checked; or has
/// them expected from now on.
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

/// Counts installs of the next release, and of the one before. Returns what each server costs.
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
        // The first one also takes memory from the system, which the next ones use again.
        round();
        round()
    });
    [0, 1].map(|direction| each(counts.map(|count| count[direction])))
}

/// Returns what one costs, by what few and many cost.
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

/// Returns the version of the compiler that cargo uses here.
fn compiler() -> String {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let version = Run::of(rustc.current_dir(folder("")).arg("--version")).expect(0).stdout;
    version.split(' ').nth(1).expect("rustc names its version").to_owned()
}
