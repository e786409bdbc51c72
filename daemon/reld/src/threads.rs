//! The threads that the daemon begins with.

use std::io;
use std::sync::mpsc;
use std::thread::{self, Builder};

use anyhow::Context;

/// Checks that the system gives so many threads at a time. Where one of them is missing later, what it was for is
/// missing: a daemon without a socket, or one that dies while apps start.
pub(crate) fn check(count: usize) -> anyhow::Result<()> {
    start_all(count).with_context(|| {
        format!(
            "cannot start {count} threads: raise the limit of the daemon's user (`ulimit -u`) or of its service \
             (TasksMax=)"
        )
    })
}

fn start_all(count: usize) -> io::Result<()> {
    let (hold, held) = mpsc::channel::<()>();
    let held = parking_lot::Mutex::new(held);
    thread::scope(|scope| {
        // Dropped where one cannot be started, too: then the others end.
        let _hold = hold;
        (0..count).try_for_each(|_| {
            let wait = || {
                let _ = held.lock().recv();
            };
            Builder::new().spawn_scoped(scope, wait).map(drop)
        })
    })
}
