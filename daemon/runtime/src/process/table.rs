//! The process table: slots of one type, found by number without a lock.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::process::slot::{Kind, Slot};
use crate::words::pid::Pid;

/// How many slots are made at once. Memory that a node does not use stays untouched.
const SEGMENT: usize = 1 << 10;
/// How many segments have their places in one section. A table has as many sections.
const SECTION: usize = 1 << 11;

type Segment<K> = Box<[Slot<K>; SEGMENT]>;
type Section<K> = Box<[OnceLock<Segment<K>>; SECTION]>;

/// All slots of a node. A slot is never moved or freed during the life of the node, so a stale
/// number is harmless.
pub(crate) struct Table<K: Kind> {
    sections: Box<[OnceLock<Section<K>>; SECTION]>,
    /// How many slots were ever used.
    used: AtomicU32,
    /// The slots of ended processes. The oldest comes first, so that the slot of a pid is reused as
    /// late as possible.
    free: Mutex<VecDeque<u32>>,
}

impl<K: Kind> Table<K> {
    pub(crate) fn new() -> Self {
        let sections = filled(OnceLock::new);
        Self { sections, used: AtomicU32::new(0), free: Mutex::new(VecDeque::new()) }
    }

    /// Returns the slot of a number that this table gave out.
    #[inline]
    pub(crate) fn slot(&self, number: u32) -> Option<&Slot<K>> {
        let (section, segment, place) = split(number);
        let segment = self.sections[section].get()?[segment].get()?;
        Some(&segment[place])
    }

    /// Returns the slot with this number, and makes its segment if that is missing.
    fn made(&self, number: u32) -> &Slot<K> {
        let (section, segment, place) = split(number);
        let section = self.sections[section].get_or_init(|| filled(OnceLock::new));
        &section[segment].get_or_init(|| filled(Slot::empty))[place]
    }

    /// Opens a slot for a new process and returns its pid. The caller schedules the process.
    pub(crate) fn open(&self, card: K::Card, body: impl FnOnce(Pid) -> K::Body) -> Pid {
        let mut body = Some(body);
        loop {
            let slot = self.vacant();
            let opened = self.made(slot).open(card.clone(), |generation| {
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
        let slot = self.used.fetch_add(1, Ordering::Relaxed);
        assert_ne!(slot, u32::MAX, "a machine cannot hold four thousand million processes");
        slot
    }

    /// Offers a slot again after its process has ended.
    pub(crate) fn release(&self, slot: u32) {
        self.free.lock().push_back(slot);
    }

    /// Returns how many processes are alive, without looking at them. A process that begins or ends
    /// at this moment may or may not be counted.
    pub(crate) fn count(&self) -> usize {
        let free = self.free.lock().len();
        (self.len() as usize).saturating_sub(free)
    }

    /// Returns how many slots were ever used; all their numbers are lower than that.
    pub(crate) fn len(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// Returns every slot that was ever used.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot<K>)> {
        (0..self.len()).filter_map(|number| Some((number, self.slot(number)?)))
    }
}

/// Returns the section of a slot, the segment in the section, and the place in the segment.
#[inline]
fn split(number: u32) -> (usize, usize, usize) {
    let number = number as usize;
    (number / SEGMENT / SECTION, number / SEGMENT % SECTION, number % SEGMENT)
}

fn filled<T, const LENGTH: usize>(make: fn() -> T) -> Box<[T; LENGTH]> {
    let filled: Box<[T]> = std::iter::repeat_with(make).take(LENGTH).collect();
    filled.try_into().ok().expect("it has the length")
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::*;

    struct Numbered;

    impl Kind for Numbered {
        type Body = Pid;
        type Mail = ();
        type Signal = ();
        type Card = ();
    }

    #[test]
    fn every_process_is_found_by_its_number_and_no_other_number_is() {
        let table = Table::<Numbered>::new();
        let pids: Vec<Pid> = (0..SEGMENT + 2).map(|_| table.open((), |pid| pid)).collect();
        assert_eq!((table.len() as usize, table.count()), (pids.len(), pids.len()));
        for (number, pid) in (0..).zip(&pids) {
            assert_eq!((pid.slot, pid.generation), (number, 1));
            let body = table.slot(number).and_then(|slot| slot.peek(1, |body| *body));
            assert_eq!(body, Some(*pid));
        }
        assert_eq!(
            table.iter().map(|(number, _)| number).collect::<Vec<_>>(),
            (0..table.len()).collect::<Vec<_>>()
        );
        let far = [3 * SEGMENT as u32, (SEGMENT * SECTION) as u32, u32::MAX];
        assert!(far.iter().all(|number| table.slot(*number).is_none()));
    }
}
