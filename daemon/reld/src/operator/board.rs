//! What can be known while an order is carried out.

use std::sync::Arc;
use std::time::Instant;

use reld_api::response::{HistoryEntry, HistoryKind, Progress};
use reld_handler::{GaveWay, StatusTable, Trip, Vsn};

use crate::node::Handler;

/// The operator's blackboard: written by its thread, read by every look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    pub(crate) releases: StatusTable,
    /// The release that runs; `None` while the node is idle.
    pub(crate) running: Option<Vsn>,
    /// The release that failed to boot too often.
    pub(crate) gave_way: Option<GaveWay>,
    /// The release that runs since the switch of the order that is under way.
    pub(crate) switched: Option<Vsn>,
    /// Whether the daemon stops: what has not begun never will.
    pub(crate) stops: bool,
    /// Whether the node is about to restart, since nothing else brings it to a release.
    pub(crate) restarts: bool,
    /// What went wrong and stands until something else is installed or committed.
    pub(crate) trouble: Option<String>,
    /// What moves the node, until it has settled.
    pub(crate) under_way: Option<HistoryKind>,
    /// How far that is.
    pub(crate) progress: Option<Progress>,
    /// The release that settles.
    pub(crate) settling: Option<Settling>,
    /// The order that the thread carries out right now.
    pub(crate) busy: Option<String>,
    /// The orders that wait, the next one first.
    pub(crate) waiting: Vec<Waiting>,
    /// How many upgrades have ended, and the last of them.
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
    /// What it is, for people.
    pub(crate) what: String,
    pub(crate) uid: Option<u32>,
    pub(crate) since: Instant,
}

impl Board {
    /// Shows how the node is now.
    pub(super) fn show(&mut self, handler: &Handler) {
        self.releases = handler.releases().clone();
        self.running = handler.running().cloned();
        self.switched = None;
        self.gave_way = handler.gave_way();
        self.restarts = handler.needs_restart();
        self.trouble = handler.trouble().map(str::to_owned);
        self.settling =
            handler.settling().map(|Trip { from, to }| Settling { from: from.cloned(), to: to.clone() });
    }
}
