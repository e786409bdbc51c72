//! Who waits for something of a port.
//!
//! Two kinds of them: who is to be *told* gets the thing itself as a message; who *waits* is only woken, and asks again.
//! So nothing is ever given to a wait that was given up. All who wait are woken at once, for one that does not come
//! back must not keep the others asleep.

use std::collections::VecDeque;

use crate::words::code::Ref;
use crate::words::pid::Pid;

/// One who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) pid: Pid,
    /// Its open request; `None` for one who is to be told.
    pub(crate) reference: Option<Ref>,
}

/// All who wait for one thing, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Waiters(VecDeque<Waiter>);

impl Waiters {
    /// Adds one; those that are `over` are gone for good, and forgotten here.
    pub(crate) fn push(&mut self, waiter: Waiter, over: impl Fn(&Waiter) -> bool) {
        self.0.retain(|waiter| !over(waiter));
        self.0.push_back(waiter);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the first who is to be told and lives.
    pub(crate) fn next_told(&mut self, lives: impl Fn(Pid) -> bool) -> Option<Pid> {
        loop {
            let at = self.0.iter().position(|waiter| waiter.reference.is_none())?;
            match self.0.remove(at) {
                Some(waiter) if lives(waiter.pid) => return Some(waiter.pid),
                _ => {}
            }
        }
    }

    /// Takes all who wait for an answer.
    pub(crate) fn take_waiting(&mut self) -> Vec<(Pid, Ref)> {
        let waiting = self.0.iter().filter_map(|waiter| Some((waiter.pid, waiter.reference?))).collect();
        self.0.retain(|waiter| waiter.reference.is_none());
        waiting
    }

    /// Takes all.
    pub(crate) fn take_all(&mut self) -> VecDeque<Waiter> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_passed_over_and_who_waits_is_woken_together() {
        let pid = |slot| Pid { slot, generation: 1 };
        let told = |slot| Waiter { pid: pid(slot), reference: None };
        let waits = |slot| Waiter { pid: pid(slot), reference: Some(u64::from(slot)) };
        let mut waiters = Waiters::default();
        for waiter in [waits(1), told(2), waits(3), told(4)] {
            waiters.push(waiter, |_| false);
        }
        waiters.push(waits(5), |waiter| waiter.pid == pid(3));
        assert_eq!(waiters.len(), 4);
        assert_eq!(waiters.next_told(|who| who != pid(2)), Some(pid(4)));
        assert_eq!(waiters.next_told(|_| true), None);
        assert_eq!(waiters.take_waiting(), [(pid(1), 1), (pid(5), 5)]);
        assert_eq!(waiters.len(), 0);
    }
}
