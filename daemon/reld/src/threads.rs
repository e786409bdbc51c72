//! A check of the number of threads that the daemon needs.

use std::io;
use std::sync::mpsc;
use std::thread::{self, Builder};

use anyhow::Context;

/// Checks that the system allows this number of threads. If a thread could not start later, the
/// daemon would have no socket, or would die while apps start.
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
        // Dropped on failure as well, so that the started threads end.
        let _hold = hold;
        (0..count).try_for_each(|_| {
            let wait = || {
                let _ = held.lock().recv();
            };
            Builder::new().spawn_scoped(scope, wait).map(drop)
        })
    })
}
