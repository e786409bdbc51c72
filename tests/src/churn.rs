//! Churn test: processes call one another while they are killed, restarted, suspended and upgraded
//! at random.
//!
//! ```text
//!  buyers (gen_server) --- deal, numbered per till ---> tills (gen_server)
//!     ^ killed, suspended                                  ^ killed, suspended, terminated
//!     |                                                    |  and restarted by hand
//!     +------------------ upgraded and downgraded all the time -----------------+
//!
//!  source: tests/fixtures/lib/stage.rs
//! ```
//!
//! A till counts duplicate and missing deals. A buyer counts missing replies and replies that
//! belong to another deal. All four counts must be zero, and in the end the node must hold the same
//! resources as before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reld_api::response::{Lingerer, Replied, Resident, StuckCode};
use serde_json::json;

use crate::build::release;
use crate::json::field;
use crate::node::Node;
use crate::random::Random;
use crate::run::eventually;
use crate::soak::slope;

/// Number of processes of each kind.
const TILLS: u64 = 8;
const BUYERS: u64 = 24;

/// Maximum time a process stays suspended.
const SUSPENDED_MS: u64 = 30;

/// The time limit for members to come to rest. It is long because a suspended till delays its
/// buyers.
const REST_MS: &str = "30000";

/// Result of a churn test.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Churned {
    /// Upgrades and downgrades done.
    pub upgrades: u64,
    /// Processes killed.
    pub kills: u64,
    /// Children terminated and restarted by hand.
    pub restarts: u64,
    /// Processes suspended and resumed.
    pub suspends: u64,
    /// Replies received. The counts of buyers that were killed are not included.
    pub answered: u64,
    /// Calls that failed because the till ended.
    pub ended: u64,
    /// Calls without a reply though the till lived.
    pub lost: u64,
    /// Replies that belong to another call.
    pub crossed: u64,
    /// Deals that a till received twice.
    pub doubled: u64,
    /// Deals that a till never received, though it received later ones.
    pub missed: u64,
    /// Resources of the node that were not there before.
    pub leaks: Vec<String>,
    /// Resident memory after each upgrade and downgrade.
    pub resident_kb: Vec<f64>,
}

/// The divisor for the number of first upgrades that are left out of the slope, because all first
/// allocations happen in them.
const WARM_UP: usize = 4;

impl Churned {
    /// Returns how much the memory grew with each upgrade or downgrade.
    pub fn slope_kb(&self) -> f64 {
        slope(&self.resident_kb[self.resident_kb.len() / WARM_UP..])
    }

    /// Lists the violations. `slope_kb` is the permitted growth of the memory with each upgrade.
    pub fn faults(&self, slope_kb: f64) -> Vec<String> {
        let none = |number: u64, what: &str| (number > 0).then(|| format!("{number} {what}"));
        let some = |number: u64, what: &str| (number == 0).then(|| format!("no {what}"));
        let grown = (self.slope_kb() > slope_kb)
            .then(|| format!("memory grew by {:.1} kB with each upgrade", self.slope_kb()));
        let checks = [
            none(self.lost, "replies never came"),
            none(self.crossed, "replies were another call's"),
            none(self.doubled, "calls came twice"),
            none(self.missed, "calls never came"),
            some(self.answered, "replies"),
            some(self.kills, "kills"),
            some(self.restarts, "restarts by hand"),
            some(self.suspends, "suspends"),
            grown,
        ];
        checks.into_iter().flatten().chain(self.leaks.iter().map(|leak| format!("leak: {leak}"))).collect()
    }
}

/// Runs the churn test for `time` on a node of its own.
///
/// # Panics
/// When an upgrade fails, or the node does not come to rest.
pub fn churn(time: Duration) -> Churned {
    let node = Node::start();
    node.ok(&["upgrade", &release("stage-1.0.0")]);
    node.ok(&["unpack", &release("stage-2.0.0")]);
    let before = Picture::of(&node);
    let market = &open_market(&node);

    let over = AtomicBool::new(false);
    let [kills, restarts, suspends] = [(); 3].map(|()| AtomicU64::new(0));
    let mut churned = Churned::default();
    thread::scope(|scope| {
        scope.spawn(|| again_and_again(&over, 1, |random| kill(&node, random, &kills)));
        scope.spawn(|| again_and_again(&over, 2, |random| suspend(&node, random, &suspends)));
        scope.spawn(|| again_and_again(&over, 3, |random| restart(&node, market, random, &restarts)));
        let end = End(&over);
        let until = Instant::now() + time;
        while Instant::now() < until {
            for to in ["2.0.0", "1.0.0"] {
                node.ok(&["upgrade", to, "--suspend-timeout", REST_MS]);
                churned.upgrades += 1;
                churned.resident_kb.push(node.resident_kb());
            }
        }
        drop(end);
    });
    churned.kills = kills.into_inner();
    churned.restarts = restarts.into_inner();
    churned.suspends = suspends.into_inner();
    count(&node, market, &mut churned);
    let root = root(&node);
    node.ok(&["child", "terminate", &root, "market"]);
    node.ok(&["child", "delete", &root, "market"]);
    churned.leaks = before.leaks(&node);
    churned
}

fn root(node: &Node) -> String {
    node.supervisor("stage")
}

/// Starts buyers that deal with tills below the root supervisor of stage. Returns the supervisor of
/// the tills and buyers.
///
/// # Panics
/// When they cannot be started.
pub fn open_market(node: &Node) -> String {
    let spec =
        json!({"id": "market", "module": "stage_market", "type": "supervisor", "args": [TILLS, BUYERS]});
    node.start_child(&root(node), spec)
}

/// Makes the other threads end when it is dropped, even by a panic of this thread.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn again_and_again(over: &AtomicBool, seed: u64, work: impl Fn(&mut Random)) {
    let mut random = Random::new(seed);
    while !over.load(Ordering::Relaxed) {
        work(&mut random);
    }
}

/// Returns the name of a random till or buyer.
fn one(random: &mut Random) -> String {
    let number = random.below(TILLS + BUYERS);
    if number < TILLS { format!("till_{number}") } else { format!("buyer_{}", number - TILLS) }
}

fn kill(node: &Node, random: &mut Random, kills: &AtomicU64) {
    if node.run(&["kill", &one(random)]).code == 0 {
        kills.fetch_add(1, Ordering::Relaxed);
    }
    thread::sleep(Duration::from_millis(random.below(50)));
}

fn suspend(node: &Node, random: &mut Random, suspends: &AtomicU64) {
    let one = one(random);
    if node.run(&["suspend", &one]).code == 0 {
        suspends.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(random.below(SUSPENDED_MS)));
        // Another process may have the name by now. It is not suspended, so a refusal of the resume
        // is no error.
        node.run(&["resume", &one]);
    }
}

fn restart(node: &Node, market: &str, random: &mut Random, restarts: &AtomicU64) {
    let one = json!(one(random)).to_string();
    node.run(&["child", "terminate", market, &one]);
    // Calls to the child fail with an error while it is down.
    if node.run(&["child", "restart", market, &one]).code == 0 {
        restarts.fetch_add(1, Ordering::Relaxed);
    }
    thread::sleep(Duration::from_millis(random.below(100)));
}

/// Adds the counts of the buyers and tills to `churned`.
///
/// # Panics
/// When one of them does not run again.
pub fn count(node: &Node, market: &str, churned: &mut Churned) {
    let counted = |name: String| {
        let counted = eventually("it lives and counts", || {
            // A restart by hand leaves a running child alone.
            node.run(&["child", "restart", market, &json!(name).to_string()]);
            let run = node.run(&["--json", "call", &name, "count", "--timeout", "30000"]);
            (run.code == 0).then(|| run.read::<Replied>().reply)
        });
        move |key: &str| field::<u64>(&counted, key)
    };
    for buyer in (0..BUYERS).map(|number| counted(format!("buyer_{number}"))) {
        churned.answered += buyer("answered");
        churned.ended += buyer("ended");
        churned.lost += buyer("lost");
        churned.crossed += buyer("crossed");
    }
    for till in (0..TILLS).map(|number| counted(format!("till_{number}"))) {
        churned.doubled += till("doubled");
        churned.missed += till("missed");
    }
}

/// Resources of a node that must not grow.
#[derive(Debug, PartialEq)]
struct Picture {
    pids: Vec<String>,
    residents: Vec<Resident>,
    stuck: Vec<StuckCode>,
    lingering: Vec<Lingerer>,
    metrics: [(&'static str, u64); METRICS.len()],
}

/// Metrics that must have their old values in the end.
const METRICS: [&str; 4] = ["reld_timers", "reld_blocking", "reld_tables", "reld_mailbox_messages"];

impl Picture {
    fn of(node: &Node) -> Self {
        let status = node.status();
        Self {
            pids: node.ps().into_iter().map(|process| process.pid).collect(),
            residents: node.code().residents,
            stuck: status.stuck,
            lingering: status.lingering,
            metrics: METRICS.map(|name| (name, node.metric(name))),
        }
    }

    /// Returns the lasting differences. The timeouts of calls by processes that have ended remain
    /// as timers until they expire.
    fn leaks(&self, node: &Node) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let now = Self::of(node);
            if now == *self {
                return Vec::new();
            }
            if Instant::now() >= until {
                return vec![format!("{self:?} before, {now:?} now")];
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_violation_is_named() {
        let good = Churned {
            answered: 1,
            kills: 1,
            restarts: 1,
            suspends: 1,
            resident_kb: vec![5.0; 8],
            ..Churned::default()
        };
        assert_eq!(good.faults(1.0), [""; 0]);
        let resident_kb = (0..8).map(|n| f64::from(n) * 2.0).collect();
        let bad = Churned { lost: 1, missed: 2, kills: 0, resident_kb, leaks: vec!["x".to_owned()], ..good };
        let faults = [
            "1 replies never came",
            "2 calls never came",
            "no kills",
            "memory grew by 2.0 kB with each upgrade",
            "leak: x",
        ];
        assert_eq!(bad.faults(1.0), faults);
    }
}
