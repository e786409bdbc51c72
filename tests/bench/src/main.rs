//! Measures a real node: the real daemon, real libraries, real tarballs. Prints one JSON line per
//! figure on stdout.
//!
//! ```text
//! cargo run --release -p reld-bench -- call cast spawn restart memory upgrade unpack purge
//! ```
//!
//! A line has the peer, the benchmark, its parameters and its unit, then the least, the median and
//! the greatest of the repetitions. Lines of other systems for the same work can be compared ratio
//! by ratio if both ran on the same machine in the same hour. Count, soak, churn, quest and chaos
//! also check results: they fail when a figure or an invariant is violated.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the program prints figures")]

mod call;
mod cast;
mod chaos;
mod children;
mod churn;
mod count;
mod line;
mod purge;
mod quest;
mod rollout;
mod scrape;
mod soak;
mod steady;
mod sync;
mod timers;
mod unpack;
mod upgrade;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};

use crate::quest::Play;
use crate::upgrade::Servers;

/// Measure a node and print the figures as JSON lines.
#[derive(Debug, Parser)]
struct Args {
    /// Sections to run. Default: all except count, soak, churn, quest and chaos.
    sections: Vec<Section>,
    /// Number of repetitions of each figure.
    #[arg(long, default_value_t = 5)]
    reps: usize,
    /// Number of meetings over etcd.
    #[arg(long, default_value_t = 200)]
    barriers: usize,
    /// Number of processes in upgrade, purge and scrape.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000,10000,100000")]
    n: Vec<u64>,
    /// Number of idle servers below one supervisor.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    children: Vec<u64>,
    /// Number of pending timers.
    #[arg(long, value_delimiter = ',', default_value = "100000,1000000")]
    timers: Vec<u64>,
    /// Size of the servers' states: a few words, or 1 KB that conversions rewrite completely.
    #[arg(long, value_delimiter = ',', default_value = "small,kb1")]
    state: Vec<String>,
    /// Shape of the servers' tree: one simple_one_for_one, one one_for_one, or about as many
    /// simple_one_for_one supervisors as each has children.
    #[arg(long, value_delimiter = ',', default_value = "simple,one,tree")]
    shape: Vec<String>,
    /// Move all groups of a release at once, or group by group as in OTP.
    #[arg(long, value_delimiter = ',', default_value = "release")]
    windows: Vec<Windows>,
    /// Number of groups of processes, one to four. With `--windows group` each group moves in its
    /// own window.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    groups: Vec<usize>,
    /// Try the way back of each state before the upgrade, as `upgrade --probe` does.
    #[arg(long, value_delimiter = ',', default_value = "no")]
    trial: Vec<Trial>,
    /// Number of clients that ping servers during an upgrade, four at most.
    #[arg(long, default_value_t = 4)]
    probes: usize,
    /// Number of rounds. Default: 2000 for a soak, 20 for a quest, 1000 for a chaos test. A round
    /// of a soak or quest is an upgrade and a downgrade.
    #[arg(long)]
    rounds: Option<u64>,
    /// Seed of the orders and delays of a chaos test. Default: the current time.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of servers that call one another during a soak.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(4..))]
    servers: u64,
    /// Duration of a churn test in minutes.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Let the nodes of a rollout drive themselves, through etcd.
    #[arg(long)]
    fleet: bool,
    /// Number of sessions that play a quest.
    #[arg(long, default_value_t = 2_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=16_000))]
    sessions: usize,
    /// Least time between two steps of a quest player, in milliseconds.
    #[arg(long, default_value_t = 800)]
    pace_ms: u64,
    /// Ways for a quest to change its release.
    #[arg(long, value_delimiter = ',', default_value = "live,restart")]
    mode: Vec<quest::Mode>,
    /// Compare counts with `counts.toml` for this compiler and profile.
    #[arg(long)]
    check: bool,
    /// Write the measured counts to `counts.toml` as the expected ones.
    #[arg(long, conflicts_with = "check")]
    bless: bool,
}

/// The part of a release that moves at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Windows {
    Release,
    Group,
}

/// A choice to try the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trial {
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Measure calls between processes of a loaded library.
    Call,
    /// Measure the durations of single calls, with one pair and with 64.
    Latency,
    /// Measure casts between processes of a loaded library.
    Cast,
    /// Measure starts of idle servers by a supervisor, and the memory of each.
    #[value(alias = "memory")]
    Spawn,
    /// Measure restarts of a child.
    Restart,
    /// Measure lists of a supervisor's children.
    Which,
    /// Measure an upgrade and a downgrade of many processes while clients ping them.
    Upgrade,
    /// Measure the unpacking of a release of some 50 MB, and tar on the same file.
    Unpack,
    /// Measure a rollout over three nodes, and three upgrades by hand.
    Rollout,
    /// Measure meetings of three nodes over etcd, a third of them refused, and check that each has
    /// one decision.
    Sync,
    /// Measure purges of old code with many processes.
    Purge,
    /// Measure timers that pend while their servers are upgraded.
    Timers,
    /// Measure scrapes of the metrics.
    Scrape,
    /// Measure a callback of a loaded library, and the same callback linked in.
    Steady,
    /// Count the instructions of a call, a cast, a start, a restart and a conversion, and the bytes
    /// of a process. Needs valgrind.
    Count,
    /// Upgrade and downgrade libraries that bind code to threads, many times. Takes long.
    Soak,
    /// Call processes while they are killed, restarted, suspended and upgraded at random. Takes ten
    /// minutes.
    Churn,
    /// Play Process Quest in sessions that check every line while the game is upgraded and its
    /// players are killed.
    Quest,
    /// Kill the daemon, or fill its disk, at random moments of orders. Takes a second per round.
    Chaos,
}

fn upgrades(args: &Args) {
    for shape in &args.shape {
        for state in &args.state {
            for (windows, groups) in
                args.windows.iter().flat_map(|windows| args.groups.iter().map(move |g| (windows, g)))
            {
                let servers = |n: &u64| Servers { n: *n, state, shape, groups: *groups };
                args.n
                    .iter()
                    .for_each(|n| upgrade::run(args.reps, servers(n), *windows, args.probes, &args.trial));
            }
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let wanted = |section| args.sections.is_empty() || args.sections.contains(&section);
    if wanted(Section::Call) {
        call::run(args.reps);
    }
    if wanted(Section::Latency) {
        call::latencies(args.reps);
    }
    if wanted(Section::Cast) {
        cast::run(args.reps);
    }
    if wanted(Section::Spawn) {
        args.children.iter().for_each(|n| children::fill(args.reps.min(3), *n));
    }
    if wanted(Section::Restart) {
        [0, 10_000].into_iter().for_each(children::restart);
    }
    if wanted(Section::Which) {
        [1_000, 10_000, 100_000].into_iter().for_each(|n| children::which(args.reps, n));
    }
    if wanted(Section::Upgrade) {
        upgrades(&args);
    }
    if wanted(Section::Unpack) {
        unpack::run(args.reps);
    }
    if wanted(Section::Rollout) {
        if args.fleet { rollout::over_fleet(args.reps) } else { rollout::over_ssh(args.reps) }
    }
    if wanted(Section::Sync) {
        sync::run(args.barriers);
    }
    if wanted(Section::Purge) {
        args.n.iter().for_each(|n| purge::run(args.reps, *n));
    }
    if wanted(Section::Timers) {
        args.timers.iter().for_each(|n| timers::run(*n));
    }
    if wanted(Section::Scrape) {
        args.n.iter().for_each(|n| scrape::run(args.reps, *n));
    }
    if wanted(Section::Steady) {
        steady::run(args.reps);
    }
    let mut faults = Vec::new();
    if args.sections.contains(&Section::Count) {
        faults.extend(count::run(args.check, args.bless));
    }
    if args.sections.contains(&Section::Soak) {
        faults.extend(soak::run(args.rounds.unwrap_or(2_000), args.servers));
    }
    if args.sections.contains(&Section::Churn) {
        faults.extend(churn::run(args.minutes));
    }
    if args.sections.contains(&Section::Quest) {
        let rounds = args.rounds.unwrap_or(20);
        let Args { sessions, pace_ms, .. } = args;
        let play = |mode: &quest::Mode| quest::run(Play { sessions, rounds, pace_ms, mode: *mode });
        faults.extend(args.mode.iter().flat_map(play));
    }
    if args.sections.contains(&Section::Chaos) {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_secs());
        faults.extend(chaos::run(args.rounds.unwrap_or(1_000), args.seed.unwrap_or_else(now)));
    }
    faults.iter().for_each(|fault| eprintln!("violation: {fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
