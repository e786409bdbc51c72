//! The process table: type-stable places, found by number without a lock.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::process::slot::{Kind, Slot};
use crate::words::pid::Pid;

/// All places of a node. A place, once made, stays where it is for the node's life; so a stale number is harmless.
pub(crate) struct Table<K: Kind> {
    slots: boxcar::Vec<Slot<K>>,
    /// Places whose process has ended, oldest first, so that a pid's number comes back as late as possible.
    free: Mutex<VecDeque<u32>>,
}

impl<K: Kind> Table<K> {
    pub(crate) fn new() -> Self {
        Self { slots: boxcar::Vec::new(), free: Mutex::new(VecDeque::new()) }
    }

    /// Returns the place of a number that this table gave out.
    pub(crate) fn slot(&self, number: u32) -> Option<&Slot<K>> {
        self.slots.get(number as usize)
    }

    /// Moves a process in and returns its pid. The caller schedules it.
    pub(crate) fn open(&self, card: K::Card, body: impl FnOnce(Pid) -> K::Body) -> Pid {
        let mut body = Some(body);
        loop {
            let slot = self.vacant();
            let opened = self.slots[slot as usize].open(card.clone(), |generation| {
                let body = body.take().expect("a place takes one body");
                body(Pid { slot, generation })
            });
            // A place without generations left is retired by not being offered again.
            if let Some(generation) = opened {
                return Pid { slot, generation };
            }
        }
    }

    fn vacant(&self) -> u32 {
        if let Some(slot) = self.free.lock().pop_front() {
            return slot;
        }
        u32::try_from(self.slots.push(Slot::empty()))
            .expect("four thousand million processes do not fit a machine")
    }

    /// Offers a place again. Its process has ended.
    pub(crate) fn release(&self, slot: u32) {
        self.free.lock().push_back(slot);
    }

    /// Returns how many processes live, without a look at them. One that begins or ends at this moment counts or not.
    pub(crate) fn count(&self) -> usize {
        let free = self.free.lock().len();
        self.slots.count().saturating_sub(free)
    }

    /// Returns how many places were ever used: their numbers are those below.
    pub(crate) fn len(&self) -> u32 {
        self.slots.count() as u32
    }

    /// Returns every place that was ever used.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot<K>)> {
        self.slots.iter().map(|(number, slot)| (number as u32, slot))
    }
}
