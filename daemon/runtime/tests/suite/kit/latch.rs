//! Latches that the test opens. They are named by numbers, so that messages can carry them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, LazyLock, Mutex};

static NEXT: AtomicU64 = AtomicU64::new(1);
static OPEN: LazyLock<(Mutex<HashSet<u64>>, Condvar)> = LazyLock::new(Default::default);

static MET: LazyLock<Mutex<HashMap<u64, u64>>> = LazyLock::new(Default::default);

/// Counts the calls for a latch, including this one.
pub(crate) fn meet(latch: u64) -> u64 {
    let mut met = MET.lock().expect("no test panics here");
    let times = met.entry(latch).or_default();
    *times += 1;
    *times
}

/// Returns a new latch, shut.
pub(crate) fn new() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Blocks the calling thread until the latch opens.
pub(crate) fn wait(latch: u64) {
    let open = OPEN.0.lock().expect("no test panics here");
    let _open = OPEN.1.wait_while(open, |open| !open.contains(&latch)).expect("no test panics here");
}

/// Opens a latch for good; returns whether it was shut.
pub(crate) fn open(latch: u64) -> bool {
    let was_shut = OPEN.0.lock().expect("no test panics here").insert(latch);
    OPEN.1.notify_all();
    was_shut
}
