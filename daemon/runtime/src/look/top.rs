//! Who has the node's threads: found out by looking at them again and again. OTP: the reductions of etop.
//!
//! Nothing is counted while nobody asks, so a message pays nothing for it.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::words::pid::Pid;
use crate::world::World;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(1);

/// Looks for so long; returns for which part of the time each process was seen to run. 1 is one thread all the time.
pub(crate) fn sample(world: &World, time: Duration) -> HashMap<Pid, f64> {
    let until = Instant::now() + time;
    let mut seen: HashMap<Pid, u32> = HashMap::new();
    let mut looks = 0;
    loop {
        for slot in world.scheduler.running() {
            let place = world.table.slot(slot);
            let pid = place.and_then(|place| place.card_any(|generation, _| Pid { slot, generation }));
            pid.into_iter().for_each(|pid| *seen.entry(pid).or_default() += 1);
        }
        looks += 1;
        if Instant::now() >= until {
            return seen.into_iter().map(|(pid, times)| (pid, f64::from(times) / f64::from(looks))).collect();
        }
        thread::sleep(EVERY);
    }
}
