//! Runs the process that a parked process waits for inside the turn of the parked one: the server
//! of a call, or a child during its init.
//!
//! The awaited process lies in the LIFO slot of the worker, so the worker would run it next in any
//! case. The worker does so at once and *holds* the waiting process meanwhile: parked, with its
//! body in a cell of the worker instead of its slot. If the awaited process computes for long, the
//! watchdog puts the body into the slot. From then on the waiting process is like any other parked
//! process: it can be killed, looked at and counted by a gate.
//!
//! | the callback of the awaited process | the waiting process                               |
//! |-------------------------------------|---------------------------------------------------|
//! | replies, or is an init that ends    | takes the answer and goes on in the same turn     |
//! | waits, or is parked by a gate       | is parked in its slot, and woken by the answer    |
//! | handles another message             | the same                                          |
//! | ends the process without a reply    | the same; the answer is the exit reason           |
//! | computes for long                   | the watchdog parks it; the answer wakes it        |
//! | computes for long, and is abandoned | the same; another thread sends the answer         |
//! | asks for a continue                 | is parked before the continue, with the answer    |
//!
//! The awaited process may wait for a further process, which then runs in its turn. The scheduler
//! limits how often a worker does this before the other processes in its queue have their turn.

use super::{Run, activate_for, park};
use crate::pool::scheduler::Inside;
use crate::process::body::{Answer, Open, Wait};
use crate::process::current;
use crate::words::code::Ref;
use crate::words::contain::contained;
use crate::words::exit::Exit;
use crate::words::pid::Pid;
use crate::world::World;

/// How many messages an awaited process handles. Its init counts as one.
const AWAITED: usize = 1;

impl Run<'_> {
    /// Runs the process that this parked process waits for, and then this process until it waits
    /// again. Returns false if this process has to wait in its slot, or is there already.
    pub(super) fn run_awaited(&mut self) -> Result<bool, Exit> {
        let [Open { wait: Wait::Start(awaited) | Wait::Answer(awaited), reference, .. }] = *self.open()
        else {
            return Ok(false);
        };
        let (world, pid, level) = (self.world, self.pid, current::held());
        if level == current::HELD_MAX {
            return Ok(false);
        }
        let ran = world.scheduler.run_inside(awaited.slot, || {
            current::hold(self.body.take().expect("the body is away only while a callback runs"), reference);
            // A panic of the daemon there is reported, and is no reason to end this process.
            let _ = contained(|| activate_for(world, awaited.slot, AWAITED));
        });
        if ran == Inside::Elsewhere {
            return Ok(false);
        }
        let (body, answer) = current::release(level);
        self.body = body;
        match (answer, &mut self.body) {
            (Some(answer), Some(body)) if ran == Inside::Done => {
                if body.close(reference) {
                    self.resume_with(reference, answer)?;
                }
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

    /// Answers a process that waits for this one. If it is held and this process has to run
    /// further, it goes on elsewhere.
    pub(super) fn answer_waiting(&mut self, (caller, reference): (Pid, Ref), answer: Answer) {
        if self.after.as_ref().is_some_and(|after| after.continues.is_some())
            && let Some(body) = current::unhold()
        {
            park(self.world, body);
        }
        self.world.answer_waiting((caller, reference), answer);
    }
}

impl World {
    /// Answers the request of a process, which the calling thread may hold.
    pub(super) fn answer_waiting(&self, (caller, reference): (Pid, Ref), answer: Answer) {
        if let Some(answer) = current::keep(caller, reference, answer) {
            self.answer(caller, reference, answer);
        }
    }
}
