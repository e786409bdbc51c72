//! The threads that the daemon needs at its start.

use std::io;
use std::sync::mpsc;
use std::thread::{self, Builder};

use anyhow::Context;

/// Checks that the system allows this number of threads. A thread that cannot start later would
/// leave a daemon without a socket, or kill it while apps start.
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
        // Dropped on failure, too, so that the started threads end.
        let _hold = hold;
        (0..count).try_for_each(|_| {
            let wait = || {
                let _ = held.lock().recv();
            };
            Builder::new().spawn_scoped(scope, wait).map(drop)
        })
    })
}
