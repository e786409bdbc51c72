//! Makes all processes install their shadows or move on to current code, without waiting for their
//! next activation.
//!
//! ```text
//! sweep --> a job on each worker: nudges each process that has a shadow or runs stale code
//!    |         at rest:        takes or drops its shadow, or moves on by exporting its state
//!    |         in a callback: does so itself at its next boundary; a signal makes it reach one
//!    v
//! all slots visited, and the running processes have passed a boundary
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::pool::lanes::Lanes;
use crate::process::body::{Body, Signal};
use crate::process::card::Card;
use crate::upgrade::convert::leave;
use crate::words::code::Behaviour;
use crate::words::pid::Pid;
use crate::world::World;
use crate::world::change::{move_on, settle};

/// How long the sweep waits for processes that it finds running. Most processes finish their
/// callback in that time. The others move on by themselves when their callback returns.
const PASSING: Duration = Duration::from_millis(100);

/// Makes each resting process install or drop its shadow or move on, and waits for that.
pub(crate) fn sweep(world: &Arc<World>, deadline: Instant) {
    let jobs = world.scheduler.width();
    let sweep = Arc::new(Sweep {
        world: Arc::clone(world),
        places: Lanes::new(world.table.len() as usize, jobs),
        passing: Arc::default(),
    });
    let ended = Arc::new(Countdown::default());
    (0..jobs).for_each(|job| Sweep::spawn(&sweep, job, Pending::of(&ended)));
    ended.wait(deadline);
    sweep.passing.wait(deadline.min(Instant::now() + PASSING));
}

/// One sweep, shared by its jobs.
struct Sweep {
    world: Arc<World>,
    places: Lanes,
    /// The processes that were running.
    passing: Arc<Countdown>,
}

impl Sweep {
    /// Sweeps a chunk of slots, then queues up again behind the other work of the pool.
    fn spawn(sweep: &Arc<Self>, job: usize, pending: Pending) {
        let next = Arc::clone(sweep);
        sweep.world.scheduler.job(Box::new(move || {
            let Some(places) = next.places.next(job) else { return drop(pending) };
            places.for_each(|place| nudge(&next.world, place as u32, &next.passing));
            Self::spawn(&next, job, pending);
        }));
    }
}

/// Does the work of the next boundary for a resting process that has a shadow or runs stale code. A
/// process in a callback does this work itself. A task stays in the code that it began in.
fn nudge(world: &World, place: u32, passing: &Arc<Countdown>) {
    let Some(slot) = world.table.slot(place) else { return };
    let is_stale = |card: &Card| card.code.is_stale() && card.code.behaviour() != Behaviour::Task;
    let wants = |card: &Arc<Card>, body: Option<&Box<Body>>| {
        is_stale(card) || body.is_some_and(|body| body.shadow.is_some())
    };
    let Some((generation, body)) = slot.visit_if(wants) else { return };
    let pid = Pid { slot: place, generation };
    let Some(mut body) = body else {
        // The process may be past its last boundary; the signal makes it reach another one.
        let passed = Pending::of(passing);
        world.signal(pid, Signal::System(Box::new(|_| drop(passed))));
        return;
    };
    settle(world, &mut body);
    let undecided = body.shadow.is_some();
    let moves = body.card.code.is_stale() && !body.suspended && !undecided && body.instance().is_some();
    let moved = if moves { move_on(world, &mut body) } else { Ok(()) };
    leave(world, slot, body);
    if let Err(exit) = moved {
        world.signal(pid, Signal::End(exit));
    }
}

/// One item that a countdown waits for. Dropping it, done or given up, counts down.
struct Pending(Arc<Countdown>);

impl Pending {
    fn of(countdown: &Arc<Countdown>) -> Self {
        *countdown.left.lock() += 1;
        Self(Arc::clone(countdown))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        *self.0.left.lock() -= 1;
        self.0.zero.notify_all();
    }
}

/// The number of outstanding items.
#[derive(Default)]
struct Countdown {
    left: Mutex<usize>,
    zero: Condvar,
}

impl Countdown {
    fn wait(&self, deadline: Instant) {
        let mut left = self.left.lock();
        while *left > 0 && !self.zero.wait_until(&mut left, deadline).timed_out() {}
    }
}
