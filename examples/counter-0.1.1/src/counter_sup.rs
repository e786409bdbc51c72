//! The supervisor of the counters.

use reld_sdk::{ChildSpec, Restart, Supervisor, SupervisorSpec};

use crate::counter::Args;

/// Where the two counters of the app start; also their ids.
const STARTS: [u64; 2] = [10_000, 20_000];

/// The time between two ticks of a counter that is started afresh.
const INTERVAL_MS: u64 = 200;

/// Keeps the counters alive.
#[derive(Debug)]
pub(crate) struct CounterSup;

impl Supervisor for CounterSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        STARTS.into_iter().map(counter).fold(SupervisorSpec::one_for_one(), SupervisorSpec::child)
    }
}

/// A counter that may end `normal`, as it does when asked to stop gracefully.
fn counter(n: u64) -> ChildSpec {
    ChildSpec::worker(n, "counter", Args { n, interval_ms: INTERVAL_MS }).restart(Restart::Transient)
}
