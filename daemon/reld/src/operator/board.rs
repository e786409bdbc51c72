//! The state of the operator that clients can read while an order is carried out.

use std::sync::Arc;
use std::time::Instant;

use reld_api::response::{HistoryEntry, HistoryKind, Progress};
use reld_handler::{GaveWay, Layers, Order, StatusTable, Trip, Vsn};

use crate::node::Handler;

/// The state of the operator. The operator's thread writes it, and all read requests use it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    pub(crate) releases: StatusTable,
    /// The running release; `None` while the node is idle.
    pub(crate) running: Option<Vsn>,
    /// The layers of configuration of the running release.
    pub(crate) layers: Arc<Layers>,
    /// The release that failed to boot too often.
    pub(crate) gave_way: Option<GaveWay>,
    /// The release that runs since the switch of the order under way, before the order has ended.
    pub(crate) switched: Option<Vsn>,
    /// Whether the daemon is stopping, so that no further order begins.
    pub(crate) stops: bool,
    /// Whether the node has to restart because no other way leads to a working release.
    pub(crate) restarts: bool,
    /// A failure that is reported until the next install or commit.
    pub(crate) trouble: Option<String>,
    /// The reason why the policy of signatures would not accept the permanent release.
    pub(crate) distrust: Option<String>,
    /// The kind of the order that changes the node. It stays set while the new release settles.
    pub(crate) under_way: Option<HistoryKind>,
    /// The progress of that order.
    pub(crate) progress: Option<Progress>,
    /// The release that settles.
    pub(crate) settling: Option<Settling>,
    /// The order that the thread carries out right now.
    pub(crate) busy: Option<String>,
    /// The orders that wait, the next one first.
    pub(crate) waiting: Vec<Waiting>,
    /// The number of ended upgrades, and the last of them.
    pub(crate) ended: usize,
    pub(crate) last: Option<Arc<HistoryEntry>>,
}

/// A release that settles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settling {
    from: Option<Vsn>,
    to: Vsn,
}

impl Settling {
    pub(crate) fn trip(&self) -> Trip<'_> {
        Trip { from: self.from.as_ref(), to: &self.to }
    }
}

/// An order that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(super) ticket: u64,
    /// The order as text.
    pub(crate) what: String,
    pub(crate) uid: Option<u32>,
    pub(crate) since: Instant,
}

impl Board {
    /// Returns whether the node is at rest: its permanent release runs, or it is idle, and no order
    /// changes it.
    pub(crate) fn is_at_rest(&self) -> bool {
        let permanent = self.releases.permanent().map(|permanent| &permanent.version);
        self.busy.is_none() && self.settling.is_none() && !self.restarts && self.running.as_ref() == permanent
    }

    /// Returns whether an order changes the running release, and not because it ends the settling
    /// of one.
    pub(super) fn disrupts(&self, order: &Order) -> bool {
        let is_running = |to: &Vsn| self.running.as_ref() == Some(to);
        let moves = match order {
            Order::Install { to, .. } | Order::Upgrade { to, .. } => !is_running(to),
            Order::Downgrade { to, .. } => !to.as_ref().is_some_and(is_running),
            Order::RebootOld { .. } | Order::App { .. } => true,
            Order::Commit { .. } | Order::Remove { .. } | Order::Prune { .. } => false,
        };
        moves && !self.settling.as_ref().is_some_and(|settling| order.fits(settling.trip()))
    }

    /// Copies the releases, the running release and its configuration from the handler.
    pub(super) fn show(&mut self, handler: &Handler) {
        self.releases = handler.releases().clone();
        self.running = handler.running().cloned();
        self.layers = Arc::new(handler.layers());
        self.switched = None;
        self.gave_way = handler.gave_way();
        self.restarts = handler.needs_restart();
        self.trouble = handler.trouble().map(str::to_owned);
        self.distrust = handler.distrust();
        self.settling =
            handler.settling().map(|Trip { from, to }| Settling { from: from.cloned(), to: to.clone() });
    }
}
