//! Divides a long row of work among the jobs of a pool.
//!
//! Each job has a lane of its own. It takes its lane chunk by chunk, and then helps the other jobs.
//! The reason for lanes is that neighbours in the process table have their states next to each
//! other in memory. If workers took chunks in turn, they would free blocks of the same pages of the
//! allocator and wait for each other.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use crate::process::batch::CHUNK;

/// A row of work that is handed out in chunks.
#[derive(Debug)]
pub(crate) struct Lanes(Vec<CachePadded<Lane>>);

#[derive(Debug)]
struct Lane {
    next: AtomicUsize,
    end: usize,
}

impl Lanes {
    /// Divides a row of `len` items among the jobs. Job `n` must call [`Lanes::next`] with lane
    /// `n`.
    pub(crate) fn new(len: usize, jobs: usize) -> Self {
        let lane = len.div_ceil(CHUNK).div_ceil(jobs) * CHUNK;
        let bound = |job: usize| (job * lane).min(len);
        let lanes = (0..jobs).map(|job| Lane { next: AtomicUsize::new(bound(job)), end: bound(job + 1) });
        Self(lanes.map(CachePadded::new).collect())
    }

    /// Returns the next chunk of this lane, or of another lane when this lane is finished. Returns
    /// `None` when all work is handed out.
    pub(crate) fn next(&self, lane: usize) -> Option<Range<usize>> {
        let (before, after) = self.0.split_at(lane);
        after.iter().chain(before).find_map(|lane| {
            let from = lane.next.fetch_add(CHUNK, Ordering::Relaxed);
            (from < lane.end).then(|| from..lane.end.min(from + CHUNK))
        })
    }

    /// Returns a measure of progress: it grows with each chunk that is handed out.
    pub(crate) fn begun(&self) -> usize {
        self.0.iter().map(|lane| lane.next.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn everything_is_handed_out_once_in_any_order_of_jobs(
            len in 0_usize..2_000,
            jobs in 1_usize..5,
            asks in prop::collection::vec(0_usize..5, 40),
        ) {
            let lanes = Lanes::new(len, jobs);
            let mut seen = vec![0; len];
            for lane in asks.into_iter().map(|ask| ask % jobs).chain(std::iter::repeat_n(0, len / CHUNK + jobs)) {
                lanes.next(lane).into_iter().flatten().for_each(|at| seen[at] += 1);
            }
            prop_assert!(seen.iter().all(|times| *times == 1));
        }
    }

    #[test]
    fn a_job_keeps_to_its_lane_and_then_helps_the_others() {
        let lanes = Lanes::new(3 * CHUNK + 1, 2);
        let begins: Vec<_> = std::iter::from_fn(|| lanes.next(1)).map(|chunk| chunk.start / CHUNK).collect();
        assert_eq!(begins, [2, 3, 0, 1]);
        assert_eq!(Lanes::new(0, 2).next(1), None);
    }
}
