//! Figures of a real node: the real daemon, real libraries, real tarballs. One JSON line each on stdout.
//!
//! ```text
//! cargo run --release -p reld-bench -- call cast spawn restart memory upgrade unpack purge
//! ```
//!
//! A line names its peer, the benchmark, its parameters and its unit, then the least, the median and the greatest of the
//! repetitions. Other systems that print such lines for the same work can be put beside ours, ratio by ratio, when both
//! ran on the same machine in the same hour. Count, soak, churn, quest and chaos also compare: they fail where
//! something is not as it has to be.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "figures are what this program is for")]

mod call;
mod cast;
mod chaos;
mod children;
mod churn;
mod count;
mod line;
mod purge;
mod quest;
mod scrape;
mod soak;
mod steady;
mod timers;
mod unpack;
mod upgrade;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, ValueEnum};

use crate::quest::Play;
use crate::upgrade::Servers;

/// Prints what a node can do, as JSON lines.
#[derive(Debug, Parser)]
struct Args {
    /// What to measure; everything but count, soak, churn, quest and chaos when nothing is named.
    sections: Vec<Section>,
    /// How often each figure is taken.
    #[arg(long, default_value_t = 5)]
    reps: usize,
    /// How many processes are upgraded, or live while old code is purged or figures are asked for.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000,10000,100000")]
    n: Vec<u64>,
    /// How many idle servers are started below one supervisor.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    children: Vec<u64>,
    /// How many timers pend.
    #[arg(long, value_delimiter = ',', default_value = "100000,1000000")]
    timers: Vec<u64>,
    /// How large their states are: a few words, or 1 KB that is all rewritten.
    #[arg(long, value_delimiter = ',', default_value = "small,kb1")]
    state: Vec<String>,
    /// The tree they live in: one simple_one_for_one, one one_for_one, or as many of the first as each has children.
    #[arg(long, value_delimiter = ',', default_value = "simple,one,tree")]
    shape: Vec<String>,
    /// Whether all of a release moves at once, or group by group as in OTP.
    #[arg(long, value_delimiter = ',', default_value = "release")]
    windows: Vec<Windows>,
    /// Over how many groups the processes are spread, one to four: with `--windows group` each moves in a window of its own.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    groups: Vec<usize>,
    /// Whether the way back of each state is tried, as before a release that is watched: the
    /// command is `upgrade --probe` then.
    #[arg(long, value_delimiter = ',', default_value = "no")]
    trial: Vec<Trial>,
    /// How many clients ping servers that are upgraded, four at most.
    #[arg(long, default_value_t = 4)]
    probes: usize,
    /// How many rounds, each an upgrade and a downgrade, a soak or a quest has, and how many a chaos; 2000, 20 and 1000
    /// when absent.
    #[arg(long)]
    rounds: Option<u64>,
    /// What the orders and delays of a chaos are drawn by; another one each time when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// How many servers ask one another during a soak.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(4..))]
    servers: u64,
    /// How long a churn lasts.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many sessions play a quest.
    #[arg(long, default_value_t = 2_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=16_000))]
    sessions: usize,
    /// What a step of a player takes at least in a quest.
    #[arg(long, default_value_t = 800)]
    pace_ms: u64,
    /// How a quest changes its release.
    #[arg(long, value_delimiter = ',', default_value = "live,restart")]
    mode: Vec<quest::Mode>,
    /// Compare counts with those that `counts.toml` expects of this compiler and profile.
    #[arg(long)]
    check: bool,
    /// Write counts to `counts.toml`, as those that are expected.
    #[arg(long, conflicts_with = "check")]
    bless: bool,
}

/// What of a release moves at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Windows {
    Release,
    Group,
}

/// Whether the way back is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trial {
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Calls between processes of a loaded library.
    Call,
    /// Casts between them.
    Cast,
    /// Idle servers started by a supervisor: how fast, and what each keeps of memory.
    #[value(alias = "memory")]
    Spawn,
    /// A child that ends, and comes back.
    Restart,
    /// The list of a supervisor's children.
    Which,
    /// An upgrade and a downgrade of many processes, watched by clients.
    Upgrade,
    /// A release of some 50 MB, beside tar.
    Unpack,
    /// Old code, while many processes live.
    Purge,
    /// Timers that pend while the servers that they are for are upgraded.
    Timers,
    /// The figures for operators.
    Scrape,
    /// A callback of a loaded library, beside the same one linked in.
    Steady,
    /// The instructions of a call, a cast, a start, a restart and a conversion, and the bytes of a process; needs valgrind.
    Count,
    /// Many upgrades and downgrades of libraries that bind code to threads; takes long.
    Soak,
    /// Calls while everything is killed, restarted, suspended and upgraded, all at random; takes ten minutes.
    Churn,
    /// Sessions of Process Quest that check every line they get while the game is upgraded and its players are killed.
    Quest,
    /// The daemon is killed, or its disk fills up, at random moments of orders; takes a second for each round.
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
    faults.iter().for_each(|fault| eprintln!("not as it has to be: {fault}"));
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
