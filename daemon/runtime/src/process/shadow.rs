//! Shadows: converted states beside the live ones, and the fates of the upgrades that made them.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU8, Ordering};

use crate::process::card::Card;
use crate::words::code::Instance;

/// The fate of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Open = 0,
    Committed = 1,
    Aborted = 2,
}

/// The fates of all upgrades of a node, by number. They take a few bytes each and are kept for the
/// life of the node. A shadow holds the number instead of a counted reference, because all workers
/// would write to the count of such a reference.
#[derive(Debug, Default)]
pub(crate) struct Fates(boxcar::Vec<Record>);

#[derive(Debug)]
struct Record {
    fate: AtomicU8,
    /// How many shadows the upgrade has. Can be too low for a moment: a shadow is counted after it
    /// is placed.
    shadows: AtomicIsize,
    /// How many of these shadows were also converted back as a trial.
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

    /// Adds newly placed shadows to an upgrade's counts. `tried` is how many of them were also
    /// converted back as a trial.
    pub(crate) fn shadowed(&self, upgrade: usize, placed: usize, tried: usize) {
        if let Some(record) = self.0.get(upgrade) {
            record.shadows.fetch_add(placed.cast_signed(), Ordering::Relaxed);
            record.tried.fetch_add(tried.cast_signed(), Ordering::Relaxed);
        }
    }

    /// Subtracts a shadow that has become void from the counts of its upgrade.
    pub(crate) fn voided(&self, shadow: &Shadow) {
        if let Some(record) = self.0.get(shadow.upgrade) {
            record.shadows.fetch_sub(1, Ordering::Relaxed);
            record.tried.fetch_sub(isize::from(shadow.is_tried), Ordering::Relaxed);
        }
    }

    /// Returns how many shadows an upgrade has.
    pub(crate) fn shadows(&self, upgrade: usize) -> usize {
        self.count(upgrade, |record| &record.shadows)
    }

    /// Returns how many shadows of an upgrade were also converted back as a trial.
    pub(crate) fn tried(&self, upgrade: usize) -> usize {
        self.count(upgrade, |record| &record.tried)
    }

    fn count(&self, upgrade: usize, of: impl Fn(&Record) -> &AtomicIsize) -> usize {
        let count = self.0.get(upgrade).map_or(0, |record| of(record).load(Ordering::Relaxed));
        usize::try_from(count).unwrap_or(0)
    }
}

/// A converted state beside the live state of a process.
pub(crate) struct Shadow {
    pub(crate) upgrade: usize,
    /// Whether the state was also converted back as a trial.
    pub(crate) is_tried: bool,
    /// The card of the process with the new code.
    pub(crate) card: Arc<Card>,
    pub(crate) instance: Box<dyn Instance>,
}
