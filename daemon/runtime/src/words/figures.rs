//! The counters of a node for operators. They cost one comparison per message.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::words::exit::Exit;
use crate::words::pid::Pid;

/// A mailbox that reaches this length is logged, and again at each doubling.
const MARK: usize = 10_000;

/// Figures of a node since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The number of living processes.
    pub processes: usize,
    /// The number of pending timers.
    pub timers: usize,
    /// The number of messages that were handled.
    pub messages: u64,
    /// How often a supervisor restarted a child.
    pub restarts: u64,
    /// The number of processes that ended abnormally.
    pub crashes: u64,
    /// The number of callbacks that computed so long that their worker was replaced.
    pub over_limit: u64,
    /// How often a mailbox grew to 10,000 messages, or doubled above that.
    pub mailbox_high: u64,
    /// The number of messages that were dropped because the mailbox was full.
    pub mailbox_full: u64,
}

/// Counters of rare events. Because the events are rare, one shared counter for each kind is
/// enough.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) restarts: Counter,
    pub(crate) crashes: Counter,
    pub(crate) mailbox_high: Counter,
    pub(crate) mailbox_full: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often processes of one version of a module ended, by kind of exit reason.
#[derive(Debug, Default)]
pub(crate) struct Exits([Counter; Exit::KINDS.len()]);

impl Exits {
    pub(crate) fn add(&self, exit: &Exit) {
        self.0[exit.number()].add();
    }

    /// Returns the counts of the kinds that occurred, in the order of [`Exit::KINDS`].
    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let all = Exit::KINDS.into_iter().zip(self.0.iter().map(Counter::read));
        all.filter(|(_, number)| *number > 0).collect()
    }
}

impl Counters {
    /// Counts and logs a mailbox that has reached 10,000 messages or a doubling of that.
    #[inline]
    pub(crate) fn mailbox(&self, pid: Pid, before: usize, now: usize) {
        if now >= MARK && mark(before) < mark(now) {
            self.mailbox_grows(pid, now);
        }
    }

    #[cold]
    fn mailbox_grows(&self, pid: Pid, messages: usize) {
        self.mailbox_high.add();
        tracing::warn!(
            name: "process.mailbox", %pid, messages,
            "a mailbox grows: its process is slower than its senders"
        );
    }
}

impl Counters {
    /// Counts a message that a full mailbox refused; `refused` counts the refusals of that mailbox.
    /// Logs the first refusal and each doubling.
    #[cold]
    pub(crate) fn mailbox_full(&self, pid: Pid, refused: u64) {
        self.mailbox_full.add();
        if refused.is_power_of_two() {
            tracing::warn!(
                name: "process.mailbox_full", %pid, refused,
                "a mailbox is full: casts are dropped and calls are answered with overloaded"
            );
        }
    }
}

/// Returns the number of the highest mark that a length reaches. The number is 0 below [`MARK`], 1
/// from there on, and grows by one with each doubling.
fn mark(len: usize) -> u32 {
    (len / MARK).checked_ilog2().map_or(0, |doublings| doublings + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_reported_once_and_again_at_each_doubling() {
        let counters = Counters::default();
        (0..45_000).for_each(|len| counters.mailbox(Pid::NONE, len, len + 1));
        // These are the marks 10,000, 20,000 and 40,000.
        assert_eq!(counters.mailbox_high.read(), 3);
        counters.mailbox(Pid::NONE, 9_000, 90_000);
        assert_eq!(counters.mailbox_high.read(), 4);
        counters.mailbox(Pid::NONE, 9_000, 9_999);
        assert_eq!(counters.mailbox_high.read(), 4);
    }
}
