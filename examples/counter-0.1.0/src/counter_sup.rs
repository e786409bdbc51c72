//! The supervisor of the counters.

use reld_sdk::{ChildSpec, Restart, Supervisor, SupervisorSpec};

/// The number at which each of the two counters starts. It is also the id of its child.
const STARTS: [u64; 2] = [10_000, 20_000];

#[derive(Debug)]
pub(crate) struct CounterSup;

impl Supervisor for CounterSup {
    type Args = ();

    fn init((): ()) -> SupervisorSpec {
        STARTS.into_iter().map(counter).fold(SupervisorSpec::one_for_one(), SupervisorSpec::child)
    }
}

/// A transient child: the supervisor does not restart a counter that ended `normal` after
/// `stop_gracefully`.
fn counter(n: u64) -> ChildSpec {
    ChildSpec::worker(n, "counter", n).restart(Restart::Transient)
}
