//! The process table: slots of one type, found by number without a lock.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::process::slot::{Kind, Slot};
use crate::words::pid::Pid;

/// All slots of a node. A slot is never moved or freed during the life of the node, so a stale
/// number is harmless.
pub(crate) struct Table<K: Kind> {
    slots: boxcar::Vec<Slot<K>>,
    /// The slots of ended processes. The oldest comes first, so that the slot of a pid is reused as
    /// late as possible.
    free: Mutex<VecDeque<u32>>,
}

impl<K: Kind> Table<K> {
    pub(crate) fn new() -> Self {
        Self { slots: boxcar::Vec::new(), free: Mutex::new(VecDeque::new()) }
    }

    /// Returns the slot of a number that this table gave out.
    pub(crate) fn slot(&self, number: u32) -> Option<&Slot<K>> {
        self.slots.get(number as usize)
    }

    /// Opens a slot for a new process and returns its pid. The caller schedules the process.
    pub(crate) fn open(&self, card: K::Card, body: impl FnOnce(Pid) -> K::Body) -> Pid {
        let mut body = Some(body);
        loop {
            let slot = self.vacant();
            let opened = self.slots[slot as usize].open(card.clone(), |generation| {
                let body = body.take().expect("a slot calls this once, for the generation it has left");
                body(Pid { slot, generation })
            });
            // A slot without generations left is not offered again.
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
            .expect("a machine cannot hold four thousand million processes")
    }

    /// Offers a slot again after its process has ended.
    pub(crate) fn release(&self, slot: u32) {
        self.free.lock().push_back(slot);
    }

    /// Returns how many processes are alive, without looking at them. A process that begins or ends
    /// at this moment may or may not be counted.
    pub(crate) fn count(&self) -> usize {
        let free = self.free.lock().len();
        self.slots.count().saturating_sub(free)
    }

    /// Returns how many slots were ever used; all their numbers are lower than that.
    pub(crate) fn len(&self) -> u32 {
        self.slots.count() as u32
    }

    /// Returns every slot that was ever used.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot<K>)> {
        self.slots.iter().map(|(number, slot)| (number as u32, slot))
    }
}
