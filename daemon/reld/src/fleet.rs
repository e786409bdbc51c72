//! The membership of the node in a fleet, and the rollouts that its nodes carry out by themselves.
//!
//! ```text
//! etcd <── range, txn, lease ── agent ── slot ──> order thread ──> operator
//!   └──── watch ── watcher ── wakes ─┘<── outcome ──┘
//! ```
//!
//! The ledger ([`reld_fleet::ledger`]) decides each step from one look at all keys; the agent only
//! carries it out. No request to etcd runs on the operator's thread. Without etcd the node runs on:
//! an upgrade under way ends, its result is kept on disk and written later, and none begins.

mod agent;
mod facts;
mod grant;
mod kept;
mod link;
mod meeting;
mod membership;
mod order;
mod presence;
mod probe;
mod quiet;
mod shared;
mod watcher;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use reld_etcd::{Client, Committed};
use reld_fleet::ledger::{Keys, Name, Txn, View};
use tokio::sync::oneshot;

use self::agent::Agent;
pub(crate) use self::meeting::Meetings;
pub(crate) use self::membership::Membership;
pub(crate) use self::order::Daemon;
pub(crate) use self::shared::Fault;
use self::shared::{ATTEMPTS, Shared, Wake, is_written};

/// The time limit for leaving the fleet when the daemon stops.
const LEAVE: Duration = Duration::from_secs(2);

/// A handle to the membership of the node.
#[derive(Debug, Clone)]
pub(crate) struct Fleet(Arc<Shared>);

impl Fleet {
    /// Joins the fleet, on threads of its own. Nothing waits for etcd.
    pub(crate) fn start(membership: Membership, daemon: Daemon) -> anyhow::Result<Self> {
        let (wakes, woken) = mpsc::channel();
        let shared = Arc::new(Shared {
            keys: Keys::of(&membership.fleet),
            client: Client::new(membership.etcd.clone())?,
            membership,
            alarms: daemon.alarms.clone(),
            wakes,
            revision: AtomicU64::new(0),
            seen: Mutex::default(),
        });
        watcher::start(Arc::clone(&shared))?;
        let wakes = shared.wakes.clone();
        facts::follow(&daemon.operator, move |facts| wakes.send(Wake::Node(facts)).is_ok());
        Agent::start(Arc::clone(&shared), daemon, woken)?;
        Ok(Self(shared))
    }

    /// Returns the name of the fleet, and the name of this node in it.
    pub(crate) fn names(&self) -> (&Name, &Name) {
        (&self.0.membership.fleet, &self.0.membership.node)
    }

    /// Returns whether the node is connected, and the state of the connection in one sentence.
    pub(crate) fn status(&self) -> (bool, String) {
        let seen = self.0.seen.lock();
        (seen.link.is_connected(), seen.link.text(&self.0.membership))
    }

    /// Returns the time since which this daemon misses a member.
    pub(crate) fn missing_since(&self, node: &Name) -> Option<SystemTime> {
        self.0.seen.lock().missing.get(node).copied()
    }

    /// Checks that this node has a probe with this name.
    pub(crate) fn check_probe(&self, name: &str) -> Result<(), String> {
        probe::check(name, &self.0.membership)
    }

    /// Looks at the fleet. Blocks the thread.
    pub(crate) fn look(&self) -> Result<View, Fault> {
        self.0.look().map(|(_, view)| view)
    }

    /// Makes a change that is decided from a look. If another change comes first, it is decided
    /// again. Blocks the thread.
    pub(crate) fn change<E>(&self, decide: impl Fn(&View) -> Result<Txn, E>) -> Result<Result<(), E>, Fault> {
        let mut last: Option<Txn> = None;
        for _ in 0..ATTEMPTS {
            let (entries, view) = self.0.look()?;
            // The answer to the last attempt was lost.
            if last.is_some_and(|txn| is_written(&txn, &entries)) {
                return Ok(Ok(()));
            }
            let txn = match decide(&view) {
                Ok(txn) => txn,
                Err(refused) => return Ok(Err(refused)),
            };
            match self.0.write(&txn) {
                Ok(Committed::At(_)) => return Ok(Ok(())),
                Err(error) if !error.is_passing() => return Err(error.into()),
                Ok(Committed::Not) | Err(_) => last = Some(txn),
            }
        }
        Err(Fault::Contended)
    }

    /// Leaves the fleet, so that the others need not wait for the end of the lease.
    pub(crate) async fn leave(&self) {
        let (left, has_left) = oneshot::channel();
        if self.0.wakes.send(Wake::Leave(left)).is_ok() {
            // Without an answer in time the lease ends by itself.
            let _ = tokio::time::timeout(LEAVE, has_left).await;
        }
    }
}
