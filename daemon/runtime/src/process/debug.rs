//! Statistics and message log of a process, while an operator has them turned on. OTP: the debug
//! options of `sys`, `statistics` and `log`.
//!
//! Both are off by default; the cost is then one pointer check per message.

use std::collections::VecDeque;
use std::time::SystemTime;

use crate::process::mail::Mail;
use crate::words::code::Bytes;
use crate::words::pid::Pid;

/// The debug options of a process.
#[derive(Debug, Default)]
pub(crate) struct Debug {
    statistics: Option<Statistics>,
    log: Option<Log>,
}

/// Message counts of a process since statistics were turned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// The time at which statistics were turned on.
    pub since: SystemTime,
    /// Messages taken: calls, casts, other messages, exit signals, ends of monitored processes,
    /// node events and idle timeouts.
    pub messages_in: u64,
    /// Messages sent: calls, casts, other messages and replies.
    pub messages_out: u64,
}

/// One event of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The time of the event.
    pub at: SystemTime,
    /// Whether the message was taken or sent.
    pub way: Way,
    /// The kind: `call`, `cast`, `info`, `exit`, `down`, `told` (a node event about a port or
    /// table), `timeout` or `reply`.
    pub what: &'static str,
    /// The other process, if there is one.
    pub other: Option<Pid>,
    /// The message, MessagePack; empty for events without one.
    pub body: Bytes,
}

/// The direction of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The process took it.
    In,
    /// The process sent it.
    Out,
}

#[derive(Debug)]
struct Log {
    max: usize,
    events: VecDeque<Logged>,
}

impl Debug {
    /// Turns statistics on, starting at 0, or off.
    pub(crate) fn count(&mut self, on: bool) {
        let since = SystemTime::now();
        self.statistics = on.then_some(Statistics { since, messages_in: 0, messages_out: 0 });
    }

    /// Returns the statistics; `None` when they are off. OTP: `no_statistics`.
    pub(crate) fn statistics(&self) -> Option<Statistics> {
        self.statistics
    }

    /// Keeps the last `max` events, including the events already in the log; `None` turns the log
    /// off.
    pub(crate) fn keep(&mut self, max: Option<usize>) {
        let events = self.log.take().map(|log| log.events).unwrap_or_default();
        self.log = max.map(|max| Log { max, events });
        self.trim();
    }

    /// Returns the last events, oldest first; `None` when the log is off.
    pub(crate) fn logged(&self) -> Option<Vec<Logged>> {
        self.log.as_ref().map(|log| log.events.iter().cloned().collect())
    }

    /// Returns how many events the log keeps; `None` when it is off.
    pub(crate) fn log_max(&self) -> Option<usize> {
        self.log.as_ref().map(|log| log.max)
    }

    /// Returns whether statistics and log are both off.
    pub(crate) fn is_off(&self) -> bool {
        self.statistics.is_none() && self.log.is_none()
    }

    /// Records a message that the process takes.
    pub(crate) fn took(&mut self, mail: &Mail) {
        if let Some(statistics) = &mut self.statistics {
            statistics.messages_in += 1;
        }
        let (what, other, body) = mail.parts();
        self.log(Way::In, what, other, body);
    }

    /// Records a message that the process sends.
    pub(crate) fn sent(&mut self, what: &'static str, to: Pid, body: &[u8]) {
        if let Some(statistics) = &mut self.statistics {
            statistics.messages_out += 1;
        }
        self.log(Way::Out, what, Some(to), body);
    }

    fn log(&mut self, way: Way, what: &'static str, other: Option<Pid>, body: &[u8]) {
        if let Some(log) = &mut self.log {
            log.events.push_back(Logged { at: SystemTime::now(), way, what, other, body: body.to_vec() });
        }
        self.trim();
    }

    fn trim(&mut self) {
        if let Some(log) = &mut self.log {
            let surplus = log.events.len().saturating_sub(log.max);
            log.events.drain(..surplus);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(n: u8) -> Mail {
        Mail::Cast(Pid::NONE, vec![n])
    }

    #[test]
    fn the_log_keeps_the_last_events_and_statistics_count_all() {
        let mut debug = Debug::default();
        debug.took(&cast(0));
        assert!(debug.is_off() && debug.logged().is_none() && debug.statistics().is_none());
        debug.count(true);
        debug.keep(Some(2));
        (1..=3).for_each(|n| debug.took(&cast(n)));
        debug.sent("info", Pid::NONE, &[4]);
        let bodies =
            |debug: &Debug| debug.logged().map(|log| log.iter().map(|e| e.body[0]).collect::<Vec<_>>());
        assert_eq!(bodies(&debug), Some(vec![3, 4]));
        assert_eq!(debug.statistics().map(|s| (s.messages_in, s.messages_out)), Some((3, 1)));
        debug.keep(Some(1));
        assert_eq!(bodies(&debug), Some(vec![4]));
        debug.keep(None);
        debug.count(false);
        assert!(debug.is_off());
    }
}
