//! Shadows: converted states beside the live ones, and what has become of the upgrades that they belong to.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU8, Ordering};

use crate::process::card::Card;
use crate::words::code::Instance;

/// What has become of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Open = 0,
    Committed = 1,
    Aborted = 2,
}

/// The fates of all upgrades of a node, by number: a few bytes each, for the node's life. Shadows carry the number, for
/// a counted reference would be one that all workers write to.
#[derive(Debug, Default)]
pub(crate) struct Fates(boxcar::Vec<Record>);

#[derive(Debug)]
struct Record {
    fate: AtomicU8,
    /// How many shadows it has; for a moment too few, since they are counted after they are placed.
    shadows: AtomicIsize,
    /// How many of them were carried back, as a trial.
    tried: AtomicIsize,
}

impl Fates {
    /// Begins an upgrade and returns its number.
    pub(crate) fn begin(&self) -> usize {
        let (fate, shadows, tried) = (Fate::Open as u8, AtomicIsize::new(0), AtomicIsize::new(0));
        self.0.push(Record { fate: AtomicU8::new(fate), shadows, tried })
    }

    pub(crate) fn of(&self, upgrade: usize) -> Fate {
        match self.0.get(upgrade).map(|record| record.fate.load(Ordering::Acquire)) {
            Some(0) => Fate::Open,
            Some(1) => Fate::Committed,
            _ => Fate::Aborted,
        }
    }

    pub(crate) fn set(&self, upgrade: usize, fate: Fate) {
        if let Some(record) = self.0.get(upgrade) {
            record.fate.store(fate as u8, Ordering::Release);
        }
    }

    /// Counts shadows that were placed, and those of them whose way back was tried.
    pub(crate) fn shadowed(&self, upgrade: usize, placed: usize, tried: usize) {
        if let Some(record) = self.0.get(upgrade) {
            record.shadows.fetch_add(placed.cast_signed(), Ordering::Relaxed);
            record.tried.fetch_add(tried.cast_signed(), Ordering::Relaxed);
        }
    }

    /// Counts a shadow that is void.
    pub(crate) fn voided(&self, shadow: &Shadow) {
        if let Some(record) = self.0.get(shadow.upgrade) {
            record.shadows.fetch_sub(1, Ordering::Relaxed);
            record.tried.fetch_sub(isize::from(shadow.is_tried), Ordering::Relaxed);
        }
    }

    /// Returns how many shadows an upgrade has that nobody converts for.
    pub(crate) fn shadows(&self, upgrade: usize) -> usize {
        self.count(upgrade, |record| &record.shadows)
    }

    /// Returns of how many of them the way back was tried.
    pub(crate) fn tried(&self, upgrade: usize) -> usize {
        self.count(upgrade, |record| &record.tried)
    }

    fn count(&self, upgrade: usize, of: impl Fn(&Record) -> &AtomicIsize) -> usize {
        let count = self.0.get(upgrade).map_or(0, |record| of(record).load(Ordering::Relaxed));
        usize::try_from(count).unwrap_or(0)
    }
}

/// A converted state beside the live one.
pub(crate) struct Shadow {
    pub(crate) upgrade: usize,
    /// It was carried back, as a trial.
    pub(crate) is_tried: bool,
    /// The process's card in the code of that state.
    pub(crate) card: Arc<Card>,
    pub(crate) instance: Box<dyn Instance>,
}
