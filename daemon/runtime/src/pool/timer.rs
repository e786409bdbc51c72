//! Timers: one thread fires all timers, from one ordered map.
//!
//! A timer fires once. An interval fires again and again: after each firing it moves on to its next
//! time. It keeps its [`TimerRef::id`], by which it is found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::words::code::TimerRef;
use crate::words::contain::contained;

/// The shortest interval: a period of zero would keep the thread busy for ever.
const SHORTEST: Duration = Duration::from_millis(1);

/// All timers of a node; `T` describes the effect of a timer.
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
    /// The next time of each interval, by id; while an interval fires, its present time.
    intervals: HashMap<u64, Interval>,
    next_id: u64,
    stopping: bool,
}

#[derive(Clone, Copy)]
struct Interval {
    next: TimerRef,
    every: Duration,
}

/// The decision whether an interval that has fired goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fired {
    Rearm,
    /// The interval ends, because its receiver has ended.
    Drop,
}

impl<T: Clone + Send + 'static> Timers<T> {
    pub(crate) fn new() -> Self {
        let state =
            State { pending: BTreeMap::new(), intervals: HashMap::new(), next_id: 1, stopping: false };
        Self {
            shared: Arc::new(Shared {
                epoch: Instant::now(),
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
        }
    }

    /// Starts the thread that fires the timers; `fire` must not wait.
    pub(crate) fn start(&self, fire: impl Fn(T) -> Fired + Send + 'static) {
        let shared = Arc::clone(&self.shared);
        let run = move || shared.run(fire);
        if let Err(error) = thread::Builder::new().name("reld-timers".to_owned()).spawn(run) {
            tracing::error!(name: "timers.spawn_failed", %error, "cannot start the timer thread; timers will not fire");
        }
    }

    /// Starts a timer. If the time lies beyond the clock's range, the timer never fires.
    pub(crate) fn set(&self, after: Duration, what: T) -> TimerRef {
        self.begin(after, None, what)
    }

    /// Starts an interval, which fires first after one period, and then again and again. Missed
    /// periods are skipped.
    pub(crate) fn set_every(&self, every: Duration, what: T) -> TimerRef {
        let every = every.max(SHORTEST);
        self.begin(every, Some(every), what)
    }

    fn begin(&self, after: Duration, every: Option<Duration>, what: T) -> TimerRef {
        let at = self.shared.epoch.elapsed().saturating_add(after);
        let at_ns = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let mut state = self.shared.state.lock();
        let timer = TimerRef { at_ns, id: state.next_id };
        state.next_id += 1;
        if let Some(every) = every {
            state.intervals.insert(timer.id, Interval { next: timer, every });
        }
        let first = state.pending.first_key_value().is_none_or(|(next, _)| timer < *next);
        state.pending.insert(timer, what);
        if first {
            self.shared.changed.notify_one();
        }
        timer
    }

    /// Stops a timer. Returns false when it has fired for the last time or never existed.
    ///
    /// An interval that is firing at this moment is stopped too, but this firing still takes
    /// effect.
    pub(crate) fn cancel(&self, timer: TimerRef) -> bool {
        self.shared.state.lock().remove(timer)
    }

    /// Returns the time until a timer fires; zero while an interval is firing. Returns `None` when
    /// the timer has fired for the last time or never existed.
    pub(crate) fn left(&self, timer: TimerRef) -> Option<Duration> {
        let state = self.shared.state.lock();
        let next = state.next(timer)?;
        Some(Duration::from_nanos(next.at_ns).saturating_sub(self.shared.epoch.elapsed()))
    }

    /// Returns how many timers are pending.
    pub(crate) fn len(&self) -> usize {
        self.shared.state.lock().pending.len()
    }

    /// Calls `look` for each pending timer, in the order of firing.
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

impl<T> State<T> {
    /// Returns the time at which a timer will fire next; for an interval that is firing, its
    /// present time.
    fn next(&self, timer: TimerRef) -> Option<TimerRef> {
        let interval = self.intervals.get(&timer.id).map(|interval| interval.next);
        interval.or_else(|| self.pending.contains_key(&timer).then_some(timer))
    }

    fn remove(&mut self, timer: TimerRef) -> bool {
        match self.intervals.remove(&timer.id) {
            // An interval that is firing is not in `pending`.
            Some(interval) => drop(self.pending.remove(&interval.next)),
            None => return self.pending.remove(&timer).is_some(),
        }
        true
    }

    /// Moves an interval that has fired to its next time in the future, unless the interval was
    /// cancelled meanwhile.
    fn move_on(&mut self, timer: TimerRef, now: Duration, what: T) {
        let Some(interval) = self.intervals.get_mut(&timer.id) else { return };
        let every = u64::try_from(interval.every.as_nanos()).unwrap_or(u64::MAX);
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let missed = now_ns.saturating_sub(timer.at_ns) / every;
        interval.next.at_ns = timer.at_ns.saturating_add(every.saturating_mul(missed + 1));
        let next = interval.next;
        self.pending.insert(next, what);
    }
}

impl<T: Clone> Shared<T> {
    fn run(&self, fire: impl Fn(T) -> Fired) {
        let mut state = self.state.lock();
        while !state.stopping {
            let Some((timer, _)) = state.pending.first_key_value() else {
                self.changed.wait(&mut state);
                continue;
            };
            let wait = Duration::from_nanos(timer.at_ns).saturating_sub(self.epoch.elapsed());
            if wait.is_zero() {
                if let Some((timer, what)) = state.pending.pop_first() {
                    self.fire(&mut state, timer, what, &fire);
                }
            } else {
                self.changed.wait_for(&mut state, wait);
            }
        }
    }
}

impl<T: Clone> Shared<T> {
    fn fire(
        &self,
        state: &mut MutexGuard<'_, State<T>>,
        timer: TimerRef,
        what: T,
        fire: impl Fn(T) -> Fired,
    ) {
        let again = state.intervals.contains_key(&timer.id).then(|| what.clone());
        // A panic ends this firing only: all timers go on, and so does an interval.
        let fired = MutexGuard::unlocked(state, || contained(|| fire(what)).unwrap_or(Fired::Rearm));
        match again {
            Some(what) if fired == Fired::Rearm => state.move_on(timer, self.epoch.elapsed(), what),
            Some(_) => drop(state.intervals.remove(&timer.id)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn timers_fire_in_order_and_a_cancelled_timer_never_fires() {
        let timers = Timers::new();
        let (tx, rx) = mpsc::channel();
        timers.start(move |what: u32| {
            tx.send(what).unwrap_or(());
            Fired::Rearm
        });
        timers.set(Duration::from_millis(30), 3);
        let cancelled = timers.set(Duration::from_millis(20), 2);
        timers.set(Duration::from_millis(1), 1);
        assert_eq!([timers.cancel(cancelled), timers.cancel(cancelled)], [true, false]);
        let next = || rx.recv_timeout(Duration::from_secs(5)).ok();
        assert_eq!([next(), next()], [Some(1), Some(3)]);
        timers.each(|timer, _| panic!("{timer:?} is still pending"));
    }

    #[test]
    fn an_interval_fires_until_it_is_cancelled_or_its_receiver_has_ended() {
        let timers = Timers::new();
        let (tx, rx) = mpsc::channel();
        timers.start(
            move |what: u32| if what == 2 || tx.send(what).is_err() { Fired::Drop } else { Fired::Rearm },
        );
        let interval = timers.set_every(Duration::from_millis(2), 1);
        let out = timers.set_every(Duration::from_millis(1), 2);
        for _ in 0..5 {
            assert_eq!(rx.recv_timeout(Duration::from_secs(5)), Ok(1));
        }
        assert!(timers.left(interval).is_some_and(|left| left <= Duration::from_millis(2)));
        assert_eq!(timers.left(out), None);
        // The interval may be firing at this moment; even then it does not go on.
        assert!(timers.cancel(interval));
        assert_eq!(timers.left(interval), None);
        while rx.recv_timeout(Duration::from_millis(20)).is_ok() {}
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn an_interval_is_cancelled_while_it_fires() {
        let timers = Arc::new(Timers::new());
        let (inside, (tx, rx)) = (Arc::downgrade(&timers), mpsc::channel());
        let (begun, begins) = mpsc::channel();
        timers.start(move |()| {
            let interval = begins.recv().expect("the test sends the interval");
            let timers = inside.upgrade().expect("the test holds the timers");
            let seen = (timers.left(interval), timers.cancel(interval), timers.cancel(interval));
            tx.send(seen).unwrap_or(());
            Fired::Rearm
        });
        begun.send(timers.set_every(Duration::from_millis(1), ())).expect("the timer thread runs");
        assert_eq!(rx.recv_timeout(Duration::from_secs(5)), Ok((Some(Duration::ZERO), true, false)));
        drop(begun);
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn a_panic_in_one_firing_stops_no_other_timer_and_an_interval_goes_on() {
        let timers = Timers::new();
        let (tx, rx) = mpsc::channel();
        timers.start(move |what: u32| {
            tx.send(what).unwrap_or(());
            assert!(what > 2, "a bug in the firing of {what}");
            Fired::Rearm
        });
        let interval = timers.set_every(Duration::from_millis(1), 1);
        timers.set(Duration::from_millis(2), 2);
        let next = || rx.recv_timeout(Duration::from_secs(5)).expect("timers fire");
        while next() != 2 {}
        while next() != 1 {}
        timers.set(Duration::from_millis(1), 3);
        while next() != 3 {}
        timers.cancel(interval);
    }

    #[test]
    fn an_interval_that_was_held_up_skips_missed_periods() {
        let mut state =
            State { pending: BTreeMap::new(), intervals: HashMap::new(), next_id: 2, stopping: false };
        let timer = TimerRef { at_ns: 100, id: 1 };
        state.intervals.insert(1, Interval { next: timer, every: Duration::from_nanos(10) });
        state.move_on(timer, Duration::from_nanos(135), ());
        assert_eq!(state.next(timer), Some(TimerRef { at_ns: 140, id: 1 }));
        assert!(state.remove(timer));
        state.move_on(timer, Duration::from_nanos(145), ());
        assert_eq!(state.pending.len(), 0);
    }

    #[test]
    fn a_hundred_thousand_timers_pend_and_are_cancelled() {
        let timers = Timers::new();
        timers.start(|_: u32| Fired::Rearm);
        let all: Vec<_> =
            (0..100_000).map(|n| timers.set(Duration::from_secs(3600 + u64::from(n) % 977), n)).collect();
        assert_eq!(timers.len(), 100_000);
        let cancelled = all.into_iter().filter(|timer| timers.cancel(*timer)).count();
        assert_eq!((cancelled, timers.len()), (100_000, 0));
    }
}
