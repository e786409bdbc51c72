//! The processes that wait for a port.
//!
//! A waiter without an open request is *notified*: it gets the event itself as a message. A waiter
//! with an open request is only woken, and repeats the request; so no event is lost to a request
//! that was given up. All waiters with an open request are woken at once, because a process that
//! never repeats its request must not keep the others asleep.

use std::collections::VecDeque;

use crate::words::code::Ref;
use crate::words::pid::Pid;

/// One waiting process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) pid: Pid,
    /// The open request; `None` for a process that is notified.
    pub(crate) reference: Option<Ref>,
}

/// All waiters for one event, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Waiters(VecDeque<Waiter>);

impl Waiters {
    /// Adds a waiter, and drops the waiters for which `over` returns true.
    pub(crate) fn push(&mut self, waiter: Waiter, over: impl Fn(&Waiter) -> bool) {
        self.0.retain(|waiter| !over(waiter));
        self.0.push_back(waiter);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the first living process among the waiters that are notified.
    pub(crate) fn next_to_notify(&mut self, lives: impl Fn(Pid) -> bool) -> Option<Pid> {
        loop {
            let at = self.0.iter().position(|waiter| waiter.reference.is_none())?;
            match self.0.remove(at) {
                Some(waiter) if lives(waiter.pid) => return Some(waiter.pid),
                _ => {}
            }
        }
    }

    /// Takes all waiters with an open request.
    pub(crate) fn take_open_requests(&mut self) -> Vec<(Pid, Ref)> {
        let waiting = self.0.iter().filter_map(|waiter| Some((waiter.pid, waiter.reference?))).collect();
        self.0.retain(|waiter| waiter.reference.is_none());
        waiting
    }

    /// Takes all waiters.
    pub(crate) fn take_all(&mut self) -> VecDeque<Waiter> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_processes_are_skipped_and_open_requests_are_woken_together() {
        let pid = |slot| Pid { slot, generation: 1 };
        let told = |slot| Waiter { pid: pid(slot), reference: None };
        let waits = |slot| Waiter { pid: pid(slot), reference: Some(u64::from(slot)) };
        let mut waiters = Waiters::default();
        for waiter in [waits(1), told(2), waits(3), told(4)] {
            waiters.push(waiter, |_| false);
        }
        waiters.push(waits(5), |waiter| waiter.pid == pid(3));
        assert_eq!(waiters.len(), 4);
        assert_eq!(waiters.next_to_notify(|candidate| candidate != pid(2)), Some(pid(4)));
        assert_eq!(waiters.next_to_notify(|_| true), None);
        assert_eq!(waiters.take_open_requests(), [(pid(1), 1), (pid(5), 5)]);
        assert_eq!(waiters.len(), 0);
    }
}
