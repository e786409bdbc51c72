//! The other nodes of a fleet, as planned answers.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::interrupt::{Interrupt, Wish};
use crate::meeting::{Joined, Meeting, Meetings, Unmet};

/// The course of a meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Course {
    /// All nodes switch.
    #[default]
    Go,
    /// The others have switched before.
    Follows,
    /// A node does not come.
    Late,
    /// The operator aborts while the node waits for the others.
    AbortedBefore,
    /// The operator aborts when all nodes have come.
    AbortedWithin,
    /// A node refuses.
    No,
    /// The node loses the others after its vote.
    InDoubt,
}

/// The other nodes, and the calls so far.
#[derive(Debug, Default)]
pub(crate) struct FakeMeetings {
    course: Course,
    calls: Mutex<Vec<String>>,
}

impl FakeMeetings {
    pub(crate) fn new(course: Course) -> Self {
        Self { course, calls: Mutex::default() }
    }

    /// Returns the calls so far, and forgets them.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

impl Meetings for FakeMeetings {
    fn node(&self) -> String {
        "n1".to_owned()
    }

    fn join(&self, meeting: &Meeting, _: Instant, interrupt: &Interrupt) -> Result<Joined, Unmet> {
        self.note(format!("join {} {}", meeting.id, meeting.mode.as_str()));
        let nodes = meeting.nodes.clone().unwrap_or_else(|| vec!["n1".to_owned(), "n2".to_owned()]);
        match self.course {
            Course::Late => return Err(Unmet::Late { missing: vec!["n2".to_owned()], after_ms: 300_000 }),
            Course::AbortedBefore | Course::AbortedWithin => interrupt.ask(Wish::Abort),
            _ => {}
        }
        let attempt = "a".to_owned();
        match self.course {
            Course::AbortedBefore => Err(Unmet::GivenUp),
            course => {
                let follows = course == Course::Follows;
                Ok(Joined { meeting: meeting.clone(), nodes, round: 1, attempt, follows })
            }
        }
    }

    fn decide(&self, _: &Joined, _: Instant) -> Result<(), Unmet> {
        self.note("decide".to_owned());
        match self.course {
            Course::No => Err(Unmet::Refused("node n2 has refused: its state is damaged".to_owned())),
            Course::InDoubt => Err(Unmet::InDoubt { why: "etcd does not answer".to_owned() }),
            _ => Ok(()),
        }
    }

    fn refuse(&self, _: &Meeting, why: String) {
        self.note(format!("refuse: {why}"));
    }

    fn gone(&self, joined: Joined) {
        self.note(format!("gone {}", joined.round));
    }
}
