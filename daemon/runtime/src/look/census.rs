//! Counts the processes of a node, possibly a million: visits each slot once, copies nothing and
//! sends no message.
//!
//! CPU time is estimated by sampling: while a request lasts, the running processes are noted every
//! millisecond. (OTP's etop uses reduction counts.) Nothing is recorded outside a request, so
//! messages cost nothing extra.

use std::collections::{BTreeMap, HashMap};
use std::ptr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::look::details::timers;
use crate::process::card::{Card, Env};
use crate::process::slot::Hold;
use crate::words::code_server::Code;
use crate::words::pid::Pid;
use crate::world::World;

/// Counts of processes and their resources, by owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The number of processes of each application.
    pub apps: BTreeMap<String, u64>,
    /// The number of messages in all mailboxes.
    pub queued: usize,
    /// The length of the longest mailbox.
    pub longest: usize,
    /// The counts for each version of a module that has processes.
    pub code: Vec<Share>,
}

/// The counts for one version of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// The app that the module's code came with.
    pub app: String,
    /// The version of that app.
    pub version: String,
    /// The number of processes.
    pub processes: u64,
    /// The number of processes that wait inside a callback.
    pub waiting: u64,
    /// The number of app timers that will send to these processes.
    pub timers: u64,
    /// The number of ports that these processes own.
    pub ports: u64,
}

impl Share {
    fn of(code: &Code) -> Self {
        let module = &code.module;
        Self { app: module.app().to_owned(), version: module.version().to_owned(), ..Self::default() }
    }
}

#[derive(Default)]
struct Count {
    /// Applications, by the address of their environment, which the value keeps alive.
    apps: HashMap<*const Env, (Arc<Env>, u64)>,
    /// Code, by its address, which the value keeps alive.
    code: HashMap<*const Code, (Arc<Code>, Share)>,
}

impl Count {
    fn share(&mut self, code: &Arc<Code>) -> &mut Share {
        let first = || (Arc::clone(code), Share::of(code));
        &mut self.code.entry(ptr::from_ref(&**code)).or_insert_with(first).1
    }

    fn app(&mut self, app: &Arc<Env>) -> &mut u64 {
        &mut self.apps.entry(ptr::from_ref(&**app)).or_insert_with(|| (Arc::clone(app), 0)).1
    }
}

/// Counts all processes. A process that starts or ends meanwhile may or may not be counted.
pub(crate) fn count(world: &World) -> Census {
    let (mut count, mut census) = (Count::default(), Census::default());
    for (_, slot) in world.table.iter() {
        slot.survey(|card, body, mail, hold| {
            let queued = mail + body.map_or(0, |body| body.inbox.len());
            census.queued += queued;
            census.longest = census.longest.max(queued);
            *count.app(&card.app) += 1;
            let share = count.share(&card.code);
            share.processes += 1;
            share.waiting += u64::from(hold.has(Hold::WAITING));
        });
    }
    for target in timers(world) {
        card_of(world, target, |card| count.share(&card.code).timers += 1);
    }
    for port in world.ports.list() {
        card_of(world, port.owner, |card| count.share(&card.code).ports += 1);
    }
    for (app, number) in count.apps.into_values() {
        *census.apps.entry(app.name.clone()).or_default() += number;
    }
    census.code = count.code.into_values().map(|(_, share)| share).collect();
    census
}

fn card_of(world: &World, pid: Pid, look: impl FnOnce(&Card)) {
    if let Some(slot) = world.slot(pid) {
        slot.card(pid.generation, |card| look(card));
    }
}

/// The sampling interval.
const EVERY: Duration = Duration::from_millis(1);

/// Samples for this long. Returns the share of samples in which each process was running; 1 is one
/// thread all the time.
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
