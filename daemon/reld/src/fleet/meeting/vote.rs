//! The vote of a node while its processes are held: two threads share it.
//!
//! | the operator's thread | the meeting's thread finds | the node |
//! |---|---|---|
//! | waits | a go | switches |
//! | waits | a no | goes back |
//! | has left at its deadline, without a vote | any | goes back |
//! | has left at its deadline, after a vote | a no | goes back, in doubt for a while |
//! | has left at its deadline, after a vote | a go | goes back, in doubt, and follows |

use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use reld_fleet::meeting::Deciding;

use super::seat::{PAUSE, Seat};
use crate::fleet::shared::Fault;

/// A vote under way.
#[derive(Debug)]
pub(super) struct Vote {
    deadline: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    has_voted: bool,
    known: Option<Known>,
    /// The last fault of etcd.
    fault: Option<String>,
    /// Whether the operator's thread has left.
    is_left: bool,
}

/// The knowledge of a node about a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Go,
    No(String),
    InDoubt(String),
}

impl Vote {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { deadline, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits for the decision, as the operator's thread.
    pub(super) fn wait(&self, longest: Instant) -> Known {
        let mut state = self.state.lock();
        while state.known.is_none() {
            if self.changed.wait_until(&mut state, longest).timed_out() {
                break;
            }
        }
        state.is_left = true;
        let fault = state.fault.clone().unwrap_or_else(|| "etcd does not answer in time".to_owned());
        match state.known.take() {
            Some(known) => known,
            None if state.has_voted => Known::InDoubt(fault),
            // Without the vote of this node there is no go.
            None => Known::No(fault),
        }
    }

    /// Begins to vote. Returns false if the operator's thread has left: a vote would bind a node
    /// that has gone back.
    fn begin(&self) -> bool {
        let mut state = self.state.lock();
        state.has_voted |= !state.is_left;
        !state.is_left
    }

    /// Announces the decision. Returns whether the operator's thread had left before, so that the
    /// node has gone back although it had voted.
    fn announce(&self, known: Known) -> bool {
        let mut state = self.state.lock();
        if state.is_left {
            return state.has_voted && known == Known::Go;
        }
        state.known = Some(known);
        self.changed.notify_all();
        false
    }
}

/// Votes for the switch, as the meeting's thread, and refuses it after the deadline, until the
/// decision is known. Returns whether the node has to follow the others.
pub(super) fn vote(seat: &Seat, round: u64, vote: &Vote) -> bool {
    let mut missing = Vec::new();
    loop {
        match look(seat, round, vote, &mut missing) {
            Ok(Some(known)) => return vote.announce(known),
            Ok(None) => {}
            Err(fault) => {
                vote.state.lock().fault = Some(fault.to_string());
                thread::sleep(PAUSE);
            }
        }
    }
}

fn look(seat: &Seat, round: u64, vote: &Vote, missing: &mut Vec<String>) -> Result<Option<Known>, Fault> {
    let Seat { link, meeting } = seat;
    let (entries, revision) = link.look(meeting.prefix())?;
    let left = vote.deadline.saturating_duration_since(Instant::now());
    match meeting.decide(round, &entries)? {
        Deciding::Go => return Ok(Some(Known::Go)),
        Deciding::No(decision) => return Ok(Some(Known::No(decision.to_string()))),
        Deciding::Over => return Ok(Some(Known::InDoubt("the nodes have met again since".to_owned()))),
        _ if left.is_zero() => {
            let why = format!("these nodes were not ready in time: {}", missing.join(", "));
            if let Some(txn) = meeting.refuse(&why, &entries)? {
                link.write(&txn)?;
            }
        }
        Deciding::Write(txn) if vote.begin() => link.write(&txn)?,
        Deciding::Write(_) => {}
        Deciding::Missing(nodes) => {
            *missing = nodes.iter().map(ToString::to_string).collect();
            link.wait(meeting.prefix(), revision, left)?;
        }
    }
    Ok(None)
}
