//! The place of this node in a meeting: its looks at the keys, and its writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use reld_etcd::Client;
use reld_fleet::ledger::{Entry, Keys, Name, Txn, Unreadable};
use reld_fleet::meeting::{Joining, Meeting};
use reld_handler::{Interrupt, Unmet};
use tokio::runtime::Handle;

use crate::fleet::membership::Membership;
use crate::fleet::shared::{Fault, in_etcd, of_etcd, random_name};
use crate::operator::Operator;

/// The time for which etcd may be away while the node waits for the others.
const AWAY: Duration = Duration::from_secs(10);

/// The longest wait for a change before the next look.
const LOOK: Duration = Duration::from_millis(500);

/// The pause after a fault.
pub(super) const PAUSE: Duration = Duration::from_millis(100);

/// The parts that all meetings of the node share.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) keys: Keys,
    pub(super) node: Name,
    client: Client,
    /// A name of this daemon that no other has.
    pub(super) life: String,
    pub(super) attempts: AtomicU64,
    pub(super) follower: OnceLock<(Operator, Handle)>,
}

impl Link {
    pub(super) fn new(membership: &Membership) -> anyhow::Result<Self> {
        Ok(Self {
            keys: Keys::of(&membership.fleet),
            node: membership.node.clone(),
            client: Client::new(membership.etcd.clone())?,
            life: random_name()?,
            attempts: AtomicU64::new(0),
            follower: OnceLock::new(),
        })
    }

    /// Returns all nodes of the fleet.
    pub(super) fn members(&self) -> Result<Vec<Name>, Fault> {
        let members = format!("{}members/", self.keys.prefix());
        let (entries, _) = self.look(&members)?;
        let all = entries.iter().filter_map(|entry| entry.key.strip_prefix(&members)?.parse().ok());
        Ok(all.chain([self.node.clone()]).collect())
    }

    /// Reads the keys below a prefix. Returns the revision too.
    pub(super) fn look(&self, prefix: &str) -> Result<(Vec<Entry>, u64), Fault> {
        let range = self.client.range(prefix)?;
        Ok((of_etcd(range.keys), range.revision))
    }

    /// Writes, if nothing has changed. The next look shows the result.
    pub(super) fn write(&self, txn: &Txn) -> Result<(), Fault> {
        self.client.txn(&in_etcd(txn))?;
        Ok(())
    }

    /// Waits for a change after a revision, or until the time for the next look.
    pub(super) fn wait(&self, prefix: &str, revision: u64, longest: Duration) -> Result<(), Fault> {
        let silence = longest.min(LOOK).max(Duration::from_millis(1));
        self.client.watch(prefix, revision + 1, silence)?.wait()?;
        Ok(())
    }
}

/// A meeting that this node has joined, or wants to join.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) link: Arc<Link>,
    pub(super) meeting: Meeting,
}

/// The round that a node has joined, and whether it follows the others.
type Place = (u64, bool);

impl Seat {
    /// Joins the meeting.
    pub(super) fn join(&self, deadline: Instant, interrupt: &Interrupt) -> Result<Place, Unmet> {
        let begin = Instant::now();
        let (mut answered, mut missing) = (begin, Vec::new());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if interrupt.is_given_up() {
                return Err(Unmet::GivenUp);
            }
            if left.is_zero() {
                let after_ms = begin.elapsed().as_millis().try_into().unwrap_or(u64::MAX);
                return Err(Unmet::Late { missing, after_ms });
            }
            match self.look_to_join(left, &mut missing) {
                Ok(None) => answered = Instant::now(),
                Ok(Some(ended)) => return ended,
                Err(fault) if answered.elapsed() > AWAY => return Err(impossible(fault)),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    fn look_to_join(
        &self,
        longest: Duration,
        missing: &mut Vec<String>,
    ) -> Result<Option<Result<Place, Unmet>>, Fault> {
        let (entries, revision) = self.link.look(self.meeting.prefix())?;
        match self.meeting.join(&entries)? {
            Joining::Write(txn) => self.link.write(&txn)?,
            Joining::Missing(nodes) => {
                *missing = nodes.iter().map(ToString::to_string).collect();
                self.link.wait(self.meeting.prefix(), revision, longest)?;
            }
            Joining::Met(round) => return Ok(Some(Ok((round, false)))),
            Joining::Follow(round) => return Ok(Some(Ok((round, true)))),
            Joining::Refused(decision) => return Ok(Some(Err(Unmet::Refused(decision.to_string())))),
        }
        Ok(None)
    }

    /// Refuses the round that waits for this node, on a thread of its own. The next attempt of the
    /// node ends that, because the round may be its own.
    pub(super) fn refuse_later(&self, why: String) {
        let (seat, attempts) = (self.clone(), self.link.attempts.load(Ordering::Relaxed));
        in_background(move || {
            let is_last = || seat.link.attempts.load(Ordering::Relaxed) == attempts;
            seat.insist(|entries| if is_last() { seat.meeting.refuse(&why, entries) } else { Ok(None) });
        });
    }

    /// Writes until nothing is left to write. The pause grows, because etcd may be away for long.
    pub(super) fn insist(&self, next: impl Fn(&[Entry]) -> Result<Option<Txn>, Unreadable>) {
        let mut pause = PAUSE;
        loop {
            let looked = self.link.look(self.meeting.prefix());
            match looked.and_then(|(entries, _)| Ok(next(&entries)?)) {
                Ok(None) => return,
                Ok(Some(txn)) if self.link.write(&txn).is_ok() => {}
                Ok(Some(_)) | Err(_) => {
                    thread::sleep(pause);
                    pause = (pause * 2).min(AWAY);
                }
            }
        }
    }
}

pub(super) fn impossible(reason: impl ToString) -> Unmet {
    Unmet::Impossible(reason.to_string())
}

/// Runs `work` on a thread of its own, which ends with the daemon.
pub(super) fn in_background(work: impl FnOnce() + Send + 'static) {
    let started = thread::Builder::new().name("reld-meeting".to_owned()).spawn(work);
    if let Err(error) = started {
        tracing::error!(name: "fleet.meeting", %error, "cannot start a thread for the meeting");
    }
}
