//! Handles signals, which reach a process even while a gate holds it.

use std::time::Instant;

use super::Run;
use super::end::cancel_alarm;
use crate::process::body::{Answer, Due, During, Signal, Wait, spare_signals};
use crate::process::link::{OnExit, on_exit};
use crate::process::mail::Mail;
use crate::process::queue::Queue;
use crate::words::code::Bytes;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::Fire;
use crate::world::applications::PREP_STOP;

impl Run<'_> {
    /// Handles all signals, even after one that ends the process: a process that begins to monitor
    /// or link at the moment of the end must be notified too.
    pub(super) fn signals(&mut self, mut signals: Queue<Signal>) -> Result<(), Exit> {
        let handled = match signals.len() {
            0 => return Ok(()),
            // Nearly all signals come alone.
            1 => signals.pop_front().map_or(Ok(()), |signal| self.signal(signal)),
            _ => {
                let mut first = Ok(());
                while let Some(signal) = signals.pop_front() {
                    first = first.and(self.signal(signal));
                }
                first
            }
        };
        spare_signals(signals);
        handled
    }

    fn signal(&mut self, signal: Signal) -> Result<(), Exit> {
        match signal {
            Signal::Answer(reference, answer) => self.answer(reference, answer),
            Signal::End(exit) => return Err(exit),
            Signal::Exit(from, exit) => return self.exit_signal(from, exit),
            Signal::Link(with) => {
                let links = &mut self.ties().links;
                if !links.contains(&with) {
                    links.push(with);
                }
            }
            Signal::Unlink(with) => self.ties().links.retain(|pid| *pid != with),
            Signal::Monitor(watch) => self.ties().watchers.push(watch),
            Signal::Demonitor(watcher, reference) => {
                self.ties().watchers.retain(|watch| (watch.watcher, watch.reference) != (watcher, reference));
            }
            Signal::Settled(from) => self.settle(from),
            Signal::System(system) => self.after().system.push(system),
            Signal::Deadline => return self.deadline(),
        }
        Ok(())
    }

    fn exit_signal(&mut self, from: Pid, exit: Exit) -> Result<(), Exit> {
        if let Some(ties) = &mut self.ties {
            ties.links.retain(|pid| *pid != from);
        }
        let from_parent = from == self.card.parent && from != Pid::NONE;
        match on_exit(from_parent, self.trap_exit, exit) {
            OnExit::Nothing => {}
            OnExit::Deliver(exit) => self.inbox.push_back(Mail::Exit(from, exit)),
            OnExit::Die(exit) => return Err(exit),
            OnExit::Terminate(exit) => self.after().ending = Some(exit),
        }
        Ok(())
    }

    /// Answers the open requests that are due. Ends an application if its tree has ended and the
    /// `prep_stop` that follows takes too long.
    fn deadline(&mut self) -> Result<(), Exit> {
        if let (During::PrepStop(exit), Some(under_way)) = (&self.during, &self.under_way)
            && under_way.since.elapsed() >= PREP_STOP
        {
            tracing::warn!(name: "application.prep_stop_timeout", app = self.card.app.name, "prep_stop did not answer; the tree has already ended");
            return Err((**exit).clone());
        }
        self.cancel_alarm();
        let now = Instant::now();
        let due: Vec<_> = self
            .open()
            .iter()
            .filter(|open| matches!(open.due, Due::At(due) if due <= now))
            .map(|open| (open.reference, open.wait))
            .collect();
        for (reference, wait) in due {
            if wait == Wait::Time {
                self.answer(reference, Answer::Reply(Bytes::new()));
            } else {
                self.world.journal.timed_out(wait.target());
                self.answer(reference, Answer::Timeout);
            }
        }
        Ok(())
    }

    /// Makes sure that a timer fires when the first open request is due. An answer does not cancel
    /// the timer. So a call sets no timer if one is armed that fires earlier.
    pub(super) fn arm(&mut self) {
        let Some(requests) = &mut self.requests else { return };
        let Some(due) = requests.first_due() else { return };
        if requests.alarm.is_none_or(|(alarm, _)| due < alarm) {
            self.cancel_alarm();
            let after = due.saturating_duration_since(Instant::now());
            let timer = self.world.timers.set(after, Fire::Deadline(self.pid));
            self.requests().alarm = Some((due, timer));
        }
    }

    fn cancel_alarm(&mut self) {
        let world = self.world;
        cancel_alarm(world, self);
    }
}
