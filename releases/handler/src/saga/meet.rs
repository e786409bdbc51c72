//! The steps of a saga that meet other nodes.

use std::mem::replace;
use std::time::Instant;

use super::cause::Cause;
use super::{Attendance, Failed, Saga, micros};
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
            // A failed join refuses by itself.
            saga.attendance = Attendance::Over;
            let joined = meetings.join(&meeting.what, deadline(saga.limits.join), saga.interrupt)?;
            saga.report.meetings.push(MeetingReport {
                id: meeting.what.id.clone(),
                nodes: joined.nodes.clone(),
                round: joined.round,
                verdict: Verdict::No,
                joined_us: micros(begin),
                held_us: 0,
            });
            saga.attendance = Attendance::Joined(joined);
            Ok(())
        })
    }

    /// Waits for the decision, as the last step before the switch. The node cannot refuse any more.
    pub(super) fn decide(&mut self) -> Result<(), Failed> {
        let (Some(meeting), Some(meetings)) = (&self.program.meeting, self.meetings) else { return Ok(()) };
        self.attempt(meeting.step, &format!("{}: the decision", meeting.what), |saga| {
            let Attendance::Joined(joined) = replace(&mut saga.attendance, Attendance::Over) else {
                return Ok(());
            };
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
            saga.attendance = Attendance::Met(joined);
            Ok(())
        })
    }

    /// Refuses the switch for all nodes of the meeting, because a step failed.
    pub(super) fn refuse(&mut self, cause: &Cause) {
        let is_open = matches!(self.attendance, Attendance::Ahead | Attendance::Joined(_));
        if let (Some(meeting), Some(meetings), true) = (&self.program.meeting, self.meetings, is_open) {
            self.attendance = Attendance::Over;
            self.tolerate(|| meetings.refuse(&meeting.what, cause.to_string()));
        }
    }

    /// Records that the node has switched after a meeting.
    pub(super) fn record_switch(&mut self) {
        let attendance = replace(&mut self.attendance, Attendance::Over);
        if let (Some(meetings), Attendance::Met(joined)) = (self.meetings, attendance) {
            self.tolerate(|| meetings.gone(joined));
        }
    }

    fn tolerate(&mut self, what: impl FnOnce()) {
        if let Err(panic) = guarded(what) {
            self.report.warnings.push(Cause::Panicked(panic).to_string());
        }
    }
}
