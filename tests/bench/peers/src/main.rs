//! The work of `reld-bench call`, done by actor libraries with Rust values: an echo and a caller in
//! each pair, all in one process, on a pool of two threads.
//!
//! ```text
//! cargo run --release --manifest-path tests/bench/peers/Cargo.toml
//! ```
//!
//! These libraries pass a number by value. `reld` passes it as bytes, through a library that can be
//! replaced. Compare a line with a line of `reld-bench call` of the same hour on the same machine.

mod kameo;
#[path = "../../src/line.rs"]
mod line;
mod ractor;
mod xtra;

use std::future::Future;
use std::time::Instant;

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

/// The numbers of calls and pairs are those of `reld-bench call`.
const ROUND_TRIPS: u64 = 300_000;
const CALLS: u64 = 1_000_000;
const PAIRS: [u64; 5] = [1, 2, 8, 64, 1000];
const REPS: usize = 5;

/// A server that returns each number.
trait Echo: Send + 'static {
    /// The name of the actor library.
    const NAME: &str;

    /// Starts the server.
    fn start() -> impl Future<Output = Self> + Send;

    /// Calls the server.
    fn call(&self, number: u64) -> impl Future<Output = u64> + Send;
}

fn main() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    measure::<ractor::Server>(&runtime);
    measure::<kameo::Server>(&runtime);
    measure::<xtra::Server>(&runtime);
}

fn measure<E: Echo>(runtime: &Runtime) {
    let time = |pairs, calls| runtime.block_on(run::<E>(pairs, calls));
    time(1, ROUND_TRIPS);
    let of = |pairs: u64| json!({"peer": E::NAME, "payload": "int", "pairs": pairs});
    let samples = (0..REPS).map(|_| time(1, ROUND_TRIPS) / ROUND_TRIPS as f64).collect();
    line::print("call_rtt", &of(1), "ns/call", samples);
    for pairs in PAIRS {
        let calls = CALLS / pairs;
        let rate = |_| (calls * pairs) as f64 * 1e9 / time(pairs, calls);
        line::print("call_throughput", &of(pairs), "calls/s", (0..REPS).map(rate).collect());
    }
}

/// Returns how many nanoseconds the pairs take for this many calls each.
async fn run<E: Echo>(pairs: u64, calls: u64) -> f64 {
    let mut servers = Vec::new();
    for _ in 0..pairs {
        servers.push(E::start().await);
    }
    let begun = Instant::now();
    let callers: Vec<_> = servers
        .into_iter()
        .map(|server| {
            tokio::spawn(async move {
                for number in 0..calls {
                    assert_eq!(server.call(number).await, number);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("each call is answered");
    }
    begun.elapsed().as_nanos() as f64
}
