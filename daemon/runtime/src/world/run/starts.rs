//! Runs the init of a new process inside the turn of its starter, which in most cases is the
//! supervisor of the process.
//!
//! The starter waits for the init, so its worker would run that init next in any case. The worker
//! does so at once and *holds* the starter meanwhile: parked, with its body in a cell of the worker
//! instead of its slot. If the init computes for long, the watchdog puts the body into the slot.
//! From then on the starter is like any other parked process: it can be killed, looked at and
//! counted by a gate.
//!
//! | the init                            | the starter                                       |
//! |-------------------------------------|---------------------------------------------------|
//! | returns, fails or panics            | takes the answer and goes on in the same turn     |
//! | waits, or is parked by a gate       | is parked in its slot, and woken by the answer    |
//! | computes for long                   | the watchdog parks it; the answer wakes it        |
//! | computes for long, and is abandoned | the same; another thread sends the answer         |
//! | asks for a continue                 | is parked before the continue, with the answer    |
//!
//! A worker holds one starter at a time. So a starter that is being started itself waits in its
//! slot for the processes that it starts.

use std::sync::Arc;

use super::{Run, activate_for, park};
use crate::pool::scheduler::Inside;
use crate::process::body::{Answer, Open, Wait};
use crate::process::current;
use crate::words::code::Ref;
use crate::words::contain::contained;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::World;

/// How many callbacks a held starter waits for: the init.
const INIT: usize = 1;

impl Run<'_> {
    /// Runs the init that this parked process waits for, and then this process until it waits
    /// again. Returns false if the process has to wait in its slot, or is there already.
    pub(super) fn start_inside(&mut self) -> Result<bool, Exit> {
        let [Open { wait: Wait::Start(child), reference, .. }] = *self.open() else { return Ok(false) };
        if current::holds() {
            return Ok(false);
        }
        let (world, pid) = (self.world, self.pid);
        let ran = world.scheduler.run_inside(child.slot, || {
            current::hold(self.body.take().expect("the body is away only while a callback runs"), reference);
            // A panic of the daemon there is reported, and is no reason to end this process.
            let _ = contained(|| activate_for(world, child.slot, INIT));
        });
        if ran == Inside::Elsewhere {
            return Ok(false);
        }
        let (body, answer) = current::release();
        self.body = body;
        match (answer, &mut self.body) {
            (Some(answer), Some(body)) if ran == Inside::Done => {
                body.answer(reference, answer);
                self.resume()?;
                self.run_continues()?;
                Ok(true)
            }
            (Some(answer), _) => {
                world.answer(pid, reference, answer);
                Ok(false)
            }
            (None, _) => Ok(false),
        }
    }

    /// Answers the starter of this process. If the starter is held and this process has to run
    /// further, the starter goes on elsewhere.
    pub(super) fn answer_starter(&mut self, (starter, reference): (Pid, Ref), answer: Answer) {
        if self.after.as_ref().is_some_and(|after| after.continues.is_some()) && current::holds() {
            park_held(self.world);
        }
        self.world.answer_starter((starter, reference), answer);
    }
}

/// Parks the process that the calling thread holds in its slot.
fn park_held(world: &Arc<World>) {
    if let (Some(body), _) = current::release() {
        park(world, body);
    }
}

impl World {
    /// Answers the request of a starter, which the calling thread may hold.
    pub(super) fn answer_starter(&self, (starter, reference): (Pid, Ref), answer: Answer) {
        if let Some(answer) = current::keep(starter, reference, answer) {
            self.answer(starter, reference, answer);
        }
    }
}
