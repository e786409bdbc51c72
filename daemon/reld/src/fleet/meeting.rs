//! Meetings with the other nodes before a switch, over etcd. OTP: `sync_nodes`.
//!
//! ```text
//! operator's thread   join ........ decide: waits, until the deadline ... switch, or roll back
//! meeting's thread                   └─> vote, look, vote .. until the decision is known
//! ```
//!
//! The protocol ([`reld_fleet::meeting`]) decides each step from one look at the keys of the
//! meeting. While processes are held, the operator's thread makes no request: it waits for the
//! meeting's thread, and not longer than until its deadline. The meeting's thread goes on: after
//! the deadline it refuses, until the decision is known. If that is a go, the node follows.

mod seat;
mod vote;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reld_api::response::HistoryKind;
use reld_fleet::ledger::Name;
use reld_fleet::meeting::Meeting;
use reld_handler::{self as handler, End, InstallOptions, Interrupt, Joined, Order, Settle, Unmet};
use tokio::runtime::Handle;

use self::seat::{Link, Seat, impossible, in_background};
use self::vote::{Known, Vote};
use super::membership::Membership;
use crate::history::Origin;
use crate::operator::{Entry, Operator};

/// The time after its deadline for which a decision may still be under way, so that a node that is
/// connected is not in doubt.
const GRACE: Duration = Duration::from_millis(500);

/// The meetings of this node.
#[derive(Debug, Clone)]
pub(crate) struct Meetings(Arc<Link>);

impl Meetings {
    /// Returns the meetings of a node. They connect to etcd with the first one.
    pub(crate) fn new(membership: &Membership) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Link::new(membership)?)))
    }

    /// Sets the operator who carries out the upgrade of a node that follows the others.
    pub(crate) fn follow_by(&self, operator: Operator) {
        let _ = self.0.follower.set((operator, Handle::current()));
    }

    fn seat(&self, meeting: &handler::Meeting, nodes: &[Name], attempt: String) -> Result<Seat, Unmet> {
        let (place, node) = ((&*meeting.identity, meeting.mode, &meeting.id), self.0.node.clone());
        let meeting = Meeting::new(&self.0.keys, place, node, nodes, attempt).map_err(impossible)?;
        Ok(Seat { link: Arc::clone(&self.0), meeting })
    }

    /// Returns the seat of a meeting that the node has joined.
    fn joined(&self, joined: &Joined) -> Result<Seat, Unmet> {
        self.seat(&joined.meeting, &names(&joined.nodes)?, joined.attempt.clone())
    }

    fn nodes(&self, meeting: &handler::Meeting) -> Result<Vec<Name>, Unmet> {
        match &meeting.nodes {
            Some(nodes) => names(nodes),
            None => self.0.members().map_err(impossible),
        }
    }
}

impl handler::Meetings for Meetings {
    fn node(&self) -> String {
        self.0.node.to_string()
    }

    fn join(
        &self,
        meeting: &handler::Meeting,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Joined, Unmet> {
        let number = self.0.attempts.fetch_add(1, Ordering::Relaxed);
        let attempt = format!("{}/{number}", self.0.life);
        let seat = self.seat(meeting, &self.nodes(meeting)?, attempt.clone())?;
        // Another node must not wait for one that has given up.
        let ended = seat.join(deadline, interrupt);
        let (round, follows) = ended.inspect_err(|unmet| seat.refuse_later(unmet.to_string()))?;
        let nodes = seat.meeting.nodes().iter().map(ToString::to_string).collect();
        Ok(Joined { meeting: meeting.clone(), nodes, round, attempt, follows })
    }

    fn decide(&self, joined: &Joined, deadline: Instant) -> Result<(), Unmet> {
        let vote = Arc::new(Vote::new(deadline));
        let (seat, voter) = (self.joined(joined)?, Arc::clone(&vote));
        let (round, identity) = (joined.round, joined.meeting.identity.clone());
        in_background(move || {
            if vote::vote(&seat, round, &voter) {
                follow(&seat.link, &identity);
            }
        });
        match vote.wait(deadline + GRACE) {
            Known::Go => Ok(()),
            Known::No(why) => Err(Unmet::Refused(why)),
            Known::InDoubt(why) => Err(Unmet::InDoubt { why }),
        }
    }

    fn refuse(&self, meeting: &handler::Meeting, why: String) {
        let (meetings, meeting) = (self.clone(), meeting.clone());
        in_background(move || {
            let seat =
                meetings.nodes(&meeting).and_then(|nodes| meetings.seat(&meeting, &nodes, String::new()));
            match seat {
                Ok(seat) => seat.refuse_later(why),
                Err(error) => tracing::warn!(name: "fleet.meeting", %error, "cannot refuse the meeting"),
            }
        });
    }

    fn gone(&self, joined: Joined) {
        if let Ok(seat) = self.joined(&joined) {
            in_background(move || seat.insist(|entries| seat.meeting.gone(joined.round, entries)));
        }
    }
}

/// Moves the node to the release that the others run, after it had gone back in doubt.
fn follow(link: &Link, identity: &str) {
    let Some((operator, handle)) = link.follower.get() else { return };
    let known = operator.board().releases.releases;
    let Some(release) = known.into_iter().find(|known| known.identity.to_string() == identity) else {
        return;
    };
    let to = release.version;
    tracing::info!(name: "fleet.follow", vsn = %to, "the other nodes have switched: this node follows");
    let options = InstallOptions::default();
    let order = Order::Upgrade { to: to.clone(), options, end: End::Commit(Settle::default()) };
    let entry = Entry::new(format!("the move to {to}, which the other nodes have made"), None, true);
    let origin = Origin { kind: HistoryKind::Upgrade, uid: None, rollout: None };
    if let Err(error) = handle.block_on(operator.carry_out(order, entry, origin)) {
        tracing::error!(name: "fleet.follow", vsn = %to, error = error.message, "cannot follow the other nodes");
    }
}

fn names(nodes: &[String]) -> Result<Vec<Name>, Unmet> {
    nodes.iter().map(|node| node.parse().map_err(impossible)).collect()
}
