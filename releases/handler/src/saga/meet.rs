//! The steps of a saga that meet other nodes.

use std::time::Instant;

use super::cause::Cause;
use super::{Failed, Saga, micros};
use crate::guard::guarded;
use crate::limits::deadline;
use crate::meeting::{MeetingReport, Unmet, Verdict};
use crate::node::Node;

impl<N: Node> Saga<'_, N> {
    /// Waits until all nodes of the meeting have joined it. No process is held.
    pub(super) fn join(&mut self) -> Result<(), Failed> {
        let (Some(meeting), Some(meetings)) = (&self.program.meeting, self.meetings) else { return Ok(()) };
        self.attempt(meeting.step, &meeting.what.to_string(), |saga| {
            let begin = Instant::now();
            let joined = meetings.join(&meeting.what, deadline(saga.limits.join), saga.interrupt)?;
            saga.report.meetings.push(MeetingReport {
                id: meeting.what.id.clone(),
                nodes: joined.nodes.clone(),
                round: joined.round,
                verdict: Verdict::No,
                joined_us: micros(begin),
                held_us: 0,
            });
            saga.joined = Some(joined);
            Ok(())
        })
    }

    /// Waits for the decision, as the last step before the switch. The node cannot refuse any more.
    pub(super) fn decide(&mut self) -> Result<(), Failed> {
        let (Some(meeting), Some(meetings)) = (&self.program.meeting, self.meetings) else { return Ok(()) };
        self.attempt(meeting.step, &format!("{}: the decision", meeting.what), |saga| {
            let Some(joined) = saga.joined.take() else { return Ok(()) };
            let begin = Instant::now();
            let decided = match joined.follows {
                true => Ok(Verdict::Follows),
                false => meetings.decide(&joined, deadline(saga.limits.decide)).map(|()| Verdict::Go),
            };
            if let Some(report) = saga.report.meetings.last_mut() {
                report.held_us = micros(begin);
                report.verdict = match &decided {
                    Ok(verdict) => *verdict,
                    Err(Unmet::InDoubt { .. }) => Verdict::InDoubt,
                    Err(_) => Verdict::No,
                };
            }
            decided?;
            saga.met = Some(joined);
            Ok(())
        })
    }

    /// Refuses the switch, if the node has joined a meeting that is undecided.
    pub(super) fn refuse(&mut self, cause: &Cause) {
        if let (Some(meetings), Some(joined)) = (self.meetings, self.joined.take()) {
            self.tolerate(|| meetings.refuse(joined, cause.to_string()));
        }
    }

    /// Records that the node has switched after a meeting.
    pub(super) fn record_switch(&mut self) {
        if let (Some(meetings), Some(joined)) = (self.meetings, self.met.take()) {
            self.tolerate(|| meetings.gone(joined));
        }
    }

    fn tolerate(&mut self, what: impl FnOnce()) {
        if let Err(panic) = guarded(what) {
            self.report.warnings.push(Cause::Panicked(panic).to_string());
        }
    }
}
