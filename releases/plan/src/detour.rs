//! Finds ways through intermediate releases if no appup leads directly from one release to another.

use std::collections::{BTreeMap, VecDeque};
use std::iter;

use crate::plan::plan;
use crate::release::Release;
use crate::version::Vsn;

/// Returns the releases on the shortest way, in order; `None` if no way exists or none is needed.
///
/// OTP has no such search: a relup covers one step, and the operator must know the way.
pub fn detour(from: &Release, to: &Release, known: &[Release]) -> Option<Vec<Vsn>> {
    let mut came_from: BTreeMap<&Vsn, &Vsn> = BTreeMap::new();
    let mut open = VecDeque::from([from]);
    while let Some(here) = open.pop_front() {
        if here.version() != from.version() && plan(here, to).is_ok() {
            let back = iter::successors(Some(here.version()), |here| came_from.get(here).copied());
            let mut way: Vec<Vsn> = back.take_while(|vsn| *vsn != from.version()).cloned().collect();
            way.reverse();
            return Some(way);
        }
        for next in known {
            let is_new = next.version() != from.version() && !came_from.contains_key(next.version());
            if is_new && plan(here, next).is_ok() {
                came_from.insert(next.version(), here.version());
                open.push_back(next);
            }
        }
    }
    None
}
