//! Timers: one thread, one ordered map.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

/// A running timer. Plain data: a state may keep it over an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TimerRef {
    /// When it fires, in nanoseconds since the node started.
    pub at_ns: u64,
    /// Names the timer in the node's life.
    pub id: u64,
}

/// All timers of a node; `T` is what to do when one fires.
pub(crate) struct Timers<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    epoch: Instant,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    pending: BTreeMap<TimerRef, T>,
    next_id: u64,
    stopping: bool,
}

impl<T: Send + 'static> Timers<T> {
    pub(crate) fn new() -> Self {
        let state = State { pending: BTreeMap::new(), next_id: 1, stopping: false };
        Self {
            shared: Arc::new(Shared {
                epoch: Instant::now(),
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
        }
    }

    /// Starts firing; `fire` must not wait.
    pub(crate) fn start(&self, fire: impl Fn(T) + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        let run = move || shared.run(fire);
        if let Err(error) = thread::Builder::new().name("reld-timers".to_owned()).spawn(run) {
            tracing::error!(name: "timers.spawn_failed", %error, "no timer will fire");
        }
    }

    /// Starts a timer. A duration beyond the clock's range never fires.
    pub(crate) fn set(&self, after: Duration, what: T) -> TimerRef {
        let at = self.shared.epoch.elapsed().saturating_add(after);
        let at_ns = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.shared.state.lock();
        let timer = TimerRef { at_ns, id: state.next_id };
        state.next_id += 1;
        let first = state.pending.first_key_value().is_none_or(|(next, _)| timer < *next);
        state.pending.insert(timer, what);
        if first {
            self.shared.changed.notify_one();
        }
        timer
    }

    /// Stops a timer; `None` when it has fired or was never there.
    pub(crate) fn cancel(&self, timer: TimerRef) -> Option<T> {
        self.shared.state.lock().pending.remove(&timer)
    }

    /// Lets `look` see each pending timer, in the order of firing.
    pub(crate) fn each(&self, mut look: impl FnMut(TimerRef, &T)) {
        self.shared.state.lock().pending.iter().for_each(|(timer, what)| look(*timer, what));
    }
}

impl<T> Drop for Timers<T> {
    fn drop(&mut self) {
        self.shared.state.lock().stopping = true;
        self.shared.changed.notify_one();
    }
}

impl<T> Shared<T> {
    fn run(&self, fire: impl Fn(T)) {
        let mut state = self.state.lock();
        while !state.stopping {
            let Some((timer, _)) = state.pending.first_key_value() else {
                self.changed.wait(&mut state);
                continue;
            };
            let wait = Duration::from_nanos(timer.at_ns).saturating_sub(self.epoch.elapsed());
            if wait.is_zero() {
                if let Some((_, what)) = state.pending.pop_first() {
                    parking_lot::MutexGuard::unlocked(&mut state, || fire(what));
                }
            } else {
                self.changed.wait_for(&mut state, wait);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn timers_fire_in_order_and_a_cancelled_one_never() {
        let timers = Timers::new();
        let (tx, rx) = mpsc::channel();
        timers.start(move |what: u32| tx.send(what).unwrap_or(()));
        timers.set(Duration::from_millis(30), 3);
        let cancelled = timers.set(Duration::from_millis(20), 2);
        timers.set(Duration::from_millis(1), 1);
        assert_eq!(timers.cancel(cancelled), Some(2));
        assert_eq!(timers.cancel(cancelled), None);
        let next = || rx.recv_timeout(Duration::from_secs(5)).ok();
        assert_eq!([next(), next()], [Some(1), Some(3)]);
        timers.each(|timer, _| panic!("{timer:?} is still pending"));
    }
}
