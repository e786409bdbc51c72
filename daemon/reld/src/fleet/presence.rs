//! The presence of the node in etcd, under a lease.

use std::time::{Duration, Instant};

use reld_etcd::{Committed, Compare, Error, Lease, Txn};
use reld_fleet::ledger::{Entry, Member, Presence, View};

use super::facts::Facts;
use super::shared::{Fault, Shared};
use crate::history::now;

/// The time after which a silent node counts as missing.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// The time after which the lease is prolonged.
const RENEW: Duration = Duration::from_secs(4);

/// The presence of the node.
#[derive(Debug)]
pub(super) struct Stay {
    /// The life of this daemon.
    life: String,
    since: String,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    renewed: Instant,
    facts: Facts,
}

impl Stay {
    pub(super) const fn new(life: String, since: String) -> Self {
        Self { life, since, held: None }
    }

    /// Keeps the presence, or makes it. Returns whether it was made.
    ///
    /// | the presence | action |
    /// |---|---|
    /// | is held, and the lease is fresh | none |
    /// | is held | prolong the lease |
    /// | is held, and the node has changed | write it |
    /// | its lease has ended, or it was never made | [join](Self::join) |
    pub(super) fn keep(&mut self, shared: &Shared, facts: &Facts, before: &str) -> Result<bool, Fault> {
        if let Some(held) = &mut self.held
            && held.renewed.elapsed() >= RENEW
        {
            let begun = Instant::now();
            if shared.client.keep_alive(held.lease)? {
                held.renewed = begun;
            } else {
                self.held = None;
            }
        }
        if let Some(Held { lease, facts: known, .. }) = &self.held
            && known != facts
        {
            let lease = *lease;
            match self.write(shared, facts, lease, None) {
                Err(Fault::Etcd(Error::NoLease)) => self.held = None,
                written => drop(written?),
            }
        }
        if self.held.is_some() { Ok(false) } else { self.join(shared, facts, before).map(|()| true) }
    }

    /// Returns whether etcd has the presence. If it was deleted there, the next
    /// [`keep`](Self::keep) makes it again.
    pub(super) fn is_seen(&mut self, shared: &Shared, view: &View) -> bool {
        let seen = view.presences.get(&shared.membership.node);
        let is_seen = seen.is_some_and(|presence| presence.life == self.life);
        if !is_seen {
            self.held = None;
        }
        is_seen
    }

    /// Makes the presence under a new lease.
    ///
    /// | etcd has | action |
    /// |---|---|
    /// | no presence with this name | make it |
    /// | that of this daemon, or of the last one (`before`) in this root | replace it |
    /// | another one | refuse: it is another node, or its lease ends soon |
    fn join(&mut self, shared: &Shared, facts: &Facts, before: &str) -> Result<(), Fault> {
        let node = &shared.membership.node;
        let (entries, view) = shared.look()?;
        if let Some(other) = view.presences.get(node)
            && other.life != self.life
            && other.life != before
        {
            return Err(Fault::Twice { node: node.clone(), since: other.since.clone() });
        }
        let key = shared.keys.presence(node);
        let revision =
            entries.iter().find(|entry: &&Entry| entry.key == key).map_or(0, |entry| entry.revision);
        let begun = Instant::now();
        let lease = shared.client.grant(LEASE)?;
        let joined = self.write(shared, facts, lease, Some((Compare::at(key, revision), &view)))?;
        if joined == Committed::Not {
            return Err(Fault::Contended);
        }
        self.held = Some(Held { lease, renewed: begun, facts: facts.clone() });
        Ok(())
    }

    /// Writes the presence, and with `joins` the member too if it is new or has other labels.
    fn write(
        &mut self,
        shared: &Shared,
        facts: &Facts,
        lease: Lease,
        joins: Option<(Compare, &View)>,
    ) -> Result<Committed, Fault> {
        let membership = &shared.membership;
        let (permanent, identity) = facts.permanent.clone().unzip();
        let presence = Presence {
            running: facts.running.clone(),
            permanent,
            identity,
            daemon: env!("CARGO_PKG_VERSION").to_owned(),
            busy: facts.busy.clone(),
            life: self.life.clone(),
            since: self.since.clone(),
        };
        let mut txn =
            Txn::default().put_under(lease, shared.keys.presence(&membership.node), json(&presence));
        if let Some((compare, view)) = joins {
            txn.compares.push(compare);
            let known = view.members.get(&membership.node);
            if known.is_none_or(|known| known.labels != membership.labels) {
                let since = known.map_or_else(now, |known| known.since.clone());
                let member = Member { labels: membership.labels.clone(), since };
                txn = txn.put(shared.keys.member(&membership.node), json(&member));
            }
        }
        let written = shared.client.txn(&txn)?;
        if let Some(held) = &mut self.held {
            held.facts = facts.clone();
        }
        Ok(written)
    }

    /// Ends the presence.
    pub(super) fn leave(&mut self, shared: &Shared) {
        if let Some(Held { lease, .. }) = self.held.take()
            && let Err(error) = shared.client.revoke(lease)
        {
            tracing::debug!(name: "fleet.leave", %error, "the presence of the node ends with its lease");
        }
    }
}

fn json(document: &impl serde::Serialize) -> String {
    serde_json::to_string(document).unwrap_or_default()
}
